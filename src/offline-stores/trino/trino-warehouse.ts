import type { Cell, ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import { feastError, isFeastError } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import type { SqlRelation } from '../sql/sql-engine.js'
import type { SqlWarehouse, StreamedStatement, TablePlace, WarehouseSession } from '../sql/sql-warehouse.js'
import { type StagedColumn, stagedBatches } from '../sql/staged-columns.js'
import { trinoDialect } from '../sql/trino-dialect.js'
import { TrinoJsonRows } from '../sql/trino-json-rows.js'
import { parseTrinoType, quoted } from '../sql/trino-types.js'
import { insertion } from './trino-append.js'
import { cellReader } from './trino-cells.js'
import { type TrinoClient, type TrinoColumn, TrinoError, type TrinoPage } from './trino-client.js'
import type { TrinoTables } from './trino-tables.js'

/** A Trino cluster. */
export class TrinoWarehouse implements SqlWarehouse {
  readonly name = 'Trino'
  readonly dialect = trinoDialect(6)
  /** Trino's `query.max-length` unless it is told otherwise. */
  readonly maxStatementBytes = 1_000_000

  constructor(
    private readonly client: TrinoClient,
    readonly keptTables: TrinoTables,
  ) {}

  async sourceRelation(source: BatchSource): Promise<SqlRelation> {
    if (source.kind !== 'trinoSource') {
      const type = source.kind === 'unknownSource' ? source.type : TYPES[source.kind]
      throw feastError('SOURCE_UNSUPPORTED', { source: source.name, type, store: 'Trino' })
    }
    const sql =
      source.table === '' ? subquery(source.query) : this.keptTables.parts(source.table).map(quoted).join('.')
    return this.#described(sql).catch((error) => {
      if (!(error instanceof TrinoError)) throw error
      throw feastError('SOURCE_NOT_READABLE', { source: source.name, why: error.message }, error)
    })
  }

  async queryRelation(query: string): Promise<SqlRelation> {
    return this.#described(subquery(query)).catch((error) => {
      if (!(error instanceof TrinoError)) throw error
      throw feastError('INVALID_REQUEST', { message: `The entity rows' SQL: ${error.message}` }, error)
    })
  }

  async open(signal?: AbortSignal): Promise<TrinoSession> {
    return new TrinoSession(this.client, this.keptTables, this.dialect, signal)
  }

  async append(source: BatchSource, batches: AsyncIterable<ColumnBatch>): Promise<{ readonly rows: number }> {
    const iterator = batches[Symbol.asyncIterator]()
    const first = await iterator.next()
    if (first.done) return { rows: 0 }
    const target = await this.sourceRelation(source)
    const insert = insertion(source, target, first.value.fields, this.dialect)
    const session = await this.open()
    try {
      const staged = await session.stageRows(insert.fields, insert.rows(first.value, iterator))
      return { rows: await session.update(insert.from(staged)) }
    } finally {
      await session.close()
    }
  }

  async close(): Promise<void> {
    this.client.close()
  }

  async #described(sql: string): Promise<SqlRelation> {
    let found: readonly TrinoColumn[] = []
    for await (const { columns } of this.client.run(`SELECT * FROM ${sql} LIMIT 0`)) {
      if (columns.length > 0) found = columns
    }
    const columns = found.map(({ name, type }) => ({ name, ref: quoted(name), type: parseTrinoType(type) }))
    return { sql, foldsCase: true, columns }
  }
}

const TYPES = { fileSource: 'file source', athenaSource: 'Athena source' } as const

function subquery(sql: string): string {
  return `(\n${sql.trim().replace(/;\s*$/, '')}\n)`
}

/** Of one INSERT's rows, in UTF-8; the statement is held to {@link TrinoWarehouse.maxStatementBytes}. */
const INSERT_BYTES = 500_000

class TrinoSession implements WarehouseSession {
  readonly #staged: TablePlace[] = []

  constructor(
    private readonly client: TrinoClient,
    private readonly tables: TrinoTables,
    private readonly dialect: ReturnType<typeof trinoDialect>,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async stageRows(fields: readonly Field[], batches: AsyncIterable<ColumnBatch>): Promise<string> {
    const table = this.#newScratch()
    await this.#makeTable(table, fields, batches)
    return this.tables.ref(table)
  }

  async stageQuery(sql: string): Promise<string> {
    const table = this.#newScratch()
    await this.keepQuery(table, sql)
    return this.tables.ref(table)
  }

  keepQuery(table: TablePlace, sql: string): Promise<number> {
    return this.update(`CREATE TABLE ${this.tables.ref(table)}${this.tables.properties} AS\n${sql}`)
  }

  async keepRows(
    table: TablePlace,
    columns: readonly StagedColumn[],
    batches: AsyncIterable<ColumnBatch>,
  ): Promise<number> {
    const stored = columns.map((column) => column.stored)
    return this.#makeTable(table, stored, stagedBatches(batches, columns))
  }

  async execute(sql: string): Promise<void> {
    await this.update(sql)
  }

  /** @returns how many rows it has */
  async #makeTable(
    place: TablePlace,
    fields: readonly Field[],
    batches: AsyncIterable<ColumnBatch>,
  ): Promise<number> {
    const table = this.tables.ref(place)
    const types = fields.map(({ type }) => this.dialect.typeFor(type))
    const columns = fields.map(({ name }, index) => `${quoted(name)} ${types[index]!.text}`)
    await this.update(`CREATE TABLE ${table} (${columns.join(', ')})${this.tables.properties}`)
    const json = new TrinoJsonRows(types, this.dialect)
    const insert = (given: readonly string[]) => this.update(`INSERT INTO ${table}\n${json.query(given)}`)
    let rows: string[] = []
    let [bytes, count] = [0, 0]
    for await (const { columns: cells, rowCount } of batches) {
      count += rowCount
      for (let row = 0; row < rowCount; row++) {
        const text = json.row(cells.map((column) => column[row]))
        rows.push(text)
        bytes += Buffer.byteLength(text)
        if (bytes < INSERT_BYTES) continue
        await insert(rows)
        rows = []
        bytes = 0
      }
    }
    if (rows.length > 0) await insert(rows)
    return count
  }

  /** Runs a statement that gives a count of rows, or nothing. */
  async update(sql: string): Promise<number> {
    const [count] = await this.numbers(sql)
    return Number(count ?? 0n)
  }

  async numbers(sql: string): Promise<readonly (bigint | null)[]> {
    let numbers: readonly (bigint | null)[] = []
    for await (const { rows } of this.#pages(sql)) {
      const [row] = rows
      if (row && numbers.length === 0) {
        numbers = row.map((value) =>
          typeof value === 'number' || typeof value === 'string' ? BigInt(value) : null,
        )
      }
    }
    return numbers
  }

  async *stream({ sql, fields, orderBy }: StreamedStatement): AsyncGenerator<ColumnBatch> {
    const ordered = orderBy === undefined ? sql : `${sql}\nORDER BY ${quoted(orderBy)}`
    let readers: readonly ReturnType<typeof cellReader>[] | undefined
    for await (const { columns, rows } of this.#pages(ordered)) {
      readers ??= columns.map(({ type }, index) => cellReader(parseTrinoType(type), fields[index]!.type))
      if (rows.length === 0) continue
      const cells = readers.map((read, index) =>
        rows.map((row): Cell => (row[index] === null || row[index] === undefined ? null : read(row[index]))),
      )
      yield { fields, columns: cells, rowCount: rows.length }
    }
  }

  /** Drops what was staged, also when the request was aborted. */
  async close(): Promise<void> {
    for (const table of this.#staged.splice(0)) await this.tables.drop(table)
  }

  async *#pages(sql: string): AsyncGenerator<TrinoPage> {
    try {
      this.#check()
      for await (const page of this.client.run(sql, this.signal)) {
        yield page
        this.#check()
      }
    } catch (error) {
      throw failure(error)
    }
  }

  #check(): void {
    if (this.signal?.aborted) throw feastError('ABORTED', { what: 'The query' })
  }

  #newScratch(): TablePlace {
    const table = this.tables.newScratch()
    this.#staged.push(table)
    return table
  }
}

/** Values that do not fit are the data's fault. */
const VALUE_ERRORS = ['INVALID_CAST_ARGUMENT', 'NUMERIC_VALUE_OUT_OF_RANGE', 'INVALID_FUNCTION_ARGUMENT']

function failure(error: unknown): unknown {
  if (isFeastError(error) || !(error instanceof TrinoError)) return error
  if (error.code === 'USER_CANCELED') return feastError('ABORTED', { what: 'The query' }, error)
  if (VALUE_ERRORS.includes(error.code)) {
    return feastError('INVALID_VALUE', { message: `A value does not fit: ${error.message}` }, error)
  }
  const why = `${error.message} (${error.code}, query ${error.queryId})`
  return feastError('OFFLINE_STORE_FAILED', { store: 'Trino', why }, error)
}
