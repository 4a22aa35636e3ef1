import type { FeatureRepo } from '../config/feature-repo.js'
import type { RepoConfig } from '../config/repo-config.js'
import type { BackendContext } from '../core/backend.js'
import { feastError, messageOf } from '../core/errors.js'
import { type Logger, silentLogger } from '../core/logger.js'
import type { RowFunction } from '../core/on-demand-feature-view.js'
import type { OfflineStore } from '../offline-stores/offline-store.js'
import type { OnlineStore } from '../online-stores/online-store.js'
import type { RegistryCache } from '../registry/registry-cache.js'
import type { RegistryStore } from '../registry/registry-store.js'
import type { OnlineServing } from '../serving/online-serving.js'
import type { FeatureStore } from './feature-store.js'
import type { PrecomputedVectors } from './precomputed-vectors.js'
import type { StoreParts } from './store-parts.js'

export interface OpenOptions {
  readonly logger?: Logger
  /** Where the functions of on demand views are found; default: the feature repo of the configuration. */
  readonly loadFeatureRepo?: () => Promise<FeatureRepo>
}

/** Opens nothing yet: each backend is loaded and opened by the first call that needs it. */
export function openFeatureStore(config: RepoConfig, options: OpenOptions = {}): FeatureStore {
  const parts = new Parts(config, options)
  return {
    project: config.project,
    config,
    registry: async () => (await parts.registryCache()).get(),
    refreshRegistry: async () => (await parts.registryCache()).refresh(),
    onlineStore: () => parts.onlineStore(),
    offlineStore: () => parts.offlineStore(),
    serving: () => parts.serving(),
    plan: async (repo, applyOptions) => (await import('./apply.js')).plan(parts, repo, applyOptions),
    apply: async (repo, applyOptions) => (await import('./apply.js')).apply(parts, repo, applyOptions),
    teardown: async () => (await import('./teardown.js')).teardown(parts),
    deleteObject: async (name, kind) => (await import('./delete-object.js')).deleteObject(parts, name, kind),
    setViewEnabled: async (name, enabled) =>
      (await import('./view-state.js')).setViewEnabled(parts, name, enabled),
    setViewState: async (name, state) => (await import('./view-state.js')).setViewState(parts, name, state),
    getHistoricalFeatures: async (request) =>
      (await import('./historical-features.js')).getHistoricalFeatures(parts, request),
    getLoggedFeatures: async (request) =>
      (await import('./logged-features.js')).getLoggedFeatures(parts, request),
    materialize: async (request) => (await import('./materialize.js')).materialize(parts, request),
    planMaterialization: async (request) =>
      (await import('./materialization-steps.js')).planMaterialization(parts, request),
    loadMaterialization: async (request) =>
      (await import('./materialization-steps.js')).loadMaterialization(parts, request),
    commitMaterialization: async (request) =>
      (await import('./materialization-steps.js')).commitMaterialization(parts, request),
    abandonMaterialization: async (run) =>
      (await import('./materialization-steps.js')).abandonMaterialization(parts, run),
    materializations: async () => (await import('./materialization-steps.js')).materializations(parts),
    materializationStatus: async (run) =>
      (await import('./materialization-steps.js')).materializationStatus(parts, run),
    precompute: async (request = {}) => (await import('./precompute.js')).precompute(parts, request),
    push: async (request) => (await import('./push.js')).push(parts, request),
    writeToOnlineStore: async (view, rows) =>
      (await import('./push.js')).writeToOnlineStore(parts, view, rows),
    writeToOfflineStore: async (view, rows) =>
      (await import('./push.js')).writeToOfflineStore(parts, view, rows),
    close: () => parts.close(),
  }
}

/** Local registries are looked at as often as once a second; others when the configured time has passed. */
const LOCAL_CHECK_SECONDS = 1

class Parts implements StoreParts {
  readonly logger: Logger
  readonly #opened = new Map<string, Promise<unknown>>()

  constructor(
    readonly config: RepoConfig,
    readonly options: OpenOptions,
  ) {
    this.logger = options.logger ?? silentLogger
  }

  get project(): string {
    return this.config.project
  }

  registryStore(): Promise<RegistryStore> {
    return this.#once('registry store', async () => {
      const { openRegistryStore } = await import('../registry/index.js')
      return openRegistryStore(this.config.registry, this.#context())
    })
  }

  registryCache(): Promise<RegistryCache> {
    return this.#once('registry cache', async () => {
      const { RegistryCache } = await import('../registry/registry-cache.js')
      const store = await this.registryStore()
      return new RegistryCache({ store, checkAfterSeconds: this.#checkAfterSeconds(), logger: this.logger })
    })
  }

  onlineStore(): Promise<OnlineStore> {
    return this.#once('online store', async () => {
      const { onlineStore } = this.config
      if (onlineStore === undefined) throw feastError('ONLINE_STORE_NOT_CONFIGURED', undefined)
      const { openOnlineStore } = await import('../online-stores/index.js')
      return openOnlineStore(onlineStore, this.#context())
    })
  }

  precomputedVectors(): Promise<PrecomputedVectors> {
    return this.#once('precomputed vectors', async () => {
      const { PrecomputedVectors } = await import('./precomputed-vectors.js')
      return new PrecomputedVectors(this)
    })
  }

  offlineStore(): Promise<OfflineStore> {
    return this.#once('offline store', async () => {
      const { openOfflineStore } = await import('../offline-stores/index.js')
      return openOfflineStore(this.config.offlineStore, this.#context())
    })
  }

  serving(): Promise<OnlineServing> {
    return this.#once('serving', async () => {
      const { createOnlineServing } = await import('../serving/online-serving.js')
      const onlineStore = await this.onlineStore()
      const cache = await this.registryCache()
      const transformations = await this.transformations()
      const { config } = this
      return createOnlineServing({
        registry: () => cache.current() ?? cache.get(),
        onlineStore,
        project: config.project,
        versioning: config.registry.versioning,
        ttl: config.featureServer.ttl,
        entityKeyVersion: config.entityKeyVersion,
        transformations,
        limits: config.featureServer.limits,
      })
    })
  }

  /** The feature repo is loaded only where the registry has an on demand view that it would have to run. */
  transformations(): Promise<ReadonlyMap<string, RowFunction>> {
    return this.#once('transformations', async () => {
      const registry = await (await this.registryCache()).get()
      const views = registry.onDemandFeatureViews(this.project)
      if (!views.some(({ transformation }) => transformation.language === 'typescript')) return new Map()
      try {
        return functionsOf(await this.#loadFeatureRepo())
      } catch (error) {
        // Everything else is still served; who asks for these views is told that they have no function here.
        this.logger.error({ error: messageOf(error) }, 'the feature repo could not be loaded')
        return new Map()
      }
    })
  }

  async close(): Promise<void> {
    const opened = ['online store', 'offline store', 'registry store'].map((part) => this.#opened.get(part))
    this.#opened.clear()
    for (const part of opened) {
      const store = (await part?.catch(() => undefined)) as { close(): Promise<void> } | undefined
      await store?.close()
    }
  }

  async #loadFeatureRepo(): Promise<FeatureRepo> {
    if (this.options.loadFeatureRepo !== undefined) return this.options.loadFeatureRepo()
    const { loadFeatureRepo } = await import('../config/feature-repo.js')
    return loadFeatureRepo(this.config.repoPath)
  }

  #checkAfterSeconds(): number {
    const { cacheTtlSeconds, path } = this.config.registry
    const local = !/^[a-z][a-z0-9+.-]*:\/\//i.test(path) || /^(?:file:|sqlite\b)/.test(path)
    return local && cacheTtlSeconds > 0 ? Math.min(cacheTtlSeconds, LOCAL_CHECK_SECONDS) : cacheTtlSeconds
  }

  #context(): BackendContext {
    const { project, repoPath, entityKeyVersion, aws } = this.config
    return { project, repoPath, entityKeyVersion, logger: this.logger, aws }
  }

  /** A part that failed to open is tried again by the next caller. */
  #once<T>(part: string, open: () => Promise<T>): Promise<T> {
    let opening = this.#opened.get(part) as Promise<T> | undefined
    if (opening === undefined) {
      opening = open()
      this.#opened.set(part, opening)
      opening.catch(() => this.#opened.delete(part))
    }
    return opening
  }
}

function functionsOf(repo: FeatureRepo): ReadonlyMap<string, RowFunction> {
  return new Map(
    repo.definitions.flatMap(({ definition }): [string, RowFunction][] => {
      if (definition.kind !== 'onDemandFeatureView') return []
      const { transformation } = definition
      return transformation.language === 'typescript' && transformation.run
        ? [[definition.name, transformation.run]]
        : []
    }),
  )
}
