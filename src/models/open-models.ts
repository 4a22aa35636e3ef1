import { messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { Deployer } from './deployer.js'
import { modelFileSource, serviceOf } from './model-file.js'
import { createModelHost, type ModelHost } from './model-host.js'
import { inferenceSettings, type ModelsConfig, modelsConfig } from './models-config.js'
import { createPredictor, type Predictor } from './predict.js'
import { openModelRegistry } from './registry/index.js'
import type { ModelRegistry } from './registry/model-registry.js'
import { verifyModel } from './verify-model.js'

/** Models as one process serves them. */
export interface Models {
  readonly config: ModelsConfig
  readonly registry: ModelRegistry
  readonly host: ModelHost
  readonly deployer: Deployer
  readonly predictor: Predictor
  /** Of the models without which the server is not ready, those that nothing serves. */
  missing(): readonly string[]
  close(): Promise<void>
}

/**
 * Opens the registry and loads what it wants to serve, and the models of `models.files`. A version that cannot be
 * loaded is said in the log; it does not keep the server from starting.
 * @throws CONFIG_INVALID, BACKEND_UNKNOWN
 */
export async function openModels(store: FeatureStore, logger: Logger): Promise<Models> {
  const config = modelsConfig(store.config)
  const registry = await openModelRegistry(store.config)
  const host = createModelHost(inferenceSettings(config), async (model) =>
    verifyModel(model, await serviceOf(store, model.manifest.featureService)),
  )
  const deployer = new Deployer({ registry, host, config, logger })
  await deployer.start()
  await Promise.all(Object.keys(config.files).map((name) => loadFile(store, host, config, name, logger)))
  const { timeout_ms: timeoutMs, max_rows: maxRows } = config.inference
  const required = Object.entries(config.files).flatMap(([name, file]) => (file.required ? [name] : []))
  return {
    config,
    registry,
    host,
    deployer,
    predictor: createPredictor({ store, host, logger, timeoutMs, maxRows }),
    missing() {
      const serving = host.models().flatMap(({ name, active }) => (active === undefined ? [] : [name]))
      return required.filter((name) => !serving.includes(name))
    },
    async close() {
      await deployer.stop()
      await host.close()
      await registry.close()
    },
  }
}

async function loadFile(
  store: FeatureStore,
  host: ModelHost,
  { files }: ModelsConfig,
  name: string,
  logger: Logger,
): Promise<void> {
  try {
    const { version } = await host.load(await modelFileSource(store, name, files[name]!))
    host.activate(name, version)
  } catch (error) {
    logger.error({ model: name, error: messageOf(error) }, 'model of models.files not loaded')
  }
}
