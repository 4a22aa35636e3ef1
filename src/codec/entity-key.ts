import type { Cell, ColumnVector, VectorLayout } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { type FeastType, type ValueType, valueTypeOf } from '../core/value-type.js'
import type { ByteWriter } from './byte-writer.js'
import { textBytes, writeText } from './short-text.js'
import { floorSeconds } from './timestamp.js'
import { type Column, copyText, textSize } from './vector-packer.js'
import { asBuffer } from './wire.js'

export interface JoinKey {
  readonly name: string
  readonly type: FeastType
}

export type EntityKeyVersion = 2 | 3

/** Join key values as cells, in the order the join keys were given in, to key bytes. */
export type EntityKeyEncoder = (values: readonly Cell[]) => Buffer

/**
 * Feast's entity key bytes. Sorting and headers are done here, once per set of join keys.
 * @param suffix appended to every key (Redis appends the project's name)
 * @throws INVALID_DEFINITION for a type that cannot be a join key; the encoder throws ENTITY_VALUE_INVALID
 */
export function entityKeyEncoder(
  joinKeys: readonly JoinKey[],
  version: EntityKeyVersion,
  suffix = '',
): EntityKeyEncoder {
  const { names, parts } = keyParts(joinKeys, version)
  const tail = Buffer.from(suffix, 'utf8')
  if (parts.length === 0) return () => Buffer.concat([names, tail])
  const fixedBytes = tail.length + parts.reduce((sum, { lead }) => sum + lead.length, 0)

  return (values) => {
    let length = fixedBytes
    for (const { payload, index, name } of parts) length += payload.size(values[index], name)
    const out = Buffer.allocUnsafe(length)
    let at = 0
    for (const { payload, lead, index } of parts) {
      out.set(lead, at)
      at = payload.write(out, at + lead.length, values[index]!)
    }
    if (tail.length > 0) out.set(tail, at)
    return out
  }
}

/** Appends a row's key. Values must not be null. @throws ENTITY_VALUE_INVALID */
export type KeyPacker = (out: ByteWriter, row: number) => void

/**
 * Keys as {@link entityKeyEncoder} makes them, of columns in the order of the join keys.
 * @throws INVALID_DEFINITION for a type that cannot be a join key
 */
export function entityKeyPacker(
  joinKeys: readonly JoinKey[],
  version: EntityKeyVersion,
): (columns: readonly Column[]) => KeyPacker {
  const { parts } = keyParts(joinKeys, version)
  return (columns) => {
    const packers = parts.map((part) => partPacker(part, columns[part.index]!))
    return (out, row) => {
      for (let i = 0; i < packers.length; i++) packers[i]!(out, row)
    }
  }
}

function partPacker({ payload, lead, name }: KeyPart, column: Column): KeyPacker {
  if ('vector' in column) {
    const { vector } = column
    return (out, row) => {
      out.slice(lead, 0, lead.length)
      payload.copy!.value(out, vector, row)
    }
  }
  const { cells } = column
  return (out, row) => {
    const cell = cells[row]!
    const size = payload.size(cell, name)
    out.slice(lead, 0, lead.length)
    out.reserve(size)
    out.length = payload.write(out.bytes, out.length, cell)
  }
}

/** How a vector must lie for a join key of this type to be read from it. */
export function keyLayout({ valueType }: FeastType): VectorLayout | undefined {
  return PAYLOADS[valueType]?.copy?.layout
}

interface KeyPart {
  readonly name: string
  readonly index: number
  readonly payload: Payload
  /** What stands before the value: its head, and all names before the first. */
  readonly lead: Buffer
}

function keyParts(
  joinKeys: readonly JoinKey[],
  version: EntityKeyVersion,
): { readonly names: Buffer; readonly parts: readonly KeyPart[] } {
  const sorted = sortByName(joinKeys.map((key, index) => ({ ...key, index, payload: payloadOf(key) })))
  const names = keyNames(
    sorted.map(({ name }) => name),
    version,
  )
  // The names stand in front of the first value, so they are copied together with its head.
  const parts = sorted.map((part, at) => ({
    ...part,
    lead: at === 0 ? Buffer.concat([names, part.payload.head]) : part.payload.head,
  }))
  return { names, parts }
}

/** One key; where there are many of one shape, use {@link entityKeyEncoder}. */
export function encodeEntityKey(
  joinKeys: readonly JoinKey[],
  values: readonly Cell[],
  version: EntityKeyVersion,
): Buffer {
  return entityKeyEncoder(joinKeys, version)(values)
}

/** What the keys of these join keys start with: everything but the values. */
export function entityKeyPrefix(joinKeys: readonly string[], version: EntityKeyVersion = 3): Buffer {
  return keyNames(
    sortByName(joinKeys.map((name) => ({ name }))).map(({ name }) => name),
    version,
  )
}

/** UTF-8 bytes sort as code points do; JavaScript's own order of strings differs past U+FFFF. */
function sortByName<T extends { readonly name: string }>(keys: readonly T[]): T[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a.name, 'utf8'), Buffer.from(b.name, 'utf8')))
}

const STRING_CODE = 2

function keyNames(sorted: readonly string[], version: EntityKeyVersion): Buffer {
  const names = sorted.map((name) => Buffer.from(name, 'utf8'))
  if (version === 2) return Buffer.concat(names.flatMap((name) => [uint32(STRING_CODE), name]))
  return Buffer.concat([
    uint32(names.length),
    ...names.flatMap((name) => [uint32(STRING_CODE), uint32(name.length), name]),
  ])
}

/** `head` is what stands before every value: type code, and the length where it is fixed. */
interface Payload {
  readonly head: Buffer
  size(cell: Cell | undefined, name: string): number
  write(out: Buffer, at: number, cell: Cell): number
  /** The same from a vector, where one can lie so. */
  readonly copy?: {
    readonly layout: VectorLayout
    value(out: ByteWriter, vector: ColumnVector, row: number): void
  }
}

function payloadOf({ name, type: { valueType } }: JoinKey): Payload {
  const payload = PAYLOADS[valueType]
  if (payload) return payload
  throw feastError('INVALID_DEFINITION', {
    object: `Join key "${name}"`,
    problem: `${valueType} values have no place in Feast's entity keys`,
    mend: 'Use String, Bytes, Int32, Int64 or UnixTimestamp.',
  })
}

const INT64_HEAD = Buffer.concat([uint32(4), uint32(8)])

const PAYLOADS: Partial<Record<ValueType, Payload>> = {
  BYTES: {
    head: uint32(1),
    size: (cell, name) => (cell instanceof Uint8Array ? 4 + cell.length : misfit(cell, name, 'BYTES')),
    write(out, at, cell) {
      const bytes = cell as Uint8Array
      out.set(bytes, out.writeUInt32LE(bytes.length, at))
      return at + 4 + bytes.length
    },
  },
  STRING: {
    head: uint32(STRING_CODE),
    size: (cell, name) => (typeof cell === 'string' ? 4 + textBytes(cell) : misfit(cell, name, 'STRING')),
    write(out, at, cell) {
      const end = writeText(out, at + 4, cell as string, textBytes(cell as string))
      out.writeUInt32LE(end - at - 4, at)
      return end
    },
    copy: {
      layout: 'text',
      value(out, vector, row) {
        const size = textSize(vector, row)
        out.reserve(4)
        out.length = out.bytes.writeUInt32LE(size, out.length)
        copyText(out, vector, row, size)
      },
    },
  },
  INT32: {
    head: Buffer.concat([uint32(3), uint32(4)]),
    size: (cell, name) => (typeof cell === 'number' && (cell | 0) === cell ? 4 : misfit(cell, name, 'INT32')),
    write: (out, at, cell) => out.writeInt32LE(cell as number, at),
    copy: { layout: 'int32', value: (out, { bytes }, row) => out.slice(bytes, 4 * row, 4 * row + 4) },
  },
  INT64: {
    head: INT64_HEAD,
    size: (cell, name) =>
      typeof cell === 'bigint' && BigInt.asIntN(64, cell) === cell ? 8 : misfit(cell, name, 'INT64'),
    write: (out, at, cell) => writeInt64(out, at, cell as bigint),
    copy: { layout: 'int64', value: (out, { bytes }, row) => out.slice(bytes, 8 * row, 8 * row + 8) },
  },
  UNIX_TIMESTAMP: {
    head: Buffer.concat([uint32(8), uint32(8)]),
    size: (cell, name) => (typeof cell === 'bigint' ? 8 : misfit(cell, name, 'UNIX_TIMESTAMP')),
    write: (out, at, cell) => writeInt64(out, at, floorSeconds(cell as bigint)),
  },
}

const int64 = new BigInt64Array(1)
const int64Bytes = new Uint8Array(int64.buffer)

/** Several times as fast as Buffer's own, which does sums with BigInts. */
function writeInt64(out: Buffer, at: number, value: bigint): number {
  int64[0] = value
  for (let i = 0; i < 8; i++) out[at + i] = int64Bytes[i]!
  return at + 8
}

function misfit(cell: Cell | undefined, column: string, type: string): never {
  const value = cell === null || cell === undefined ? 'null' : `${typeof cell} ${String(cell)}`
  const why = cell === null || cell === undefined ? 'a key must have a value' : 'it does not fit'
  throw feastError('ENTITY_VALUE_INVALID', { value, column, type, why })
}

function uint32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}

export interface DecodedEntityKey {
  readonly joinKeys: readonly string[]
  readonly values: readonly { readonly valueType: ValueType; readonly cell: Cell }[]
}

/** Version 3 only, as in Feast: version 2 does not say where a name ends. @throws BYTES_UNREADABLE */
export function decodeEntityKey(bytes: Uint8Array): DecodedEntityKey {
  const buffer = asBuffer(bytes)
  const joinKeys: string[] = []
  const values: { valueType: ValueType; cell: Cell }[] = []
  let at = take(buffer, 0, 4, 'the number of keys')
  for (let left = buffer.readUInt32LE(0); left > 0; left--) {
    const start = take(buffer, at, 8, 'the head of a key')
    const code = buffer.readUInt32LE(at)
    if (code !== STRING_CODE) throw unreadable(`a key's name has type ${code}, not ${STRING_CODE}`)
    at = take(buffer, start, buffer.readUInt32LE(at + 4), 'the name of a key')
    // Feast pads names with NUL in places and strips them when it reads.
    joinKeys.push(buffer.toString('utf8', start, at).replace(/\0+$/, ''))
  }
  while (at < buffer.length) {
    const start = take(buffer, at, 8, 'the head of a value')
    const code = buffer.readUInt32LE(at)
    at = take(buffer, start, buffer.readUInt32LE(at + 4), 'a value')
    values.push(decodePayload(code, buffer.subarray(start, at)))
  }
  return { joinKeys, values }
}

function take(buffer: Buffer, at: number, bytes: number, what: string): number {
  if (at + bytes > buffer.length) throw unreadable(`the bytes end inside ${what}`)
  return at + bytes
}

function decodePayload(code: number, payload: Buffer): { valueType: ValueType; cell: Cell } {
  const valueType = valueTypeOf(code)
  const fixed = FIXED_BYTES[code]
  if (fixed !== undefined && payload.length !== fixed) {
    throw unreadable(`a value of type ${valueType} has ${payload.length} bytes, not ${fixed}`)
  }
  if (valueType === 'BYTES') return { valueType, cell: payload }
  if (valueType === 'STRING') return { valueType, cell: payload.toString('utf8') }
  if (valueType === 'INT32') return { valueType, cell: payload.readInt32LE(0) }
  if (valueType === 'INT64') return { valueType, cell: payload.readBigInt64LE(0) }
  if (valueType === 'UNIX_TIMESTAMP') {
    return { valueType, cell: payload.readBigInt64LE(0) * 1_000_000n }
  }
  throw unreadable(`a value has the type ${code}, which no join key can have`)
}

const FIXED_BYTES: Readonly<Record<number, number>> = { 3: 4, 4: 8, 8: 8 }

function unreadable(why: string): Error {
  return feastError('BYTES_UNREADABLE', { what: 'The entity key', why })
}
