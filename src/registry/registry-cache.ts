import { type RegistryReadEvent, registryRead } from '../core/diagnostics.js'
import { isFeastError, messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import { createRegistry, type Registry } from './registry.js'
import type { RegistryStore } from './registry-store.js'

export interface RegistryCacheOptions {
  readonly store: RegistryStore
  /** Age at which a snapshot is checked against the store; 0 = never. */
  readonly checkAfterSeconds: number
  readonly logger: Logger
  /** Milliseconds, for tests. */
  readonly now?: () => number
}

/**
 * The current snapshot of a registry. It is replaced as a whole, so a reader that holds one sees one state.
 * Only the first read makes a caller wait: later ones happen behind the snapshot that is being served.
 */
export class RegistryCache {
  #snapshot: Registry | undefined
  #checkedAt = 0
  #reading: Promise<Registry> | undefined
  #queued: Promise<Registry> | undefined
  readonly #store: RegistryStore
  readonly #checkAfterMs: number
  readonly #logger: Logger
  readonly #now: () => number

  constructor({ store, checkAfterSeconds, logger, now = Date.now }: RegistryCacheOptions) {
    this.#store = store
    this.#checkAfterMs = checkAfterSeconds * 1000
    this.#logger = logger
    this.#now = now
  }

  /**
   * The snapshot, at once when there is one.
   * @throws REGISTRY_NOT_FOUND, REGISTRY_UNREADABLE when there is none yet
   */
  async get(): Promise<Registry> {
    return this.current() ?? this.#read()
  }

  /** The snapshot, or undefined before the first read. Starts a check behind it when it is old. */
  current(): Registry | undefined {
    if (this.#snapshot !== undefined && this.#isOld()) {
      this.#checkedAt = this.#now()
      this.#read().catch((error) => {
        this.#logger.error(
          { registry: this.#store.location, error: messageOf(error) },
          'registry refresh failed; serving the snapshot read before',
        )
      })
    }
    return this.#snapshot
  }

  /** What the store holds from now on: a read that began before this call is not taken for an answer. */
  refresh(): Promise<Registry> {
    if (this.#reading === undefined) return this.#read()
    this.#queued ??= this.#reading.then(
      () => this.#readQueued(),
      () => this.#readQueued(),
    )
    return this.#queued
  }

  /** As {@link refresh}, undefined where no registry was ever written. */
  async refreshIfAny(): Promise<Registry | undefined> {
    try {
      return await this.refresh()
    } catch (error) {
      if (isFeastError(error, 'REGISTRY_NOT_FOUND')) return undefined
      throw error
    }
  }

  /** After the registry was written or is gone: the next caller reads anew, whatever is being read now. */
  forget(): void {
    this.#snapshot = undefined
    this.#reading = undefined
  }

  #isOld(): boolean {
    return this.#checkAfterMs > 0 && this.#now() - this.#checkedAt >= this.#checkAfterMs
  }

  #readQueued(): Promise<Registry> {
    this.#queued = undefined
    return this.#read()
  }

  #read(): Promise<Registry> {
    if (this.#reading !== undefined) return this.#reading
    const reading = this.#load().then((registry) => {
      // Not when it was forgotten meanwhile: what was read may be what was there before.
      if (this.#reading === reading) this.#snapshot = registry
      return registry
    })
    this.#reading = reading
    const done = (isSuccess: boolean) => {
      registryRead.publish({ isSuccess } satisfies RegistryReadEvent)
      if (this.#reading === reading) this.#reading = undefined
    }
    reading.then(
      () => done(true),
      () => done(false),
    )
    return reading
  }

  async #load(): Promise<Registry> {
    this.#checkedAt = this.#now()
    const held = this.#snapshot
    if (held !== undefined && !(await this.#store.changedSince(held.version))) return held
    return createRegistry(await this.#store.read())
  }
}
