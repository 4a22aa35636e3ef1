import { elementOf } from '../codec/element-type.js'
import { pythonFloat } from '../codec/python-text.js'
import { zonedText } from '../codec/zoned-text.js'
import { feastError } from '../core/errors.js'
import type { FeastType } from '../core/value-type.js'

/** A column's values as Feast's servers read them: full digits, bytes in base64, instants in seconds. */
export function columnJson(values: readonly unknown[], type: FeastType | undefined, where: string): string {
  return `[${values.map((value) => valueJson(value, type, where)).join(',')}]`
}

function valueJson(value: unknown, type: FeastType | undefined, where: string): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'number':
      return numberJson(value, type)
    case 'object':
      return value === null ? 'null' : objectJson(value, type, where)
    case 'undefined':
      return 'null'
    default:
      throw unsendable(where, `a ${typeof value}`)
  }
}

/** Python's servers take no `1` where a float is due, and read NaN and Infinity by those names. */
function numberJson(value: number, type: FeastType | undefined): string {
  if (!Number.isFinite(value)) return String(value)
  return type?.valueType === 'DOUBLE' || type?.valueType === 'FLOAT' ? pythonFloat(value) : String(value)
}

function objectJson(value: object, type: FeastType | undefined, where: string): string {
  if (value instanceof Date) return secondsJson(value, where)
  if (value instanceof Uint8Array) {
    return JSON.stringify(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'))
  }
  if (Array.isArray(value) || value instanceof Set)
    return columnJson([...value], type && elementOf(type), where)
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return columnJson(Array.from(value as unknown as ArrayLike<unknown>), type && elementOf(type), where)
  }
  if (value instanceof Map) throw unsendable(where, 'a Map, which JSON does not have')
  if (type?.valueType === 'ZONED_TIMESTAMP') return zonedJson(value, where)
  const members = Object.entries(value).map(
    ([name, one]) => `${JSON.stringify(name)}:${valueJson(one, type?.fields?.[name], where)}`,
  )
  return `{${members.join(',')}}`
}

function secondsJson(value: Date, where: string): string {
  if (Number.isNaN(value.getTime())) throw unsendable(where, 'no valid Date')
  return String(Math.floor(value.getTime() / 1000))
}

function zonedJson(value: object, where: string): string {
  const { instant, zone } = value as { readonly instant?: unknown; readonly zone?: unknown }
  const isZoned = instant instanceof Date && typeof zone === 'string'
  const text = isZoned ? zonedText(BigInt(Math.floor(instant.getTime() / 1000)), zone) : undefined
  if (text === undefined) throw unsendable(where, 'no { instant, zone }')
  return JSON.stringify(text)
}

function unsendable(where: string, what: string): Error {
  return feastError('INVALID_VALUE', { message: `${where} holds ${what}.` })
}
