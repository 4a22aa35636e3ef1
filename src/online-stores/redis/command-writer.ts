import { ByteWriter } from '../../codec/byte-writer.js'

const ASTERISK = 0x2a
const DOLLAR = 0x24

/** Pieces of commands in Redis's protocol. */
export class CommandWriter extends ByteWriter {
  all(bytes: Buffer): void {
    this.slice(bytes, 0, bytes.length)
  }

  /** A command of so many pieces. */
  array(count: number): void {
    this.#line(ASTERISK, count)
  }

  bulk(bytes: Buffer): void {
    this.bulkHead(bytes.length)
    this.all(bytes)
    this.lineEnd()
  }

  /** Before so many bytes and a line end. */
  bulkHead(length: number): void {
    this.#line(DOLLAR, length)
    this.reserve(length + 2)
  }

  /** A number as text. */
  number(value: number): void {
    this.bulkHead(String(value).length)
    this.integer(value)
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

  #line(type: number, number: number): void {
    this.byte(type)
    this.integer(number)
    this.lineEnd()
  }
}
