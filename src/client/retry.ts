import type { FeastError } from '../core/errors.js'
import type { Call } from './call.js'

/**
 * What a failed attempt leaves behind:
 * - `nothing`: the server has not begun; any call may be made again.
 * - `unknown`: it may have done all of it; only what may be done twice is made again.
 * - `answered`: the server said no, and would again.
 */
type Effect = 'nothing' | 'unknown' | 'answered'

/** One attempt failed. Never leaves the client: its error does. */
export class AttemptFailed extends Error {
  constructor(
    readonly error: FeastError,
    readonly effect: Effect,
    /** What the server asks for; 0 where it does not. */
    readonly retryAfterMs = 0,
  ) {
    super(error.message)
  }
}

export interface RetryRule {
  /** Attempts after the first. */
  readonly retries: number
  /** Doing it twice is doing it once: reads, and writes of which the newest row wins. */
  readonly repeatable: boolean
}

const FIRST_WAIT_MS = 25
const MAX_WAIT_MS = 2000

/** Attempts until one succeeds, no more may be made, or the call's time would be up before the next. */
export async function withRetries<T>(call: Call, rule: RetryRule, attempt: () => Promise<T>): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt()
    } catch (thrown) {
      if (!(thrown instanceof AttemptFailed)) throw thrown
      const { error, retryAfterMs } = thrown
      const waitMs = Math.max(retryAfterMs, jitteredMs(tried))
      if (tried >= rule.retries || !mayRepeat(thrown, rule) || waitMs >= call.remainingMs) throw error
      call.lastFailure = error
      await call.sleep(waitMs)
    }
  }
}

function mayRepeat({ effect }: AttemptFailed, { repeatable }: RetryRule): boolean {
  return effect === 'nothing' || (effect === 'unknown' && repeatable)
}

/** Somewhere between nothing and a bound that doubles, so that clients that failed together do not come back together. */
function jitteredMs(tried: number): number {
  return Math.random() * Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** tried)
}
