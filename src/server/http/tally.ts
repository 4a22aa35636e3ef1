/** One line of a metric, in prom-client's shape. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  /** Where it is not the metric's own: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string
}

/** A metric whose samples are made when it is scraped. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Over workers. */
  readonly aggregator: 'sum' | 'max'
  readonly samples: Samples
}

export type Samples = () => readonly Sample[] | Promise<readonly Sample[]>

export function counter(name: string, help: string, samples: Samples): Family {
  return { name, help, type: 'counter', aggregator: 'sum', samples }
}

export function gauge(name: string, help: string, samples: Samples): Family {
  return { name, help, type: 'gauge', aggregator: 'sum', samples }
}

/** Values counted by size: an observation is a few comparisons and two additions. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += value
  }

  samples(name: string, labels: Sample['labels'] = {}): Sample[] {
    let count = 0
    const buckets = [...this.#bounds, '+Inf'].map((le, bucket) => {
      count += this.#counts[bucket]!
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ]
  }
}

/** Room for that many label sets; what comes later is counted under `other`, so that no client fills the memory. */
const MAX_KEYS = 1000
export const OTHER = 'other'

/** One accumulator per key, within a bound. */
export class Keyed<Value> {
  readonly #values = new Map<string, Value>()

  constructor(readonly make: () => Value) {}

  at(key: string): Value {
    const known = this.#values.get(key)
    if (known !== undefined) return known
    return this.#add(this.#values.size < MAX_KEYS ? key : OTHER)
  }

  entries(): readonly (readonly [key: string, value: Value])[] {
    return [...this.#values]
  }

  #add(key: string): Value {
    const value = this.#values.get(key) ?? this.make()
    this.#values.set(key, value)
    return value
  }
}

/** Counts by one label. */
export class Counts {
  readonly #counts = new Keyed(() => ({ count: 0 }))

  add(key: string, count = 1): void {
    this.#counts.at(key).count += count
  }

  samples(label: string): Sample[] {
    return this.#counts.entries().map(([key, { count }]) => ({ labels: { [label]: key }, value: count }))
  }
}
