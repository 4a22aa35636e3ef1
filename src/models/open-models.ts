import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { Deployer } from './deployer.js'
import { createModelHost, type ModelHost } from './model-host.js'
import { inferenceSettings, type ModelsConfig, modelsConfig } from './models-config.js'
import { openModelRegistry } from './registry/index.js'
import type { ModelRegistry } from './registry/model-registry.js'

/** Models as one process serves them. */
export interface Models {
  readonly config: ModelsConfig
  readonly registry: ModelRegistry
  readonly host: ModelHost
  readonly deployer: Deployer
  close(): Promise<void>
}

/**
 * Opens the registry and loads what it wants to serve. A version that cannot be loaded is said in the log; it does not
 * keep the server from starting.
 * @throws CONFIG_INVALID, BACKEND_UNKNOWN
 */
export async function openModels(store: FeatureStore, logger: Logger): Promise<Models> {
  const config = modelsConfig(store.config)
  const registry = await openModelRegistry(store.config)
  const host = createModelHost(inferenceSettings(config))
  const deployer = new Deployer({ registry, host, config, logger })
  await deployer.start()
  return {
    config,
    registry,
    host,
    deployer,
    async close() {
      await deployer.stop()
      await host.close()
      await registry.close()
    },
  }
}
