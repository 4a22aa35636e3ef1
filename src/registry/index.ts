import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RepoConfig } from '../config/repo-config.js'
import type { BackendContext } from '../core/backend.js'
import { feastError } from '../core/errors.js'
import type { RegistryStore } from './registry-store.js'

const TYPES = ['file']

/** @throws BACKEND_UNKNOWN for another kind of registry, or another place for the file */
export async function openRegistryStore(
  { type, path, options }: RepoConfig['registry'],
  { repoPath }: BackendContext,
): Promise<RegistryStore> {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(path)?.[1]?.toLowerCase() ?? 'file'
  const place = String(options['registry_store_type'] ?? scheme)
  const unknown = [type, scheme, place === 'LocalRegistryStore' ? 'file' : place].find(
    (name) => !TYPES.includes(name),
  )
  if (unknown !== undefined) {
    throw feastError('BACKEND_UNKNOWN', { family: 'registry', type: unknown, known: TYPES })
  }
  const file = path.startsWith('file:') ? fileURLToPath(path) : path
  const { FileRegistryStore } = await import('./file/file-registry-store.js')
  const { FileObjectStore } = await import('../object-stores/file/file-object-store.js')
  return new FileRegistryStore(new FileObjectStore(), isAbsolute(file) ? file : join(repoPath, file))
}
