import {
  type DuckDBArrayType,
  type DuckDBListType,
  type DuckDBMapType,
  type DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
} from '@duckdb/node-api'
import type { FeastType, ValueType } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { SqlKind, SqlType } from '../sql/sql-type.js'
import { quoteName } from './duckdb-quote.js'

const KINDS: Partial<Record<DuckDBTypeId, SqlKind>> = {
  [DuckDBTypeId.BOOLEAN]: 'boolean',
  [DuckDBTypeId.TINYINT]: 'int8',
  [DuckDBTypeId.SMALLINT]: 'int16',
  [DuckDBTypeId.INTEGER]: 'int32',
  [DuckDBTypeId.BIGINT]: 'int64',
  [DuckDBTypeId.HUGEINT]: 'int128',
  [DuckDBTypeId.UHUGEINT]: 'int128',
  [DuckDBTypeId.UTINYINT]: 'uint8',
  [DuckDBTypeId.USMALLINT]: 'uint16',
  [DuckDBTypeId.UINTEGER]: 'uint32',
  [DuckDBTypeId.UBIGINT]: 'uint64',
  [DuckDBTypeId.FLOAT]: 'float',
  [DuckDBTypeId.DOUBLE]: 'double',
  [DuckDBTypeId.DECIMAL]: 'decimal',
  [DuckDBTypeId.VARCHAR]: 'text',
  [DuckDBTypeId.ENUM]: 'enum',
  [DuckDBTypeId.UUID]: 'uuid',
  [DuckDBTypeId.BLOB]: 'bytes',
  [DuckDBTypeId.DATE]: 'date',
  [DuckDBTypeId.TIMESTAMP]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_S]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_MS]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_NS]: 'timestampNs',
  [DuckDBTypeId.TIMESTAMP_TZ]: 'timestampTz',
  [DuckDBTypeId.SQLNULL]: 'null',
}

export function sqlTypeOf(type: DuckDBType): SqlType {
  const text = type.toString()
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
      return { kind: 'list', text, element: sqlTypeOf((type as DuckDBListType | DuckDBArrayType).valueType) }
    case DuckDBTypeId.STRUCT: {
      const { entryNames, entryTypes } = type as DuckDBStructType
      return {
        kind: 'struct',
        text,
        fields: Object.fromEntries(entryNames.map((name, index) => [name, sqlTypeOf(entryTypes[index]!)])),
      }
    }
    case DuckDBTypeId.MAP: {
      const { keyType, valueType } = type as DuckDBMapType
      return { kind: 'map', text, key: sqlTypeOf(keyType), value: sqlTypeOf(valueType) }
    }
    case DuckDBTypeId.VARCHAR:
      return { kind: type.alias === 'JSON' ? 'json' : 'text', text }
    default:
      return { kind: KINDS[type.typeId] ?? 'other', text }
  }
}

const TEXTS: Partial<Record<ValueType, readonly [SqlKind, string]>> = {
  BOOL: ['boolean', 'BOOLEAN'],
  INT32: ['int32', 'INTEGER'],
  INT64: ['int64', 'BIGINT'],
  FLOAT: ['float', 'FLOAT'],
  DOUBLE: ['double', 'DOUBLE'],
  BYTES: ['bytes', 'BLOB'],
  PDF_BYTES: ['bytes', 'BLOB'],
  IMAGE_BYTES: ['bytes', 'BLOB'],
  UNIX_TIMESTAMP: ['timestampTz', 'TIMESTAMP WITH TIME ZONE'],
  ZONED_TIMESTAMP: ['timestampTz', 'TIMESTAMP WITH TIME ZONE'],
}

const TEXT: SqlType = { kind: 'text', text: 'VARCHAR' }
const MAP: SqlType = { kind: 'map', text: 'MAP(VARCHAR, VARCHAR)', key: TEXT, value: TEXT }

/** Text, and what has no type of its own in DuckDB (scalar maps and structs of unknown fields: JSON), is VARCHAR. */
export function sqlTypeFor(type: FeastType): SqlType {
  if (type.valueType === 'STRUCT' && type.fields) return structFor(type.fields)
  if (type.valueType === 'MAP') return MAP
  const element = listElementOf(type)
  if (element) {
    const inner = sqlTypeFor(element)
    return { kind: 'list', text: `${inner.text}[]`, element: inner }
  }
  const known = TEXTS[type.valueType]
  return known ? { kind: known[0], text: known[1] } : TEXT
}

function structFor(declared: Readonly<Record<string, FeastType>>): SqlType {
  const fields = Object.fromEntries(Object.entries(declared).map(([name, type]) => [name, sqlTypeFor(type)]))
  const parts = Object.entries(fields).map(([name, type]) => `${quoteName(name)} ${type.text}`)
  return { kind: 'struct', text: `STRUCT(${parts.join(', ')})`, fields }
}
