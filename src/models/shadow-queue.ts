/** Waiting runs of all models together; when there are more, the newest are not done. */
const MAX_WAITING = 256

/** By then the answer has come to whoever asked, even on a machine whose every core is busy. */
const START_MS = 2

/**
 * Work that nobody waits for: one piece at a time, a while after it came, in turns of the event loop in which nothing
 * else was to do, and given up rather than piled up.
 */
export class ShadowQueue {
  readonly #waiting: (() => Promise<void>)[] = []
  #isRunning = false
  #dropped = 0

  get dropped(): number {
    return this.#dropped
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** @param work must not throw */
  add(work: () => Promise<void>): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#dropped++
      return
    }
    this.#waiting.push(work)
    if (this.#isRunning) return
    this.#isRunning = true
    setTimeout(() => void this.#run(), START_MS)
  }

  /** Gives up what waits. */
  close(): void {
    this.#waiting.length = 0
  }

  async #run(): Promise<void> {
    for (let work = this.#waiting.shift(); work !== undefined; work = this.#waiting.shift()) {
      await work()
      // Answers that came meanwhile go first.
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#isRunning = false
  }
}
