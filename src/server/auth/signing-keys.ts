import { type CryptoKey, importJWK } from 'jose'
import { feastError, messageOf } from '../../core/errors.js'
import type { Logger } from '../../core/logger.js'

export interface SigningKeysOptions {
  /** Where the provider describes itself. */
  readonly discoveryUrl: string
  readonly lifespanMs: number
  readonly timeoutMs: number
  readonly logger: Logger
  fetchJson(url: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>
  /** Milliseconds that only grow; for tests of what gets old. */
  readonly now?: () => number
}

/** RSA keys by their `kid`. */
export type KeySet = ReadonlyMap<string, CryptoKey>

/** However tokens look, the provider is asked no more often than this. */
const MIN_INTERVAL_MS = 5_000
/** Keys of a provider that is away go on for so long before it is asked again. */
const AWAY_MS = 30_000
/** How long callers wait for new keys when old ones are at hand. */
const REFRESH_WAIT_MS = 1_000
const MAX_KEYS = 100
/** Shorter keys are not taken (RFC 7518). */
const MIN_MODULUS_BYTES = 256

/**
 * The provider's keys, read when first needed, again when they are old, and when a token names one that is not
 * among them. While the provider is away the keys at hand go on.
 */
export class SigningKeys {
  readonly #options: SigningKeysOptions
  readonly #now: () => number
  #keys: KeySet | undefined
  #staleAt = 0
  #nextAttemptAt = 0
  #loading: Promise<KeySet> | undefined
  #loadingSince = 0
  #failure = 'it was not asked yet'

  constructor(options: SigningKeysOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Another set after each reading. @throws IDENTITY_PROVIDER_UNAVAILABLE when there are no keys at all */
  async current(): Promise<KeySet> {
    if (this.#keys === undefined) return this.#load()
    if (this.#now() >= this.#staleAt) await this.#tryToRefresh()
    return this.#keys
  }

  /** The current set, read anew when it has no such key; at most every few seconds. */
  async having(kid: string): Promise<KeySet> {
    const keys = await this.current()
    if (keys.has(kid)) return keys
    await this.#tryToRefresh()
    return this.#keys ?? keys
  }

  /** Waits for new keys a little; without them the old ones go on. */
  async #tryToRefresh(): Promise<void> {
    if (this.#loading === undefined && this.#now() < this.#nextAttemptAt) return
    const refreshed = this.#load().catch(() => undefined)
    const patience = this.#loadingSince + REFRESH_WAIT_MS - this.#now()
    if (patience > 0) await Promise.race([refreshed, sleep(patience)])
  }

  #load(): Promise<KeySet> {
    if (this.#loading !== undefined) return this.#loading
    if (this.#now() < this.#nextAttemptAt) return Promise.reject(this.#unavailable())
    this.#loadingSince = this.#now()
    this.#nextAttemptAt = this.#loadingSince + MIN_INTERVAL_MS
    this.#loading = this.#read().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #read(): Promise<KeySet> {
    const { discoveryUrl, lifespanMs, logger } = this.#options
    try {
      this.#keys = await this.#fetchKeys()
      this.#staleAt = this.#now() + lifespanMs
      return this.#keys
    } catch (error) {
      this.#failure = messageOf(error)
      this.#staleAt = this.#now() + Math.min(AWAY_MS, lifespanMs)
      const known = this.#keys?.size ?? 0
      logger.warn({ url: discoveryUrl, error: this.#failure, known }, 'the signing keys cannot be read')
      throw this.#unavailable()
    }
  }

  async #fetchKeys(): Promise<KeySet> {
    const { discoveryUrl, timeoutMs, fetchJson, logger } = this.#options
    const signal = AbortSignal.timeout(timeoutMs)
    const { jwks_uri: uri } = await fetchJson(discoveryUrl, signal)
    if (typeof uri !== 'string' || !/^https?:\/\//i.test(uri)) throw new Error('it names no jwks_uri')
    if (/^https:/i.test(discoveryUrl) && !/^https:/i.test(uri)) {
      throw new Error('its jwks_uri is not https, though it is itself')
    }
    const { keys } = await fetchJson(uri, signal)
    if (!Array.isArray(keys)) throw new Error(`${uri} holds no "keys"`)
    const set = await keySet(keys.slice(0, MAX_KEYS))
    if (set.size === 0) throw new Error(`${uri} holds no RSA key to verify signatures with`)
    logger.info({ url: uri, kids: [...set.keys()] }, 'signing keys read')
    return set
  }

  #unavailable(): Error {
    const { discoveryUrl } = this.#options
    return feastError('IDENTITY_PROVIDER_UNAVAILABLE', { url: discoveryUrl, why: this.#failure })
  }
}

async function keySet(jwks: readonly unknown[]): Promise<KeySet> {
  const keys = new Map<string, CryptoKey>()
  for (const jwk of jwks) {
    const { kid, kty, use, alg, n, e } = (jwk ?? {}) as Readonly<Record<string, unknown>>
    if (kty !== 'RSA' || typeof kid !== 'string' || typeof n !== 'string' || typeof e !== 'string') continue
    if ((use ?? 'sig') !== 'sig' || (alg ?? 'RS256') !== 'RS256' || keys.has(kid)) continue
    if (Buffer.from(n, 'base64url').length < MIN_MODULUS_BYTES) continue
    // Nothing but the public numbers, whatever else was published.
    const key = await importJWK({ kty: 'RSA', n, e }, 'RS256').catch(() => undefined)
    if (key !== undefined && !(key instanceof Uint8Array)) keys.set(kid, key)
  }
  return keys
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
