import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { FEATURES, LABEL } from './features.mjs'

/** The rows of a folder: one array of numbers per feature, and the labels. */
export async function readRows(folder) {
  const database = await DuckDBInstance.create(':memory:')
  const connection = await database.connect()
  const names = [...FEATURES, LABEL]
  const result = await connection.runAndReadAll(
    `SELECT ${names.join(', ')} FROM read_parquet('${join(folder, '*.parquet')}')`,
  )
  const columns = result.getColumns().map((values) => Float64Array.from(values))
  return { features: columns.slice(0, -1), labels: columns.at(-1) }
}
