import { ByteWriter } from '../../codec/byte-writer.js'
import { type EncodedRow, PackedRow } from '../../codec/rows.js'
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
  const out = new CommandWriter(1 << 16)
  const commands = groups(keys, isSharded).map((group): RowCommand => {
    const start = out.length
    const args = 1 + group.length + 3 + group.length * (1 + parts)
    out.line(ASTERISK, args + 2)
    out.all(evalsha)
    const bodyStart = out.length
    const count = String(group.length)
    out.line(DOLLAR, count.length)
    out.all(Buffer.from(`${count}\r\n`))
    for (const row of group) out.bulk(keys[row]!)
    out.all(head)
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
function writeRow(out: CommandWriter, row: EncodedRow, names: readonly Buffer[], parts: number): void {
  const time = timestampOf(row.eventTimestamp)
  const { bytes, places, base, valueCount } = PackedRow.of(row)
  out.bulk(time)
  for (let part = 0; part < parts; part++) {
    const from = part * FEATURES_PER_PART
    const to = Math.min(valueCount, from + FEATURES_PER_PART)
    let size = part === 0 ? names[0]!.length + packedLength(time.length) : 0
    for (let i = from, at = base + 2 * from; i < to; i++, at += 2) {
      size += names[i + 1]!.length + packedLength(places[at + 1]! - places[at]!)
    }
    out.line(DOLLAR, size)
    out.reserve(size + 2)
    if (part === 0) {
      out.all(names[0]!)
      out.packed(time, 0, time.length)
    }
    for (let i = from, at = base + 2 * from; i < to; i++, at += 2) {
      out.all(names[i + 1]!)
      out.packed(bytes, places[at]!, places[at + 1]!)
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
  const out = new CommandWriter(1 << 16)
  const commands: RowCommand[] = []
  rows.forEach((row, index) => {
    const key = keys[index]!
    const { bytes, places, base, valueCount } = PackedRow.of(row)
    const start = out.length
    out.line(ASTERISK, 4 + 2 * valueCount)
    out.all(hset)
    out.bulk(key)
    out.all(names[0]!)
    out.bulk(timestampOf(row.eventTimestamp))
    for (let i = 0, at = base; i < valueCount; i++, at += 2) {
      out.all(names[i + 1]!)
      out.line(DOLLAR, places[at + 1]! - places[at]!)
      out.slice(bytes, places[at]!, places[at + 1]!)
      out.lineEnd()
    }
    commands.push({ key, start, end: out.length })
    if (ttlSeconds === 0) return
    const second = out.length
    out.line(ASTERISK, 3)
    out.all(expire)
    out.bulk(key)
    out.all(ttl)
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
  const out = new CommandWriter(bytes.length + 5)
  out.packed(bytes, 0, bytes.length)
  return out.take()
}

function packedLength(length: number): number {
  return length + (length < 32 ? 1 : length < 65_536 ? 3 : 5)
}

/** Pieces of Redis's protocol. */
class CommandWriter extends ByteWriter {
  take(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  all(bytes: Buffer): void {
    this.slice(bytes, 0, bytes.length)
  }

  bulk(bytes: Buffer): void {
    this.line(DOLLAR, bytes.length)
    this.all(bytes)
    this.lineEnd()
  }

  /** `$12` or `*3`, and a line end. */
  line(type: number, number: number): void {
    this.byte(type)
    this.integer(number)
    this.lineEnd()
  }

  lineEnd(): void {
    this.reserve(2)
    this.bytes[this.length++] = 0x0d
    this.bytes[this.length++] = 0x0a
  }

  /** `source[start, end)` as a MessagePack string; the kinds that every version of Redis's cmsgpack reads. */
  packed(source: Buffer, start: number, end: number): void {
    this.reserve(5)
    const length = end - start
    if (length < 32) this.bytes[this.length++] = 0xa0 | length
    else if (length < 65_536) {
      this.bytes[this.length] = 0xda
      this.length = this.bytes.writeUInt16BE(length, this.length + 1)
    } else {
      this.bytes[this.length] = 0xdb
      this.length = this.bytes.writeUInt32BE(length, this.length + 1)
    }
    this.slice(source, start, end)
  }
}
