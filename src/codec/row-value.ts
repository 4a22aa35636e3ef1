import type { Cell, ZonedCell } from '../core/cell.js'
import { microsOf } from '../core/instant.js'
import { type FeastType, typeText } from '../core/value-type.js'
import { elementOf } from './element-type.js'
import { NULL_SECONDS } from './value.js'

const NULL_MICROS = NULL_SECONDS * 1_000_000n

/** A cell as an on demand function sees it: instants as Date, INT64 as bigint, the rest as the cell holds it. */
export function rowValueOf(cell: Cell, type: FeastType): unknown {
  if (cell === null) return null
  switch (type.valueType) {
    // Inside a struct the bytes do not tell INT32 from INT64, and Python may have written either for a float.
    case 'INT32':
    case 'DOUBLE':
    case 'FLOAT':
      return Number(cell)
    case 'INT64':
      return Number.isInteger(cell) ? BigInt(cell as number) : cell
    case 'UNIX_TIMESTAMP':
      return dateOf(cell as bigint | Date)
    case 'ZONED_TIMESTAMP':
      return { instant: dateOf((cell as ZonedCell).micros), zone: (cell as ZonedCell).zone }
    case 'STRUCT':
      return mapFields(type, cell as Readonly<Record<string, Cell>>, rowValueOf)
  }
  const element = elementOf(type)
  return element && needsWalk(element)
    ? (cell as readonly Cell[]).map((one) => rowValueOf(one, element))
    : cell
}

/**
 * What an on demand function returned, as a cell of the declared type.
 * @throws TypeError saying what was wrong, to follow the feature's name
 */
export function cellOfRowValue(value: unknown, type: FeastType): Cell {
  if (value === null) return null
  const element = elementOf(type)
  if (element) return listCell(value, type, element)
  const cell = scalarCell(value, type)
  if (cell === undefined) throw new TypeError(`must be ${typeText(type)}, got ${described(value)}`)
  return cell
}

function scalarCell(value: unknown, type: FeastType): Cell | undefined {
  switch (type.valueType) {
    case 'INT64':
      return bigintIn(value, 63n)
    case 'INT32': {
      const found = bigintIn(value, 31n)
      return found === undefined ? undefined : Number(found)
    }
    case 'DOUBLE':
    case 'FLOAT':
      return numberCell(value)
    case 'BOOL':
      return typeof value === 'boolean' ? value : undefined
    case 'UNIX_TIMESTAMP':
      return value instanceof Date && !Number.isNaN(value.getTime()) ? microsOf(value) : undefined
    case 'ZONED_TIMESTAMP':
      return zonedCell(value)
    case 'BYTES':
    case 'PDF_BYTES':
    case 'IMAGE_BYTES':
      return value instanceof Uint8Array ? value : undefined
    case 'STRUCT':
      return isPlain(value) ? mapFields(type, value, cellOfRowValue) : undefined
    case 'MAP':
      return isPlain(value) ? (value as Cell) : undefined
    case 'SCALAR_MAP':
      return value instanceof Map ? (value as ReadonlyMap<Cell, Cell>) : undefined
    default:
      return typeof value === 'string' ? value : undefined
  }
}

function bigintIn(value: unknown, bits: bigint): bigint | undefined {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return undefined
  const found = BigInt(value as bigint | number)
  return found >= -(2n ** bits) && found < 2n ** bits ? found : undefined
}

/** NaN is no value, as in Feast. */
function numberCell(value: unknown): number | null | undefined {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'number') return undefined
  return Number.isNaN(value) ? null : value
}

function zonedCell(value: unknown): ZonedCell | undefined {
  if (!isPlain(value) || typeof value.zone !== 'string' || !(value.instant instanceof Date)) return undefined
  return Number.isNaN(value.instant.getTime())
    ? undefined
    : { micros: microsOf(value.instant), zone: value.zone }
}

function listCell(value: unknown, type: FeastType, element: FeastType): Cell {
  const items = value instanceof Set ? [...value] : value
  if (!Array.isArray(items) && !(ArrayBuffer.isView(items) && !(items instanceof DataView))) {
    throw new TypeError(`must be ${typeText(type)}, got ${described(value)}`)
  }
  return Array.from(items as readonly unknown[], (item) => {
    const cell = item === undefined ? null : cellOfRowValue(item, element)
    if (cell === null) throw new TypeError(`must be ${typeText(type)}, whose elements cannot be null`)
    return cell
  })
}

function needsWalk(element: FeastType): boolean {
  return (
    element.valueType === 'UNIX_TIMESTAMP' ||
    element.valueType === 'STRUCT' ||
    elementOf(element) !== undefined
  )
}

function mapFields<From, To>(
  type: FeastType,
  value: Readonly<Record<string, From>>,
  map: (one: From, type: FeastType) => To,
): Record<string, To> {
  const known = type.fields ?? {}
  const pairs = Object.entries(value).filter(
    ([name]) => type.fields === undefined || Object.hasOwn(known, name),
  )
  return Object.fromEntries(
    pairs.map(([name, one]) => [name, known[name] ? map(one, known[name]) : (one as unknown as To)]),
  )
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !(value instanceof Map) &&
    !ArrayBuffer.isView(value)
  )
}

/** null where Feast wrote a null as the earliest instant there is. */
function dateOf(micros: bigint | Date): Date | null {
  if (micros instanceof Date) return micros
  return micros === NULL_MICROS ? null : new Date(Math.floor(Number(micros) / 1000))
}

function described(value: unknown): string {
  if (value instanceof Date) return 'a Date'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return `${typeof value} ${text.length > 40 ? `${text.slice(0, 40)}…` : text}`
}
