import { formatInstant, type Micros } from '../core/instant.js'
import type { ByteWriter } from './byte-writer.js'
import { eachField, readVarint64, VARINT } from './wire.js'

/** The message google.protobuf.Timestamp. `nanos` is 0 to 999 999 999, also before 1970. */
export interface Timestamp {
  readonly seconds: number
  readonly nanos: number
}

/** Whole seconds, towards the past. */
export function floorSeconds(micros: Micros): bigint {
  const seconds = micros / 1_000_000n
  return micros < 0n && seconds * 1_000_000n !== micros ? seconds - 1n : seconds
}

/** Timestamp message bytes; zero fields are left out, so the epoch is no bytes at all. */
export function encodeTimestamp(micros: Micros): Buffer {
  const number = Number(micros)
  if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) {
    const rest = number % 1_000_000
    return encodeTimestampParts((number - rest) / 1_000_000, rest * 1000)
  }
  const seconds = floorSeconds(micros)
  return encodeTimestampParts(seconds, Number(micros - seconds * 1_000_000n) * 1000)
}

/** @param nanos 0 to 999 999 999 */
export function encodeTimestampParts(seconds: number | bigint, nanos: number): Buffer {
  const out = Buffer.allocUnsafe(17)
  let at = 0
  if (typeof seconds === 'number' && seconds > 0) {
    // Without a BigInt per byte.
    out[at++] = 0x08
    let rest = seconds
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) | 0x80
    out[at++] = rest
  } else {
    let rest = BigInt.asUintN(64, BigInt(seconds))
    if (rest !== 0n) out[at++] = 0x08
    for (; rest > 0x7fn; rest >>= 7n) out[at++] = Number(rest & 0x7fn) | 0x80
    if (rest !== 0n) out[at++] = Number(rest)
  }
  if (nanos !== 0) {
    out[at++] = 0x10
    let left = nanos
    for (; left > 0x7f; left >>>= 7) out[at++] = (left & 0x7f) | 0x80
    out[at++] = left
  }
  return out.subarray(0, at)
}

/** The message in `bytes[start, end)`. @throws MalformedMessage */
export function decodeTimestamp(bytes: Uint8Array, start = 0, end = bytes.length): Timestamp {
  return usualTimestamp(bytes, start, end) ?? anyTimestamp(bytes, start, end)
}

/** Seconds from 1970 to 2106 and then nanos, each written once: what servers write. */
function usualTimestamp(bytes: Uint8Array, start: number, end: number): Timestamp | undefined {
  let at = start
  if (at >= end || bytes[at++] !== 0x08) return undefined
  let seconds = 0
  for (let unit = 1; ; unit *= 128) {
    if (at >= end || unit > 2 ** 28) return undefined
    const byte = bytes[at++]!
    seconds += (byte & 0x7f) * unit
    if (byte < 0x80) break
  }
  if (at === end) return { seconds, nanos: 0 }
  if (bytes[at++] !== 0x10) return undefined
  let nanos = 0
  for (let unit = 1; ; unit *= 128) {
    if (at >= end || unit > 2 ** 28) return undefined
    const byte = bytes[at++]!
    nanos += (byte & 0x7f) * unit
    if (byte < 0x80) break
  }
  return at === end ? { seconds, nanos } : undefined
}

function anyTimestamp(bytes: Uint8Array, start: number, end: number): Timestamp {
  let seconds = 0
  let nanos = 0
  eachField(bytes, start, end, (number, wireType, _start, valueStart, valueEnd) => {
    if (wireType !== VARINT) return
    const value = Number(BigInt.asIntN(64, readVarint64(bytes, valueStart, valueEnd)))
    if (number === 1) seconds = value
    else if (number === 2) nanos = value
  })
  return { seconds, nanos }
}

/** Digits past the microsecond are dropped. @throws MalformedMessage */
export function timestampMicros(bytes: Uint8Array): Micros {
  const { seconds, nanos } = decodeTimestamp(bytes)
  return BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanos / 1000))
}

export const EPOCH_TEXT = '1970-01-01T00:00:00Z'

/** `2026-08-01T10:00:00.500Z`: 0, 3, 6 or 9 fraction digits, as Feast's servers print. @throws MalformedMessage */
export function timestampText({ seconds, nanos }: Timestamp): string {
  const whole = formatInstant(BigInt(Math.max(-MAX_SECONDS, Math.min(MAX_SECONDS, seconds))) * 1_000_000n)
  if (nanos === 0) return whole
  const digits = String(nanos).padStart(9, '0')
  const shown = digits.endsWith('000000') ? 3 : digits.endsWith('000') ? 6 : 9
  return `${whole.slice(0, -1)}.${digits.slice(0, shown)}Z`
}

/** Seconds of the years 1970 to 9999, whose text is always as long. */
const FOUR_DIGIT_YEARS = 253_402_300_800
const DAY_SECONDS = 86_400

/** Writes {@link timestampText}; rows that were pushed have all their own time. */
export function writeTimestampText(out: ByteWriter, timestamp: Timestamp): void {
  const { seconds, nanos } = timestamp
  if (seconds < 0 || seconds >= FOUR_DIGIT_YEARS || nanos < 0 || nanos >= 1e9) {
    out.ascii(timestampText(timestamp))
    return
  }
  out.reserve(32)
  const { bytes } = out
  const day = Math.floor(seconds / DAY_SECONDS)
  if (day !== lastDay) {
    lastDay = day
    lastDate = Buffer.from(new Date(day * DAY_SECONDS * 1000).toISOString().slice(0, 11))
  }
  let at = out.length
  for (let i = 0; i < 11; i++) bytes[at++] = lastDate[i]!
  const time = seconds - day * DAY_SECONDS
  at = writeTwoDigits(bytes, at, (time / 3600) | 0, COLON)
  at = writeTwoDigits(bytes, at, ((time / 60) | 0) % 60, COLON)
  at = writeTwoDigits(bytes, at, time % 60, Z)
  out.length = at
  if (nanos === 0) return
  out.length--
  const fraction = 1_000_000_000 + nanos
  const digits = nanos % 1_000_000 === 0 ? 3 : nanos % 1000 === 0 ? 6 : 9
  const point = out.length
  out.integer(digits === 9 ? fraction : fraction / 10 ** (9 - digits))
  // In place of the one in front, which kept the zeros.
  out.bytes[point] = POINT
  out.byte(Z)
}

const COLON = 0x3a
const POINT = 0x2e
const Z = 0x5a
let lastDay = -1
let lastDate = Buffer.alloc(11)

function writeTwoDigits(bytes: Buffer, at: number, value: number, then: number): number {
  const tens = (value / 10) | 0
  bytes[at] = 0x30 + tens
  bytes[at + 1] = 0x30 + value - tens * 10
  bytes[at + 2] = then
  return at + 3
}

/** What a JavaScript date can hold. */
const MAX_SECONDS = 8_640_000_000_000
