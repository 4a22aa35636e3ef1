import type { PackedRow } from '../../codec/rows.js'
import type { CommandWriter } from './command-writer.js'
import { appendCrc64 } from './crc64.js'

/** The form in which Redis 7 and later keep small hashes, and the version of dumps that brought it. */
const HASH_LISTPACK = 16
const VERSION = 10
/** Version and checksum. */
const FOOTER_BYTES = 10

/** A listpack without texts: its length, how many texts, and its end. */
const LISTPACK_BYTES = 7
const LISTPACK_END = 0xff

/** `hash-max-listpack-value`, if nobody changed it: Redis keeps a hash with a longer text in another form. */
const MAX_TEXT_BYTES = 64
/** Of an entity; above `hash-max-listpack-entries` Redis turns what it was given into its other form. */
const MAX_FIELDS = 30_000

/**
 * Rows as hashes in the form of Redis's `DUMP`: texts one behind the other, each with its length before and behind it,
 * then a checksum. Numbers that Redis would keep as such are texts here; it reads both.
 */
export class HashDump {
  readonly #names: readonly Buffer[]
  readonly #namesBytes: number
  readonly #isPossible: boolean

  /** @param names of the fields: of the event time, and of the features */
  constructor(names: readonly Buffer[]) {
    this.#isPossible =
      names.length <= MAX_FIELDS &&
      names.every(({ length }) => length <= MAX_TEXT_BYTES) &&
      new Set(names.map((name) => name.toString('latin1'))).size === names.length
    this.#names = this.#isPossible ? names.map(listpackText) : []
    this.#namesBytes = this.#names.reduce((sum, { length }) => sum + length, 0)
  }

  /** Whether Redis would keep it in this form too. */
  fits(row: PackedRow): boolean {
    if (!this.#isPossible) return false
    const { places, step } = row.among
    for (let i = 1, at = row.firstPlace; i < this.#names.length; i++, at += step) {
      if (places[at + 1]! - places[at]! > MAX_TEXT_BYTES) return false
    }
    return true
  }

  /** As an argument of a command. */
  write(out: CommandWriter, row: PackedRow, time: Buffer): void {
    const { bytes, places, step } = row.among
    const names = this.#names
    let listpackBytes = LISTPACK_BYTES + this.#namesBytes + textSize(time.length)
    for (let i = 1, at = row.firstPlace; i < names.length; i++, at += step) {
      listpackBytes += textSize(places[at + 1]! - places[at]!)
    }
    const size = 1 + lengthSize(listpackBytes) + listpackBytes + FOOTER_BYTES
    out.bulkHead(size)
    const start = out.length
    out.bytes[out.length++] = HASH_LISTPACK
    writeLength(out, listpackBytes)
    out.length = out.bytes.writeUInt32LE(listpackBytes, out.length)
    out.length = out.bytes.writeUInt16LE(2 * names.length, out.length)
    out.all(names[0]!)
    writeText(out, time, 0, time.length)
    for (let i = 1, at = row.firstPlace; i < names.length; i++, at += step) {
      out.all(names[i]!)
      writeText(out, bytes, places[at]!, places[at + 1]!)
    }
    out.bytes[out.length++] = LISTPACK_END
    out.length = out.bytes.writeUInt16LE(VERSION, out.length)
    out.length = appendCrc64(out.bytes, start, out.length)
    out.lineEnd()
  }
}

function listpackText(text: Buffer): Buffer {
  const out = Buffer.alloc(textSize(text.length))
  const at = writeHead(out, 0, text.length)
  text.copy(out, at)
  out[out.length - 1] = out.length - 1
  return out
}

/** Of a text of up to 64 bytes, with its head and the length of both behind it. */
function textSize(length: number): number {
  return length < 64 ? length + 2 : length + 3
}

function writeText(out: CommandWriter, source: Buffer, start: number, end: number): void {
  const length = end - start
  out.length = writeHead(out.bytes, out.length, length)
  out.slice(source, start, end)
  out.bytes[out.length++] = textSize(length) - 1
}

function writeHead(out: Buffer, at: number, length: number): number {
  if (length < 64) {
    out[at] = 0x80 | length
    return at + 1
  }
  out[at] = 0xe0 | (length >> 8)
  out[at + 1] = length & 0xff
  return at + 2
}

/** Bytes of a length in a dump. */
function lengthSize(length: number): number {
  return length < 64 ? 1 : length < 16_384 ? 2 : 5
}

function writeLength(out: CommandWriter, length: number): void {
  const { bytes } = out
  if (length < 64) bytes[out.length++] = length
  else if (length < 16_384) {
    bytes[out.length++] = 0x40 | (length >> 8)
    bytes[out.length++] = length & 0xff
  } else {
    bytes[out.length++] = 0x80
    out.length = bytes.writeUInt32BE(length, out.length)
  }
}
