import { elementTypeOf, type ValueType, valueTypeOf } from '../core/value-type.js'
import type { ByteWriter } from './byte-writer.js'
import { pythonFloat } from './python-text.js'
import { NULL_SECONDS } from './value.js'
import { eachElement, eachMapEntry, readable, readInt64, readZoned, WIRE_TYPES } from './value-decode.js'
import { asBuffer, BYTES, eachField, readText } from './wire.js'
import { zonedText } from './zoned-text.js'

/**
 * JSON text of a `feast.types.Value`, character for character as Feast's HTTP server writes it: FLOAT widened
 * to a double, floats always with `.0` or an exponent, INT64 with all digits, bytes in base64, JSON as a string,
 * SCALAR_MAP null. What JSON has no number for (NaN, infinities; Feast fails on them) is null.
 * @throws BYTES_UNREADABLE
 */
export function valueJson(bytes: Uint8Array): string {
  return readable(() => jsonIn(asBuffer(bytes), 0, bytes.length))
}

/** {@link valueJson} of `bytes[start, end)`, written down; the common scalars without a walk over fields. */
export function writeValueJson(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  if (start === end) out.ascii('null')
  else if (!wroteScalar(out, bytes, start, end)) out.text(valueJson(bytes.subarray(start, end)))
}

function wroteScalar(out: ByteWriter, bytes: Buffer, start: number, end: number): boolean {
  const size = end - start
  switch (bytes[start]) {
    case 0x20:
    case 0x18:
    case 0x40:
      return wroteVarint(out, bytes, start + 1, end)
    case 0x29:
      return size === 9 && wroteFloat(out, bytes.readDoubleLE(start + 1))
    case 0x35:
      return size === 5 && wroteFloat(out, bytes.readFloatLE(start + 1))
    case 0x38:
      if (size !== 2 || bytes[start + 1]! > 1) return false
      out.ascii(bytes[start + 1] === 0 ? 'false' : 'true')
      return true
    case 0x12:
      // One length byte, and the text is all there is.
      return (
        size > 1 &&
        bytes[start + 1]! < 0x80 &&
        bytes[start + 1] === size - 2 &&
        wroteText(out, bytes, start + 2, end)
      )
    default:
      return false
  }
}

/** Numbers below 2^49, which are exact and leave no doubt about their sign. */
function wroteVarint(out: ByteWriter, bytes: Buffer, start: number, end: number): boolean {
  const last = end - 1
  if (last < start || end - start > 7 || bytes[last]! >= 0x80) return false
  let value = bytes[last]!
  for (let at = last - 1; at >= start; at--) {
    if (bytes[at]! < 0x80) return false
    value = value * 128 + (bytes[at]! & 0x7f)
  }
  out.integer(value)
  return true
}

function wroteFloat(out: ByteWriter, value: number): boolean {
  if (!Number.isFinite(value)) return false
  out.float(value)
  return true
}

/** Plain ASCII needs neither decoding nor escapes. */
function wroteText(out: ByteWriter, bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) return false
  }
  out.byte(QUOTE)
  out.slice(bytes, start, end)
  out.byte(QUOTE)
  return true
}

const QUOTE = 0x22

function floatJson(value: number): string {
  return Number.isFinite(value) ? pythonFloat(value) : 'null'
}

function jsonIn(bytes: Buffer, start: number, end: number): string {
  let text = 'null'
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    const valueType = valueTypeOf(number)
    if (valueType === undefined || wireType !== WIRE_TYPES[number]) return
    text = armJson(valueType, bytes, from, to)
  })
  return text
}

function armJson(valueType: ValueType, bytes: Buffer, start: number, end: number): string {
  const element = elementTypeOf(valueType)
  if (element === 'MAP' || element === 'STRUCT') {
    return listJson(bytes, start, end, (from, to) => mapJson(bytes, from, to))
  }
  if (element !== undefined) {
    let text = ''
    eachElement(element, bytes, start, end, (from, to) => {
      text += `,${armJson(element, bytes, from, to)}`
    })
    return `[${text.slice(1)}]`
  }
  switch (valueType) {
    case 'INT32':
    case 'INT64':
    case 'UNIX_TIMESTAMP':
      return String(readInt64(bytes, start, end))
    case 'DOUBLE':
      return floatJson(bytes.readDoubleLE(start))
    case 'FLOAT':
      return floatJson(bytes.readFloatLE(start))
    case 'BOOL':
      return readInt64(bytes, start, end) === 0n ? 'false' : 'true'
    case 'BYTES':
      return `"${bytes.toString('base64', start, end)}"`
    case 'NULL':
    case 'SCALAR_MAP':
      return 'null'
    case 'MAP':
    case 'STRUCT':
      return mapJson(bytes, start, end)
    case 'VALUE_LIST':
    case 'VALUE_SET':
      return listJson(bytes, start, end, (from, to) => jsonIn(bytes, from, to))
    case 'ZONED_TIMESTAMP':
      return zonedJson(bytes, start, end)
    default:
      return JSON.stringify(readText(bytes, start, end))
  }
}

function listJson(
  bytes: Buffer,
  start: number,
  end: number,
  item: (start: number, end: number) => string,
): string {
  let text = ''
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number === 1 && wireType === BYTES) text += `,${item(from, to)}`
  })
  return `[${text.slice(1)}]`
}

function mapJson(bytes: Buffer, start: number, end: number): string {
  let text = ''
  eachMapEntry(bytes, start, end, (key, from, to) => {
    text += `,${JSON.stringify(key)}:${jsonIn(bytes, from, to)}`
  })
  return `{${text.slice(1)}}`
}

function zonedJson(bytes: Buffer, start: number, end: number): string {
  const { seconds, zone } = readZoned(bytes, start, end)
  const text = seconds === NULL_SECONDS ? undefined : zonedText(seconds, zone)
  return text === undefined ? 'null' : JSON.stringify(text)
}

/**
 * Python's `str()` of a text, number or boolean value: what Feast keeps beside the bytes in SQLite. null for
 * every other type. @throws BYTES_UNREADABLE
 */
export function valuePythonText(bytes: Uint8Array): string | null {
  if (bytes.length === 0) return null
  const buffer = asBuffer(bytes)
  return readable(() => {
    let text: string | null = null
    eachField(buffer, 0, buffer.length, (number, wireType, _start, from, to) => {
      const valueType = valueTypeOf(number)
      if (valueType === undefined || wireType !== WIRE_TYPES[number]) return
      text = pythonTextOf(valueType, buffer, from, to)
    })
    return text
  })
}

function pythonTextOf(valueType: ValueType, bytes: Buffer, start: number, end: number): string | null {
  switch (valueType) {
    case 'STRING':
      return readText(bytes, start, end)
    case 'INT32':
    case 'INT64':
      return String(readInt64(bytes, start, end))
    case 'DOUBLE':
      return pythonFloat(bytes.readDoubleLE(start))
    case 'FLOAT':
      return pythonFloat(bytes.readFloatLE(start))
    case 'BOOL':
      return readInt64(bytes, start, end) === 0n ? 'False' : 'True'
    default:
      return null
  }
}
