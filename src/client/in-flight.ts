import { feastError } from '../core/errors.js'
import type { Call } from './call.js'

/** At most so many requests under way; so many more may wait for their turn, in order. */
export class InFlight {
  #running = 0
  readonly #waiting = new Set<() => void>()

  constructor(
    readonly limit: number,
    readonly maxWaiting: number,
  ) {}

  /** Runs `work` when it is its turn. @throws CLIENT_OVERLOADED, and what `call` and `work` throw */
  async run<T>(call: Call, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.limit) this.#running++
    else await this.#turn(call)
    try {
      return await work()
    } finally {
      this.#handOver()
    }
  }

  #turn(call: Call): Promise<void> {
    if (this.#waiting.size >= this.maxWaiting) {
      throw feastError('CLIENT_OVERLOADED', { running: this.limit, waiting: this.maxWaiting })
    }
    return call.wait((resolve) => {
      this.#waiting.add(resolve)
      return () => this.#waiting.delete(resolve)
    })
  }

  /** The place goes to who waits longest, so that nobody new can take it in between. */
  #handOver(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#running--
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}
