import { feastError } from '../../core/errors.js'
import {
  countOf,
  elementBytes,
  type Tensor,
  type TensorData,
  type TensorType,
  tensorData,
  typedArrayOver,
} from '../../core/tensor.js'

/** Tensors as the Open Inference Protocol names, writes and reads them. */

const DATATYPES: Readonly<Record<TensorType, string>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
}
const TYPES: ReadonlyMap<string, TensorType> = new Map(
  (Object.entries(DATATYPES) as [TensorType, string][]).map(([type, name]) => [name, type]),
)

export function datatypeOf(type: TensorType): string {
  return DATATYPES[type]
}

/** @throws INVALID_VALUE */
export function typeOfDatatype(datatype: unknown, tensor: string): TensorType {
  const type = TYPES.get(datatype as string)
  if (type !== undefined) return type
  throw wrong(tensor, `the datatype ${short(datatype)} is not one of ${[...TYPES.keys()].join(', ')}`)
}

/** More values are more than any body holds. */
const MAX_ELEMENTS = 2 ** 27

/** @throws INVALID_VALUE */
export function checkShape(shape: unknown, tensor: string): readonly number[] {
  const isShape =
    Array.isArray(shape) &&
    shape.length <= 16 &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0)
  if (!isShape) throw wrong(tensor, `the shape ${short(shape)} is no list of sizes`)
  if (countOf(shape) > MAX_ELEMENTS) throw wrong(tensor, `the shape ${short(shape)} is of too many values`)
  return shape as number[]
}

/** From JSON: flat or nested, in row-major order. @throws INVALID_VALUE */
export function tensorOfJson(
  type: TensorType,
  shape: readonly number[],
  given: unknown,
  name: string,
): Tensor {
  const count = countOf(shape)
  if (!Array.isArray(given)) throw wrong(name, 'data is no list')
  const data = tensorData(type, count)
  if (given.length === count && copyFloats(given, data)) return { type, shape, data }
  const read = READERS[type] ?? integerReader(type)
  let at = 0
  const visit = (values: readonly unknown[], depth: number) => {
    for (const value of values) {
      if (Array.isArray(value)) {
        if (depth >= shape.length)
          throw wrong(name, `data is nested deeper than the shape [${shape.join(', ')}]`)
        visit(value, depth + 1)
        continue
      }
      const element = read(value)
      if (element === undefined) throw wrong(name, `${short(value)} is no ${DATATYPES[type]}`)
      if (at < count) data[at] = element as never
      at++
    }
  }
  visit(given, 1)
  if (at !== count) throw wrong(name, `shape [${shape.join(', ')}] needs ${count} values, and data has ${at}`)
  return { type, shape, data }
}

/** What most tensors are, in a fifth of the time. @returns false where there is anything but numbers, or none are wanted */
function copyFloats(given: readonly unknown[], data: TensorData): boolean {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return false
  for (let i = 0; i < data.length; i++) {
    const value = given[i]
    if (typeof value !== 'number') return false
    data[i] = value
  }
  return true
}

type Element = number | bigint | string

const float = (value: unknown): Element | undefined =>
  typeof value === 'number'
    ? value
    : value === null
      ? Number.NaN
      : typeof value === 'bigint'
        ? Number(value)
        : undefined

const READERS: Partial<Record<TensorType, (value: unknown) => Element | undefined>> = {
  float32: float,
  float64: float,
  float16: (value) => {
    const found = float(value)
    return found === undefined ? undefined : halfBits(found as number)
  },
  bool: (value) => (value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : undefined),
  string: (value) => (typeof value === 'string' && !/\p{Surrogate}/u.test(value) ? value : undefined),
}

function integerReader(type: TensorType): (value: unknown) => Element | undefined {
  const bits = BigInt(/\d+/.exec(type)![0])
  const isSigned = type.startsWith('int')
  const least = isSigned ? -(2n ** (bits - 1n)) : 0n
  const most = isSigned ? 2n ** (bits - 1n) - 1n : 2n ** bits - 1n
  const isWide = bits === 64n
  return (value) => {
    const whole = wholeOf(value, isWide)
    if (whole === undefined || whole < least || whole > most) return undefined
    return isWide ? whole : Number(whole)
  }
}

/** Past 2^53 a JSON number comes as a bigint, so that a double never stands for it; text is taken for 64 bits. */
function wholeOf(value: unknown, isWide: boolean): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return isWide && typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined
}

/** JSON text of the values, flat. What is no number in JSON is null. */
export function jsonOfTensor({ type, data }: Tensor): { readonly text: string; readonly isFinite: boolean } {
  let isFinite = true
  const parts = new Array<string>(data.length)
  for (let i = 0; i < data.length; i++) {
    const value = type === 'float16' ? halfValue(data[i] as number) : data[i]!
    if (typeof value === 'string') parts[i] = JSON.stringify(value)
    else if (type === 'bool') parts[i] = value === 1 ? 'true' : 'false'
    else if (typeof value === 'number' && !Number.isFinite(value)) {
      isFinite = false
      parts[i] = 'null'
    } else parts[i] = String(value)
  }
  return { text: `[${parts.join()}]`, isFinite }
}

/** From bytes: little-endian values back to back; a text is its length in four bytes, then itself. @throws INVALID_VALUE */
export function tensorOfBytes(
  type: TensorType,
  shape: readonly number[],
  bytes: Buffer,
  name: string,
): Tensor {
  const count = countOf(shape)
  if (type === 'string') return { type, shape, data: textsOf(bytes, count, name) }
  const expected = count * elementBytes(type)!
  if (bytes.length !== expected) {
    throw wrong(
      name,
      `shape [${shape.join(', ')}] of ${DATATYPES[type]} is ${expected} bytes, and ${bytes.length} came`,
    )
  }
  return { type, shape, data: typedArrayOver(type, bytes) }
}

function textsOf(bytes: Buffer, count: number, name: string): string[] {
  const texts: string[] = []
  let at = 0
  while (at < bytes.length) {
    const end = at + 4 <= bytes.length ? at + 4 + bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY
    if (end > bytes.length) throw wrong(name, 'the bytes end inside a text')
    texts.push(utf8(bytes.subarray(at + 4, end), name))
    at = end
  }
  if (texts.length === count) return texts
  throw wrong(name, `the shape needs ${count} texts, and ${texts.length} came`)
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws INVALID_VALUE */
export function utf8(bytes: Uint8Array, name: string): string {
  try {
    return strict.decode(bytes)
  } catch {
    throw wrong(name, 'a value is not UTF-8, which is all that models take as text')
  }
}

export function bytesOfTensor({ type, data }: Tensor): Buffer {
  if (type !== 'string') {
    const { buffer, byteOffset, byteLength } = data as Float32Array
    return Buffer.from(buffer, byteOffset, byteLength)
  }
  const parts = (data as readonly string[]).flatMap((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat(parts)
}

const FLOAT = new Float32Array(1)
const BITS = new Uint32Array(FLOAT.buffer)

/** The nearest half, ties to even, as its 16 bits. */
export function halfBits(value: number): number {
  FLOAT[0] = value
  const bits = BITS[0]!
  const sign = (bits >>> 16) & 0x8000
  const size = bits & 0x7fffffff
  if (size > 0x7f800000) return sign | 0x7e00
  if (size >= 0x477ff000) return sign | 0x7c00
  // Below the smallest normal half, the significand is counted in units of 2^-24.
  if (size < 0x38800000) return sign | roundHalf(Math.abs(FLOAT[0]) * 2 ** 24)
  const rounded = size - 0x38000000 + 0xfff + ((size >>> 13) & 1)
  return sign | (rounded >>> 13)
}

function roundHalf(units: number): number {
  const floor = Math.floor(units)
  const rest = units - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

export function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

export function wrong(tensor: string, why: string): Error {
  return feastError('INVALID_VALUE', { message: `Tensor "${tensor.slice(0, 100)}": ${why}.` })
}

function short(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
