import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance, type DuckDBType } from '@duckdb/node-api'
import { quoteName, quoteText } from '../../../src/offline-stores/duckdb/duckdb-quote.js'
import { AthenaFault } from './athena-fault.js'
import { athenaText, trinoTypeOf } from './cell-text.js'
import { type GlueCatalog, type GlueTable, hiveTypeOf, isIceberg, tablesNamed } from './glue-catalog.js'
import { duckTypeOf } from './hive-type.js'
import { ParquetFiles } from './parquet-files.js'
import {
  type EngineQuery,
  type QueryEngine,
  type ResultColumn,
  refuseUnwritable,
  type SelectedRows,
  type WriteTarget,
  type WrittenRows,
} from './query-engine.js'
import { MACROS, trinoToDuckDB } from './trino-to-duckdb.js'

const CATALOG = 'awsdatacatalog'

interface Branch {
  readonly table: GlueTable
  readonly files: readonly string[]
}

/**
 * Trino's part played by DuckDB: the query is translated, and each table it names is a view over the files that the
 * table has at that moment.
 */
export class DuckDBQueryEngine implements QueryEngine {
  readonly #instance: Promise<DuckDBInstance>
  readonly #footers = new ParquetFiles()
  readonly #views = new Set<string>()
  /** Parts of tables by the number that stands in the plans of queries that read them. */
  readonly #branches: Branch[] = []
  #refreshing: Promise<unknown> = Promise.resolve()
  readonly #spill = join(tmpdir(), `athena-emulator-${randomUUID()}`)

  constructor(
    readonly catalog: GlueCatalog,
    /** Files that one result is spread over, whatever its size; rows go to them in turns. */
    readonly filesPerResult: number,
  ) {
    this.#instance = this.#start()
  }

  async #start(): Promise<DuckDBInstance> {
    mkdirSync(this.#spill, { recursive: true })
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '2',
      temp_directory: this.#spill,
      memory_limit: '2GB',
    })
    const connection = await instance.connect()
    const settings = [
      `SET GLOBAL TimeZone = 'UTC'`,
      'SET GLOBAL integer_division = true',
      // The first gives wrong rows in DuckDB 1.5.5; the second would drop the marks that tell what is scanned.
      `SET GLOBAL disabled_optimizers = 'top_n_window_elimination,statistics_propagation'`,
      'SET GLOBAL enable_external_file_cache = false',
      `ATTACH ':memory:' AS ${CATALOG}`,
      ...MACROS,
    ]
    for (const setting of settings) await connection.run(setting)
    connection.closeSync()
    return instance
  }

  async close(): Promise<void> {
    ;(await this.#instance).closeSync()
    rmSync(this.#spill, { recursive: true, force: true })
  }

  async select(query: EngineQuery): Promise<SelectedRows> {
    return this.#run(query, async (connection, sql) => {
      const result = await connection.runAndReadAll(sql)
      const types = result.columnTypes()
      const columns = columnsOf(result.columnNames(), types)
      return {
        columns,
        rows: result.getRows().map((row) => row.map((cell, at) => athenaText(cell, types[at]!))),
      }
    })
  }

  async write(
    query: EngineQuery,
    folder: string,
    prefix: string,
    { names, isIceberg: isFine }: WriteTarget = { isIceberg: false },
  ): Promise<WrittenRows> {
    return this.#run(query, async (connection, sql) => {
      const named = names ? `SELECT * FROM (${sql}) AS q (${names.map(quoteName).join(', ')})` : sql
      await connection.run(`CREATE TEMP TABLE written AS ${named}`)
      const described = await connection.runAndReadAll('SELECT * FROM written LIMIT 0')
      const columns = columnsOf(described.columnNames(), described.columnTypes())
      for (const column of columns) refuseUnwritable(column, isFine)
      const files: string[] = []
      let rowCount = 0
      for (let part = 0; part < this.filesPerResult; part++) {
        const name = `${prefix}_${part}.parquet`
        const path = join(folder, name)
        mkdirSync(folder, { recursive: true })
        const rows = `SELECT * FROM written WHERE rowid % ${this.filesPerResult} = ${part}`
        const copied = await connection.run(
          `COPY (${rows}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION snappy)`,
        )
        rowCount += copied.rowsChanged
        if (copied.rowsChanged === 0) rmSync(path)
        else files.push(name)
      }
      return { columns, rowCount, files }
    })
  }

  async #run<T>(
    query: EngineQuery,
    work: (connection: DuckDBConnection, sql: string) => Promise<T>,
  ): Promise<T> {
    const sql = await trinoToDuckDB(query.sql)
    const connection = await (await this.#instance).connect()
    const interrupt = () => connection.interrupt()
    query.signal.addEventListener('abort', interrupt)
    try {
      await this.#refreshViews(connection, query.sql)
      const path = `${CATALOG}.${quoteName(query.database.toLowerCase())},memory.main`
      await connection.run(`SET search_path = ${quoteText(path)}`)
      query.onScan(await this.#scannedBytes(connection, sql))
      return await work(connection, sql)
    } catch (error) {
      throw asAthenaSays(error, query.database)
    } finally {
      query.signal.removeEventListener('abort', interrupt)
      connection.closeSync()
    }
  }

  /** One at a time: two would replace the same view. */
  #refreshViews(connection: DuckDBConnection, sql: string): Promise<void> {
    const refreshed = this.#refreshing.then(() => this.#makeViews(connection, sql))
    this.#refreshing = refreshed.catch(() => undefined)
    return refreshed
  }

  async #makeViews(connection: DuckDBConnection, sql: string): Promise<void> {
    const tables = this.catalog.databases.flatMap((database) => this.catalog.tables(database))
    const names = new Set(tables.map(viewName))
    for (const gone of [...this.#views].filter((view) => !names.has(view))) {
      await connection.run(`DROP VIEW IF EXISTS ${gone}`)
      this.#views.delete(gone)
    }
    for (const database of this.catalog.databases)
      await connection.run(`CREATE SCHEMA IF NOT EXISTS ${CATALOG}.${quoteName(database)}`)
    for (const table of tablesNamed(this.catalog, sql)) {
      await connection.run(
        `CREATE OR REPLACE VIEW ${viewName(table)} AS ${await this.#viewOf(connection, table)}`,
      )
      this.#views.add(viewName(table))
    }
  }

  async #viewOf(connection: DuckDBConnection, table: GlueTable): Promise<string> {
    if (table.view !== undefined) return trinoToDuckDB(table.view)
    const parts = new Map<string, { readonly values: readonly string[]; readonly files: string[] }>()
    for (const { path, values } of this.catalog.files(table)) {
      const key = JSON.stringify(values)
      const part = parts.get(key) ?? { values, files: [] }
      part.files.push(path)
      parts.set(key, part)
    }
    const selects: string[] = []
    for (const { values, files } of parts.values()) {
      selects.push(await this.#branch(connection, table, values, files))
    }
    return selects.length > 0 ? selects.join('\nUNION ALL\n') : emptySelect(table)
  }

  async #branch(
    connection: DuckDBConnection,
    table: GlueTable,
    values: readonly string[],
    files: readonly string[],
  ): Promise<string> {
    const mark = this.#branches.push({ table, files })
    const known = new Map<string, string>()
    for (const path of files) {
      for (const [key, { name }] of await this.#footers.columns(connection, path)) known.set(key, name)
    }
    const columns = table.columns.map((column) => {
      const stored = known.get(column.name)
      const type = duckTypeOf(hiveTypeOf(column), isIceberg(table))
      return `CAST(${stored === undefined ? 'NULL' : quoteName(stored)} AS ${type}) AS ${quoteName(column.name)}`
    })
    const keys = table.partitionKeys.map(
      (column, index) =>
        `CAST(${quoteText(values[index]!)} AS ${duckTypeOf(hiveTypeOf(column), false)}) AS ${quoteName(column.name)}`,
    )
    const list = files.map((path) => quoteText(path.replace(/[*?[]/g, (sign) => `[${sign}]`))).join(', ')
    const from = `read_parquet([${list}], union_by_name = true, hive_partitioning = false, file_row_number = true)`
    return `SELECT ${[...columns, ...keys].join(', ')} FROM ${from} WHERE file_row_number <> -${mark}`
  }

  /** The column chunks that the plan reads, of the files whose partitions it keeps. */
  async #scannedBytes(connection: DuckDBConnection, sql: string): Promise<number> {
    const explained = await connection.runAndReadAll(`EXPLAIN (FORMAT json) ${sql}`)
    const scans: PlanNode[] = []
    const walk = (node: PlanNode) => {
      if (node.name.includes('READ_PARQUET')) scans.push(node)
      node.children.forEach(walk)
    }
    for (const node of JSON.parse(String(explained.getRows()[0]![1])) as PlanNode[]) walk(node)
    let bytes = 0
    for (const { extra_info: info } of scans) {
      const filters = [info.Filters ?? []].flat().join(' AND ')
      const mark = /file_row_number\s*!=\s*-(\d+)/.exec(filters)?.[1]
      if (mark === undefined) throw new Error(`a scan without its mark: ${JSON.stringify(info)}`)
      const { table, files } = this.#branches[Number(mark) - 1]!
      const projected = [info.Projections ?? []].flat().map((name) => name.toLowerCase())
      const isRead = (name: string) => projected.includes(name) || mentions(filters, name)
      for (const path of files) {
        for (const [name, column] of await this.#footers.columns(connection, path)) {
          if (!isRead(name)) continue
          bytes += column.bytes
          if (column.isFine && !isIceberg(table) && holdsTime(table, name)) {
            throw new AthenaFault(
              `SERIALIZATION_ERROR: Could not serialize column '${name}' of type 'timestamp(3)': ${path} holds finer times than milliseconds`,
            )
          }
        }
      }
    }
    return bytes
  }
}

interface PlanNode {
  readonly name: string
  readonly children: readonly PlanNode[]
  readonly extra_info: {
    readonly Projections?: string | readonly string[]
    readonly Filters?: string | readonly string[]
  }
}

function mentions(filters: string, column: string): boolean {
  const name = column.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(^|[^\\w'])"?${name}"?\\s*([<>=!]|IS |IN )`, 'i').test(filters)
}

function holdsTime(table: GlueTable, name: string): boolean {
  return table.columns.find((column) => column.name === name)?.type.includes('timestamp') ?? false
}

function viewName({ database, name }: GlueTable): string {
  return `${CATALOG}.${quoteName(database.toLowerCase())}.${quoteName(name)}`
}

function emptySelect(table: GlueTable): string {
  const columns = [...table.columns, ...table.partitionKeys].map(
    (column) =>
      `CAST(NULL AS ${duckTypeOf(hiveTypeOf(column), isIceberg(table))}) AS ${quoteName(column.name)}`,
  )
  return `SELECT ${columns.join(', ')} WHERE false`
}

function columnsOf(names: readonly string[], types: readonly DuckDBType[]): ResultColumn[] {
  return names.map((name, index) => ({ name, type: trinoTypeOf(types[index]!) }))
}

function asAthenaSays(error: unknown, database: string): unknown {
  if (error instanceof AthenaFault) return error
  const text = (error instanceof Error ? error.message : String(error)).replace(/^Error: /, '')
  const table = /Table with name (\S+) does not exist/.exec(text)?.[1]
  if (table !== undefined)
    return new AthenaFault(
      `TABLE_NOT_FOUND: line 1:15: Table '${CATALOG}.${database}.${table}' does not exist`,
    )
  const column = /Referenced column "([^"]+)" not found/.exec(text)?.[1]
  if (column !== undefined)
    return new AthenaFault(`COLUMN_NOT_FOUND: line 1:8: Column '${column}' cannot be resolved`)
  if (/^(Binder|Parser|Catalog) Error/.test(text)) return new AthenaFault(`SYNTAX_ERROR: line 1:1: ${text}`)
  if (/^(Conversion|Invalid Input|Out of Range) Error/.test(text))
    return new AthenaFault(`INVALID_CAST_ARGUMENT: ${text}`)
  return new AthenaFault(`GENERIC_INTERNAL_ERROR: ${text}`, 1)
}

export function isEmptyFolder(folder: string): boolean {
  return !existsSync(folder) || readdirSync(folder).length === 0
}
