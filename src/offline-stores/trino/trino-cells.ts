import type { Cell } from '../../core/cell.js'
import { type Micros, tryParseInstant } from '../../core/instant.js'
import type { FeastType } from '../../core/value-type.js'
import { listElementOf } from '../list-element.js'
import type { SqlType } from '../sql/sql-type.js'
import type { Json } from './trino-json.js'

type Reader = (value: NonNullable<Json>) => Cell

const UNTYPED: FeastType = { valueType: 'INVALID' }

/** How a JSON value of an engine type becomes a cell of a Feast type. */
export function cellReader(from: SqlType, to: FeastType): Reader {
  if (to.valueType === 'ZONED_TIMESTAMP') return (value) => ({ micros: microsOf(value), zone: 'UTC' })
  if (to.valueType === 'UNIX_TIMESTAMP') return microsOf
  switch (from.kind) {
    case 'int64':
      return (value) => BigInt(value as number | string)
    case 'float':
      // Written with as few digits as tell it from other floats of 32 bits.
      return (value) => Math.fround(Number(value))
    case 'double':
      // NaN and the infinities are text.
      return Number
    case 'bytes':
      return (value) => new Uint8Array(Buffer.from(value as string, 'base64'))
    case 'date':
    case 'timestamp':
    case 'timestampNs':
    case 'timestampTz':
      return microsOf
    case 'list': {
      const read = orNull(cellReader(from.element!, listElementOf(to) ?? UNTYPED))
      return (value) => (value as readonly Json[]).map(read)
    }
    case 'struct':
      return structReader(from, to)
    case 'map':
      return mapReader(from, to)
    case 'text':
    case 'json':
      return ['MAP', 'STRUCT', 'SCALAR_MAP'].includes(to.valueType) ? jsonReader(to) : asItIs
    default:
      return asItIs
  }
}

const asItIs: Reader = (value) => value as Cell

function orNull(read: Reader): (value: Json) => Cell {
  return (value) => (value === null ? null : read(value))
}

/** Microseconds as a number, or a time as Trino writes it: `2024-01-10 12:00:00.123456 UTC`. */
function microsOf(value: NonNullable<Json>): Micros {
  if (typeof value === 'number') return BigInt(value)
  const text = value as string
  return /^-?\d+$/.test(text) ? BigInt(text) : tryParseInstant(text)!
}

function structReader(from: SqlType, to: FeastType): Reader {
  const readers = Object.entries(from.fields!).map(
    ([name, type]) => [name, orNull(cellReader(type, to.fields?.[name] ?? UNTYPED))] as const,
  )
  return (value) =>
    Object.fromEntries(
      readers.map(([name, read], index) => [name, read((value as readonly Json[])[index] ?? null)]),
    )
}

function mapReader(from: SqlType, to: FeastType): Reader {
  const readKey = cellReader(from.key!, UNTYPED)
  const readValue = orNull(cellReader(from.value!, UNTYPED))
  return (value) => {
    const entries = Object.entries(value).map(([key, item]) => [readKey(key), readValue(item)] as const)
    return to.valueType === 'SCALAR_MAP'
      ? new Map(entries)
      : Object.fromEntries(entries.map(([key, item]) => [String(key), item]))
  }
}

function jsonReader(to: FeastType): Reader {
  return (value) => {
    const parsed = JSON.parse(value as string) as Cell
    return to.valueType === 'SCALAR_MAP' ? new Map(Object.entries(parsed as object)) : parsed
  }
}
