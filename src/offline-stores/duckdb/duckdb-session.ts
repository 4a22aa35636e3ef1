import { type DuckDBConnection, DuckDBDataChunk, type DuckDBType, ResultReturnType } from '@duckdb/node-api'
import type { Cell, ColumnBatch } from '../../core/cell.js'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import { writeArrowFile } from '../arrow-file.js'
import type { FileFormat } from '../offline-store.js'
import type { SqlRelation, SqlSession } from '../sql/sql-engine.js'
import { countChunkBytes } from './chunk-memory.js'
import { cellReader, cellWriter } from './duckdb-cells.js'
import { quoteName, quoteText } from './duckdb-quote.js'
import { sqlTypeFor, sqlTypeOf } from './duckdb-types.js'
import { vectorReader } from './duckdb-vectors.js'

/** Rows per chunk of DuckDB. */
const CHUNK_ROWS = 2048

const COPY_OPTIONS = {
  parquet: 'FORMAT parquet',
  csv: 'FORMAT csv, HEADER',
  json: 'FORMAT json',
} as const

/** One connection, with its temporary tables. */
export class DuckDBSession implements SqlSession {
  private readonly interrupt = () => this.connection.interrupt()

  constructor(
    private readonly connection: DuckDBConnection,
    private readonly signal: AbortSignal | undefined,
  ) {
    signal?.addEventListener('abort', this.interrupt)
  }

  async load(
    name: string,
    fields: readonly Field[],
    batches: AsyncIterable<ColumnBatch>,
  ): Promise<SqlRelation> {
    const columns = fields.map(({ name: column, type }) => ({
      name: column,
      type: sqlTypeFor(type),
    }))
    const definitions = columns.map(({ type }, index) => `c${index} ${type.text}`)
    await this.run(`CREATE TEMP TABLE ${name} (${definitions.join(', ')})`)
    const appender = await this.connection.createAppender(name)
    try {
      const writers = columns.map(({ type }) => cellWriter(type))
      const types = columns.map((_, index) => appender.columnType(index))
      for await (const batch of batches) {
        this.check()
        for (let start = 0; start < batch.rowCount; start += CHUNK_ROWS) {
          appender.appendDataChunk(chunkOf(batch, start, types, writers))
        }
        appender.flushSync()
      }
    } finally {
      appender.closeSync()
    }
    return { sql: name, columns: columns.map((column, index) => ({ ...column, ref: `c${index}` })) }
  }

  async keep(name: string, sql: string): Promise<void> {
    await this.run(`CREATE TEMP TABLE ${quoteName(name)} AS\n${sql}`)
  }

  async forget(name: string): Promise<void> {
    await this.run(`DROP TABLE ${quoteName(name)}`)
  }

  async numbers(sql: string): Promise<readonly (bigint | null)[]> {
    const result = await this.run(sql)
    const chunk = await result.fetchChunk()
    return (chunk?.getRowValues(0) ?? []).map((value) => (value === null ? null : BigInt(value as bigint)))
  }

  async *stream(sql: string, fields: readonly Field[]): AsyncGenerator<ColumnBatch> {
    const result = await this.guard(() => this.connection.stream(sql))
    const readers = result.columnTypes().map((type, index) => ({
      cell: cellReader(sqlTypeOf(type), fields[index]!.type),
      vector: vectorReader(type),
    }))
    const fetch = () => {
      const chunk = this.guard(() => result.fetchChunk())
      // Not waited for at once: what goes wrong is told when its turn comes.
      chunk.catch(() => undefined)
      return chunk
    }
    const rowBytes = 16 * fields.length
    let coming = fetch()
    try {
      for (let chunk = await coming; chunk !== null && chunk.rowCount > 0; chunk = await coming) {
        // DuckDB reads on while this chunk is used.
        coming = fetch()
        countChunkBytes(chunk.rowCount * rowBytes)
        yield batchOf(chunk, fields, readers)
      }
    } finally {
      await coming.catch(() => undefined)
    }
    if (result.returnType === ResultReturnType.INVALID) await this.throwWhy(sql)
  }

  /**
   * For a stream that failed half-way, which ends as one does that has given all its rows: DuckDB's API has no word for
   * the reason. What runs as a whole gives it.
   */
  private async throwWhy(sql: string): Promise<never> {
    await this.run(`COPY (\n${sql}\n) TO '/dev/null' (FORMAT csv)`)
    throw feastError('OFFLINE_STORE_FAILED', { store: 'DuckDB', why: 'a result was cut short; try again' })
  }

  async copy(
    sql: string,
    fields: readonly Field[],
    path: string,
    format: FileFormat,
  ): Promise<{ readonly rows: number }> {
    if (format === 'arrow') return writeArrowFile(path, fields, this.stream(sql, fields))
    const result = await this.run(`COPY (\n${sql}\n) TO ${quoteText(path)} (${COPY_OPTIONS[format]})`)
    return { rows: result.rowsChanged }
  }

  /** Writes one folder `column=value` per value. */
  async copyPartitioned(
    sql: string,
    path: string,
    column: string,
    format: 'parquet' | 'csv',
  ): Promise<{ readonly rows: number }> {
    const options = `${COPY_OPTIONS[format]}, PARTITION_BY (${quoteName(column)})`
    const result = await this.run(`COPY (\n${sql}\n) TO ${quoteText(path)} (${options})`)
    return { rows: result.rowsChanged }
  }

  async close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.interrupt)
    this.connection.closeSync()
  }

  private run(sql: string) {
    return this.guard(() => this.connection.run(sql))
  }

  private async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.check()
      return await work()
    } catch (error) {
      if (isFeastError(error)) throw error
      this.check(error)
      const text = messageOf(error)
      if (/^(Error: )?(Conversion|Invalid Input|Out of Range) Error/.test(text)) {
        throw feastError('INVALID_VALUE', { message: `A value does not fit: ${headOf(text)}` }, error)
      }
      throw feastError('OFFLINE_STORE_FAILED', { store: 'DuckDB', why: text }, error)
    }
  }

  private check(cause?: unknown): void {
    if (this.signal?.aborted) throw feastError('ABORTED', { what: 'The query' }, cause)
  }
}

interface ColumnReader {
  readonly cell: ReturnType<typeof cellReader>
  readonly vector: ReturnType<typeof vectorReader>
}

function batchOf(
  chunk: DuckDBDataChunk,
  fields: readonly Field[],
  readers: readonly ColumnReader[],
): ColumnBatch {
  let columns: readonly (readonly Cell[])[] | undefined
  return {
    fields,
    rowCount: chunk.rowCount,
    get columns() {
      columns ??= readers.map(({ cell }, index) => cellsOf(chunk, index, cell))
      return columns
    },
    vectors: readers.map(({ vector }, index) => vector?.(chunk, index)),
  }
}

function cellsOf(
  chunk: DuckDBDataChunk,
  index: number,
  reader: ReturnType<typeof cellReader>,
): readonly Cell[] {
  const vector = chunk.getColumnVector(index)
  const cells: Cell[] = new Array(vector.itemCount)
  for (let row = 0; row < cells.length; row++) {
    const value = vector.getItem(row)
    cells[row] = value === null || reader === undefined ? (value as Cell) : reader(value)
  }
  return cells
}

function chunkOf(
  batch: ColumnBatch,
  start: number,
  types: readonly DuckDBType[],
  writers: readonly ReturnType<typeof cellWriter>[],
): DuckDBDataChunk {
  const rowCount = Math.min(CHUNK_ROWS, batch.rowCount - start)
  const chunk = DuckDBDataChunk.create(types, rowCount)
  writers.forEach((write, index) => {
    const cells = batch.columns[index]!
    const vector = chunk.getColumnVector(index)
    for (let row = 0; row < rowCount; row++) {
      const cell = cells[start + row] ?? null
      vector.setItem(row, (cell !== null && write ? write(cell) : cell) as never)
    }
    vector.flush()
  })
  return chunk
}

/** Its first line; of a CSV file also the two that tell the row and the column. */
function headOf(message: string): string {
  const lines = message.split('\n')
  return lines.slice(0, lines[0]!.includes('CSV Error') ? 3 : 1).join('; ')
}
