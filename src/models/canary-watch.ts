import type { ServeConfig } from './models-config.js'

/** Judges a canary by its latest requests. */
export class CanaryWatch {
  readonly #limits: NonNullable<ServeConfig['rollback']>
  /** Milliseconds of each; NaN: it failed. A ring. */
  readonly #latest: Float64Array
  #seen = 0

  constructor(limits: NonNullable<ServeConfig['rollback']>) {
    this.#limits = limits
    this.#latest = new Float64Array(limits.requests)
  }

  /** @returns what is wrong, once there were enough requests to tell */
  observe(ms: number, isFailure: boolean): string | undefined {
    const latest = this.#latest
    latest[this.#seen++ % latest.length] = isFailure ? Number.NaN : ms
    // All of them are looked at again only after some more came.
    const step = Math.max(1, Math.floor(latest.length / 10))
    return this.#seen >= latest.length && this.#seen % step === 0 ? this.#judge() : undefined
  }

  #judge(): string | undefined {
    const { error_rate: maxErrors, p99_ms: maxP99, requests } = this.#limits
    const times = this.#latest.filter((ms) => !Number.isNaN(ms)).sort()
    const errors = (requests - times.length) / requests
    if (maxErrors !== undefined && errors > maxErrors) {
      return `${(errors * 100).toFixed(1)} % of ${requests} requests failed; allowed are ${maxErrors * 100} %`
    }
    const p99 = times[Math.ceil(times.length * 0.99) - 1]
    if (maxP99 === undefined || p99 === undefined || p99 <= maxP99) return undefined
    return `p99 of ${requests} requests is ${p99.toFixed(1)} ms; allowed are ${maxP99} ms`
  }
}
