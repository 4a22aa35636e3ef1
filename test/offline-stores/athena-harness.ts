import { athenaSource } from '../../src/core/data-source.js'
import type { OfflineStoreHarness } from '../contract/offline-store.js'
import type { AthenaBench } from './athena-bench.js'

/** Names that Glue keeps as they are; a query gives the others to the columns of a table. */
const GLUE_NAME = /^[a-z0-9_]+$/

export function athenaHarness(bench: AthenaBench): OfflineStoreHarness {
  return {
    store: bench.store,
    staging: 's3://staging/feast/contract/',
    place: (table) => athenaSource({ table, timestampField: 'event_timestamp' }),
    table: async (columns, rows, options = {}) => {
      const source = options.datePartitionColumn ? { datePartitionColumn: options.datePartitionColumn } : {}
      const partition = options.datePartitionColumn
      if (columns.every(({ name }) => GLUE_NAME.test(name))) {
        return bench.table(columns, rows, { iceberg: true, source, ...(partition && { partition }) })
      }
      const names = columns.map((_, index) => `c${index}`)
      const plain = await bench.table(
        columns.map((column, index) => ({ ...column, name: names[index]! })),
        rows.map((row) =>
          Object.fromEntries(columns.map(({ name }, index) => [names[index]!, row[name] ?? null])),
        ),
        { iceberg: true },
      )
      const list = columns.map(({ name }, index) => `${names[index]} AS "${name.replaceAll('"', '""')}"`)
      return athenaSource({ name: plain.table, query: `SELECT ${list.join(', ')} FROM ${plain.table};` })
    },
    close: () => bench.close(),
  }
}
