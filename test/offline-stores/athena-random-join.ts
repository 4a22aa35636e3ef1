import { afterAll, beforeAll, describe, it } from '@jest/globals'
import { athenaSource } from '../../src/core/data-source.js'
import { AthenaBench } from './athena-bench.js'
import { checkRandomCases, type MakeSource } from './random-cases.js'

/** Of one test: some minutes. */
const PIECE = 1000

/** FEAST_SEED repeats a run; `-t "piece 2"` runs one of its pieces. @param checkGrammar each statement is held against Trino's grammar as well, which takes longer than running it */
export function athenaRandomJoins(cases: number, checkGrammar: boolean, first?: number): void {
  const seed = Number(process.env.FEAST_SEED ?? first ?? Date.now() % 1_000_000)
  describe(`random joins and pulls on Athena against the oracle (seed ${seed})`, () => {
    let bench: AthenaBench
    beforeAll(async () => {
      bench = await new AthenaBench({ checkGrammar }).open()
    })
    afterAll(() => bench.close())

    const pieces = Array.from({ length: Math.ceil(cases / PIECE) }, (_, index) => index)
    it.each(pieces)(
      'agree row by row, piece %i',
      async (piece) => {
        const count = Math.min(PIECE, cases - piece * PIECE)
        const options = { cases: count, seed: seed + piece, source: athenaSourceOf(bench) }
        await checkRandomCases(bench.store, bench.tables, options)
      },
      1_200_000,
    )
  })
}

/** Glue holds plain names; a query gives columns the others. */
export function athenaSourceOf(bench: AthenaBench): MakeSource {
  return async (columns, rows, files) => {
    const names = columns.map((_, index) => `c${index}`)
    const plain = columns.map(({ type, storedAs }, index) => ({
      name: names[index]!,
      type,
      ...(storedAs === 'SMALLINT' && { storedAs }),
    }))
    const renamed = rows.map((row) =>
      Object.fromEntries(columns.map(({ name }, index) => [names[index]!, row[name] ?? null])),
    )
    const { table } = await bench.table(plain, renamed, { iceberg: true, files })
    const list = columns.map(({ name }, index) => `${names[index]} AS "${name.replaceAll('"', '""')}"`)
    return athenaSource({ name: table, query: `SELECT ${list.join(', ')} FROM ${table}` })
  }
}
