import type { FieldStatus } from '../core/field-status.js'

/** One column of an answer, row by row; what is not asked of it is not decoded. */
export interface OnlineColumn<Value> {
  readonly name: string
  readonly values: readonly Value[]
  readonly statuses: readonly FieldStatus[]
  /** When the row was true, to the millisecond; null where there is no row, and in columns that have no time. */
  readonly eventTimestamps: readonly (Date | null)[]
}

/** What was looked up, by column or by row; both are made when they are first asked for. */
export interface OnlineFeatures<Row> {
  readonly rowCount: number
  /** In order: the entity columns, then the features as asked. */
  readonly names: readonly (keyof Row & string)[]
  readonly columns: { readonly [K in keyof Row]: OnlineColumn<Row[K]> }
  readonly rows: readonly Row[]
}

export class Answer<Row> implements OnlineFeatures<Row> {
  readonly names: readonly (keyof Row & string)[]
  readonly columns: { readonly [K in keyof Row]: OnlineColumn<Row[K]> }
  readonly #list: readonly OnlineColumn<unknown>[]
  #rows: readonly Row[] | undefined

  constructor(
    readonly rowCount: number,
    columns: readonly OnlineColumn<unknown>[],
  ) {
    this.#list = columns
    this.names = columns.map(({ name }) => name as keyof Row & string)
    this.columns = Object.fromEntries(columns.map((column) => [column.name, column])) as typeof this.columns
  }

  get rows(): readonly Row[] {
    this.#rows ??= this.#makeRows()
    return this.#rows
  }

  #makeRows(): readonly Row[] {
    const columns = this.#list.map(({ name, values }) => ({ name, values }))
    return Array.from({ length: this.rowCount }, (_, row) => {
      const made: Record<string, unknown> = {}
      for (const { name, values } of columns) put(made, name, values[row])
      return made as Row
    })
  }
}

/** Assignment would take `__proto__` for the prototype. */
function put(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') row[name] = value
  else Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
}

interface ColumnReaders {
  values(): readonly unknown[]
  statuses(): readonly FieldStatus[]
  eventTimestamps(): readonly (Date | null)[]
}

/** A column whose parts are read when they are first asked for. */
export class LazyColumn implements OnlineColumn<unknown> {
  readonly #read: ColumnReaders
  #values: readonly unknown[] | undefined
  #statuses: readonly FieldStatus[] | undefined
  #times: readonly (Date | null)[] | undefined

  constructor(
    readonly name: string,
    read: ColumnReaders,
  ) {
    this.#read = read
  }

  get values(): readonly unknown[] {
    this.#values ??= this.#read.values()
    return this.#values
  }

  get statuses(): readonly FieldStatus[] {
    this.#statuses ??= this.#read.statuses()
    return this.#statuses
  }

  get eventTimestamps(): readonly (Date | null)[] {
    this.#times ??= this.#read.eventTimestamps()
    return this.#times
  }
}
