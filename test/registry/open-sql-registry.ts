import { silentLogger } from '../../src/core/logger.js'
import { openRegistryStore } from '../../src/registry/index.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'

/** @param options other keys of the `registry` block */
export function openSqlRegistry(path: string, options: object = {}, repoPath = '/'): Promise<RegistryStore> {
  const block = {
    type: 'sql',
    path,
    options: { registry_type: 'sql', path, ...options },
    cacheTtlSeconds: 600,
    versioning: false,
    purgeFeastMetadata: false,
  }
  return openRegistryStore(block, { project: 'demo', repoPath, entityKeyVersion: 3, logger: silentLogger })
}
