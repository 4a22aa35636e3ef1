import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { microsOf, tryParseInstant } from '../core/instant.js'
import { type FeastType, typeText } from '../core/value-type.js'
import { elementOf } from './element-type.js'
import { pythonJson, pythonStr } from './python-text.js'

/** Reads the values of one column that came as JSON; numbers past 2^53 must come as bigints. */
export type JsonCellReader = (value: unknown) => Cell

/**
 * JSON as cells of a type, taken as Feast takes it: `"7"` and `true` are integers, anything but lists and
 * objects is text, times are epoch seconds; and bytes are base64, as answers write them. Nothing is rounded.
 * @param where names the column in messages
 * @throws INVALID_VALUE
 */
export function jsonCellReader(type: FeastType, where: string): JsonCellReader {
  return (value) => {
    const cell = cellOf(value, type, 0)
    if (cell !== undefined) return cell
    throw feastError('INVALID_VALUE', {
      message: `${where}: ${shown(value)} is not a value of type ${typeText(type)}.`,
    })
  }
}

const MAX_DEPTH = 32

/** undefined: it does not fit. */
function cellOf(value: unknown, type: FeastType, depth: number): Cell | undefined {
  if (value === null || value === undefined) return null
  if (depth > MAX_DEPTH) return undefined
  const element = elementOf(type)
  if (element) return listOf(value, element, depth)
  switch (type.valueType) {
    case 'INT64':
      return integer(value, 63n)
    case 'INT32': {
      const found = integer(value, 31n)
      return typeof found === 'bigint' ? Number(found) : found
    }
    case 'DOUBLE':
    case 'FLOAT':
      return float(value)
    case 'BOOL':
      return typeof value === 'boolean' ? value : isNumber(value) ? Number(value) !== 0 : undefined
    case 'BYTES':
    case 'PDF_BYTES':
    case 'IMAGE_BYTES':
      return bytes(value)
    case 'UNIX_TIMESTAMP':
      return seconds(value)
    case 'ZONED_TIMESTAMP':
      return zoned(value)
    case 'MAP':
    case 'STRUCT':
      return fieldsOf(value, type, depth)
    case 'JSON':
      return typeof value === 'string' ? value : depthWithin(value, MAX_DEPTH) ? pythonJson(value) : undefined
    case 'SCALAR_MAP':
      return value instanceof Map ? (value as ReadonlyMap<Cell, Cell>) : undefined
    case 'INVALID':
      return undefined
    default:
      return text(value)
  }
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function integer(value: unknown, bits: bigint): Cell | undefined {
  if (typeof value === 'number' && Number.isNaN(value)) return null
  const found = wholeOf(value)
  return found !== undefined && found >= -(2n ** bits) && found < 2n ** bits ? found : undefined
}

function wholeOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined
  if (typeof value === 'boolean') return value ? 1n : 0n
  return typeof value === 'string' && /^\s*[+-]?\d{1,20}\s*$/.test(value) ? BigInt(value.trim()) : undefined
}

function float(value: unknown): Cell | undefined {
  if (typeof value === 'boolean' || isNumber(value)) return Number.isNaN(value) ? null : Number(value)
  if (typeof value !== 'string' || value.trim() === '') return undefined
  const found = Number(value)
  return Number.isNaN(found) ? undefined : found
}

function bytes(value: unknown): Cell | undefined {
  if (value instanceof Uint8Array) return value
  const isBase64 = typeof value === 'string' && value.length % 4 === 0 && /^[\w+/]*={0,2}$/.test(value)
  return isBase64 ? Buffer.from(value, 'base64') : undefined
}

/** ISO text is refused, as in Feast, where only the event time may be written so. */
function seconds(value: unknown): Cell | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : microsOf(value)
  if (typeof value === 'boolean') return undefined
  const found = integer(value, 43n)
  return typeof found === 'bigint' ? found * 1_000_000n : found
}

function zoned(value: unknown): Cell | undefined {
  if (typeof value !== 'string') return undefined
  const micros = tryParseInstant(value)
  if (micros === undefined) return undefined
  const offset = /([+-]\d{2}):?(\d{2})?$/.exec(value.slice(10))
  return { micros, zone: offset ? `UTC${offset[1]}:${offset[2] ?? '00'}` : '' }
}

function text(value: unknown): Cell | undefined {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value) ? undefined : value
  if (typeof value === 'number' && Number.isNaN(value)) return null
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  return isNumber(value) || typeof value === 'boolean' ? pythonStr(value) : undefined
}

function listOf(value: unknown, element: FeastType, depth: number): Cell | undefined {
  if (!Array.isArray(value)) return undefined
  const cells = value.map((item) => cellOf(item, element, depth + 1))
  return cells.includes(undefined) ? undefined : (cells as Cell[])
}

function fieldsOf(value: unknown, type: FeastType, depth: number): Cell | undefined {
  const object = typeof value === 'string' ? parsedObject(value) : value
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return undefined
  const cells: [string, Cell][] = []
  for (const [name, item] of Object.entries(object)) {
    const declared =
      type.fields !== undefined && Object.hasOwn(type.fields, name) ? type.fields[name] : undefined
    const cell = declared ? cellOf(item, declared, depth + 1) : untyped(item, depth + 1)
    if (cell === undefined) return undefined
    cells.push([name, cell])
  }
  return Object.fromEntries(cells)
}

function parsedObject(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Values of a map carry no declared type: whole numbers are integers, as Python reads them. */
function untyped(value: unknown, depth: number): Cell | undefined {
  if (depth > MAX_DEPTH) return undefined
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) {
    const cells = value.map((item) => untyped(item, depth + 1))
    return cells.includes(undefined) ? undefined : (cells as Cell[])
  }
  return typeof value === 'object' ? fieldsOf(value, { valueType: 'MAP' }, depth) : (value as Cell)
}

function depthWithin(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return limit > 0 && Object.values(value).every((item) => depthWithin(item, limit - 1))
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  const written = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return written.length > 80 ? `${written.slice(0, 80)}…` : written
}
