import assert from 'node:assert'
import { ENUMS, type FieldRow, MESSAGES, type MessageTypes } from './messages.generated.js'
import {
  asBuffer,
  BYTES,
  eachField,
  eachFixed,
  eachPacked,
  FIXED32,
  FIXED64,
  MalformedMessage,
  readText,
  readVarint32,
  readVarint64,
  VARINT,
} from './wire.js'

/**
 * Protobuf messages ↔ plain objects, driven by the table that scripts/protos.mjs makes of protos/. A field that
 * is absent is undefined; int64 is bigint, bytes are Buffers, maps are Maps, enums are their numbers. Fields the
 * table does not know stay with the object and are written again behind the others, as Feast's own writer does.
 * A library would do as well, but for its loading time (one `node -e 0`) and the unknown fields it drops.
 */
export type MessageName = keyof MessageTypes

/** Raw bytes of a message's unknown fields. */
export const UNKNOWN: unique symbol = Symbol('unknown fields')

type Value = unknown
type Message = { [field: string]: Value; [UNKNOWN]?: readonly Uint8Array[] }

export interface FieldShape {
  readonly number: number
  /** camelCase, as in objects and JSON. */
  readonly name: string
  readonly protoName: string
  /** Scalar type, message or enum name; of a map, of its values. */
  readonly type: string
  readonly repeated: boolean
  readonly map: boolean
  /** Fields of one group exclude each other, and are present even with their default. */
  readonly oneof: string | undefined
  readonly wireType: number
  readonly isMessage: boolean
}

export interface Shape {
  readonly fields: readonly FieldShape[]
  readonly byNumber: ReadonlyMap<number, FieldShape>
}

const shapes = new Map<string, Shape>()

export function shapeOf(message: string): Shape {
  let shape = shapes.get(message)
  if (!shape) {
    const rows = MESSAGES[message]
    assert(rows, `no message ${message}`)
    const fields = rows.map(fieldShape)
    shape = { fields, byNumber: new Map(fields.map((field) => [field.number, field])) }
    shapes.set(message, shape)
  }
  return shape
}

function fieldShape([number, protoName, rowType, label]: FieldRow): FieldShape {
  const type = label === 'map' ? rowType.slice(rowType.indexOf(' ') + 1) : rowType
  return {
    number,
    name: protoName.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    protoName,
    type,
    repeated: label === 'repeated',
    map: label === 'map',
    oneof: label.startsWith('oneof ') ? label.slice(6) : undefined,
    wireType: wireTypeOf(type),
    isMessage: isMessage(type),
  }
}

export function isMessage(type: string): boolean {
  return type in MESSAGES
}

export function enumNames(type: string): Readonly<Record<number, string>> | undefined {
  return ENUMS[type]
}

/** @throws MalformedMessage on bytes that are not this message */
export function decodeMessage<Name extends MessageName>(name: Name, bytes: Uint8Array): MessageTypes[Name] {
  return readMessage(name, asBuffer(bytes), 0, bytes.length, {}, 0) as MessageTypes[Name]
}

/** Deeper nesting than any definition has; deeper still would end the process, not the message. */
const MAX_DEPTH = 100

function readMessage(type: string, bytes: Buffer, start: number, end: number, into: Message, depth: number) {
  if (depth > MAX_DEPTH) throw new MalformedMessage('messages nested too deep', start)
  const { byNumber, fields } = shapeOf(type)
  eachField(bytes, start, end, (number, wireType, fieldStart, valueStart, fieldEnd) => {
    const field = byNumber.get(number)
    if (field === undefined) {
      into[UNKNOWN] = [...(into[UNKNOWN] ?? []), bytes.subarray(fieldStart, fieldEnd)]
      return
    }
    if (field.oneof !== undefined) clearOthers(into, fields, field)
    if (field.map) readEntry(field, wireType, bytes, valueStart, fieldEnd, into, depth)
    else if (field.repeated) readElement(field, wireType, bytes, valueStart, fieldEnd, into, depth)
    else into[field.name] = readValue(field, wireType, bytes, valueStart, fieldEnd, into[field.name], depth)
  })
  return into
}

function clearOthers(message: Message, fields: readonly FieldShape[], arm: FieldShape): void {
  for (const field of fields) {
    if (field.oneof === arm.oneof && field !== arm) delete message[field.name]
  }
}

function readValue(
  { type, name, wireType: expected, isMessage }: FieldShape,
  wireType: number,
  bytes: Buffer,
  start: number,
  end: number,
  previous: Value,
  depth: number,
): Value {
  if (wireType !== expected) {
    throw new MalformedMessage(`field "${name}" has wire type ${wireType}`, start)
  }
  switch (type) {
    case 'string':
      return readText(bytes, start, end)
    case 'bool':
      return readVarint64(bytes, start, end) !== 0n
    case 'int64':
      return BigInt.asIntN(64, readVarint64(bytes, start, end))
    case 'bytes':
      return bytes.subarray(start, end)
    case 'uint64':
      return readVarint64(bytes, start, end)
    case 'uint32':
      return readVarint32(bytes, start, end)
    case 'float':
      return bytes.readFloatLE(start)
    case 'double':
      return bytes.readDoubleLE(start)
    default:
      if (isMessage) return readMessage(type, bytes, start, end, (previous ?? {}) as Message, depth + 1)
      return readVarint32(bytes, start, end) | 0
  }
}

function wireTypeOf(type: string): number {
  if (type === 'float') return FIXED32
  if (type === 'double') return FIXED64
  return type === 'string' || type === 'bytes' || isMessage(type) ? BYTES : VARINT
}

function readElement(
  field: FieldShape,
  wireType: number,
  bytes: Buffer,
  start: number,
  end: number,
  into: Message,
  depth: number,
): void {
  into[field.name] ??= []
  const list = into[field.name] as Value[]
  const add = (from: number, to: number) => {
    list.push(readValue(field, field.wireType, bytes, from, to, undefined, depth))
  }
  if (wireType === BYTES && field.wireType === VARINT) eachPacked(bytes, start, end, add)
  else if (wireType === BYTES && field.wireType !== BYTES) {
    eachFixed(field.wireType === FIXED64 ? 8 : 4, start, end, add)
  } else list.push(readValue(field, wireType, bytes, start, end, undefined, depth))
}

function readEntry(
  field: FieldShape,
  wireType: number,
  bytes: Buffer,
  start: number,
  end: number,
  into: Message,
  depth: number,
): void {
  if (wireType !== BYTES) throw new MalformedMessage(`field "${field.name}" has wire type ${wireType}`, start)
  let key = ''
  let value: Value
  eachField(bytes, start, end, (number, entryWire, _start, valueStart, fieldEnd) => {
    if (number === 1) key = readText(bytes, valueStart, fieldEnd)
    if (number === 2) value = readValue(field, entryWire, bytes, valueStart, fieldEnd, value, depth)
  })
  into[field.name] ??= new Map()
  const map = into[field.name] as Map<string, Value>
  map.set(key, value ?? defaultOf(field.type))
}

function defaultOf(type: string): Value {
  if (type === 'string') return ''
  if (type === 'bytes') return Buffer.alloc(0)
  return isMessage(type) ? {} : 0
}

/** Fields in order of their numbers, then unknown ones: the bytes that Feast writes for the same message. */
export function encodeMessage<Name extends MessageName>(name: Name, message: MessageTypes[Name]): Buffer {
  const writer = new Writer()
  writer.message(name, message as Message)
  return writer.finish()
}

class Writer {
  #bytes = Buffer.allocUnsafe(256)
  #at = 0

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at))
  }

  message(type: string, message: Message): void {
    for (const field of shapeOf(type).fields) {
      const value = message[field.name]
      if (value === undefined) continue
      if (field.map) this.#map(field, value as ReadonlyMap<string, Value>)
      else if (field.repeated) this.#list(field, value as readonly Value[])
      else if (field.oneof !== undefined || !isDefault(value)) this.#field(field, field.number, value)
    }
    for (const raw of message[UNKNOWN] ?? []) this.#raw(raw)
  }

  #map(field: FieldShape, map: ReadonlyMap<string, Value>): void {
    for (const [key, value] of map) {
      this.#nested(field.number, () => {
        this.#text(1, key)
        this.#field(field, 2, value)
      })
    }
  }

  #list(field: FieldShape, list: readonly Value[]): void {
    if (field.wireType === BYTES) for (const value of list) this.#field(field, field.number, value)
    else if (list.length > 0)
      this.#nested(field.number, () => {
        for (const value of list) this.#scalar(field.wireType, value as number)
      })
  }

  #field({ type, wireType }: FieldShape, number: number, value: Value): void {
    if (wireType !== BYTES) {
      this.#varint((number << 3) | wireType)
      this.#scalar(wireType, value as number | bigint | boolean)
    } else if (type === 'string') this.#text(number, value as string)
    else if (type === 'bytes') this.#nested(number, () => this.#raw(value as Uint8Array))
    else this.#nested(number, () => this.message(type, value as Message))
  }

  #scalar(wireType: number, value: number | bigint | boolean): void {
    if (wireType === FIXED32) this.#at = this.#room(4).writeFloatLE(value as number, this.#at)
    else if (wireType === FIXED64) this.#at = this.#room(8).writeDoubleLE(value as number, this.#at)
    else this.#varint(typeof value === 'boolean' ? Number(value) : value)
  }

  #text(number: number, text: string): void {
    const length = Buffer.byteLength(text)
    this.#varint((number << 3) | BYTES)
    this.#varint(length)
    this.#at += this.#room(length).write(text, this.#at)
  }

  /** Most contents are under 128 bytes, so one byte is left for the length and more are made when needed. */
  #nested(number: number, content: () => void): void {
    this.#varint((number << 3) | BYTES)
    this.#room(1)
    const start = ++this.#at
    content()
    const length = this.#at - start
    const extra = varintLength(length) - 1
    if (extra > 0) this.#room(extra).copyWithin(start + extra, start, this.#at)
    this.#at = start - 1
    this.#varint(length)
    this.#at += length
  }

  #varint(value: number | bigint): void {
    const room = this.#room(10)
    let small = Number(value)
    if (small >= 0 && small <= 0xffff_ffff) {
      for (; small > 0x7f; small = Math.floor(small / 128)) room[this.#at++] = (small & 0x7f) | 0x80
      room[this.#at++] = small
      return
    }
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest > 0x7fn; rest >>= 7n) room[this.#at++] = Number(rest & 0x7fn) | 0x80
    room[this.#at++] = Number(rest)
  }

  #raw(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#at)
    this.#at += bytes.length
  }

  #room(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + length))
      larger.set(this.#bytes.subarray(0, this.#at))
      this.#bytes = larger
    }
    return this.#bytes
  }
}

function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) length++
  return length
}

function isDefault(value: Value): boolean {
  return (
    value === '' ||
    value === 0 ||
    value === 0n ||
    value === false ||
    (Buffer.isBuffer(value) && value.length === 0)
  )
}
