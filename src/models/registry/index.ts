import type { RepoConfig } from '../../config/repo-config.js'
import { openObjectStore } from '../../object-stores/index.js'
import { modelsConfig, resolveUri } from '../models-config.js'
import { LogModelRegistry } from './log-model-registry.js'
import type { ModelRegistry } from './model-registry.js'

/**
 * The registry that the `models` block names; without a block one in `data/models`.
 * @throws CONFIG_INVALID, BACKEND_UNKNOWN, BACKEND_PACKAGE_MISSING
 */
export async function openModelRegistry(config: RepoConfig): Promise<ModelRegistry> {
  const { registry, approval } = modelsConfig(config)
  const uri = resolveUri(registry.uri, config)
  const log = new LogModelRegistry(await openObjectStore(uri, 'models.registry', config.aws), uri, approval)
  if (registry.type === 'object_store') return log
  const { openSageMakerRegistry } = await import('./sagemaker-model-registry.js')
  return openSageMakerRegistry(log, config.aws, registry.image)
}
