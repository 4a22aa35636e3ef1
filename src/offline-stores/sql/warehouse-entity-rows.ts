import type { Cell, ColumnBatch } from '../../core/cell.js'
import { feastError } from '../../core/errors.js'
import { type Field, field } from '../../core/field.js'
import { type Micros, tryParseInstant } from '../../core/instant.js'
import { Int64, StringType } from '../../core/value-type.js'
import type { EntityRows } from '../offline-store.js'
import type { HistoricalPlan } from './historical-plan.js'
import type { SqlDialect, TimeBounds } from './sql-dialect.js'
import { isText, isTimestamp, type SqlColumn } from './sql-type.js'
import type { WarehouseSession } from './sql-warehouse.js'
import { microsOf, stagedCells, stagedType } from './staged-cells.js'
import { trinoLiteral } from './trino-literal.js'

/** Entity rows in a place where a statement of the warehouse can have them. */
export interface PlacedRows {
  /** A query that gives `r`, `t`, `e0`, …. */
  readonly sql: string
  readonly span: TimeBounds
  readonly count: number
}

/** Up to so many, and so many characters of them, stand in the statement itself. */
const INLINE_ROWS = 500
const INLINE_CHARACTERS = 100_000

/** Rows that are in this process: counted and timed here, few as VALUES, many staged. */
export async function placeBatches(
  given: Extract<EntityRows, { kind: 'batches' }>,
  { entity }: HistoricalPlan,
  session: Pick<WarehouseSession, 'stageRows'>,
  dialect: SqlDialect,
): Promise<PlacedRows> {
  const seen = new SeenRows(given.fields, entity)
  const rows = seen.numbered(given.batches)
  const first: ColumnBatch[] = []
  const literals: string[] = []
  let characters = 0
  for (let next = await rows.next(); !next.done; next = await rows.next()) {
    first.push(next.value)
    const values = seen.count <= INLINE_ROWS ? valuesOf(next.value, dialect) : []
    characters += values.reduce((sum, text) => sum + text.length, 0)
    if (seen.count > INLINE_ROWS || characters > INLINE_CHARACTERS) {
      const relation = await session.stageRows(seen.fields, chained(first, rows))
      return { sql: stagedQuery(relation, entity.columns, dialect), span: seen.span, count: seen.count }
    }
    literals.push(...values)
  }
  return { sql: inlineQuery(literals, entity.columns, dialect), span: seen.span, count: seen.count }
}

/** Rows that a query gives: it runs once, and its time span is known before the sources are read. */
export async function placeQuery(
  { entity, stage }: HistoricalPlan,
  session: WarehouseSession,
  dialect: SqlDialect,
): Promise<PlacedRows> {
  const { columns } = entity
  const staged = columns.map((column, index) => `${stagedValue(`e${index}`, column, dialect)} AS e${index}`)
  const given = `SELECT ${['r', 't', ...staged].join(', ')} FROM (\n${stage(entity.sql!)}\n) AS given_rows`
  const relation = await session.stageQuery(given)
  const [count, start, end] = await session.numbers(`SELECT count(*), min(t), max(t) FROM ${relation}`)
  return {
    sql: stagedQuery(relation, columns, dialect),
    span: { start: start ?? undefined, end: end ?? undefined },
    count: Number(count),
  }
}

/** As a staged column can hold it: times as microseconds, texts of whatever kind as text. */
function stagedValue(expression: string, { type }: SqlColumn, dialect: SqlDialect): string {
  if (isTimestamp(type)) return dialect.micros(expression, type)!
  if (type.kind === 'null') return `CAST(NULL AS ${dialect.typeFor(StringType).text})`
  return isText(type) ? dialect.cast(expression, type, StringType)! : expression
}

function stagedQuery(relation: string, columns: readonly SqlColumn[], dialect: SqlDialect): string {
  const values = columns.map((column, index) => `${readBack(`e${index}`, column, dialect)} AS e${index}`)
  return `SELECT ${['r', 't', ...values].join(', ')} FROM ${relation}`
}

function inlineQuery(
  literals: readonly string[],
  columns: readonly SqlColumn[],
  dialect: SqlDialect,
): string {
  const names = ['r', 't', ...columns.map((_, index) => `e${index}`)]
  const bigint = dialect.typeFor(Int64).text
  const values = columns.map((column, index) => {
    const type = isTimestamp(column.type) ? bigint : column.type.text
    return `${readBack(`CAST(e${index} AS ${type})`, column, dialect)} AS e${index}`
  })
  const typed = [`CAST(r AS ${bigint}) AS r`, `CAST(t AS ${bigint}) AS t`, ...values]
  return `SELECT ${typed.join(', ')} FROM (VALUES\n${literals.join(',\n')}\n) AS given_rows (${names.join(', ')})`
}

function readBack(staged: string, { type }: SqlColumn, dialect: SqlDialect): string {
  return isTimestamp(type) ? dialect.timestamp(staged) : staged
}

/** Gives entity rows their number and time in microseconds, and keeps count of both. */
class SeenRows {
  count = 0
  readonly fields: readonly Field[]
  readonly #time: number
  #start: Micros | undefined
  #end: Micros | undefined

  constructor(given: readonly Field[], { columns, timeColumn }: HistoricalPlan['entity']) {
    this.#time = columns.indexOf(timeColumn)
    const staged = given.map(({ type }, index) => field(`e${index}`, stagedType(type)))
    this.fields = [field('r', Int64), field('t', Int64), ...staged]
  }

  get span(): TimeBounds {
    return { start: this.#start, end: this.#end }
  }

  async *numbered(batches: AsyncIterable<ColumnBatch>): AsyncGenerator<ColumnBatch> {
    for await (const { fields, columns, rowCount } of batches) {
      if (rowCount === 0) continue
      const numbers = Array.from({ length: rowCount }, (_, row) => BigInt(this.count + row + 1))
      const { name } = fields[this.#time]!
      const times = columns[this.#time]!.map((cell) => this.#seen(instantOf(cell, name)))
      const staged = columns.map((cells, index) => stagedCells(cells, fields[index]!.type))
      this.count += rowCount
      yield { fields: this.fields, columns: [numbers, times, ...staged], rowCount }
    }
  }

  #seen(at: Micros | null): Micros | null {
    if (at === null) return null
    if (this.#start === undefined || at < this.#start) this.#start = at
    if (this.#end === undefined || at > this.#end) this.#end = at
    return at
  }
}

function instantOf(cell: Cell, name: string): Micros | null {
  if (typeof cell !== 'string') return microsOf(cell)
  const at = tryParseInstant(cell)
  if (at !== undefined) return at
  throw feastError('INVALID_VALUE', { message: `Entity column "${name}": "${cell}" is not a time.` })
}

/** One text per row: `(1, 1704888000000000, 'a')`. */
function valuesOf({ fields, columns, rowCount }: ColumnBatch, dialect: SqlDialect): readonly string[] {
  const types = fields.map(({ type }) => dialect.typeFor(type))
  return Array.from({ length: rowCount }, (_, row) => {
    const cells = columns.map((cells, index) => trinoLiteral(cells[row], types[index]!))
    return `(${cells.join(', ')})`
  })
}

async function* chained<T>(first: readonly T[], rest: AsyncIterator<T>): AsyncGenerator<T> {
  yield* first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}
