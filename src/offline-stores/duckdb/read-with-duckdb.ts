import type { ColumnBatch } from '../../core/cell.js'
import type { Field } from '../../core/field.js'
import { DuckDBEngine } from './duckdb-engine.js'
import { quoteName, quoteText } from './duckdb-quote.js'

/** Streams columns out of a Parquet file. Its types may differ from those of the fields: cells become those due. */
export async function* readWithDuckDB(
  path: string,
  fields: readonly Field[],
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ColumnBatch> {
  const engine = new DuckDBEngine({}, '')
  const session = await engine.open(signal)
  try {
    const columns = names.map(quoteName).join(', ')
    yield* session.stream(
      `SELECT ${columns} FROM read_parquet(${quoteText(path)}, hive_partitioning = false)`,
      fields,
    )
  } finally {
    await session.close()
    await engine.close()
  }
}
