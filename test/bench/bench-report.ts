/** One figure of ours beside a rival's, both taken in the same run. */
export interface BenchRow {
  readonly name: string
  readonly unit: 's' | 'ms' | 'us' | 'MB' | 'rows/s' | 'values/s' | 'lookups/s' | 'requests/s'
  /** Medians are shown, with the spread beside them. */
  readonly ours: readonly number[]
  readonly rival: readonly number[]
  readonly rivalName: string
  /** For rates, where more is better. */
  readonly higherIsBetter?: boolean
  /** The least ratio that is wanted. */
  readonly target?: number | undefined
}

/** Says one row as soon as it is known: a line of a table, or with `--json` one object. */
export class BenchReport {
  readonly #json = process.argv.includes('--json')

  constructor(readonly bench: string) {
    if (!this.#json) console.log(`${bench}\n${line('', 'ours', 'rival', 'ratio', '')}`)
  }

  row({ name, unit, ours, rival, rivalName, higherIsBetter, target }: BenchRow): void {
    const [mine, theirs] = [median(ours), median(rival)]
    const ratio = round(higherIsBetter ? mine / theirs : theirs / mine)
    if (this.#json) {
      const row = {
        bench: this.bench,
        name,
        unit,
        ours: round(mine),
        rival: round(theirs),
        rival_name: rivalName,
        ratio,
        ...(target !== undefined && { target, met: ratio >= target }),
      }
      console.log(JSON.stringify(row))
    } else {
      const wanted = target === undefined ? '' : `  wanted ${target}x: ${ratio >= target ? 'met' : 'MISSED'}`
      console.log(line(name, figure(ours, unit), figure(rival, unit), `${ratio}x`, rivalName) + wanted)
    }
  }

  /** Figures without a rival. */
  measured(name: string, figures: Readonly<Record<string, number>>): void {
    const all = Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, round(value)]))
    if (this.#json) console.log(JSON.stringify({ bench: this.bench, name, ...all }))
    else {
      const text = Object.entries(all).map(([key, value]) => `${key} ${value}`)
      this.note(`${name}: ${text.join(', ')}`)
    }
  }

  skipped(name: string, why: string): void {
    if (this.#json) console.error(`skipped: ${name}: ${why}`)
    else console.log(line(name, '', '', 'skipped', why))
  }

  note(text: string): void {
    if (!this.#json) console.log(`  ${text}`)
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function round(value: number): number {
  return Number(value.toPrecision(4))
}

function figure(values: readonly number[], unit: string): string {
  const text = `${round(median(values))} ${unit}`
  if (values.length < 2) return text
  return `${text} (${round(Math.min(...values))}–${round(Math.max(...values))})`
}

function line(name: string, ours: string, rival: string, ratio: string, rivalName: string): string {
  return `${name.padEnd(52)} ${ours.padEnd(26)} ${rival.padEnd(26)} ${ratio.padEnd(9)} ${rivalName}`.trimEnd()
}

/**
 * Wall-clock seconds of each of `rounds` runs of every contestant. They take turns, so that a machine that is busier
 * for a while is so for all of them.
 */
export async function takeTurns<Name extends string>(
  rounds: number,
  contestants: Readonly<Record<Name, () => Promise<unknown>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contestants) as Name[]
  const taken = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const start = performance.now()
      await contestants[name]()
      taken[name].push((performance.now() - start) / 1000)
    }
  }
  return taken
}
