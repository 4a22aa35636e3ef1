import type { RepoConfig } from '../../config/repo-config.js'
import { openObjectStore } from '../../object-stores/index.js'
import { modelsConfig, resolveUri } from '../models-config.js'
import type { ModelRegistry } from './model-registry.js'

/** The registry that the `models` block names; without a block one in `data/models`. @throws CONFIG_INVALID */
export async function openModelRegistry(config: RepoConfig): Promise<ModelRegistry> {
  const { registry, approval } = modelsConfig(config)
  const uri = resolveUri(registry.uri, config)
  const store = await openObjectStore(uri, 'models.registry', config.aws)
  const { LogModelRegistry } = await import('./log-model-registry.js')
  return new LogModelRegistry(store, uri, approval)
}
