import type { Field } from '../../core/field.js'
import type { SqlDialect } from '../sql/sql-dialect.js'
import { storable } from '../sql/staged-columns.js'
import { textLiteral } from '../sql/trino-types.js'

/**
 * The statement that writes a query's rows as Parquet. Its columns are named `c0`, `c1`, … by position, since Hive,
 * which writes them, takes small letters and digits alone; times become BIGINT microseconds, since it writes times to
 * the millisecond alone.
 */
export function unloadStatement(
  sql: string,
  fields: readonly Field[],
  to: string,
  dialect: SqlDialect,
): string {
  const names = unloadedNames(fields)
  const columns = fields.map(({ type }, index) => {
    const value = storable(names[index]!, type, dialect)
    return value === names[index] ? value : `${value} AS ${names[index]}`
  })
  const rows = `SELECT ${columns.join(', ')} FROM (\n${sql}\n) AS q (${names.join(', ')})`
  return `UNLOAD (\n${rows}\n) TO ${textLiteral(to)} WITH (format = 'PARQUET', compression = 'SNAPPY')`
}

/** What the files call the fields. */
export function unloadedNames(fields: readonly Field[]): readonly string[] {
  return fields.map((_, index) => `c${index}`)
}
