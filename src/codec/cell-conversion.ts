import type { Cell } from '../core/cell.js'
import { formatInstant, tryParseInstant } from '../core/instant.js'
import type { FeastType, ValueType } from '../core/value-type.js'
import { pythonFloat } from './python-text.js'
import { floorSeconds } from './timestamp.js'

type Present = NonNullable<Cell>

/**
 * What turns a cell of one type into a cell of another, for a column whose source has another type than its
 * definition. undefined where there is nothing to do: the types are the same, or the encoder takes both.
 * @param exact true for join keys: a fraction is an error there, since cut off it would be another key. In
 * features it is cut off, as in Feast.
 * @param fail throws; called with a cell that has no counterpart
 */
export function cellConverter(
  from: FeastType,
  to: FeastType,
  exact: boolean,
  fail: (cell: Present, why: string) => never,
): ((cell: Cell) => Cell) | undefined {
  if (from.valueType === to.valueType || from.valueType === 'INVALID') return undefined
  const convert = CONVERSIONS[to.valueType]?.(from.valueType, fail, exact)
  return convert && ((cell) => (cell === null || cell === undefined ? null : convert(cell)))
}

type Fail = (cell: Present, why: string) => never
type Conversion = (from: ValueType, fail: Fail, exact: boolean) => ((cell: Present) => Cell) | undefined

const CONVERSIONS: Partial<Record<ValueType, Conversion>> = {
  INT64: (from, fail, exact) => (needsInteger(from, exact) ? (cell) => integer(from, cell, fail) : undefined),
  INT32: (from, fail, exact) =>
    needsInteger(from, exact) ? (cell) => Number(integer(from, cell, fail)) : undefined,
  DOUBLE: timeAsSeconds,
  FLOAT: timeAsSeconds,
  STRING: (from, fail) => (cell) => text(from, cell, fail),
  UNIX_TIMESTAMP: (from, fail) => (cell) => instant(from, cell, fail),
}

function timeAsSeconds(from: ValueType): ((cell: Present) => Cell) | undefined {
  return from === 'UNIX_TIMESTAMP' ? (cell) => Number(cell) / 1e6 : undefined
}

/** Else the value encoder takes numbers and text as they are. */
function needsInteger(from: ValueType, exact: boolean): boolean {
  return exact || from === 'UNIX_TIMESTAMP'
}

function integer(from: ValueType, cell: Present, fail: Fail): bigint {
  if (typeof cell === 'bigint') return from === 'UNIX_TIMESTAMP' ? floorSeconds(cell) : cell
  if (typeof cell === 'boolean') return cell ? 1n : 0n
  if (typeof cell === 'number') {
    return Number.isInteger(cell) ? BigInt(cell) : fail(cell, 'it has a fraction')
  }
  return typeof cell === 'string' && /^[+-]?\d+$/.test(cell)
    ? BigInt(cell.replace('+', ''))
    : fail(cell, 'not an integer')
}

function text(from: ValueType, cell: Present, fail: Fail): string {
  if (typeof cell === 'string') return cell
  if (typeof cell === 'bigint') return from === 'UNIX_TIMESTAMP' ? pythonTime(cell) : String(cell)
  if (typeof cell === 'number') return from === 'INT32' ? String(cell) : pythonFloat(cell)
  if (typeof cell === 'boolean') return cell ? 'True' : 'False'
  return fail(cell, 'not text')
}

/** `str()` of a timestamp in Python. */
function pythonTime(micros: bigint): string {
  const iso = formatInstant(micros).slice(0, -1).replace('T', ' ')
  return `${/\.\d{3}$/.test(iso) ? `${iso}000` : iso}+00:00`
}

function instant(from: ValueType, cell: Present, fail: Fail): bigint {
  if (typeof cell === 'bigint') return from === 'INT64' ? cell * 1_000_000n : cell
  if (typeof cell === 'number' && Number.isFinite(cell)) return BigInt(Math.floor(cell)) * 1_000_000n
  if (typeof cell === 'object' && 'micros' in cell && typeof cell.micros === 'bigint') return cell.micros
  if (typeof cell === 'string') {
    if (/^[+-]?\d+$/.test(cell)) return BigInt(cell.replace('+', '')) * 1_000_000n
    return tryParseInstant(cell) ?? fail(cell, 'neither seconds since 1970 nor ISO 8601')
  }
  return fail(cell, 'not a point in time')
}
