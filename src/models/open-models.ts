import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { openObjectStore } from '../object-stores/index.js'
import type { Registry } from '../registry/registry.js'
import { Deployer } from './deployer.js'
import { modelFileSource, serviceOf } from './model-file.js'
import { createModelHost, type LoadedModel, type ModelHost } from './model-host.js'
import { ModelProxy, type ProxyOptions } from './model-proxy.js'
import { inferenceSettings, type ModelsConfig, modelsConfig, resolveUri } from './models-config.js'
import { createPredictor, type PredictionRecord, type Predictor } from './predict.js'
import { PredictionLog } from './prediction-log.js'
import { type LoggedPrediction, loggedRows, rowCountOf } from './prediction-rows.js'
import { openModelRegistry } from './registry/index.js'
import type { ModelRegistry } from './registry/model-registry.js'
import { keyColumns, serviceFeatures } from './service-features.js'
import { verifyModel } from './verify-model.js'

/** Models as one process serves them. */
export interface Models {
  readonly config: ModelsConfig
  readonly registry: ModelRegistry
  readonly host: ModelHost
  readonly deployer: Deployer
  /** Answers with one version: the champion, or the one that is named. */
  readonly predictor: Predictor
  readonly proxy: ModelProxy
  /** Where predictions are kept; none unless configured. */
  readonly log: PredictionLog | undefined
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
  const settings = inferenceSettings(config)
  const verify = async (model: LoadedModel) =>
    verifyModel(model, await serviceOf(store, model.manifest.featureService))
  const host = createModelHost(settings, verify)
  const shadowHost = createModelHost({ ...settings, workers: 1 }, verify)
  const deployer = new Deployer({ registry, host, shadowHost, config, logger })
  await deployer.start()
  await Promise.all(Object.keys(config.files).map((name) => loadFile(store, host, config, name, logger)))
  const { timeout_ms: timeoutMs, max_rows: maxRows } = config.inference
  const log = await openLog(store, config, logger)
  const common = { store, logger, timeoutMs, maxRows }
  const predictor = createPredictor({ ...common, host, onPrediction: (record) => proxy.onPrediction(record) })
  const proxy: ModelProxy = new ModelProxy({
    deployer,
    registry,
    config,
    logger,
    predictor,
    keyColumns: keyColumnsOf(store, host),
    shadows: {
      host: shadowHost,
      predictor: createPredictor({
        ...common,
        host: shadowHost,
        onPrediction: (record) => proxy.onShadow(record),
      }),
    },
    log: log?.tell,
  })
  const required = Object.entries(config.files).flatMap(([name, file]) => (file.required ? [name] : []))
  return {
    config,
    registry,
    host,
    deployer,
    predictor,
    proxy,
    log: log?.log,
    missing() {
      const serving = host.models().flatMap(({ name, active }) => (active === undefined ? [] : [name]))
      return required.filter((name) => !serving.includes(name))
    },
    async close() {
      await deployer.stop()
      proxy.close()
      await host.close()
      await shadowHost.close()
      await log?.close()
      await registry.close()
    },
  }
}

/** Remembered for as long as the feature registry is the same. */
function keyColumnsOf(store: FeatureStore, host: ModelHost): ProxyOptions['keyColumns'] {
  let known: { readonly registry: Registry; readonly columns: Map<string, ReadonlyMap<string, string>> }
  return async (model, version) => {
    const { featureService } = host.find(model, version).manifest
    if (featureService === undefined) return new Map()
    const registry = await store.registry()
    if (known?.registry !== registry) known = { registry, columns: new Map() }
    const columns =
      known.columns.get(featureService) ??
      keyColumns(registry, store.project, serviceFeatures(registry, store.project, featureService))
    known.columns.set(featureService, columns)
    return columns
  }
}

interface OpenLog {
  readonly log: PredictionLog
  readonly tell: (logged: LoggedPrediction) => void
  close(): Promise<void>
}

async function openLog(
  store: FeatureStore,
  { logging: config }: ModelsConfig,
  logger: Logger,
): Promise<OpenLog | undefined> {
  if (config === undefined) return undefined
  const uri = resolveUri(config.uri, store.config)
  const objects = await openObjectStore(uri, 'models.logging', store.config.aws)
  const log = new PredictionLog({ config, store: objects, uri, logger })
  const sampled = new WeakSet<PredictionRecord>()
  const isSampled = ({ record, primary }: Extract<LoggedPrediction, { kind: 'answered' }>) => {
    if (primary !== undefined) return sampled.has(primary)
    if (!log.isSampled()) return false
    sampled.add(record)
    return true
  }
  const telling = new Set<Promise<void>>()
  return {
    log,
    tell(logged) {
      if (logged.kind === 'answered' && !isSampled(logged)) return
      const told = store
        .registry()
        .then((registry) => log.add(loggedRows(logged, registry, store.project)))
        .catch((error) => {
          logger.error({ error: messageOf(error) }, 'prediction not logged')
          log.lose(rowCountOf(logged))
        })
        .finally(() => telling.delete(told))
      telling.add(told)
    },
    async close() {
      // What was answered last is told of when the answer is on its way.
      await setImmediate()
      await Promise.all(telling)
      await log.close()
      await objects.close()
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
