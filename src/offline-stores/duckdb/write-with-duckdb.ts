import type { ColumnBatch } from '../../core/cell.js'
import type { Field } from '../../core/field.js'
import type { FileFormat } from '../offline-store.js'
import { DuckDBEngine } from './duckdb-engine.js'
import { quoteName } from './duckdb-quote.js'

/** Gathers rows in a table that spills, and copies it out. */
export async function writeWithDuckDB(
  fields: readonly Field[],
  batches: AsyncIterable<ColumnBatch>,
  path: string,
  format: FileFormat,
  signal: AbortSignal | undefined,
): Promise<{ readonly rows: number }> {
  const engine = new DuckDBEngine({}, '')
  const session = await engine.open(signal)
  try {
    const { sql, columns } = await session.load('result', fields, batches)
    const named = columns.map(({ ref, name }) => `${ref} AS ${quoteName(name)}`)
    return await session.copy(`SELECT ${named.join(', ')} FROM ${sql}`, fields, path, format)
  } finally {
    await session.close()
    await engine.close()
  }
}
