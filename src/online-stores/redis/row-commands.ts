import type { PackedRow } from '../../codec/rows.js'
import { encodeTimestamp } from '../../codec/timestamp.js'
import type { Micros } from '../../core/instant.js'
import { CommandWriter } from './command-writer.js'
import type { HashDump } from './hash-dump.js'
import { keySlot } from './key-slot.js'
import { encodeBulk } from './resp.js'
import type { RedisScript } from './scripts.js'

/** Commands back to back in one buffer, so that each can be sent again by itself. */
export interface RowCommands {
  readonly payload: Buffer
  readonly commands: readonly RowCommand[]
}

export interface RowCommand {
  /** A key that the command is about; all of them lie on one node. Empty where there is one node only. */
  readonly key: Buffer
  readonly start: number
  readonly end: number
  /** Of a script: where its arguments start, and how many they are. */
  readonly script?: { readonly bodyStart: number; readonly args: number } | undefined
}

/** Where rows go, prepared once per batch. */
export interface RowTarget {
  /** Fields of the view. */
  readonly timestamp: Buffer
  readonly features: readonly Buffer[]
  /** What follows an entity key in a key of Redis. */
  readonly suffix: Buffer
  readonly ttlSeconds: number
  /** On a cluster. */
  readonly isSharded: boolean
}

/** Instead of seconds to live: those that an entity has; an entity that is no more gets no row. */
export const KEEP_EXPIRY = -1

/** Of the commands of a chunk, more or less. */
const PAYLOAD_BYTES = 1 << 15

/** Lua hands a command at most 8000 arguments, two per feature. */
const FEATURES_PER_PART = 3000

/** What makes the commands that write some rows. */
export type RowCommander = (rows: readonly PackedRow[]) => RowCommands

/** Calls of the script; on a cluster one per slot, since a script may touch keys of one slot only. */
export function scriptCommander(script: RedisScript, target: RowTarget): RowCommander {
  const { timestamp, features, suffix, ttlSeconds } = target
  const parts = Math.max(1, Math.ceil(features.length / FEATURES_PER_PART))
  const head = Buffer.concat(
    [timestamp, Buffer.from(String(ttlSeconds)), Buffer.from(String(parts))].map(encodeBulk),
  )
  const names = [timestamp, ...features].map(packed)
  const evalsha = Buffer.concat([encodeBulk(Buffer.from('EVALSHA')), encodeBulk(Buffer.from(script.sha))])
  return (rows) => {
    const out = new CommandWriter(PAYLOAD_BYTES)
    const commands = groups(target, rows).map(({ key, rows: group }): RowCommand => {
      const start = out.length
      const args = 1 + group.length + 3 + group.length * (1 + parts)
      out.array(args + 2)
      out.all(evalsha)
      const bodyStart = out.length
      out.number(group.length)
      for (const row of group) writeKey(out, row, suffix)
      out.all(head)
      for (const row of group) writeRow(out, row, names, parts)
      return { key, start, end: out.length, script: { bodyStart, args } }
    })
    return { payload: out.written, commands }
  }
}

/** Some of the script's commands as `EVAL`, for a server that does not know the script (yet). */
export function withScriptText(
  script: RedisScript,
  payload: Buffer,
  commands: readonly RowCommand[],
): RowCommands {
  const out = new CommandWriter(payload.length + script.text.length)
  const head = Buffer.concat(['EVAL', script.text].map((text) => encodeBulk(Buffer.from(text))))
  const again = commands.map(({ key, end, script: body }): RowCommand => {
    const start = out.length
    out.array(body!.args + 2)
    out.all(head)
    out.slice(payload, body!.bodyStart, end)
    return { key, start, end: out.length }
  })
  return { payload: out.written, commands: again }
}

interface SlotRows {
  readonly key: Buffer
  readonly rows: readonly PackedRow[]
}

function groups(target: RowTarget, rows: readonly PackedRow[]): readonly SlotRows[] {
  if (!target.isSharded) return [{ key: ANY_KEY, rows }]
  const bySlot = new Map<number, { readonly key: Buffer; readonly rows: PackedRow[] }>()
  for (const row of rows) {
    const key = routingKey(row, target)
    const slot = keySlot(key)
    const group = bySlot.get(slot)
    if (group) group.rows.push(row)
    else bySlot.set(slot, { key, rows: [row] })
  }
  return [...bySlot.values()]
}

const ANY_KEY = Buffer.alloc(0)

function routingKey({ entityKey }: PackedRow, { isSharded, suffix }: RowTarget): Buffer {
  return isSharded ? Buffer.concat([entityKey, suffix]) : ANY_KEY
}

/** Timestamp, then the arguments of its HSETs as MessagePack. */
function writeRow(out: CommandWriter, row: PackedRow, names: readonly Buffer[], parts: number): void {
  const time = timestampOf(row.eventTimestamp)
  const { bytes, places, step } = row.among
  const base = row.firstPlace
  const valueCount = names.length - 1
  out.bulk(time)
  for (let part = 0; part < parts; part++) {
    const from = part * FEATURES_PER_PART
    const to = Math.min(valueCount, from + FEATURES_PER_PART)
    let size = part === 0 ? names[0]!.length + packedLength(time.length) : 0
    for (let i = from, at = base + step * from; i < to; i++, at += step) {
      size += names[i + 1]!.length + packedLength(places[at + 1]! - places[at]!)
    }
    out.bulkHead(size)
    if (part === 0) {
      out.all(names[0]!)
      out.packed(time, 0, time.length)
    }
    for (let i = from, at = base + step * from; i < to; i++, at += step) {
      out.all(names[i + 1]!)
      out.packed(bytes, places[at]!, places[at + 1]!)
    }
    out.lineEnd()
  }
}

/** Plain writes, without a look at what is stored. */
export function plainCommander(target: RowTarget): RowCommander {
  const { timestamp, features, suffix, ttlSeconds } = target
  const names = [timestamp, ...features].map(encodeBulk)
  const hset = encodeBulk(Buffer.from('HSET'))
  const expire = encodeBulk(Buffer.from('EXPIRE'))
  const ttl = encodeBulk(Buffer.from(String(ttlSeconds)))
  return (rows) => {
    const out = new CommandWriter(PAYLOAD_BYTES)
    const commands: RowCommand[] = []
    for (const row of rows) {
      const key = routingKey(row, target)
      const { bytes, places, step } = row.among
      const start = out.length
      out.array(2 + 2 * names.length)
      out.all(hset)
      writeKey(out, row, suffix)
      out.all(names[0]!)
      out.bulk(timestampOf(row.eventTimestamp))
      for (let i = 1, at = row.firstPlace; i < names.length; i++, at += step) {
        out.all(names[i]!)
        out.bulkHead(places[at + 1]! - places[at]!)
        out.slice(bytes, places[at]!, places[at + 1]!)
        out.lineEnd()
      }
      commands.push({ key, start, end: out.length })
      if (ttlSeconds === 0) continue
      const second = out.length
      out.array(3)
      out.all(expire)
      writeKey(out, row, suffix)
      out.all(ttl)
      commands.push({ key, start: second, end: out.length })
    }
    return { payload: out.written, commands }
  }
}

/**
 * Writes of entities that Redis does not have: each as a hash made here, which Redis takes as it is. Where there is one
 * it refuses with BUSYKEY, so what is stored is never overwritten. It neither reads a row's values one by one nor looks
 * for each field among those before it: of ten features 2.5 to 3 µs a row against 8 of the script, of 250 13 against 600.
 * @param dump fits the rows
 */
export function newHashCommander(target: RowTarget, dump: HashDump): RowCommander {
  const { suffix, ttlSeconds } = target
  const restore = encodeBulk(Buffer.from('RESTORE'))
  const ttl = encodeBulk(Buffer.from(String(ttlSeconds * 1000)))
  return (rows) => {
    const out = new CommandWriter(PAYLOAD_BYTES)
    const commands = rows.map((row): RowCommand => {
      const start = out.length
      out.array(4)
      out.all(restore)
      writeKey(out, row, suffix)
      out.all(ttl)
      dump.write(out, row, timestampOf(row.eventTimestamp))
      return { key: routingKey(row, target), start, end: out.length }
    })
    return { payload: out.written, commands }
  }
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

function writeKey(out: CommandWriter, { among, index }: PackedRow, suffix: Buffer): void {
  const { bytes, places } = among
  const start = places[index]!
  const end = places[index + 1]!
  out.bulkHead(end - start + suffix.length)
  out.slice(bytes, start, end)
  out.all(suffix)
  out.lineEnd()
}

function packed(bytes: Buffer): Buffer {
  const out = new CommandWriter(bytes.length + 5)
  out.packed(bytes, 0, bytes.length)
  return out.written
}

function packedLength(length: number): number {
  return length + (length < 32 ? 1 : length < 65_536 ? 3 : 5)
}
