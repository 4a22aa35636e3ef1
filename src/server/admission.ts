import { feastError, isFeastError } from '../core/errors.js'

/** Why a request was not answered with what it asked for, though nothing is wrong with the server. */
export type Rejection =
  | 'overload'
  | 'stopping'
  | 'body_bytes'
  | 'header_bytes'
  | 'entity_rows'
  | 'values'
  | 'features'
  | 'slow_request'
  | 'slow_reader'
  | 'connections'

/**
 * How many lookups and writes are under way in this process, over all protocols. Beyond the limit they are turned
 * away at once: who waits without end is served too late, and so is everybody behind.
 */
export class Admission {
  #inFlight = 0
  readonly #limit: number
  readonly rejections = new Map<Rejection, number>()
  /** Answers that were our fault, by the code of their error. */
  readonly failures = new Map<string, number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Each call needs its {@link leave}. @throws OVERLOADED */
  enter(): void {
    this.refuseWhenFull()
    this.#inFlight++
  }

  leave(): void {
    this.#inFlight--
  }

  /** Asked before a body is read, so that turning away is cheap. @throws OVERLOADED */
  refuseWhenFull(): void {
    if (this.#inFlight < this.#limit) return
    throw feastError('OVERLOADED', { limit: this.#limit })
  }

  count(reason: Rejection): void {
    this.rejections.set(reason, (this.rejections.get(reason) ?? 0) + 1)
  }

  /** @param isFault not the caller's */
  countError(error: unknown, isFault: boolean): void {
    if (isFault) {
      const code = isFeastError(error) ? error.code : 'INTERNAL'
      this.failures.set(code, (this.failures.get(code) ?? 0) + 1)
    }
    if (isFeastError(error, 'OVERLOADED')) this.count('overload')
    else if (isFeastError(error, 'SHUTTING_DOWN')) this.count('stopping')
    else if (isFeastError(error, 'PAYLOAD_TOO_LARGE')) this.count(REASONS[whatOf(error.details)] ?? 'values')
  }
}

const REASONS: Readonly<Record<string, Rejection>> = {
  bytes: 'body_bytes',
  'entity rows': 'entity_rows',
  features: 'features',
}

function whatOf(details: unknown): string {
  return (details as { readonly what: string }).what
}
