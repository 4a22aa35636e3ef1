/** Seeded numbers, so that a failure can be run again: `FEAST_SEED=<seed>`. */
export class Random {
  private state: number

  constructor(readonly seed: number) {
    this.state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  bits(count: number): bigint {
    let bits = 0n
    for (let i = 0; i < count; i += 16) bits = (bits << 16n) | BigInt(this.int(0, 65_535))
    return BigInt.asUintN(count, bits)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)]!
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  times<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index))
  }
}

/** The run's generator; prints its seed. */
export function seededRandom(what: string): Random {
  const seed = Number(process.env['FEAST_SEED'] ?? Math.floor(Date.now() / 1000) % 1_000_000_007)
  process.stdout.write(`${what}: FEAST_SEED=${seed}\n`)
  return new Random(seed)
}
