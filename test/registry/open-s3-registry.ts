import type { AwsSettings } from '../../src/core/aws-settings.js'
import { silentLogger } from '../../src/core/logger.js'
import { openRegistryStore } from '../../src/registry/index.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'

/**
 * @param options other keys of the `registry` block
 * @param aws default: what the SDK finds in the environment
 */
export function openS3Registry(
  path: string,
  options: object = {},
  aws?: AwsSettings,
): Promise<RegistryStore> {
  const cache = { cacheTtlSeconds: 600, versioning: false }
  return openRegistryStore(
    { type: 'file', path, options: { ...options }, ...cache },
    { project: 'demo', repoPath: '/', entityKeyVersion: 3, logger: silentLogger, ...(aws && { aws }) },
  )
}
