import type { ColumnBatch } from '../core/cell.js'
import type { BatchSource } from '../core/data-source.js'
import type { Field } from '../core/field.js'
import type { Micros } from '../core/instant.js'
import type { FeastType } from '../core/value-type.js'

/** Keeps the history of rows and joins it. Contract: `test/contract/offline-store.ts`. */
export interface OfflineStore {
  /** The source's columns with the Feast types they map to (INVALID for a column Feast has no type for). */
  describe(source: BatchSource): Promise<readonly Field[]>
  /** Point-in-time join by rules R1–R17; see {@link HistoricalQuery}. */
  getHistoricalFeatures(query: HistoricalQuery): RetrievalJob
  /** The latest row per key, or all rows, of one source in a window. */
  pull(query: PullQuery): PullJob
  /** Appends rows; columns are matched by name. @throws SCHEMA_MISMATCH */
  write(source: BatchSource, batches: AsyncIterable<ColumnBatch>): Promise<{ readonly rows: number }>
  /** {@link RetrievalJob.persist} to a source's place, of rows that passed through this process. */
  save(
    target: BatchSource,
    fields: readonly Field[],
    batches: AsyncIterable<ColumnBatch>,
    options?: SaveOptions,
  ): Promise<{ readonly rows: number }>
  /**
   * URI of a folder that the engine can write to. A store that has one charges for its queries: what they give is
   * staged there, so that a run that died need not pay again. Undefined: queries are free and are streamed.
   */
  readonly stagingLocation: string | undefined
  /** Rows of a staged file in its order, in bounded memory, by any process. @throws OBJECT_NOT_FOUND, ABORTED */
  readStaged(
    file: StagedFile,
    fields: readonly Field[],
    options?: ReadStagedOptions,
  ): AsyncIterable<ColumnBatch>
  /** Removes all that `stage` left below a prefix, whether it ended or died midway. */
  dropStaged(prefix: string): Promise<void>
  /** Removes what requests of processes that are gone left in the engine; absent where nothing is ever left. */
  clean?(): Promise<CleanReport>
  close(): Promise<void>
}

export interface ReadStagedOptions {
  readonly signal?: AbortSignal | undefined
  /** What is read after it: fetched meanwhile. */
  readonly next?: StagedFile | undefined
}

export interface CleanReport {
  readonly tables: readonly string[]
  /** Folders of objects. */
  readonly folders: readonly string[]
}

/** Nothing runs until a method is called. */
export interface RetrievalJob {
  /** Columns of the result. May read schemas, never rows. */
  fields(): Promise<readonly Field[]>
  /** The statement that will run, for people. */
  sql(): Promise<string>
  batches(signal?: AbortSignal): AsyncIterable<ColumnBatch>
  /**
   * Keeps the result in a file of this machine, as its ending says, or where a source of the store's own kind has its
   * rows: a table, or a file. It is put there whole: readers find what was there before, or all of it.
   * @throws FILE_EXISTS, TABLE_EXISTS unless `overwrite`; TABLE_EXISTS for a table that was not made in this way
   */
  persist(target: string | BatchSource, options?: PersistOptions): Promise<{ readonly rows: number }>
  /** What it has cost so far; undefined where the engine does not charge. */
  cost?(): QueryCost | undefined
  /** What running it would read, without running it; absent where the engine does not charge. */
  dryRun?(): Promise<DryRun>
}

export interface DryRun {
  readonly statements: readonly string[]
  readonly sources: readonly SourceScan[]
}

/** What a statement would read of a source, before columns and row groups are left out. */
export interface SourceScan {
  readonly source: string
  /** Partitions, by their values; undefined: all of the source, or it cannot be told. */
  readonly partitions: readonly string[] | undefined
  /** Of their files; undefined: it cannot be told. */
  readonly bytes: number | undefined
}

export interface PullJob extends RetrievalJob {
  /** Rows that a latest pull leaves out: without event time, or in the window without a whole join key (W3). */
  skippedRows(signal?: AbortSignal): Promise<number>
  /** Rows that a latest pull will give. Scans the key and time columns: for progress that shows what is left. */
  expectedRows(signal?: AbortSignal): Promise<number>
  /**
   * Runs the statement and keeps its rows as Parquet files below `prefix`, a URI that ends in `/` and that nothing
   * else uses. What a stage with another token left there is an error or gone, never read.
   * @throws ABORTED, and then the statement does not go on running
   */
  stage(prefix: string, options: StageOptions): Promise<StagedResult>
}

/** A result kept as Parquet files below one prefix, which other processes can read in shares. */
export interface StagedResult {
  readonly fields: readonly Field[]
  /** None when there are no rows. A key's row is in one of them. */
  readonly files: readonly StagedFile[]
  /** As {@link PullJob.skippedRows}; undefined where that would be one more statement to pay for. */
  readonly skipped: number | undefined
  /** Of running the statement; undefined where the engine does not charge. */
  readonly cost: QueryCost | undefined
}

export interface StagedFile {
  readonly uri: string
  readonly bytes: number
  /** Where the engine tells. */
  readonly rows?: number
}

export interface StageOptions {
  /**
   * The same token and statement stand for the same run: where the engine can, it is not run (and paid) twice, even
   * by another process after this one died.
   */
  readonly token: string
  /** At least so many files where the engine can choose, so that as many processes get a share each. */
  readonly files?: number
  readonly signal?: AbortSignal
}

/** What statements cost. */
export interface QueryCost {
  readonly queryIds: readonly string[]
  readonly scannedBytes: number
  /** US dollars, by the configured price per TB. */
  readonly price: number
  readonly elapsedMs: number
}

export interface SaveOptions {
  readonly overwrite?: boolean
  readonly signal?: AbortSignal
}

export interface PersistOptions extends SaveOptions {
  /** Of a file. */
  readonly format?: FileFormat
}

export type FileFormat = 'parquet' | 'csv' | 'arrow' | 'json'

export interface HistoricalQuery {
  readonly entityRows: EntityRows
  /** Undefined: `event_timestamp`, else the only timestamp column, else ENTITY_TIME_COLUMN. */
  readonly eventTimestampColumn: string | undefined
  readonly views: readonly HistoricalView[]
  /** Entity columns besides join keys that the caller needs (request data); checked to be there. */
  readonly requiredColumns: readonly { readonly name: string; readonly view: string }[]
  /** R8: of views with a created column, only rows created by the entity row's time count. */
  readonly filterByCreatedTimestamp: boolean
}

export type EntityRows =
  | { readonly kind: 'file'; readonly path: string; readonly format?: FileFormat }
  | { readonly kind: 'sql'; readonly sql: string }
  | {
      readonly kind: 'batches'
      readonly fields: readonly Field[]
      readonly batches: AsyncIterable<ColumnBatch>
    }
  /** No entity rows given: the distinct (join keys, event time) of the views in the closed range (J3). */
  | { readonly kind: 'range'; readonly start: Micros; readonly end: Micros }

/** One view to join. Column names are those of the source itself; mapping and aliases are resolved already. */
export interface HistoricalView {
  /** Projection name, for messages and SQL aliases. */
  readonly name: string
  readonly source: BatchSource
  readonly timestampColumn: string
  readonly createdColumn: string | undefined
  /** Empty for a view without entity. */
  readonly joinKeys: readonly {
    readonly column: string
    readonly entityColumn: string
    readonly type: FeastType
  }[]
  readonly features: readonly { readonly column: string; readonly output: string; readonly type: FeastType }[]
  readonly ttlSeconds: number
}

export interface PullQuery {
  readonly source: BatchSource
  readonly timestampColumn: string
  readonly createdColumn: string | undefined
  readonly joinKeys: readonly PullColumn[]
  readonly features: readonly PullColumn[]
  /** Closed bounds on the event time; undefined = open. */
  readonly start: Micros | undefined
  readonly end: Micros | undefined
  /** True: the winner per key by R5. False: every row. */
  readonly latest: boolean
}

/** `column` in the source becomes `name` in the result. */
export interface PullColumn {
  readonly column: string
  readonly name: string
  readonly type: FeastType
}

/** Columns of a pull after join keys and features: the row's times, UNIX_TIMESTAMP; created only where there is one. */
export const PULL_EVENT_TIMESTAMP = '__event_timestamp'
export const PULL_CREATED_TIMESTAMP = '__created_timestamp'
