import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { elementTypeOf, VALUE_TYPE_NUMBERS, type ValueType, valueTypeOf } from '../core/value-type.js'
import { asBuffer, BYTES, eachField, eachFixed, eachPacked, MalformedMessage, readText } from './wire.js'

export interface DecodedValue {
  /** NULL for no bytes, and for an arm that this release does not know. */
  readonly valueType: ValueType
  readonly cell: Cell
}

const ABSENT: DecodedValue = { valueType: 'NULL', cell: null }

/**
 * A `feast.types.Value`. Inside a MAP, where a cell carries its own type, INT32 reads as INT64, an instant as a
 * Date. @throws BYTES_UNREADABLE
 */
export function decodeValue(bytes: Uint8Array): DecodedValue {
  return bytes.length === 0 ? ABSENT : readable(() => decodeIn(asBuffer(bytes), 0, bytes.length))
}

/** The Value in `bytes[start..end)`. @throws MalformedMessage */
export function decodeValueAt(bytes: Buffer, start: number, end: number): DecodedValue {
  return start === end ? ABSENT : decodeIn(bytes, start, end)
}

/** By the tag with which a Value of the type begins. */
const COMMON_TYPES: Readonly<Record<number, ValueType>> = {
  18: 'STRING',
  32: 'INT64',
  41: 'DOUBLE',
  53: 'FLOAT',
  56: 'BOOL',
}

/** The type of the Value at `start`, if {@link decodeCommonAt} knows it. */
export function commonTypeAt(bytes: Buffer, start: number): ValueType | undefined {
  return COMMON_TYPES[bytes[start]!]
}

/**
 * What {@link decodeValueAt} decodes, for the most common types written in the usual way, without a walk over
 * fields and an object for the result: a third of the time. undefined for every other.
 */
export function decodeCommonAt(
  bytes: Buffer,
  start: number,
  end: number,
): number | bigint | boolean | string | undefined {
  switch (bytes[start]) {
    case 0x20:
      return isVarint(bytes, start + 1, end) ? readInt64(bytes, start + 1, end) : undefined
    case 0x29:
      return end - start === 9 ? bytes.readDoubleLE(start + 1) : undefined
    case 0x35:
      return end - start === 5 ? bytes.readFloatLE(start + 1) : undefined
    case 0x38:
      return end - start === 2 && bytes[start + 1]! < 2 ? bytes[start + 1] === 1 : undefined
    case 0x12:
      // One length byte, and the text is all there is.
      return bytes[start + 1]! < 0x80 && bytes[start + 1] === end - start - 2
        ? readText(bytes, start + 2, end)
        : undefined
    default:
      return undefined
  }
}

/** One number, and nothing after it. */
function isVarint(bytes: Buffer, start: number, end: number): boolean {
  const last = end - 1
  if (last < start || last - start > 9 || bytes[last]! >= 0x80) return false
  for (let at = start; at < last; at++) if (bytes[at]! < 0x80) return false
  return true
}

/** Runs a reader of Value bytes; what is malformed becomes BYTES_UNREADABLE. */
export function readable<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    throw feastError('BYTES_UNREADABLE', { what: 'A stored value', why: error.message }, error)
  }
}

function decodeIn(bytes: Buffer, start: number, end: number): DecodedValue {
  let found = ABSENT
  eachField(bytes, start, end, (number, wireType, _start, valueStart, valueEnd) => {
    const valueType = valueTypeOf(number)
    if (valueType === undefined || wireType !== WIRE_TYPES[number]) return
    found = { valueType, cell: decodeArm(valueType, bytes, valueStart, valueEnd) }
  })
  return found
}

/** Wire type of every arm: 0 number, 1 double, 5 float, 2 all else. */
export const WIRE_TYPES: readonly number[] = Array.from({ length: 64 }, (_, number) =>
  [3, 4, 7, 8, 19].includes(number) ? 0 : number === 5 ? 1 : number === 6 ? 5 : 2,
)

function decodeArm(valueType: ValueType, bytes: Buffer, start: number, end: number): Cell {
  const element = elementTypeOf(valueType)
  if (element !== undefined) return decodeList(element, bytes, start, end)
  switch (valueType) {
    case 'NULL':
      return null
    case 'MAP':
    case 'STRUCT':
      return decodeMap(bytes, start, end)
    case 'VALUE_LIST':
    case 'VALUE_SET':
      return collect(bytes, start, end, (from, to) => decodeIn(bytes, from, to).cell)
    case 'SCALAR_MAP':
      return decodeScalarMap(bytes, start, end)
    case 'ZONED_TIMESTAMP':
      return decodeZoned(bytes, start, end)
    default:
      return decodeScalar(valueType, bytes, start, end)
  }
}

function decodeScalar(valueType: ValueType, bytes: Buffer, start: number, end: number): Cell {
  switch (valueType) {
    case 'INT32':
      return Number(readInt64(bytes, start, end))
    case 'INT64':
      return readInt64(bytes, start, end)
    case 'BOOL':
      return readInt64(bytes, start, end) !== 0n
    case 'UNIX_TIMESTAMP':
      return readInt64(bytes, start, end) * 1_000_000n
    case 'DOUBLE':
      return bytes.readDoubleLE(start)
    case 'FLOAT':
      return bytes.readFloatLE(start)
    case 'BYTES':
      return bytes.subarray(start, end)
    default:
      return readText(bytes, start, end)
  }
}

/** A BigInt cast through memory: put together without BigInt arithmetic. */
const halves = new Uint32Array(2)
const whole = new BigInt64Array(halves.buffer)

/** The varint at `bytes[start..end)`, signed. */
export function readInt64(bytes: Uint8Array, start: number, end: number): bigint {
  let low = 0
  let high = 0
  for (let at = start, shift = 0; at < end; at++, shift += 7) {
    const part = bytes[at]! & 0x7f
    if (shift < 28) low |= part << shift
    else if (shift > 28) high |= part << (shift - 32)
    else {
      low |= part << 28
      high = part >>> 4
    }
  }
  halves[0] = low
  halves[1] = high
  return whole[0]!
}

function decodeList(element: ValueType, bytes: Buffer, start: number, end: number): Cell[] {
  if (element === 'MAP' || element === 'STRUCT') {
    return collect(bytes, start, end, (from, to) => decodeMap(bytes, from, to))
  }
  const cells: Cell[] = []
  eachElement(element, bytes, start, end, (from, to) => {
    cells.push(decodeScalar(element, bytes, from, to))
  })
  return cells
}

/** Where each element of a BytesList, Int64List, … stands; numbers may be packed or not. */
export function eachElement(
  element: ValueType,
  bytes: Buffer,
  start: number,
  end: number,
  visit: (start: number, end: number) => void,
): void {
  const wire = WIRE_TYPES[VALUE_TYPE_NUMBERS[element]]!
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number !== 1) return
    if (wireType === wire) visit(from, to)
    else if (wireType !== BYTES) return
    else if (wire === 0) eachPacked(bytes, from, to, visit)
    else eachFixed(wire === 1 ? 8 : 4, from, to, visit)
  })
}

function collect(
  bytes: Buffer,
  start: number,
  end: number,
  read: (start: number, end: number) => Cell,
): Cell[] {
  const cells: Cell[] = []
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number === 1 && wireType === BYTES) cells.push(read(from, to))
  })
  return cells
}

function decodeMap(bytes: Buffer, start: number, end: number): Record<string, Cell> {
  const entries: [string, Cell][] = []
  eachMapEntry(bytes, start, end, (key, from, to) => {
    entries.push([key, selfTyped(decodeIn(bytes, from, to))])
  })
  return Object.fromEntries(entries)
}

/** Entries of a Map message: key, and where the Value stands (nowhere when it is absent). */
export function eachMapEntry(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (key: string, start: number, end: number) => void,
): void {
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number !== 1 || wireType !== BYTES) return
    let key = ''
    let valueStart = 0
    let valueEnd = 0
    eachField(bytes, from, to, (part, partWire, _partStart, partFrom, partTo) => {
      if (partWire !== BYTES) return
      if (part === 1) key = readText(bytes, partFrom, partTo)
      else if (part === 2) [valueStart, valueEnd] = [partFrom, partTo]
    })
    visit(key, valueStart, valueEnd)
  })
}

/** The cell as one that says its type by itself, so that it is written back as it was read. */
function selfTyped({ valueType, cell }: DecodedValue): Cell {
  if (cell === null) return null
  switch (valueType) {
    case 'INT32':
      return BigInt(cell as number)
    case 'INT32_LIST':
      return (cell as readonly number[]).map((item) => BigInt(item))
    case 'UNIX_TIMESTAMP':
      return dateOf(cell as bigint)
    case 'UNIX_TIMESTAMP_LIST':
      return (cell as readonly bigint[]).map(dateOf)
    default:
      return cell
  }
}

function dateOf(micros: bigint): Date {
  return new Date(Number(micros / 1000n))
}

function decodeScalarMap(bytes: Buffer, start: number, end: number): Map<Cell, Cell> {
  const map = new Map<Cell, Cell>()
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number !== 1 || wireType !== BYTES) return
    let key: Cell = null
    let value: Cell = null
    eachField(bytes, from, to, (part, partWire, _partStart, partFrom, partTo) => {
      if (partWire !== BYTES) return
      if (part === 1) key = decodeMapKey(bytes, partFrom, partTo)
      else if (part === 2) value = selfTyped(decodeIn(bytes, partFrom, partTo))
    })
    map.set(key, value)
  })
  return map
}

const MAP_KEY_TYPES: readonly (ValueType | undefined)[] = [
  undefined,
  'INT32',
  'INT64',
  'FLOAT',
  'DOUBLE',
  'BOOL',
  'UNIX_TIMESTAMP',
  'BYTES',
  'UUID',
  'TIME_UUID',
  'DECIMAL',
]

function decodeMapKey(bytes: Buffer, start: number, end: number): Cell {
  let key: Cell = null
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    const valueType = MAP_KEY_TYPES[number]
    if (valueType === undefined || wireType !== WIRE_TYPES[VALUE_TYPE_NUMBERS[valueType]]) return
    key = selfTyped({ valueType, cell: decodeScalar(valueType, bytes, from, to) })
  })
  return key
}

function decodeZoned(bytes: Buffer, start: number, end: number): Cell {
  const { seconds, zone } = readZoned(bytes, start, end)
  return { micros: seconds * 1_000_000n, zone }
}

export function readZoned(bytes: Buffer, start: number, end: number): { seconds: bigint; zone: string } {
  let seconds = 0n
  let zone = ''
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number === 1 && wireType === 0) seconds = readInt64(bytes, from, to)
    else if (number === 2 && wireType === BYTES) zone = readText(bytes, from, to)
  })
  return { seconds, zone }
}
