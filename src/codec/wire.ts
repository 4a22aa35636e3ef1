/**
 * Protobuf's wire format, field by field, with nothing decoded that is not asked for. Bytes that are not a
 * message throw {@link MalformedMessage}; callers know what they were reading and wrap it.
 */

/** The bytes are not a message. Never leaves the product: who reads a record or file says which one it was. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
  /** The field being read when it went wrong, if its tag was readable. */
  constructor(
    readonly problem: string,
    readonly offset: number,
    readonly field: { readonly number: number; readonly valueStart: number } | undefined = undefined,
  ) {
    super(`${problem} at byte ${offset}`)
  }
}

export const VARINT = 0
export const FIXED64 = 1
export const BYTES = 2
export const FIXED32 = 5

/**
 * One field: its number and wire type, and where in the buffer it stands. For BYTES the value range leaves the
 * length out, so that `start..end` is the whole field and `valueStart..end` its content.
 */
export type FieldVisitor = (
  number: number,
  wireType: number,
  start: number,
  valueStart: number,
  end: number,
) => void

/** Calls `visit` for every field of the message in `bytes[start..end)`. @throws MalformedMessage */
export function eachField(bytes: Uint8Array, start: number, end: number, visit: FieldVisitor): void {
  let at = start
  while (at < end) {
    const fieldStart = at
    const tagEnd = varintEnd(bytes, at, end)
    const tag = readVarint32(bytes, at, tagEnd)
    const number = tag >>> 3
    const wireType = tag & 7
    if (number === 0 || tagEnd - at > 5) throw new MalformedMessage('not a field tag', at)
    valueRange(bytes, number, wireType, tagEnd, end)
    at = range.end
    visit(number, wireType, fieldStart, range.start, at)
  }
}

/** What {@link valueRange} found: reused, since a registry has a million fields. */
const range = { start: 0, end: 0 }

function valueRange(bytes: Uint8Array, number: number, wireType: number, at: number, end: number): void {
  range.start = at
  if (wireType === VARINT) range.end = varintEnd(bytes, at, end)
  else if (wireType === FIXED64) range.end = at + 8
  else if (wireType === FIXED32) range.end = at + 4
  else if (wireType === BYTES) {
    range.start = varintEnd(bytes, at, end)
    range.end = range.start + readLength(bytes, at, range.start)
  } else throw new MalformedMessage(`unknown wire type ${wireType}`, at, { number, valueStart: at })
  if (range.end > end) {
    throw new MalformedMessage(
      `field ${number} needs ${range.end - range.start} bytes, but ${end - range.start} are left`,
      range.start,
      { number, valueStart: range.start },
    )
  }
}

function varintEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (bytes[at]! < 0x80) return at + 1
    if (at - start === 9) throw new MalformedMessage('a number of more than ten bytes', start)
  }
  throw new MalformedMessage('the bytes end inside a number', start)
}

/** The low 32 bits, unsigned. */
export function readVarint32(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let at = start, shift = 0; at < end && shift < 32; at++, shift += 7) {
    value |= (bytes[at]! & 0x7f) << shift
  }
  return value >>> 0
}

function readLength(bytes: Uint8Array, start: number, end: number): number {
  if (end - start <= 4) return readVarint32(bytes, start, end)
  const length = readVarint64(bytes, start, end)
  // Longer than any buffer: fails as "bytes are left" in the caller.
  return length > 0xffff_ffffn ? Number.MAX_SAFE_INTEGER - start : Number(length)
}

/** All 64 bits, unsigned. */
export function readVarint64(bytes: Uint8Array, start: number, end: number): bigint {
  if (end - start <= 4) return BigInt(readVarint32(bytes, start, end))
  let value = 0n
  for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f)
  return BigInt.asUintN(64, value)
}

/** Ends of the varints that stand back to back in `bytes[start..end)` (a packed field). */
export function eachPacked(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (start: number, end: number) => void,
): void {
  for (let at = start; at < end; ) {
    const next = varintEnd(bytes, at, end)
    visit(at, next)
    at = next
  }
}

/** Places of the numbers of `width` bytes that stand back to back in `[start..end)` (a packed field). */
export function eachFixed(
  width: number,
  start: number,
  end: number,
  visit: (start: number, end: number) => void,
): void {
  if ((end - start) % width !== 0) {
    throw new MalformedMessage(`packed numbers of ${width} bytes cut short`, start)
  }
  for (let at = start; at < end; at += width) visit(at, at + width)
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 text. @throws MalformedMessage when it is not UTF-8 */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  for (let at = start; at < end; at++) {
    if (bytes[at]! >= 0x80) return readNonAscii(bytes, start, end)
  }
  return asBuffer(bytes).toString('latin1', start, end)
}

function readNonAscii(bytes: Uint8Array, start: number, end: number): string {
  try {
    return strictUtf8.decode(bytes.subarray(start, end))
  } catch {
    throw new MalformedMessage('text that is not UTF-8', start)
  }
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function encodeVarint(value: number | bigint): Buffer {
  const out: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  out.push(Number(rest))
  return Buffer.from(out)
}

/** A length-delimited field: tag, length, content. */
export function encodeBytesField(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([encodeVarint((number << 3) | BYTES), encodeVarint(content.length), content])
}

export function encodeTextField(number: number, text: string): Buffer {
  return encodeBytesField(number, Buffer.from(text, 'utf8'))
}

export function encodeVarintField(number: number, value: number | bigint): Buffer {
  return Buffer.concat([encodeVarint((number << 3) | VARINT), encodeVarint(value)])
}
