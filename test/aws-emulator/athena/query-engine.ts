import { AthenaFault } from './athena-fault.js'

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

/** Files of Hive hold lower case names without signs, and times to the millisecond. */
export function refuseUnwritable({ name, type }: ResultColumn, isFine: boolean): void {
  if (!/^[a-z0-9_]+$/.test(name))
    throw new AthenaFault(`NOT_SUPPORTED: column name '${name}' is not supported by Hive`)
  if (type.includes('with time zone')) throw new AthenaFault(`NOT_SUPPORTED: Unsupported Hive type: ${type}`)
  if (!isFine && type.includes('timestamp(6)'))
    throw new AthenaFault(
      `NOT_SUPPORTED: Incorrect timestamp precision for timestamp(6); the configured precision is MILLISECONDS; column name: ${name}`,
    )
  if (/\b(unknown|json|uuid|time)\b/.test(type))
    throw new AthenaFault(`NOT_SUPPORTED: Unsupported Hive type: ${type} (column ${name})`)
}
