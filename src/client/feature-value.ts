import { rowValueOf } from '../codec/row-value.js'
import { commonTypeAt, decodeCommonAt, decodeValueAt } from '../codec/value-decode.js'
import { feastError } from '../core/errors.js'
import type { FeastType, ValueType } from '../core/value-type.js'

/** How INT64 is given: exactly, or as the number that it is exactly. */
export type Int64Form = 'bigint' | 'number'

/** Reads the Value in `bytes[start..end)`. */
export type ValueReader = (bytes: Buffer, start: number, end: number) => unknown

/**
 * Reads what an answer holds as what the program gets. A value that was written while its view had another type
 * comes as what it is.
 * @param type as the schema has it, if there is one
 */
export function featureReader(name: string, type: FeastType | undefined, int64: Int64Form): ValueReader {
  const asNumbers = int64 === 'number'
  return (bytes, start, end) => {
    if (start === end) return null
    if (type === undefined || commonTypeAt(bytes, start) === type.valueType) {
      const common = decodeCommonAt(bytes, start, end)
      if (common !== undefined) return asNumbers ? safeNumbers(name, common) : common
    }
    const { valueType, cell } = decodeValueAt(bytes, start, end)
    if (cell === null) return null
    const shown = type && isStoredAs(type.valueType, valueType) ? type : { valueType }
    const value = rowValueOf(cell, shown)
    return asNumbers ? safeNumbers(name, value) : value
  }
}

function isStoredAs(declared: ValueType, stored: ValueType): boolean {
  return declared === stored || STORED[declared] === stored || (isWhole(declared) && isWhole(stored))
}

const STORED: Partial<Record<ValueType, ValueType>> = { PDF_BYTES: 'BYTES', IMAGE_BYTES: 'BYTES' }

function isWhole(valueType: ValueType): boolean {
  return valueType === 'INT64' || valueType === 'INT32'
}

/** @throws INVALID_VALUE for one that a number would round */
export function safeNumbers(name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return safeNumber(name, value)
  if (typeof value !== 'object' || value === null || value instanceof Date || ArrayBuffer.isView(value))
    return value
  const each = (one: unknown) => safeNumbers(name, one)
  if (Array.isArray(value)) return value.map(each)
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [each(key), each(one)]))
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, each(one)]))
}

function safeNumber(name: string, value: bigint): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw feastError('INVALID_VALUE', {
    message: `"${name}" is ${value}, which a number cannot hold exactly; open the client with int64: 'bigint'.`,
  })
}
