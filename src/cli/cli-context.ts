import type { RepoConfig } from '../config/repo-config.js'
import { type Logger, silentLogger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import type { Registry } from '../registry/registry.js'
import { printNotice } from './output.js'

/** What stands before the command's name. */
export interface GlobalOptions {
  readonly chdir?: string
  readonly featureStoreYaml?: string
  readonly logLevel: string
}

export interface StoreOverrides {
  readonly registryTtlSeconds?: number
  readonly logger?: Logger
}

/** What every command gets: the feature repo it was called in, opened as far as it asks for it. */
export class CliContext {
  #config: Promise<RepoConfig> | undefined
  #store: Promise<FeatureStore> | undefined

  constructor(
    readonly globals: GlobalOptions,
    /** Aborts on the first Ctrl-C or SIGTERM. */
    readonly signal: AbortSignal,
  ) {}

  config(): Promise<RepoConfig> {
    this.#config ??= loadConfig(this.globals)
    return this.#config
  }

  /** @param overrides of what is configured; they count where the store is asked for first */
  store(overrides: StoreOverrides = {}): Promise<FeatureStore> {
    this.#store ??= this.#open(overrides)
    return this.#store
  }

  async registry(): Promise<{ readonly registry: Registry; readonly project: string }> {
    const store = await this.store()
    return { registry: await store.registry(), project: store.project }
  }

  async close(): Promise<void> {
    const store = await this.#store?.catch(() => undefined)
    await store?.close()
  }

  async #open({ registryTtlSeconds, logger }: StoreOverrides): Promise<FeatureStore> {
    const read = await this.config()
    const cacheTtlSeconds = registryTtlSeconds ?? read.registry.cacheTtlSeconds
    const config = { ...read, registry: { ...read.registry, cacheTtlSeconds } }
    const { openFeatureStore } = await import('../feature-store/open.js')
    return openFeatureStore(config, { logger: logger ?? loggerFor(this.globals.logLevel) })
  }
}

async function loadConfig(globals: GlobalOptions): Promise<RepoConfig> {
  const { loadRepoConfig } = await import('../config/repo-config.js')
  const config = await loadRepoConfig({ chdir: globals.chdir, file: globals.featureStoreYaml })
  for (const warning of config.warnings) printNotice(`Warning: ${warning}`)
  return config
}

export const LOG_LEVELS = ['debug', 'info', 'warning', 'error', 'critical'] as const

/** Lines on stderr, from the level on. */
export function loggerFor(level: string): Logger {
  const threshold = (LOG_LEVELS as readonly string[]).indexOf(level)
  const at = (rank: number, name: string) =>
    rank < threshold
      ? silentLogger.debug
      : (details: object, message = '') =>
          printNotice(
            `${name}: ${message}${Object.keys(details).length > 0 ? ` ${JSON.stringify(details)}` : ''}`,
          )
  return { debug: at(0, 'Debug'), info: at(1, 'Info'), warn: at(2, 'Warning'), error: at(3, 'Error') }
}
