import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { microsOf, tryParseInstant } from '../core/instant.js'
import { type FeastType, typeText } from '../core/value-type.js'

/**
 * One entity value as the cell of its key's type. It must fit exactly (O5): `"1001"` and `1001` are both INT64
 * 1001; `1.5`, `true` and null are no INT64.
 * @throws ENTITY_VALUE_INVALID naming the column
 */
export function entityValue(value: unknown, type: FeastType, column: string): Cell {
  const cell = value === null || value === undefined ? undefined : exactly(value, type)
  if (cell !== undefined) return cell
  throw feastError('ENTITY_VALUE_INVALID', {
    value: shown(value),
    column,
    type: typeText(type),
    why: whyNot(value, type),
  })
}

function exactly(value: unknown, type: FeastType): Cell | undefined {
  switch (type.valueType) {
    case 'INT64':
      return integer(value, -(2n ** 63n), 2n ** 63n - 1n)
    case 'INT32': {
      const found = integer(value, -(2n ** 31n), 2n ** 31n - 1n)
      return found === undefined ? undefined : Number(found)
    }
    case 'STRING':
      return text(value)
    case 'BYTES':
      return bytes(value)
    case 'UNIX_TIMESTAMP':
      return instant(value)
    default:
      return undefined
  }
}

function integer(value: unknown, least: bigint, most: bigint): bigint | undefined {
  const found = asBigInt(value)
  return found !== undefined && found >= least && found <= most ? found : undefined
}

/** A number past 2^53 has lost its digits already, so which integer was meant is not known. */
function asBigInt(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'string' && /^[+-]?\d{1,20}$/.test(value) ? BigInt(value) : undefined
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value) ? undefined : value
  return typeof value === 'bigint' || Number.isSafeInteger(value) ? String(value) : undefined
}

/** As JSON has no bytes, text is base64: how answers write bytes. */
function bytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value
  if (typeof value !== 'string' || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    return undefined
  }
  return Buffer.from(value, 'base64')
}

function instant(value: unknown): bigint | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : microsOf(value)
  const seconds = integer(value, -(2n ** 43n), 2n ** 43n)
  if (seconds !== undefined) return seconds * 1_000_000n
  return typeof value === 'string' ? tryParseInstant(value) : undefined
}

function whyNot(value: unknown, type: FeastType): string {
  if (value === null || value === undefined) return 'a key has no null'
  switch (type.valueType) {
    case 'INT64':
    case 'INT32':
      if (typeof value === 'number' && Number.isInteger(value)) return 'out of range'
      return typeof value === 'bigint' ? 'out of range' : 'write an integer'
    case 'STRING':
      return typeof value === 'string' ? 'its surrogates are not paired' : 'write text or an integer'
    case 'BYTES':
      return 'write base64 text'
    case 'UNIX_TIMESTAMP':
      return 'write seconds since 1970 or ISO 8601'
    default:
      return 'Feast has no entity keys of that type'
  }
}

/** The value as the client wrote it, cut to a length that fits an error message. */
function shown(value: unknown): string {
  const written =
    typeof value === 'bigint' ? String(value) : (JSON.stringify(value, bigintText) ?? String(value))
  return written.length > 80 ? `${written.slice(0, 80)}…` : written
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
