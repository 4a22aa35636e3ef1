import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RepoConfig } from '../config/repo-config.js'
import type { BackendContext } from '../core/backend.js'
import { feastError } from '../core/errors.js'
import { openObjectStore, schemeOf } from '../object-stores/index.js'
import type { RegistryStore } from './registry-store.js'

/** @throws BACKEND_UNKNOWN for another kind of registry, or another place for the file; CONFIG_INVALID */
export async function openRegistryStore(
  block: RepoConfig['registry'],
  context: BackendContext,
): Promise<RegistryStore> {
  if (block.type === 'sql') return (await import('./sql/index.js')).openSqlRegistry(block, context)
  const { type, path, options } = block
  const { repoPath, aws } = context
  // Feast's name of the class for local files, which says no more than the path does.
  const storeType = options['registry_store_type'] ?? 'LocalRegistryStore'
  for (const [name, known] of [
    [type, ['file', 'sql']],
    [String(storeType), ['LocalRegistryStore']],
  ] as const) {
    if (name !== known[0]) throw feastError('BACKEND_UNKNOWN', { family: 'registry', type: name, known })
  }
  const objects = await openObjectStore(path, 'registry', aws)
  const { FileRegistryStore } = await import('./file/file-registry-store.js')
  return new FileRegistryStore(objects, schemeOf(path) === 'file' ? localFile(path, repoPath) : path)
}

function localFile(path: string, repoPath: string): string {
  const file = path.startsWith('file:') ? fileURLToPath(path) : path
  return isAbsolute(file) ? file : join(repoPath, file)
}
