import type { ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import { type Field, field } from '../../core/field.js'
import { columnNamed } from '../sql/source-rows.js'
import type { SqlDialect } from '../sql/sql-dialect.js'
import type { SqlRelation } from '../sql/sql-engine.js'
import { isTimestamp, type SqlColumn } from '../sql/sql-type.js'
import { stagedCells, stagedType } from '../sql/staged-cells.js'

/** Rows on their way into a table: staged first, so that they arrive there all at once. */
export interface Insertion {
  /** As staged. */
  readonly fields: readonly Field[]
  rows(first: ColumnBatch, rest: AsyncIterator<ColumnBatch>): AsyncIterable<ColumnBatch>
  /** The statement that brings staged rows into the table. */
  from(staged: string): string
}

/** Columns are matched by name; a date partition column that the rows lack is the UTC date of their time. @throws SCHEMA_MISMATCH */
export function insertion(
  source: BatchSource,
  target: SqlRelation,
  given: readonly Field[],
  dialect: SqlDialect,
): Insertion {
  const matches = given.map(({ name }) => columnNamed(name, target))
  const partition = columnNamed(source.datePartitionColumn, target)
  const time = given.findIndex(({ name }) => name === source.timestampField)
  const isDerived = partition !== undefined && !matches.includes(partition) && time >= 0
  refuseOthers(source, target, given, matches, isDerived ? partition : undefined)
  const values = matches.map((column, index) => ({
    column: column!,
    value: valueFor(column!, index, dialect),
  }))
  if (isDerived) {
    const day = `CAST(CAST(${dialect.timestamp(`c${time}`)} AS DATE) AS ${partition.type.text})`
    values.push({ column: partition, value: day })
  }
  return {
    fields: given.map(({ type }, index) => field(`c${index}`, stagedType(type))),
    async *rows(first, rest) {
      yield stagedBatch(first)
      for (let next = await rest.next(); !next.done; next = await rest.next()) yield stagedBatch(next.value)
    },
    from: (staged) =>
      `INSERT INTO ${target.sql} (${values.map(({ column }) => column.ref).join(', ')})\nSELECT ${values.map(({ value }) => value).join(', ')} FROM ${staged}`,
  }
}

function valueFor({ type }: SqlColumn, index: number, dialect: SqlDialect): string {
  const staged = `c${index}`
  const value = isTimestamp(type) || type.kind === 'date' ? dialect.timestamp(staged) : staged
  return `CAST(${value} AS ${type.text})`
}

function stagedBatch({ fields, columns, rowCount }: ColumnBatch): ColumnBatch {
  return { fields, columns: columns.map((cells, index) => stagedCells(cells, fields[index]!.type)), rowCount }
}

function refuseOthers(
  source: BatchSource,
  { columns }: SqlRelation,
  given: readonly Field[],
  matches: readonly (SqlColumn | undefined)[],
  derived: SqlColumn | undefined,
): void {
  if (source.kind === 'trinoSource' && source.table === '') {
    const why = 'it is a query; rows can be added to a table'
    throw feastError('SOURCE_NOT_READABLE', { source: source.name, why })
  }
  const missing = columns.filter((column) => !matches.includes(column) && column !== derived)
  const extra = given.filter((_, index) => matches[index] === undefined)
  if (missing.length === 0 && extra.length === 0) return
  throw feastError('SCHEMA_MISMATCH', {
    target: source.name,
    missing: missing.map(({ name }) => name),
    extra: extra.map(({ name }) => name),
  })
}
