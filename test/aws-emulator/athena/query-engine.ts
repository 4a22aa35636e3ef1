/** What runs the queries of the emulated Athena, over the tables of its catalog. */
export interface QueryEngine {
  /** A query's rows as Athena writes them: all cells texts. */
  select(query: EngineQuery): Promise<SelectedRows>
  /** Writes a query's rows into new Parquet files of a folder, named after `prefix`. @throws AthenaFault */
  write(query: EngineQuery, folder: string, prefix: string, target?: WriteTarget): Promise<WrittenRows>
  close(): Promise<void>
}

export interface EngineQuery {
  readonly sql: string
  readonly database: string
  readonly signal: AbortSignal
  /** Told as soon as it is known. */
  onScan(bytes: number): void
}

/** A table that rows are written for. */
export interface WriteTarget {
  /** Names of the columns, by position; undefined: those of the query. */
  readonly names?: readonly string[]
  /** Times to the microsecond are taken. */
  readonly isIceberg: boolean
}

export interface ResultColumn {
  readonly name: string
  /** Trino's, with its parameters. */
  readonly type: string
}

export interface SelectedRows {
  readonly columns: readonly ResultColumn[]
  readonly rows: readonly (readonly (string | null)[])[]
}

export interface WrittenRows {
  readonly columns: readonly ResultColumn[]
  readonly rowCount: number
  /** Names in the folder. */
  readonly files: readonly string[]
}
