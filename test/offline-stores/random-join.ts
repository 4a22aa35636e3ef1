import { afterAll, beforeAll, describe, it } from '@jest/globals'
import { DuckDBEngine } from '../../src/offline-stores/duckdb/duckdb-engine.js'
import { sqlOfflineStore } from '../../src/offline-stores/sql/sql-offline-store.js'
import { checkRandomCases } from './random-cases.js'
import { TableMaker } from './table-maker.js'

/** FEAST_SEED repeats a run. */
const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1_000_000)

export function randomJoins(cases: number): void {
  describe(`random joins and pulls against the oracle (seed ${seed})`, () => {
    let tables: TableMaker

    beforeAll(async () => {
      tables = await TableMaker.open()
    })
    afterAll(() => tables.close())

    it('on DuckDB', async () => {
      const store = sqlOfflineStore(new DuckDBEngine({ threads: 2 }, tables.folder))
      await checkRandomCases(store, tables, { cases, seed, staging: `${tables.folder}/staged/` })
      await store.close()
    }, 1_200_000)
  })
}
