import type { Cell, ZonedCell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import {
  elementTypeOf,
  type FeastType,
  isListType,
  isSetType,
  typeText,
  VALUE_TYPE_NUMBERS,
  type ValueType,
} from '../core/value-type.js'
import { pythonJson, pythonStr } from './python-text.js'
import { textBytes, writeText } from './short-text.js'
import { floorSeconds } from './timestamp.js'

/** What a null is: no bytes at all. */
export const NULL_VALUE: Buffer = Buffer.alloc(0)

/** What Feast puts for a null inside a list of timestamps. */
export const NULL_SECONDS = -(2n ** 63n)

/** A cell as the bytes of a `feast.types.Value`. @throws INVALID_VALUE */
export type ValueEncoder = (cell: Cell) => Buffer

/**
 * Encoder for a column's cells, prepared once per column. Numbers, text and the like are converted as Feast
 * does when it writes online; a NaN, and an array where one value is due, are null.
 * @param where names the column in messages
 */
export function valueEncoder(type: FeastType, where: string): ValueEncoder {
  const fail = failing(type, where)
  const encode = encoderOf(type, fail)
  return (cell) => (cell === null || cell === undefined ? NULL_VALUE : encode(cell))
}

/** One cell; where there are many of one column, use {@link valueEncoder}. @throws INVALID_VALUE */
export function encodeValue(type: FeastType, cell: Cell, where = 'Value'): Buffer {
  return valueEncoder(type, where)(cell)
}

/** Encoder for cells that say their type by themselves, as the values of a MAP do. */
export function untypedValueEncoder(where: string): ValueEncoder {
  return untyped((cell, why) => {
    throw feastError('INVALID_VALUE', { message: `${where}: ${shownCell(cell)} has no type (${why}).` })
  })
}

type Present = NonNullable<Cell>
type Fail = (cell: unknown, why: string) => never
type Encoder = (cell: Present) => Buffer

function failing(type: FeastType, where: string): Fail {
  return (cell, why) => {
    const shown = typeof cell === 'string' ? JSON.stringify(cell.slice(0, 80)) : shownCell(cell)
    const message = `${where}: ${shown} does not fit type ${typeText(type)} (${why}).`
    throw feastError('INVALID_VALUE', { message })
  }
}

function shownCell(cell: unknown): string {
  if (cell instanceof Uint8Array) return `${cell.length} bytes`
  if (typeof cell === 'object') return Array.isArray(cell) ? 'a list' : 'an object'
  return String(cell)
}

function encoderOf(type: FeastType, fail: Fail): Encoder {
  const { valueType } = type
  if (valueType === 'VALUE_LIST' || valueType === 'VALUE_SET') return nestedEncoder(type, fail)
  const element = elementTypeOf(valueType)
  if (element !== undefined) return listEncoder(valueType, element, type, fail)
  const scalar = scalarEncoder(valueType, fail)
  if (scalar) return (cell) => (Array.isArray(cell) ? NULL_VALUE : scalar(cell))
  switch (valueType) {
    case 'MAP':
    case 'STRUCT': {
      const encodeMap = mapEncoder(type.fields, fail)
      return (cell) => lengthDelimited(VALUE_TYPE_NUMBERS[valueType], encodeMap(cell))
    }
    case 'SCALAR_MAP':
      return (cell) => lengthDelimited(VALUE_TYPE_NUMBERS.SCALAR_MAP, scalarMap(cell, fail))
    default:
      return (cell) => fail(cell, 'no value has that type')
  }
}

function scalarEncoder(valueType: ValueType, fail: Fail): Encoder | undefined {
  const number = VALUE_TYPE_NUMBERS[valueType]
  switch (valueType) {
    case 'INT32':
      return (cell) => (isNan(cell) ? NULL_VALUE : varintValue(number, int32Of(cell, fail)))
    case 'INT64':
      return (cell) => (isNan(cell) ? NULL_VALUE : varintValue(number, int64Of(cell, fail)))
    case 'UNIX_TIMESTAMP':
      return (cell) => varintValue(number, secondsOf(cell, fail))
    case 'DOUBLE':
      return (cell) => doubleValue(numberOf(cell, fail))
    case 'FLOAT':
      return (cell) => floatValue(numberOf(cell, fail))
    case 'BOOL':
      return (cell) => (isNan(cell) ? NULL_VALUE : boolOf(cell, fail) ? TRUE_VALUE : FALSE_VALUE)
    case 'BYTES':
    case 'PDF_BYTES':
    case 'IMAGE_BYTES':
      return (cell) => lengthDelimited(VALUE_TYPE_NUMBERS.BYTES, bytesOf(cell, fail))
    case 'STRING':
    case 'UUID':
    case 'TIME_UUID':
    case 'DECIMAL':
      return (cell) => (isNan(cell) ? NULL_VALUE : textValue(number, textOf(cell, fail)))
    case 'JSON':
      return (cell) => textValue(number, jsonOf(cell, fail))
    case 'ZONED_TIMESTAMP':
      return (cell) => zonedValue(cell, fail)
    default:
      return undefined
  }
}

// Cell → the JavaScript value that a field holds.

function isNan(cell: Present): boolean {
  return typeof cell === 'number' && Number.isNaN(cell)
}

function int64Of(cell: Present, fail: Fail): bigint {
  const value = typeof cell === 'bigint' ? cell : wholeOf(cell, fail)
  return BigInt.asIntN(64, value) === value ? value : fail(cell, 'out of range')
}

function int32Of(cell: Present, fail: Fail): number {
  if (typeof cell === 'number' && (cell | 0) === cell) return cell
  const value = typeof cell === 'bigint' ? cell : wholeOf(cell, fail)
  return BigInt.asIntN(32, value) === value ? Number(value) : fail(cell, 'out of range')
}

/** As Python's int(): a fraction is cut off, text must be digits. */
function wholeOf(cell: Present, fail: Fail): bigint {
  if (typeof cell === 'number') {
    return Number.isFinite(cell) ? BigInt(Math.trunc(cell)) : fail(cell, 'not finite')
  }
  if (typeof cell === 'boolean') return cell ? 1n : 0n
  if (typeof cell === 'string' && /^\s*[+-]?\d+\s*$/.test(cell)) return BigInt(cell.trim().replace(/^\+/, ''))
  return fail(cell, 'not an integer')
}

function numberOf(cell: Present, fail: Fail): number {
  if (typeof cell === 'number') return cell
  if (typeof cell === 'bigint' || typeof cell === 'boolean') return Number(cell)
  const value = typeof cell === 'string' && cell.trim() !== '' ? Number(cell) : Number.NaN
  return Number.isNaN(value) && !(typeof cell === 'string' && /^\s*nan\s*$/i.test(cell))
    ? fail(cell, 'not a number')
    : value
}

function boolOf(cell: Present, fail: Fail): boolean {
  if (typeof cell === 'boolean') return cell
  if (typeof cell === 'number' || typeof cell === 'bigint') return Number(cell) !== 0
  return fail(cell, 'not a boolean')
}

function secondsOf(cell: Present, fail: Fail): bigint {
  if (typeof cell === 'bigint') return floorSeconds(cell)
  if (cell instanceof Date && !Number.isNaN(cell.getTime())) return BigInt(Math.floor(cell.getTime() / 1000))
  return fail(cell, 'not a point in time')
}

function bytesOf(cell: Present, fail: Fail): Uint8Array {
  return cell instanceof Uint8Array ? cell : fail(cell, 'not bytes')
}

function textOf(cell: Present, fail: Fail): string {
  if (typeof cell === 'string') return cell
  return typeof cell === 'object' ? fail(cell, 'not text') : pythonStr(cell)
}

function jsonOf(cell: Present, fail: Fail): string {
  if (typeof cell !== 'string') return pythonJson(cell)
  try {
    JSON.parse(cell)
    return cell
  } catch (error) {
    return fail(cell, error instanceof Error ? error.message : 'not JSON')
  }
}

// Bytes of one field.

const TRUE_VALUE = Buffer.from([0x38, 1])
const FALSE_VALUE = Buffer.from([0x38, 0])

/** A BigInt cast through memory: its halves without BigInt arithmetic. */
const halves = new Uint32Array(2)
const whole = new BigInt64Array(halves.buffer)

function split(value: number | bigint): void {
  if (typeof value === 'bigint') {
    whole[0] = value
  } else {
    halves[0] = value
    halves[1] = value < 0 ? 0xffff_ffff : 0
  }
}

function varintLength(low: number, high: number): number {
  if (high === 0) {
    return low < 0x80 ? 1 : low < 0x4000 ? 2 : low < 0x20_0000 ? 3 : low < 0x1000_0000 ? 4 : 5
  }
  return high < 0x8
    ? 5
    : high < 0x400
      ? 6
      : high < 0x2_0000
        ? 7
        : high < 0x100_0000
          ? 8
          : high < 0x8000_0000
            ? 9
            : 10
}

function putVarint(out: Uint8Array, start: number, low: number, high: number): number {
  let at = start
  let lo = low
  let hi = high
  while (hi !== 0) {
    out[at++] = (lo & 0x7f) | 0x80
    lo = ((lo >>> 7) | (hi << 25)) >>> 0
    hi >>>= 7
  }
  while (lo > 0x7f) {
    out[at++] = (lo & 0x7f) | 0x80
    lo >>>= 7
  }
  out[at++] = lo
  return at
}

/** Field with a number: field numbers up to 15 only, as all scalars have. */
function varintValue(field: number, value: number | bigint): Buffer {
  split(value)
  const low = halves[0]!
  const high = halves[1]!
  const out = Buffer.allocUnsafe(1 + varintLength(low, high))
  out[0] = field << 3
  putVarint(out, 1, low, high)
  return out
}

function doubleValue(value: number): Buffer {
  if (Number.isNaN(value)) return NULL_VALUE
  const out = Buffer.allocUnsafe(9)
  out[0] = 0x29
  out.writeDoubleLE(value, 1)
  return out
}

function floatValue(value: number): Buffer {
  if (Number.isNaN(value)) return NULL_VALUE
  const out = Buffer.allocUnsafe(5)
  out[0] = 0x35
  out.writeFloatLE(value, 1)
  return out
}

/** Tag and length in front of `contentBytes` bytes still to be written; returns where they start. */
function openField(field: number, contentBytes: number): { out: Buffer; at: number } {
  const tag = ((field << 3) | 2) >>> 0
  const head = varintLength(tag, 0) + varintLength(contentBytes, 0)
  const out = Buffer.allocUnsafe(head + contentBytes)
  return { out, at: putVarint(out, putVarint(out, 0, tag, 0), contentBytes, 0) }
}

function lengthDelimited(field: number, content: Uint8Array): Buffer {
  const { out, at } = openField(field, content.length)
  out.set(content, at)
  return out
}

function textValue(field: number, text: string): Buffer {
  const bytes = textBytes(text)
  const { out, at } = openField(field, bytes)
  writeText(out, at, text, bytes)
  return out
}

function zonedValue(cell: Present, fail: Fail): Buffer {
  const { micros, zone } = cell as ZonedCell
  if (typeof micros !== 'bigint' || typeof zone !== 'string') return fail(cell, 'not a time with a zone')
  const seconds = floorSeconds(micros)
  const message = [
    ...(seconds === 0n ? [] : [varintValue(1, seconds)]),
    ...(zone === '' ? [] : [textValue(2, zone)]),
  ]
  return lengthDelimited(VALUE_TYPE_NUMBERS.ZONED_TIMESTAMP, Buffer.concat(message))
}

// Lists and sets.

function listEncoder(valueType: ValueType, element: ValueType, type: FeastType, fail: Fail): Encoder {
  const field = VALUE_TYPE_NUMBERS[valueType]
  const content = listContent(element, type.fields, fail)
  return (cell) => {
    const items = typeof cell === 'string' && element === 'MAP' ? parseJson(cell, fail) : cell
    return Array.isArray(items) ? lengthDelimited(field, content(items)) : fail(cell, 'not a list')
  }
}

type ListContent = (items: readonly Cell[]) => Uint8Array

/** Content of a BytesList, Int64List, …: field 1, packed where it is numbers. A null is its type's zero. */
function listContent(element: ValueType, fields: FeastType['fields'], fail: Fail): ListContent {
  switch (element) {
    case 'INT32':
      return (items) => packedVarints(items, (item) => (item === null ? 0 : int32Of(item, fail)))
    case 'INT64':
      return (items) => packedVarints(items, (item) => (item === null ? 0 : int64Of(item, fail)))
    case 'UNIX_TIMESTAMP':
      return (items) => packedVarints(items, (item) => (item === null ? NULL_SECONDS : secondsOf(item, fail)))
    case 'BOOL':
      return (items) => packedVarints(items, (item) => (item !== null && boolOf(item, fail) ? 1 : 0))
    case 'DOUBLE':
      return (items) => packedDoubles(items.map((item) => (item === null ? 0 : numberOf(item, fail))))
    case 'FLOAT':
      return (items) => packedFloats(items.map((item) => (item === null ? 0 : numberOf(item, fail))))
    case 'BYTES':
      return (items) => repeated(items, (item) => (item === null ? NULL_VALUE : bytesOf(item, fail)))
    case 'JSON':
      return (items) => repeated(items, (item) => Buffer.from(item === null ? 'null' : jsonOf(item, fail)))
    case 'MAP':
    case 'STRUCT': {
      const encodeMap = mapEncoder(fields, fail)
      return (items) => repeated(items, (item) => (item === null ? NULL_VALUE : encodeMap(item)))
    }
    default:
      return (items) => repeated(items, (item) => Buffer.from(item === null ? '' : textOf(item, fail)))
  }
}

let scratch = Buffer.allocUnsafe(1024)

function packedVarints(items: readonly Cell[], value: (item: Cell) => number | bigint): Uint8Array {
  if (items.length === 0) return NULL_VALUE
  if (scratch.length < items.length * 10) scratch = Buffer.allocUnsafe(items.length * 20)
  let at = 0
  for (const item of items) {
    split(value(item ?? null))
    at = putVarint(scratch, at, halves[0]!, halves[1]!)
  }
  return lengthDelimited(1, scratch.subarray(0, at))
}

function packedDoubles(values: readonly number[]): Uint8Array {
  if (values.length === 0) return NULL_VALUE
  const { out, at } = openField(1, values.length * 8)
  values.forEach((value, index) => {
    out.writeDoubleLE(value, at + index * 8)
  })
  return out
}

function packedFloats(values: readonly number[]): Uint8Array {
  if (values.length === 0) return NULL_VALUE
  const { out, at } = openField(1, values.length * 4)
  values.forEach((value, index) => {
    out.writeFloatLE(value, at + index * 4)
  })
  return out
}

function repeated(items: readonly Cell[], content: (item: Cell) => Uint8Array): Uint8Array {
  return Buffer.concat(items.map((item) => lengthDelimited(1, content(item ?? null))))
}

/**
 * RepeatedValue. Feast types an inner list by what is in it, never by its declaration, and writes an empty one
 * as null, so that both look the same afterwards.
 */
function nestedEncoder(type: FeastType, fail: Fail): Encoder {
  const encodeItem = type.element ? innerEncoder(widened(type.element), fail) : untyped(fail)
  const field = VALUE_TYPE_NUMBERS[type.valueType]
  return (cell) => {
    if (!Array.isArray(cell)) return fail(cell, 'not a list')
    return lengthDelimited(
      field,
      repeated(cell, (item) => (isEmptyList(item) ? NULL_VALUE : encodeItem(item))),
    )
  }
}

function isEmptyList(item: Cell): boolean {
  return Array.isArray(item) && item.length === 0
}

function innerEncoder(type: FeastType, fail: Fail): (cell: Cell) => Buffer {
  const encode = encoderOf(type, fail)
  return (cell) => (cell === null || cell === undefined ? NULL_VALUE : encode(cell))
}

// Maps: their values carry no declared type on the wire.

const WIDER: Partial<Record<ValueType, ValueType>> = {
  INT32: 'INT64',
  FLOAT: 'DOUBLE',
  JSON: 'STRING',
  STRUCT: 'MAP',
  VALUE_SET: 'VALUE_LIST',
}

/** The type Python would find in a value of this type: all integers are INT64, all floats DOUBLE, sets lists. */
function widened(type: FeastType): FeastType {
  const element = elementTypeOf(type.valueType)
  if (element === undefined) return { ...type, valueType: WIDER[type.valueType] ?? type.valueType }
  const list = `${WIDER[element] ?? element}_LIST` as ValueType
  return { ...type, valueType: list }
}

type MapBytes = (cell: Present) => Buffer

/** Content of a Map message. Feast's own order of keys is a hash's; sorted, equal maps have equal bytes. */
function mapEncoder(fields: FeastType['fields'], fail: Fail): MapBytes {
  const byField = new Map(
    Object.entries(fields ?? {}).map(([name, type]) => [name, innerEncoder(widened(type), fail)]),
  )
  const encodeUntyped = untyped(fail)
  return (cell) => {
    const object = typeof cell === 'string' ? parseJson(cell, fail) : cell
    if (!isPlainObject(object)) return fail(cell, 'not an object')
    const entries = Object.entries(object).sort(([a], [b]) => compareMapKeys(a, b))
    return Buffer.concat(
      entries.map(([key, item]) => {
        const value = (byField.get(key) ?? encodeUntyped)(item ?? null)
        return lengthDelimited(1, Buffer.concat([textValue(1, key), lengthDelimited(2, value)]))
      }),
    )
  }
}

/** As protobuf's deterministic writer in Python: by bytes, but a longer key before the one it starts with. */
function compareMapKeys(a: string, b: string): number {
  if (a.startsWith(b) || b.startsWith(a)) return b.length - a.length
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
}

function isPlainObject(value: unknown): value is Readonly<Record<string, Cell>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof Uint8Array || value instanceof Map || value instanceof Date)
}

function parseJson(text: string, fail: Fail): Cell {
  try {
    return JSON.parse(text) as Cell
  } catch (error) {
    return fail(text, error instanceof Error ? error.message : 'not JSON')
  }
}

/** A whole Value, its type found in the cell as Feast finds it in a Python value. */
function untyped(fail: Fail): (cell: Cell) => Buffer {
  return (cell) => {
    if (cell === null || cell === undefined || isEmptyList(cell)) return NULL_VALUE
    const valueType = typeOfCell(cell)
    return valueType ? encoderOf({ valueType }, fail)(cell) : fail(cell, 'its parts are of different types')
  }
}

function typeOfCell(cell: Present): ValueType | undefined {
  if (Array.isArray(cell)) return listTypeOf(cell)
  if (cell instanceof Uint8Array) return 'BYTES'
  if (cell instanceof Date) return 'UNIX_TIMESTAMP'
  if (cell instanceof Map) return 'SCALAR_MAP'
  return TYPE_OF_JS[typeof cell] ?? 'MAP'
}

const TYPE_OF_JS: Readonly<Record<string, ValueType>> = {
  string: 'STRING',
  bigint: 'INT64',
  number: 'DOUBLE',
  boolean: 'BOOL',
}

function listTypeOf(items: readonly Cell[]): ValueType | undefined {
  const kinds = new Set(items.filter((item) => item !== null).map((item) => typeOfCell(item as Present)))
  const [kind] = kinds
  if (kinds.size === 2 && kinds.has('INT64') && kinds.has('DOUBLE')) return 'DOUBLE_LIST'
  if (kinds.size === 0) return 'VALUE_LIST'
  if (kind === undefined || kinds.size > 1) {
    return [...kinds].every((one) => one !== undefined && isCollection(one)) ? 'VALUE_LIST' : undefined
  }
  return isCollection(kind) ? 'VALUE_LIST' : (`${kind}_LIST` as ValueType)
}

function isCollection(valueType: ValueType): boolean {
  return isListType(valueType) || isSetType(valueType)
}

// ScalarMap: keys of any type but text.

function scalarMap(cell: Present, fail: Fail): Buffer {
  if (!(cell instanceof Map)) return fail(cell, 'not a Map')
  const encodeUntyped = untyped(fail)
  return Buffer.concat(
    [...(cell as ReadonlyMap<Cell, Cell>)].map(([key, value]) => {
      const entry = [lengthDelimited(1, mapKey(key, fail)), lengthDelimited(2, encodeUntyped(value))]
      return lengthDelimited(1, Buffer.concat(entry))
    }),
  )
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

function mapKey(key: Cell, fail: Fail): Buffer {
  if (typeof key === 'boolean') return varintValue(5, key ? 1 : 0)
  if (typeof key === 'bigint') return varintValue(2, int64Of(key, fail))
  if (typeof key === 'number') {
    const out = Buffer.allocUnsafe(9)
    out[0] = 0x21
    out.writeDoubleLE(key, 1)
    return out
  }
  if (key instanceof Date) return varintValue(6, secondsOf(key, fail))
  if (key instanceof Uint8Array) return lengthDelimited(7, key)
  if (typeof key === 'string') return textValue(UUID.test(key) ? 8 : 10, key)
  return fail(key, 'not a key that a ScalarMap can have')
}
