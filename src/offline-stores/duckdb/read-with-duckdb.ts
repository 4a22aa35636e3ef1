import type { ColumnBatch } from '../../core/cell.js'
import type { Field } from '../../core/field.js'
import { DuckDBEngine } from './duckdb-engine.js'
import { quoteName, quoteText } from './duckdb-quote.js'

/** Streams the columns that the fields name out of a Parquet file. Its types may differ: cells become those due. */
export async function* readWithDuckDB(
  path: string,
  fields: readonly Field[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ColumnBatch> {
  const engine = new DuckDBEngine({}, '')
  const session = await engine.open(signal)
  try {
    const columns = fields.map(({ name }) => quoteName(name)).join(', ')
    yield* session.stream(
      `SELECT ${columns} FROM read_parquet(${quoteText(path)}, hive_partitioning = false)`,
      fields,
    )
  } finally {
    await session.close()
    await engine.close()
  }
}
