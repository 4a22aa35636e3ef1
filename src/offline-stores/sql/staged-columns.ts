import type { ColumnBatch } from '../../core/cell.js'
import { type Field, field } from '../../core/field.js'
import { ArrayOf, type FeastType } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { SqlDialect } from './sql-dialect.js'
import type { SqlType } from './sql-type.js'
import { isTime, stagedCells, stagedType } from './staged-cells.js'

/** A column of rows that are kept in a table for statements to read. */
export interface StagedColumn {
  /** As the table has it: tables of Hive may hold times to the millisecond alone, so they are microseconds in numbers. */
  readonly stored: Field
  /** Of the stored column, in queries. */
  readonly type: SqlType
  /** The stored column as what it stands for. */
  readonly value: string
}

export function stagedColumns(fields: readonly Field[], dialect: SqlDialect): readonly StagedColumn[] {
  return fields.map(({ name, type: given }) => {
    const type = storedType(given)
    return {
      stored: field(name, type),
      type: dialect.typeFor(type),
      value: valueOf(dialect.name(name), given, dialect),
    }
  })
}

/** The same rows, under the names and in the types of the columns that take them. */
export async function* stagedBatches(
  batches: AsyncIterable<ColumnBatch>,
  columns: readonly StagedColumn[],
): AsyncGenerator<ColumnBatch> {
  const fields = columns.map(({ stored }) => stored)
  for await (const { fields: given, columns: cells, rowCount } of batches)
    yield { fields, columns: cells.map((each, index) => stagedCells(each, given[index]!.type)), rowCount }
}

/** A query's column as a staged column stores it. */
export function storable(expression: string, type: FeastType, dialect: SqlDialect, depth = 0): string {
  const element = listElementOf(type)
  if (element) {
    const name = `u${depth}`
    const inner = storable(name, element, dialect, depth + 1)
    return inner === name ? expression : `transform(${expression}, ${name} -> ${inner})`
  }
  if (!isTime(type)) return expression
  const time = dialect.typeFor(type)
  return dialect.micros(`CAST(${expression} AS ${time.text})`, time)!
}

function storedType(type: FeastType): FeastType {
  const element = listElementOf(type)
  if (element === undefined) return stagedType(type)
  const stored = storedType(element)
  return stored === element ? type : ArrayOf(stored)
}

function valueOf(expression: string, type: FeastType, dialect: SqlDialect, depth = 0): string {
  if (isTime(type)) return dialect.timestamp(expression)
  const element = listElementOf(type)
  if (element === undefined) return expression
  const name = `s${depth}`
  const inner = valueOf(name, element, dialect, depth + 1)
  return inner === name ? expression : `transform(${expression}, ${name} -> ${inner})`
}
