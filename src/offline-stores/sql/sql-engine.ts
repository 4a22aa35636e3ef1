import type { ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import type { Field } from '../../core/field.js'
import type { FeastType } from '../../core/value-type.js'
import type { EntityRows, FileFormat } from '../offline-store.js'
import type { StepDialect } from './sql-dialect.js'
import type { SqlColumn } from './sql-type.js'

/** A database that keeps the steps of a program. `sqlOfflineStore` makes an OfflineStore of it. */
export interface SqlEngine {
  /** For messages. */
  readonly name: string
  readonly dialect: StepDialect
  /**
   * What to write after FROM, and its columns. `declared`: types of columns whose stored form does not tell (CSV).
   * @throws SOURCE_NOT_READABLE, SOURCE_UNSUPPORTED
   */
  sourceRelation(source: BatchSource, declared: DeclaredTypes): Promise<SqlRelation>
  /** @throws FILE_NOT_READABLE, INVALID_REQUEST */
  entityRelation(
    rows: Extract<EntityRows, { kind: 'file' | 'sql' }>,
    declared: DeclaredTypes,
  ): Promise<SqlRelation>
  /** A place for the steps of one request. When `signal` fires, what runs there ends with ABORTED. */
  open(signal?: AbortSignal): Promise<SqlSession>
  /** Where a source has its rows on this machine. @throws SOURCE_UNSUPPORTED, INVALID_REQUEST when it is elsewhere */
  filePath(target: BatchSource): string
  /** @throws SCHEMA_MISMATCH */
  append(source: BatchSource, batches: AsyncIterable<ColumnBatch>): Promise<{ readonly rows: number }>
  close(): Promise<void>
}

export type DeclaredTypes = ReadonlyMap<string, FeastType>

export interface SqlRelation {
  readonly sql: string
  readonly columns: readonly SqlColumn[]
  /** The order its rows are to be counted in; none given = as they come. */
  readonly order?: readonly string[]
  /** Names of its columns differ by more than upper and lower case; those that are looked up may not. */
  readonly foldsCase?: boolean
  /** Made to be read in part and more than once. */
  readonly isColumnar?: boolean
}

export interface SqlSession {
  /** Takes rows in, in order, in bounded memory. */
  load(name: string, fields: readonly Field[], batches: AsyncIterable<ColumnBatch>): Promise<SqlRelation>
  /** Keeps a statement's rows under a name that later statements of the session can select from. */
  keep(name: string, sql: string): Promise<void>
  forget(name: string): Promise<void>
  /** One row of integers. */
  numbers(sql: string): Promise<readonly (bigint | null)[]>
  stream(sql: string, fields: readonly Field[]): AsyncIterable<ColumnBatch>
  /** Writes the rows to a file without passing them through this process's heap where the format allows. */
  copy(
    sql: string,
    fields: readonly Field[],
    path: string,
    format: FileFormat,
  ): Promise<{ readonly rows: number }>
  close(): Promise<void>
}
