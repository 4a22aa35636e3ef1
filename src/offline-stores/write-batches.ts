import type { ColumnBatch } from '../core/cell.js'
import type { Field } from '../core/field.js'
import { writeArrowFile } from './arrow-file.js'
import { replaceFile } from './file-format.js'
import type { PersistOptions } from './offline-store.js'

/**
 * Writes rows that passed through this process (on demand features) to one file, in bounded memory.
 * @throws FILE_EXISTS unless `overwrite`
 */
export async function writeBatches(
  path: string,
  fields: readonly Field[],
  batches: AsyncIterable<ColumnBatch>,
  options: PersistOptions = {},
): Promise<{ readonly rows: number }> {
  return replaceFile(path, options, async (unfinished, format) => {
    if (format === 'arrow') return writeArrowFile(unfinished, fields, batches)
    const { writeWithDuckDB } = await import('./duckdb/write-with-duckdb.js')
    return writeWithDuckDB(fields, batches, unfinished, format, options.signal)
  })
}
