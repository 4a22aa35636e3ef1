import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cell, ColumnBatch } from '../../src/core/cell.js'
import { type FileSource, fileSource } from '../../src/core/data-source.js'
import { type Field, field } from '../../src/core/field.js'
import type { FeastType } from '../../src/core/value-type.js'
import { DuckDBEngine } from '../../src/offline-stores/duckdb/duckdb-engine.js'
import { quoteName } from '../../src/offline-stores/duckdb/duckdb-quote.js'
import type { Row } from './oracle.js'

/** A column of a test table: a Feast type, and how it is stored if not as that type is by default. */
export interface TableColumn {
  readonly name: string
  readonly type: FeastType
  /** SQL type in the file, such as TIMESTAMP for naive times or SMALLINT. */
  readonly storedAs?: string | undefined
}

/** Writes test tables as Parquet or CSV files into a folder of its own. */
export class TableMaker {
  #count = 0

  private constructor(
    readonly folder: string,
    private readonly engine: DuckDBEngine,
  ) {}

  /** @param given the folder; it is removed on close, like a new one */
  static async open(given?: string): Promise<TableMaker> {
    const folder = given ?? (await mkdtemp(join(tmpdir(), 'feast-tables-')))
    return new TableMaker(folder, new DuckDBEngine({ threads: 1 }, folder))
  }

  /** @returns the file's path relative to {@link folder} */
  async file(
    columns: readonly TableColumn[],
    rows: readonly Row[],
    options: { readonly path?: string; readonly format?: 'parquet' | 'csv' } = {},
  ): Promise<string> {
    const format = options.format ?? 'parquet'
    const path = options.path ?? `table${this.#count++}.${format}`
    await mkdir(join(this.folder, path, '..'), { recursive: true })
    const session = await this.engine.open()
    try {
      const fields = columns.map(({ name, type }) => field(name, type))
      const { sql, columns: loaded } = await session.load('given', fields, once(batchOf(fields, rows)))
      const list = columns.map(({ name, storedAs }, index) => {
        const { ref } = loaded[index]!
        return `${storedAs ? `${ref}::${storedAs}` : ref} AS ${quoteName(name)}`
      })
      await session.copy(`SELECT ${list.join(', ')} FROM ${sql}`, fields, join(this.folder, path), format)
    } finally {
      await session.close()
    }
    return path
  }

  async source(
    columns: readonly TableColumn[],
    rows: readonly Row[],
    options: Partial<Parameters<typeof fileSource>[0]> = {},
  ): Promise<FileSource> {
    const path = await this.file(columns, rows, options.path ? { path: options.path } : {})
    return fileSource({ ...options, path })
  }

  async close(): Promise<void> {
    await this.engine.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export function batchOf(fields: readonly Field[], rows: readonly Row[]): ColumnBatch {
  return {
    fields,
    columns: fields.map(({ name }) => rows.map((row): Cell => row[name] ?? null)),
    rowCount: rows.length,
  }
}

export async function* once(batch: ColumnBatch): AsyncGenerator<ColumnBatch> {
  yield batch
}

export async function rowsOf(batches: AsyncIterable<ColumnBatch>): Promise<Row[]> {
  const rows: Row[] = []
  for await (const { fields, columns, rowCount } of batches) {
    for (let row = 0; row < rowCount; row++) {
      rows.push(Object.fromEntries(fields.map(({ name }, index) => [name, columns[index]![row]!])))
    }
  }
  return rows
}
