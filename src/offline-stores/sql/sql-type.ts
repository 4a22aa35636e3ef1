import { type FeastType, VALUE_TYPE_NUMBERS, type ValueType } from '../../core/value-type.js'

/** A column's type in an engine, in words that every SQL engine shares. */
export interface SqlType {
  readonly kind: SqlKind
  /** As the engine writes it: for casts and for messages. */
  readonly text: string
  /** Lists and fixed-size arrays. */
  readonly element?: SqlType
  /** Structs, in order. */
  readonly fields?: Readonly<Record<string, SqlType>>
  /** Maps. */
  readonly key?: SqlType
  readonly value?: SqlType
}

export type SqlKind =
  | 'boolean'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'int128'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'float'
  | 'double'
  | 'decimal'
  | 'text'
  | 'json'
  | 'enum'
  | 'uuid'
  | 'bytes'
  | 'date'
  /** Without zone, to the microsecond or coarser. */
  | 'timestamp'
  | 'timestampNs'
  | 'timestampTz'
  | 'list'
  | 'struct'
  | 'map'
  | 'null'
  | 'other'

export interface SqlColumn {
  readonly name: string
  /** As it stands in a statement, quoted. */
  readonly ref: string
  readonly type: SqlType
  /** Of a time column whose microseconds stand beside it. */
  readonly micros?: string
}

const SCALARS: Partial<Record<SqlKind, ValueType>> = {
  boolean: 'BOOL',
  int8: 'INT32',
  int16: 'INT32',
  int32: 'INT32',
  int64: 'INT64',
  // Sums of integers come as 128 bits; text keeps them exact.
  int128: 'DECIMAL',
  uint8: 'INT32',
  uint16: 'INT32',
  uint32: 'INT64',
  uint64: 'INT64',
  float: 'FLOAT',
  double: 'DOUBLE',
  decimal: 'DECIMAL',
  text: 'STRING',
  json: 'JSON',
  enum: 'STRING',
  uuid: 'UUID',
  bytes: 'BYTES',
  date: 'UNIX_TIMESTAMP',
  timestamp: 'UNIX_TIMESTAMP',
  timestampNs: 'UNIX_TIMESTAMP',
  timestampTz: 'UNIX_TIMESTAMP',
  null: 'STRING',
}

/** The Feast type that a column holds; INVALID when Feast has none. */
export function feastTypeOf(type: SqlType): FeastType {
  if (type.kind === 'list') return listOf(feastTypeOf(type.element!))
  if (type.kind === 'struct') return structOf(type.fields!)
  if (type.kind === 'map') {
    return { valueType: isText(type.key!) ? 'MAP' : 'SCALAR_MAP' }
  }
  return { valueType: SCALARS[type.kind] ?? 'INVALID' }
}

function listOf(element: FeastType): FeastType {
  const name = `${element.valueType}_LIST`
  if (/_(LIST|SET)$/.test(element.valueType)) return { valueType: 'VALUE_LIST', element }
  if (!(name in VALUE_TYPE_NUMBERS)) return { valueType: 'INVALID' }
  const valueType = name as ValueType
  return element.fields ? { valueType, fields: element.fields } : { valueType }
}

function structOf(fields: Readonly<Record<string, SqlType>>): FeastType {
  return {
    valueType: 'STRUCT',
    fields: Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, feastTypeOf(type)])),
  }
}

export function isText(type: SqlType): boolean {
  return type.kind === 'text' || type.kind === 'enum' || type.kind === 'uuid' || type.kind === 'json'
}

export function isInteger(type: SqlType): boolean {
  return /^u?int\d+$/.test(type.kind)
}

export function isTimestamp(type: SqlType): boolean {
  return type.kind === 'timestamp' || type.kind === 'timestampNs' || type.kind === 'timestampTz'
}

/** Join keys compare by value within one class and never across classes (R2); undefined: cannot be a join key. */
export function keyClassOf(type: SqlType): 'integer' | 'text' | 'bytes' | 'boolean' | 'time' | undefined {
  if (isInteger(type)) return 'integer'
  if (isText(type)) return 'text'
  if (type.kind === 'bytes') return 'bytes'
  if (type.kind === 'boolean') return 'boolean'
  return isTimestamp(type) || type.kind === 'date' ? 'time' : undefined
}
