import { FLOAT_BYTES, writeFloat, writeInteger } from './float-text.js'

/** A buffer that grows. Whoever writes to `bytes` at `length` themselves calls {@link reserve} first. */
export class ByteWriter {
  bytes: Buffer
  length = 0

  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafe(capacity)
  }

  /** What was written; no longer so once `length` is set back. */
  get written(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + count))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }

  byte(byte: number): void {
    this.reserve(1)
    this.bytes[this.length++] = byte
  }

  /** Characters below 0x80 only. A call to write() costs more than some ten characters by hand. */
  ascii(text: string): void {
    this.reserve(text.length)
    if (text.length > 32) this.length += this.bytes.write(text, this.length, 'latin1')
    else for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i)
  }

  text(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.bytes.write(text, this.length)
  }

  /** `source[start, end)`. */
  slice(source: Buffer, start: number, end: number): void {
    this.reserve(end - start)
    const { bytes } = this
    let at = this.length
    if (end - start > 48) source.copy(bytes, at, start, end)
    else for (let from = start; from < end; from++) bytes[at++] = source[from]!
    this.length += end - start
  }

  /** Once more what stands at `[start, end)` of what was written. 100 bytes: 50 ns, by hand 200, by copy() 150. */
  repeat(start: number, end: number): void {
    this.reserve(end - start)
    this.bytes.copyWithin(this.length, start, end)
    this.length += end - start
  }

  varint(value: number): void {
    this.reserve(5)
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) this.bytes[this.length++] = (rest & 0x7f) | 0x80
    this.bytes[this.length++] = rest
  }

  /** Decimal digits of a whole number from 0 to 2^53. */
  integer(value: number): void {
    this.reserve(20)
    this.length = writeInteger(this.bytes, this.length, value)
  }

  /** A finite double, as Python prints it. */
  float(value: number): void {
    this.reserve(FLOAT_BYTES)
    this.length = writeFloat(this.bytes, this.length, value)
  }
}
