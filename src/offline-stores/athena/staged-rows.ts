import type { Field } from '../../core/field.js'
import { ArrayOf, type FeastType, Int64 } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { SqlDialect } from '../sql/sql-dialect.js'
import type { SqlType } from '../sql/sql-type.js'

/** A column of rows that are put into a file for a statement to read. */
export interface StagedColumn {
  /** As the file has it: Hive reads times to the millisecond, so they are microseconds in numbers. */
  readonly stored: Field
  /** Of the stored column, in queries. */
  readonly type: SqlType
  /** The stored column as what it stands for. */
  readonly value: string
}

export function stagedColumns(fields: readonly Field[], dialect: SqlDialect): readonly StagedColumn[] {
  return fields.map((field) => {
    const type = storedType(field.type)
    return {
      stored: { ...field, type },
      type: dialect.typeFor(type),
      value: valueOf(field.name, field.type, dialect),
    }
  })
}

/** The cells are the same: a time is a number of microseconds already. */
function storedType(type: FeastType): FeastType {
  if (type.valueType === 'UNIX_TIMESTAMP') return Int64
  const element = listElementOf(type)
  if (element === undefined) return type
  const stored = storedType(element)
  return stored === element ? type : ArrayOf(stored)
}

function valueOf(expression: string, type: FeastType, dialect: SqlDialect, depth = 0): string {
  if (type.valueType === 'UNIX_TIMESTAMP') return dialect.timestamp(expression)
  const element = listElementOf(type)
  if (element === undefined) return expression
  const name = `s${depth}`
  const inner = valueOf(name, element, dialect, depth + 1)
  return inner === name ? expression : `transform(${expression}, ${name} -> ${inner})`
}
