/** A column type of the Glue catalog, as Hive DDL writes it. */
export interface HiveType {
  /** `bigint`, `array`, `struct`, … */
  readonly name: string
  /** Of `decimal(10,2)` and `varchar(20)`. */
  readonly sizes: readonly number[]
  /** Of arrays (one) and maps (two). */
  readonly inner: readonly HiveType[]
  /** Of structs, in order. */
  readonly fields: readonly { readonly name: string; readonly type: HiveType }[]
}

/** @throws when it is not a Hive type */
export function parseHiveType(text: string): HiveType {
  const reader = new Reader(text)
  const type = reader.type()
  if (reader.rest !== '') throw new Error(`not a Hive type: ${text}`)
  return type
}

class Reader {
  rest: string

  constructor(readonly text: string) {
    this.rest = text.trim()
  }

  type(): HiveType {
    const name = this.take(/^[a-z_]+[0-9]*/i).toLowerCase()
    if (name === 'struct') return { ...plain(name), fields: this.fields() }
    if (name === 'array' || name === 'map') return { ...plain(name), inner: this.inner() }
    if (!this.rest.startsWith('(')) return plain(name)
    const sizes = this.take(/^\([\d\s,]+\)/)
      .slice(1, -1)
      .split(',')
      .map(Number)
    return { ...plain(name), sizes }
  }

  private inner(): HiveType[] {
    this.take(/^</)
    const types = [this.type()]
    while (this.rest.startsWith(',')) {
      this.take(/^,/)
      types.push(this.type())
    }
    this.take(/^>/)
    return types
  }

  private fields(): HiveType['fields'] {
    const fields: { name: string; type: HiveType }[] = []
    for (this.take(/^</); ; this.take(/^,/)) {
      const name = this.take(/^(`[^`]+`|[^:,<>]+)/).replaceAll('`', '')
      this.take(/^:/)
      fields.push({ name: name.trim(), type: this.type() })
      if (!this.rest.startsWith(',')) break
    }
    this.take(/^>/)
    return fields
  }

  private take(pattern: RegExp): string {
    const found = pattern.exec(this.rest)?.[0]
    if (found === undefined) throw new Error(`not a Hive type: ${this.text}`)
    this.rest = this.rest.slice(found.length).trimStart()
    return found
  }
}

function plain(name: string): HiveType {
  return { name, sizes: [], inner: [], fields: [] }
}

/** The type of DuckDB that holds it. Times of Hive tables end at the millisecond, those of Iceberg at the microsecond. */
export function duckTypeOf(type: HiveType, isIceberg: boolean): string {
  const child = (one: HiveType) => duckTypeOf(one, isIceberg)
  switch (type.name) {
    case 'array':
      return `${child(type.inner[0]!)}[]`
    case 'map':
      return `MAP(${child(type.inner[0]!)}, ${child(type.inner[1]!)})`
    case 'struct':
      return `STRUCT(${type.fields.map(({ name, type: one }) => `"${name}" ${child(one)}`).join(', ')})`
    case 'decimal':
      return `DECIMAL(${type.sizes.length > 0 ? type.sizes.join(', ') : '10, 0'})`
    case 'timestamp':
      return isIceberg ? 'TIMESTAMP' : 'TIMESTAMP_MS'
    default: {
      const known = DUCK[type.name]
      if (known === undefined) throw new Error(`no such type: ${type.name}`)
      return known
    }
  }
}

const DUCK: Readonly<Record<string, string>> = {
  boolean: 'BOOLEAN',
  tinyint: 'TINYINT',
  smallint: 'SMALLINT',
  int: 'INTEGER',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  string: 'VARCHAR',
  varchar: 'VARCHAR',
  char: 'VARCHAR',
  binary: 'BLOB',
  date: 'DATE',
}
