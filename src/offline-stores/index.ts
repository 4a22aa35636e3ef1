import type { StoreBlock } from '../config/repo-config.js'
import { parseStoreBlock } from '../config/store-block.js'
import type { BackendContext, BackendFactory } from '../core/backend.js'
import type { ColumnBatch } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import type { Field } from '../core/field.js'
import type { FeastType } from '../core/value-type.js'
import { writeArrowFile } from './arrow-file.js'
import { replaceFile } from './file-format.js'
import type { FileFormat, OfflineStore, PersistOptions } from './offline-store.js'
import type { SqlEngine } from './sql/sql-engine.js'

type Load = () => Promise<BackendFactory<never, OfflineStore>>

const duckdb: Load = async () => (await import('./duckdb/index.js')).duckdbOfflineStore as never

const trino: Load = async () => (await import('./trino/index.js')).trinoOfflineStore as never

/** `file` and `dask` are what Feast's own default writes; the same files are read by DuckDB here. */
const BACKENDS: Readonly<Record<string, Load>> = {
  duckdb,
  file: duckdb,
  dask: duckdb,
  trino,
  athena: async () => (await import('./athena/index.js')).athenaOfflineStore as never,
}

/** @throws BACKEND_UNKNOWN, CONFIG_INVALID */
export async function openOfflineStore(block: StoreBlock, context: BackendContext): Promise<OfflineStore> {
  const load = Object.hasOwn(BACKENDS, block.type) ? BACKENDS[block.type] : undefined
  if (!load) {
    throw feastError('BACKEND_UNKNOWN', {
      family: 'offline_store',
      type: block.type,
      known: Object.keys(BACKENDS),
    })
  }
  const factory = await load()
  return factory.create(parseStoreBlock(block, factory.config), context)
}

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

/**
 * Rows of a Parquet file on this machine, in its order and in bounded memory, as cells of these fields.
 * @param names of the fields' columns
 */
export async function* readParquet(
  path: string,
  fields: readonly Field[],
  names: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<ColumnBatch> {
  const { readWithDuckDB } = await import('./duckdb/read-with-duckdb.js')
  yield* readWithDuckDB(path, fields, names, signal)
}

/** Rows of a file, for engines that cannot read it themselves. `declared`: types that the file does not tell (CSV). */
export async function readRows(
  path: string,
  format: FileFormat | undefined,
  declared: ReadonlyMap<string, FeastType>,
): Promise<FileRows> {
  const { readRowsWithDuckDB } = await import('./duckdb/read-rows-with-duckdb.js')
  return readRowsWithDuckDB(path, format, declared)
}

export interface FileRows {
  readonly fields: readonly Field[]
  batches(signal?: AbortSignal): AsyncIterable<ColumnBatch>
}

/** An engine in this process for files of this machine: reads and writes them, and sorts what memory does not hold. */
export async function openLocalEngine(): Promise<SqlEngine> {
  const { DuckDBEngine } = await import('./duckdb/duckdb-engine.js')
  return new DuckDBEngine({}, '')
}
