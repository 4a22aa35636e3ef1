import type { FeastType, ValueType } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { SqlKind, SqlType } from './sql-type.js'

const KINDS: Readonly<Record<string, readonly [SqlKind, string]>> = {
  boolean: ['boolean', 'BOOLEAN'],
  tinyint: ['int8', 'TINYINT'],
  smallint: ['int16', 'SMALLINT'],
  integer: ['int32', 'INTEGER'],
  int: ['int32', 'INTEGER'],
  bigint: ['int64', 'BIGINT'],
  real: ['float', 'REAL'],
  float: ['float', 'REAL'],
  double: ['double', 'DOUBLE'],
  decimal: ['decimal', 'DECIMAL'],
  varchar: ['text', 'VARCHAR'],
  string: ['text', 'VARCHAR'],
  char: ['text', 'CHAR'],
  json: ['json', 'JSON'],
  uuid: ['uuid', 'UUID'],
  varbinary: ['bytes', 'VARBINARY'],
  binary: ['bytes', 'VARBINARY'],
  date: ['date', 'DATE'],
  unknown: ['null', 'UNKNOWN'],
}

/**
 * A type as Trino writes it (`row("a" bigint, "b" array(varchar(3)))`) or as Hive and Glue do
 * (`struct<a:bigint,b:array<string>>`). What is not known becomes `other`.
 */
export function parseTrinoType(text: string): SqlType {
  const reader = new TypeReader(text)
  return reader.type()
}

class TypeReader {
  #at = 0
  constructor(private readonly text: string) {}

  type(): SqlType {
    const start = this.#at
    const name = this.word().toLowerCase()
    switch (name) {
      case 'array': {
        const [element] = this.list(() => this.type())
        return listOf(element!)
      }
      case 'map': {
        const [key, value] = this.list(() => this.type())
        return mapOf(key!, value!)
      }
      case 'row':
      case 'struct':
        return rowOf(Object.fromEntries(this.list((index) => this.field(index))))
      case 'timestamp':
      case 'time':
        return this.time(name)
      default:
        return this.scalar(name, start)
    }
  }

  private scalar(name: string, start: number): SqlType {
    const sizes = this.peek('(') ? `(${this.list(() => this.word()).join(',')})` : ''
    const known = KINDS[name]
    if (known) return { kind: known[0], text: `${known[1]}${sizes}` }
    return { kind: 'other', text: this.text.slice(start, this.#at).trim() }
  }

  private time(name: 'time' | 'timestamp'): SqlType {
    const [digits] = this.peek('(') ? this.list(() => this.word()) : ['3']
    const zone = /^\s*with(out)? time zone/i.exec(this.text.slice(this.#at))
    this.#at += zone?.[0].length ?? 0
    const zoned = zone !== null && zone[1] === undefined
    const text = `${name.toUpperCase()}(${digits})${zoned ? ' WITH TIME ZONE' : ''}`
    if (name === 'time') return { kind: 'other', text }
    return { kind: zoned ? 'timestampTz' : Number(digits) > 6 ? 'timestampNs' : 'timestamp', text }
  }

  /** `"a" bigint`, `a bigint`, `a:bigint`; a type alone has no name. */
  private field(index: number): readonly [string, SqlType] {
    this.space()
    const rest = this.text.slice(this.#at)
    const named = /^(?:"((?:[^"]|"")*)"|([^\s:(),<>"]+))\s*[\s:]\s*(?=[a-z"])/i.exec(rest)
    if (named === null || /^timestamp|^time/i.test(named[2] ?? '')) return [`field${index}`, this.type()]
    this.#at += named[0].length
    return [named[1]?.replaceAll('""', '"') ?? named[2]!, this.type()]
  }

  private list<T>(item: (index: number) => T): T[] {
    this.space()
    const close = this.text[this.#at] === '<' ? '>' : ')'
    this.#at++
    const items: T[] = []
    for (;;) {
      items.push(item(items.length))
      this.space()
      const next = this.text[this.#at++]
      if (next === undefined || next === close) return items
    }
  }

  private word(): string {
    this.space()
    const [word] = /^[^\s:(),<>]*/.exec(this.text.slice(this.#at))!
    this.#at += word.length
    return word
  }

  private peek(character: string): boolean {
    this.space()
    return this.text[this.#at] === character
  }

  private space(): void {
    while (this.text[this.#at] === ' ') this.#at++
  }
}

function listOf(element: SqlType): SqlType {
  return { kind: 'list', text: `ARRAY(${element.text})`, element }
}

function mapOf(key: SqlType, value: SqlType): SqlType {
  return { kind: 'map', text: `MAP(${key.text}, ${value.text})`, key, value }
}

function rowOf(fields: Readonly<Record<string, SqlType>>): SqlType {
  const parts = Object.entries(fields).map(([name, type]) => `${quoted(name)} ${type.text}`)
  return { kind: 'struct', text: `ROW(${parts.join(', ')})`, fields }
}

const TEXT: SqlType = { kind: 'text', text: 'VARCHAR' }

const SCALARS: Partial<Record<ValueType, SqlType>> = {
  BOOL: { kind: 'boolean', text: 'BOOLEAN' },
  INT32: { kind: 'int32', text: 'INTEGER' },
  INT64: { kind: 'int64', text: 'BIGINT' },
  FLOAT: { kind: 'float', text: 'REAL' },
  DOUBLE: { kind: 'double', text: 'DOUBLE' },
  BYTES: { kind: 'bytes', text: 'VARBINARY' },
  PDF_BYTES: { kind: 'bytes', text: 'VARBINARY' },
  IMAGE_BYTES: { kind: 'bytes', text: 'VARBINARY' },
}

/**
 * The type that holds a Feast type. Times have no zone and `digits` of a second; what Trino has no type for (JSON,
 * scalar maps, structs of unknown fields) is text.
 */
export function trinoTypeFor(type: FeastType, digits: 3 | 6): SqlType {
  if (type.valueType === 'STRUCT' && type.fields) {
    const fields = Object.entries(type.fields)
    return rowOf(Object.fromEntries(fields.map(([name, field]) => [name, trinoTypeFor(field, digits)])))
  }
  if (type.valueType === 'MAP') return mapOf(TEXT, TEXT)
  if (type.valueType === 'UNIX_TIMESTAMP' || type.valueType === 'ZONED_TIMESTAMP') {
    return { kind: 'timestamp', text: `TIMESTAMP(${digits})` }
  }
  const element = listElementOf(type)
  if (element) return listOf(trinoTypeFor(element, digits))
  return SCALARS[type.valueType] ?? TEXT
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

export function textLiteral(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
