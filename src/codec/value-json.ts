import { elementTypeOf, type ValueType, valueTypeOf } from '../core/value-type.js'
import type { ByteWriter } from './byte-writer.js'
import { FLOAT_BYTES, writeFloat, writeInteger } from './float-text.js'
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
  if (start === end) {
    out.ascii('null')
    return
  }
  out.reserve(end - start + FLOAT_BYTES)
  const wroteTo = writeScalar(out.bytes, out.length, bytes, start, end)
  if (wroteTo >= 0) out.length = wroteTo
  else out.text(valueJson(bytes.subarray(start, end)))
}

/** @returns where it ends; {@link NOT_SIMPLE} when it must be looked at more closely */
function writeScalar(to: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  const size = end - start
  switch (bytes[start]) {
    case 0x20:
    case 0x18:
    case 0x40:
      return writeVarint(to, at, bytes, start + 1, end)
    case 0x29: {
      const value = size === 9 ? doubleAt(bytes, start + 1) : Number.NaN
      return Number.isFinite(value) ? writeFloat(to, at, value) : NOT_SIMPLE
    }
    case 0x35: {
      const value = size === 5 ? floatAt(bytes, start + 1) : Number.NaN
      return Number.isFinite(value) ? writeFloat(to, at, value) : NOT_SIMPLE
    }
    case 0x38:
      if (size !== 2 || bytes[start + 1]! > 1) return NOT_SIMPLE
      return bytes[start + 1] === 0 ? writeAscii(to, at, 'false') : writeAscii(to, at, 'true')
    case 0x12:
      // One length byte, and the text is all there is.
      if (size < 2 || bytes[start + 1]! > 0x7f || bytes[start + 1] !== size - 2) return NOT_SIMPLE
      return writePlainText(to, at, bytes, start + 2, end)
    default:
      return NOT_SIMPLE
  }
}

const NOT_SIMPLE = -1

// Read by hand: Buffer's own takes half again as long, with its checks.
const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)
const float = new Float32Array(1)
const floatBytes = new Uint8Array(float.buffer)

function doubleAt(bytes: Buffer, start: number): number {
  for (let i = 0; i < 8; i++) doubleBytes[i] = bytes[start + i]!
  return double[0]!
}

function floatAt(bytes: Buffer, start: number): number {
  for (let i = 0; i < 4; i++) floatBytes[i] = bytes[start + i]!
  return float[0]!
}

/** Numbers below 2^49, which are exact and leave no doubt about their sign. */
function writeVarint(to: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  const last = end - 1
  if (last < start || end - start > 7 || bytes[last]! >= 0x80) return NOT_SIMPLE
  let value = bytes[last]!
  for (let from = last - 1; from >= start; from--) {
    if (bytes[from]! < 0x80) return NOT_SIMPLE
    value = value * 128 + (bytes[from]! & 0x7f)
  }
  return writeInteger(to, at, value)
}

/** Plain ASCII needs neither decoding nor escapes. */
function writePlainText(to: Buffer, start: number, bytes: Buffer, first: number, end: number): number {
  let at = start
  to[at++] = QUOTE
  for (let from = first; from < end; from++) {
    const byte = bytes[from]!
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) return NOT_SIMPLE
    to[at++] = byte
  }
  to[at++] = QUOTE
  return at
}

function writeAscii(to: Buffer, start: number, text: string): number {
  for (let i = 0; i < text.length; i++) to[start + i] = text.charCodeAt(i)
  return start + text.length
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

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
