import type { ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import type { Field } from '../../core/field.js'
import type { QueryCost, SourceScan, StagedResult, StageOptions } from '../offline-store.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'
import type { SqlRelation } from './sql-engine.js'
import type { StagedColumn } from './staged-columns.js'

/**
 * An engine elsewhere that is sent whole statements and may charge for what they read. `warehouseOfflineStore` makes an
 * OfflineStore of it.
 */
export interface SqlWarehouse {
  /** For messages. */
  readonly name: string
  readonly dialect: SqlDialect
  /** UTF-8 bytes that one statement may have. */
  readonly maxStatementBytes: number
  /** What to write after FROM, and its columns, partition columns included. @throws SOURCE_NOT_READABLE, SOURCE_UNSUPPORTED */
  sourceRelation(source: BatchSource): Promise<SqlRelation>
  /** The same for a query of the user's, which is not run for it. @throws INVALID_REQUEST when it cannot run */
  queryRelation(sql: string): Promise<SqlRelation>
  open(signal?: AbortSignal): Promise<WarehouseSession>
  /** See {@link OfflineStore.stagingLocation}. */
  readonly stagingLocation?: string
  /**
   * Runs a statement whose rows the engine itself writes as Parquet below a prefix, as {@link PullJob.stage} says.
   * Absent: its rows are streamed here into a file, which is then uploaded.
   */
  unload?(
    sql: string,
    fields: readonly Field[],
    prefix: string,
    options: StageOptions,
  ): Promise<Omit<StagedResult, 'fields' | 'skipped'>>
  /** Of the columns that {@link unload} writes; absent: those of the fields. */
  unloadedNames?(fields: readonly Field[]): readonly string[]
  /** What reading a source in these times would read, as far as it is known without reading it. */
  scanOf?(source: BatchSource, bounds: TimeBounds): Promise<SourceScan>
  /** A statement that is known to read more is not run. */
  readonly maxScanBytes?: number | undefined
  /** Where results are kept. */
  readonly keptTables: WarehouseTables
  /** @throws SCHEMA_MISMATCH */
  append(source: BatchSource, batches: AsyncIterable<ColumnBatch>): Promise<{ readonly rows: number }>
  close(): Promise<void>
}

export interface TablePlace {
  /** In the warehouse's own catalog. */
  readonly schema: string
  readonly name: string
}

export interface WarehouseTables {
  /** Of a source's table. @throws SOURCE_UNSUPPORTED; INVALID_REQUEST for a query, or a table of another catalog */
  placeOf(target: BatchSource): TablePlace
  /** What statements call it. */
  ref(place: TablePlace): string
  /** What stands there, and a view's query; undefined: nothing. */
  at(place: TablePlace): Promise<{ readonly view?: string } | undefined>
  /** Removes a table and its rows, if there is one. Never throws: what cannot be removed now is found by `kept`. */
  drop(place: TablePlace): Promise<void>
  /** Tables named as `keepTable` names them: for one place, or all. */
  kept(place?: TablePlace): AsyncIterable<TablePlace>
}

/** One request. What it stages is gone after {@link close}, whatever happened before. */
export interface WarehouseSession {
  /** Of what it has run; undefined where the engine does not charge. */
  readonly cost?: QueryCost
  /**
   * Takes rows in as a relation with columns named and typed as the fields (`dialect.typeFor`), in bounded memory.
   * @returns what to write after FROM
   */
  stageRows(fields: readonly Field[], batches: AsyncIterable<ColumnBatch>): Promise<string>
  /** Runs a query once and keeps its rows. @returns what to write after FROM */
  stageQuery(sql: string): Promise<string>
  /** Makes a table of a query's rows. @returns how many */
  keepQuery(table: TablePlace, sql: string): Promise<number>
  /** Makes a table of rows. @returns how many */
  keepRows(
    table: TablePlace,
    columns: readonly StagedColumn[],
    batches: AsyncIterable<ColumnBatch>,
  ): Promise<number>
  /** A statement that gives no rows. */
  execute(sql: string): Promise<void>
  /** One row of integers. */
  numbers(sql: string): Promise<readonly (bigint | null)[]>
  stream(statement: StreamedStatement): AsyncIterable<ColumnBatch>
  close(): Promise<void>
}

export interface StreamedStatement {
  readonly sql: string
  /** Its columns; UNIX_TIMESTAMP may come as BIGINT microseconds. */
  readonly fields: readonly Field[]
  /** Of the fields, an INT64: rows are to come in its order. The statement itself has none. */
  readonly orderBy?: string
}
