import type { SqlType } from '../sql/sql-type.js'

/** A column of a table as data definitions write it. */
export interface HiveColumn {
  readonly name: string
  readonly type: string
}

/** An external table over the Parquet files of a folder. */
export function createExternalTable(
  database: string,
  table: string,
  columns: readonly HiveColumn[],
  location: string,
): string {
  const list = columns.map(({ name, type }) => `${backquoted(name)} ${type}`)
  return `CREATE EXTERNAL TABLE ${backquoted(database)}.${backquoted(table)} (${list.join(', ')}) STORED AS PARQUET LOCATION ${hiveText(location)}`
}

export function dropTable(database: string, table: string): string {
  return `DROP TABLE IF EXISTS ${backquoted(database)}.${backquoted(table)}`
}

export function addPartition(
  database: string,
  table: string,
  values: readonly (readonly [string, string])[],
  location: string,
): string {
  const spec = values.map(([name, value]) => `${backquoted(name)} = ${hiveText(value)}`).join(', ')
  return `ALTER TABLE ${backquoted(database)}.${backquoted(table)} ADD IF NOT EXISTS PARTITION (${spec}) LOCATION ${hiveText(location)}`
}

export function backquoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

function hiveText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** What data definitions call a type of queries. */
export function hiveTypeOf(type: SqlType): string {
  switch (type.kind) {
    case 'list':
      return `array<${hiveTypeOf(type.element!)}>`
    case 'map':
      return `map<${hiveTypeOf(type.key!)},${hiveTypeOf(type.value!)}>`
    case 'struct': {
      const fields = Object.entries(type.fields!).map(([name, field]) => `${name}:${hiveTypeOf(field)}`)
      return `struct<${fields.join(',')}>`
    }
    case 'timestamp':
    case 'timestampNs':
    case 'timestampTz':
      return 'timestamp'
    default:
      return SCALARS[type.kind] ?? 'string'
  }
}

const SCALARS: Partial<Record<SqlType['kind'], string>> = {
  boolean: 'boolean',
  int8: 'tinyint',
  int16: 'smallint',
  int32: 'int',
  int64: 'bigint',
  float: 'float',
  double: 'double',
  bytes: 'binary',
  date: 'date',
}
