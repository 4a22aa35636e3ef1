import { type FeastError, feastError } from '../core/errors.js'

export interface CallOptions {
  /** For the whole call, its retries and waits included. 0: as long as it takes. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

type Start<T> = (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void

/** setTimeout's own bound, 24 days; more would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** One call of the program, over all of its attempts: one clock, and one way to be stopped. */
export class Call {
  /** Why the attempt before the present one failed. */
  lastFailure: FeastError | undefined
  readonly #endsAt: number
  readonly #timer: NodeJS.Timeout | undefined
  readonly #signal: AbortSignal | undefined
  readonly #stops = new Set<(error: FeastError) => void>()
  #stopped: FeastError | undefined

  /** @param what names the call in messages */
  constructor(
    readonly what: string,
    readonly timeoutMs: number,
    signal: AbortSignal | undefined,
  ) {
    this.#endsAt = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY
    if (timeoutMs > 0) {
      this.#timer = setTimeout(() => this.stop(this.#tooLate()), Math.min(timeoutMs, MAX_TIMER_MS))
    }
    if (signal?.aborted) this.#stopped = this.#aborted()
    else this.#signal = signal
    this.#signal?.addEventListener('abort', this.#onAbort)
  }

  /** Infinite where there is no deadline. */
  get remainingMs(): number {
    return this.#endsAt - performance.now()
  }

  /**
   * Waits for what `start` begins; `start` returns how to stop it. When time is up or the caller aborts, it is
   * stopped and this throws. @throws DEADLINE_EXCEEDED, ABORTED
   */
  wait<T>(start: Start<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#stopped !== undefined) {
        reject(this.#stopped)
        return
      }
      let isSettled = false
      let onStop: ((error: FeastError) => void) | undefined
      const settle = () => {
        isSettled = true
        if (onStop) this.#stops.delete(onStop)
      }
      const stop = start(
        (value) => {
          settle()
          resolve(value)
        },
        (error) => {
          settle()
          reject(error)
        },
      )
      onStop = (error) => {
        stop()
        reject(error)
      }
      if (!isSettled) this.#stops.add(onStop)
    })
  }

  sleep(ms: number): Promise<void> {
    return this.wait((resolve) => {
      const timer = setTimeout(resolve, ms)
      return () => clearTimeout(timer)
    })
  }

  /** Stops what is under way; whatever waits throws `error`. */
  stop(error: FeastError): void {
    if (this.#stopped !== undefined) return
    this.#stopped = error
    for (const stop of [...this.#stops]) stop(error)
    this.#stops.clear()
  }

  /** The call is over: frees its timer and listener. */
  end(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = () => this.stop(this.#aborted())

  #aborted(): FeastError {
    return feastError('ABORTED', { what: this.what })
  }

  #tooLate(): FeastError {
    const { what, timeoutMs, lastFailure } = this
    return feastError('DEADLINE_EXCEEDED', { what, timeoutMs, before: lastFailure?.message }, lastFailure)
  }
}
