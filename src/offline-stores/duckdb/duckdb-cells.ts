import {
  blobValue,
  DuckDBTimestampTZValue,
  type DuckDBValue,
  listValue,
  mapValue,
  structValue,
} from '@duckdb/node-api'
import type { Cell } from '../../core/cell.js'
import { elementTypeOf, type FeastType } from '../../core/value-type.js'
import { cellText } from '../cell-text.js'
import type { SqlType } from '../sql/sql-type.js'

type Reader = (value: NonNullable<DuckDBValue>) => Cell

/** How a value of an engine type becomes a cell of a Feast type; undefined when it already is one. */
export function cellReader(from: SqlType, to: FeastType): Reader | undefined {
  if (to.valueType === 'ZONED_TIMESTAMP') return (value) => ({ micros: microsOf(value), zone: 'UTC' })
  switch (from.kind) {
    case 'boolean':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'int64':
    case 'uint64':
    case 'float':
    case 'double':
    case 'enum':
    case 'null':
      return undefined
    case 'uint32':
      return (value) => BigInt(value as number)
    case 'text':
    case 'json':
      return ['MAP', 'STRUCT', 'SCALAR_MAP'].includes(to.valueType) ? jsonReader(to) : undefined
    case 'bytes':
      return (value) => (value as unknown as { bytes: Uint8Array }).bytes
    case 'date':
    case 'timestamp':
    case 'timestampNs':
    case 'timestampTz':
      return microsOf
    case 'list':
      return listReader(from, to)
    case 'struct':
      return structReader(from, to)
    case 'map':
      return mapReader(from, to)
    default:
      return (value) => value.toString()
  }
}

function or(reader: Reader | undefined): (value: DuckDBValue) => Cell {
  return (value) => (value === null || reader === undefined ? (value as Cell) : reader(value))
}

const DAY_MICROS = 86_400_000_000n

function microsOf(value: NonNullable<DuckDBValue>): bigint {
  const time = value as unknown as Partial<Record<'micros' | 'nanos' | 'millis' | 'seconds', bigint>> & {
    days?: number
  }
  if (time.micros !== undefined) return time.micros
  if (time.days !== undefined) return BigInt(time.days) * DAY_MICROS
  if (time.seconds !== undefined) return time.seconds * 1_000_000n
  if (time.millis !== undefined) return time.millis * 1000n
  const nanos = time.nanos!
  return (nanos - (((nanos % 1000n) + 1000n) % 1000n)) / 1000n
}

const UNTYPED: FeastType = { valueType: 'INVALID' }

function listReader(from: SqlType, to: FeastType): Reader {
  const elementType = to.element ?? { ...to, valueType: elementTypeOf(to.valueType) ?? 'INVALID' }
  const read = or(cellReader(from.element!, elementType))
  return (value) => (value as unknown as { items: readonly DuckDBValue[] }).items.map(read)
}

function structReader(from: SqlType, to: FeastType): Reader {
  const readers = Object.entries(from.fields!).map(
    ([name, type]) => [name, or(cellReader(type, to.fields?.[name] ?? UNTYPED))] as const,
  )
  return (value) => {
    const { entries } = value as unknown as { entries: Readonly<Record<string, DuckDBValue>> }
    return Object.fromEntries(readers.map(([name, read]) => [name, read(entries[name] ?? null)]))
  }
}

function mapReader(from: SqlType, to: FeastType): Reader {
  const readKey = or(cellReader(from.key!, UNTYPED))
  const readValue = or(cellReader(from.value!, UNTYPED))
  return (value) => {
    const entries = (
      value as unknown as { entries: readonly { key: DuckDBValue; value: DuckDBValue }[] }
    ).entries.map(({ key, value: item }) => [readKey(key), readValue(item)] as const)
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

/** How a cell becomes a value of the engine type that {@link sqlTypeFor} gives; undefined when it already is one. */
export function cellWriter(to: SqlType): ((cell: NonNullable<Cell>) => DuckDBValue) | undefined {
  switch (to.kind) {
    case 'text':
      return cellText
    case 'int64':
      return (cell) => BigInt(cell as bigint | number)
    case 'bytes':
      return (cell) => blobValue(cell as Uint8Array)
    case 'timestampTz':
      return (cell) =>
        new DuckDBTimestampTZValue(typeof cell === 'bigint' ? cell : (cell as { micros: bigint }).micros)
    case 'list': {
      const write = orNull(cellWriter(to.element!))
      return (cell) => listValue((cell as readonly Cell[]).map(write))
    }
    case 'struct': {
      const writers = Object.entries(to.fields!).map(
        ([name, type]) => [name, orNull(cellWriter(type))] as const,
      )
      return (cell) =>
        structValue(
          Object.fromEntries(
            writers.map(([name, write]) => [name, write((cell as Record<string, Cell>)[name] ?? null)]),
          ),
        )
    }
    case 'map':
      return (cell) =>
        mapValue(
          Object.entries(cell).map(([key, value]) => ({
            key,
            value: value === null ? null : cellText(value),
          })),
        )
    default:
      return undefined
  }
}

function orNull(write: ReturnType<typeof cellWriter>): (cell: Cell) => DuckDBValue {
  return (cell) => (cell === null || cell === undefined ? null : write ? write(cell) : (cell as DuckDBValue))
}
