import { fileSource } from '../../src/core/data-source.js'
import { DuckDBEngine } from '../../src/offline-stores/duckdb/duckdb-engine.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { OfflineStore } from '../../src/offline-stores/offline-store.js'
import { sqlOfflineStore } from '../../src/offline-stores/sql/sql-offline-store.js'
import { type OfflineStoreHarness, offlineStoreContract } from '../contract/offline-store.js'
import { TableMaker } from './table-maker.js'

const context = (repoPath: string) => ({
  project: 'test',
  repoPath,
  entityKeyVersion: 3 as const,
  logger: { debug() {}, info() {}, warn() {}, error() {} },
})

offlineStoreContract('DuckDB', async () => {
  const tables = await TableMaker.open()
  return harness(
    tables,
    await openOfflineStore({ type: 'duckdb', options: { threads: 2 } }, context(tables.folder)),
  )
})

offlineStoreContract('DuckDB, a few rows at a time', async () => {
  const tables = await TableMaker.open()
  return harness(tables, sqlOfflineStore(new DuckDBEngine({ threads: 2 }, tables.folder), { partRows: 2 }))
})

let count = 0

function harness(tables: TableMaker, store: OfflineStore): OfflineStoreHarness {
  return {
    store,
    staging: `${tables.folder}/staged/`,
    place: (name) =>
      fileSource({ path: `${tables.folder}/${name}.parquet`, timestampField: 'event_timestamp' }),
    table: async (columns, rows, options = {}) => {
      const stored = columns.map(({ name, type, naive }) => ({
        name,
        type,
        storedAs: naive ? 'TIMESTAMP' : undefined,
      }))
      const partition = options.datePartitionColumn
      if (partition === undefined) return tables.source(stored, rows)
      const path = `partitioned${count++}`
      for (const day of new Set(rows.map((row) => row[partition] as string))) {
        await tables.file(
          stored.filter(({ name }) => name !== partition),
          rows.filter((row) => row[partition] === day),
          { path: `${path}/${partition}=${day}/rows.parquet` },
        )
      }
      return fileSource({ path, datePartitionColumn: partition, timestampField: 'ts' })
    },
    close: async () => {
      await store.close()
      await tables.close()
    },
  }
}
