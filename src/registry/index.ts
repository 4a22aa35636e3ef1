import type { RepoConfig } from '../config/repo-config.js'
import type { BackendContext } from '../core/backend.js'
import { feastError } from '../core/errors.js'
import type { RegistryStore } from './registry-store.js'

type Open = (block: RepoConfig['registry'], context: BackendContext) => Promise<RegistryStore>

const BACKENDS: Readonly<Record<string, Open>> = {
  file: async (block, context) => (await import('./file/index.js')).openFileRegistry(block, context),
  sql: async (block, context) => (await import('./sql/index.js')).openSqlRegistry(block, context),
}

/** @throws BACKEND_UNKNOWN for another kind of registry, or another place for the file; CONFIG_INVALID */
export async function openRegistryStore(
  block: RepoConfig['registry'],
  context: BackendContext,
): Promise<RegistryStore> {
  const open = Object.hasOwn(BACKENDS, block.type) ? BACKENDS[block.type] : undefined
  if (!open) {
    throw feastError('BACKEND_UNKNOWN', {
      family: 'registry',
      type: block.type,
      known: Object.keys(BACKENDS),
    })
  }
  return open(block, context)
}
