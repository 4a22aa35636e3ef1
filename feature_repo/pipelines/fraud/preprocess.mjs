// Leaves out rows without features, and keeps the last week for validation: a model is judged on what comes after
// what it has seen.
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { FEATURES, LABEL } from './features.mjs'

const {
  FEAST_INPUT_DATASET: from,
  FEAST_OUTPUT_TRAIN: train,
  FEAST_OUTPUT_VALIDATION: validation,
} = process.env
const database = await DuckDBInstance.create(':memory:')
const connection = await database.connect()
const columns = FEATURES.map((name) => `${name}::DOUBLE AS ${name}`).join(', ')
const complete = FEATURES.map((name) => `${name} IS NOT NULL`).join(' AND ')
await connection.run(`CREATE TABLE rows AS
  SELECT event_timestamp, ${LABEL}::DOUBLE AS ${LABEL}, ${columns}
  FROM read_parquet('${join(from, '*.parquet')}') WHERE ${complete}`)
await connection.run('CREATE TABLE split AS SELECT max(event_timestamp) - INTERVAL 7 DAY AS border FROM rows')
for (const [folder, side] of [
  [train, '<'],
  [validation, '>='],
]) {
  const query = `SELECT ${[...FEATURES, LABEL].join(', ')} FROM rows, split WHERE event_timestamp ${side} border`
  const { rowsChanged } = await connection.run(
    `COPY (${query}) TO '${join(folder, 'rows.parquet')}' (FORMAT parquet)`,
  )
  console.log(`${rowsChanged} rows to ${folder.split('/').at(-1)}`)
}
