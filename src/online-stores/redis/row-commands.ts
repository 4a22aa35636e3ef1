import type { EncodedRow } from '../../codec/rows.js'
import { encodeTimestamp } from '../../codec/timestamp.js'
import type { Micros } from '../../core/instant.js'
import { keySlot } from './key-slot.js'
import { encodeBulk } from './resp.js'
import type { RedisScript } from './scripts.js'

/** Commands in one buffer, so that each can be sent again by itself. */
export interface RowCommands {
  readonly payload: Buffer
  readonly commands: readonly RowCommand[]
}

export interface RowCommand {
  /** A key that the command is about; all of them lie on one node. */
  readonly key: Buffer
  readonly start: number
  readonly end: number
  /** Of a script: where its arguments start, how many they are, and how many rows they hold. */
  readonly script?: { readonly bodyStart: number; readonly args: number } | undefined
}

/** A view's fields, prepared once per batch. */
export interface RowFields {
  readonly timestamp: Buffer
  readonly features: readonly Buffer[]
}

/** Instead of seconds to live: those that an entity has; an entity that is no more gets no row. */
export const KEEP_EXPIRY = -1

/** Lua hands a command at most 8000 arguments, two per feature. */
const FEATURES_PER_PART = 3000

/** Calls of the script; on a cluster one per slot, since a script may touch keys of one slot only. */
export function scriptCommands(
  script: RedisScript,
  { timestamp, features }: RowFields,
  rows: readonly EncodedRow[],
  keys: readonly Buffer[],
  ttlSeconds: number,
  isSharded: boolean,
): RowCommands {
  const parts = Math.max(1, Math.ceil(features.length / FEATURES_PER_PART))
  const head = Buffer.concat(
    [timestamp, Buffer.from(String(ttlSeconds)), Buffer.from(String(parts))].map(encodeBulk),
  )
  const names = [timestamp, ...features].map(packed)
  const evalsha = Buffer.concat([encodeBulk(Buffer.from('EVALSHA')), encodeBulk(Buffer.from(script.sha))])
  const out = new ByteWriter()
  const commands = groups(keys, isSharded).map((group): RowCommand => {
    const start = out.length
    const args = 1 + group.length + 3 + group.length * (1 + parts)
    out.line(ASTERISK, args + 2)
    out.bytes(evalsha)
    const bodyStart = out.length
    const count = String(group.length)
    out.line(DOLLAR, count.length)
    out.bytes(Buffer.from(`${count}\r\n`))
    for (const row of group) out.bulk(keys[row]!)
    out.bytes(head)
    for (const row of group) writeRow(out, rows[row]!, names, parts)
    return { key: keys[group[0]!]!, start, end: out.length, script: { bodyStart, args } }
  })
  return { payload: out.take(), commands }
}

/** The same commands as `EVAL`, for a server that does not know the script (yet). */
export function withScriptText(script: RedisScript, payload: Buffer, command: RowCommand): Buffer {
  const { bodyStart, args } = command.script!
  return Buffer.concat([
    Buffer.from(`*${args + 2}\r\n`),
    encodeBulk(Buffer.from('EVAL')),
    encodeBulk(Buffer.from(script.text)),
    payload.subarray(bodyStart, command.end),
  ])
}

function groups(keys: readonly Buffer[], isSharded: boolean): readonly (readonly number[])[] {
  if (!isSharded) return [keys.map((_, index) => index)]
  const bySlot = new Map<number, number[]>()
  keys.forEach((key, index) => {
    const slot = keySlot(key)
    const group = bySlot.get(slot)
    if (group) group.push(index)
    else bySlot.set(slot, [index])
  })
  return [...bySlot.values()]
}

/** Timestamp, then the arguments of its HSETs as MessagePack. */
function writeRow(out: ByteWriter, row: EncodedRow, names: readonly Buffer[], parts: number): void {
  const time = timestampOf(row.eventTimestamp)
  out.bulk(time)
  for (let part = 0; part < parts; part++) {
    const from = part * FEATURES_PER_PART
    const to = Math.min(row.values.length, from + FEATURES_PER_PART)
    let size = part === 0 ? names[0]!.length + packedLength(time.length) : 0
    for (let i = from; i < to; i++) size += names[i + 1]!.length + packedLength(row.values[i]!.length)
    out.line(DOLLAR, size)
    if (part === 0) {
      out.bytes(names[0]!)
      out.packed(time)
    }
    for (let i = from; i < to; i++) {
      out.bytes(names[i + 1]!)
      out.packed(row.values[i]!)
    }
    out.lineEnd()
  }
}

/** Plain writes, without a look at what is stored. */
export function plainCommands(
  { timestamp, features }: RowFields,
  rows: readonly EncodedRow[],
  keys: readonly Buffer[],
  ttlSeconds: number,
): RowCommands {
  const names = [timestamp, ...features].map(encodeBulk)
  const hset = encodeBulk(Buffer.from('HSET'))
  const expire = encodeBulk(Buffer.from('EXPIRE'))
  const ttl = encodeBulk(Buffer.from(String(ttlSeconds)))
  const out = new ByteWriter()
  const commands: RowCommand[] = []
  rows.forEach(({ values, eventTimestamp }, index) => {
    const key = keys[index]!
    const start = out.length
    out.line(ASTERISK, 4 + 2 * values.length)
    out.bytes(hset)
    out.bulk(key)
    out.bytes(names[0]!)
    out.bulk(timestampOf(eventTimestamp))
    for (let i = 0; i < values.length; i++) {
      out.bytes(names[i + 1]!)
      out.bulk(values[i]!)
    }
    commands.push({ key, start, end: out.length })
    if (ttlSeconds === 0) return
    const second = out.length
    out.line(ASTERISK, 3)
    out.bytes(expire)
    out.bulk(key)
    out.bytes(ttl)
    commands.push({ key, start: second, end: out.length })
  })
  return { payload: out.take(), commands }
}

let lastMicros: Micros = 0n
let lastTimestamp = encodeTimestamp(0n)

/** Rows of a batch often share their time. */
function timestampOf(micros: Micros): Buffer {
  if (micros !== lastMicros) {
    lastTimestamp = encodeTimestamp(micros)
    lastMicros = micros
  }
  return lastTimestamp
}

const ASTERISK = 0x2a
const DOLLAR = 0x24

function packed(bytes: Buffer): Buffer {
  const out = new ByteWriter(bytes.length + 5)
  out.packed(bytes)
  return out.take()
}

function packedLength(length: number): number {
  return length + (length < 32 ? 1 : length < 65_536 ? 3 : 5)
}

/** A buffer that grows. Short pieces are copied by hand: a call to copy() costs more than the few bytes. */
class ByteWriter {
  #buffer: Buffer
  length = 0

  constructor(bytes = 1 << 16) {
    this.#buffer = Buffer.allocUnsafe(bytes)
  }

  take(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }

  bytes(bytes: Buffer): void {
    this.#reserve(bytes.length)
    if (bytes.length > 24) this.#buffer.set(bytes, this.length)
    else for (let i = 0; i < bytes.length; i++) this.#buffer[this.length + i] = bytes[i]!
    this.length += bytes.length
  }

  bulk(bytes: Buffer): void {
    this.line(DOLLAR, bytes.length)
    this.bytes(bytes)
    this.lineEnd()
  }

  /** `$12` or `*3`, and a line end. */
  line(type: number, number: number): void {
    this.#reserve(16)
    this.#buffer[this.length++] = type
    if (number < 10) this.#buffer[this.length++] = 0x30 + number
    else this.length += this.#buffer.write(String(number), this.length, 'latin1')
    this.lineEnd()
  }

  lineEnd(): void {
    this.#reserve(2)
    this.#buffer[this.length++] = 0x0d
    this.#buffer[this.length++] = 0x0a
  }

  /** A MessagePack string; the kinds that every version of Redis's cmsgpack reads. */
  packed(bytes: Buffer): void {
    this.#reserve(5)
    const { length } = bytes
    if (length < 32) this.#buffer[this.length++] = 0xa0 | length
    else if (length < 65_536) {
      this.#buffer[this.length] = 0xda
      this.length = this.#buffer.writeUInt16BE(length, this.length + 1)
    } else {
      this.#buffer[this.length] = 0xdb
      this.length = this.#buffer.writeUInt32BE(length, this.length + 1)
    }
    this.bytes(bytes)
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.length + bytes))
    this.#buffer.copy(grown, 0, 0, this.length)
    this.#buffer = grown
  }
}
