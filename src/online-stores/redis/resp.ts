import { ABSENT, type OnlineRow, rowOfCells } from '../online-row.js'

/**
 * RESP, the protocol of Redis, in version 2: commands to bytes and bytes to replies. A client library encodes
 * every argument of every command anew and makes a promise per command; on a read of 100 entities × 50 features
 * that costs more than Redis itself (measured: 7 ms against 0.6 ms here).
 */

/** What Redis answers. Text and bulk strings are slices of the socket's buffer: copy what is kept. */
export type Reply = Buffer | null | number | ErrorReply | RowReply | readonly Reply[]

/** An array of bulk strings that stays where it is. */
export class RowReply implements OnlineRow {
  constructor(
    readonly bytes: Buffer,
    readonly places: Int32Array,
    readonly base: number,
  ) {}
}

/** An error that Redis answered with. `code` is its first word, such as `OOM`. */
export class ErrorReply {
  readonly code: string
  constructor(readonly message: string) {
    this.code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR'
  }
}

export function encodeCommand(args: readonly (Buffer | string | number)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) parts.push(encodeBulk(Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg))))
  return Buffer.concat(parts)
}

export function encodeBulk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, LINE_END])
}

const LINE_END = Buffer.from('\r\n')

const EMPTY = Buffer.alloc(0)
const CR = 0x0d
const DOLLAR = 0x24
const ASTERISK = 0x2a
const PLUS = 0x2b
const MINUS = 0x2d
const COLON = 0x3a

/** Chunks that lie behind each other in memory are not copied. */
function joined(chunks: readonly Buffer[], byteCount: number): Buffer {
  const [first] = chunks
  let end = first!.byteOffset
  for (const { buffer, byteOffset, length } of chunks) {
    if (buffer !== first!.buffer || byteOffset !== end) return Buffer.concat(chunks, byteCount)
    end += length
  }
  return Buffer.from(first!.buffer, first!.byteOffset, byteCount)
}

interface OpenArray {
  readonly items: Reply[]
  left: number
  readonly isRow: boolean
}

/** Places are handed out from pieces of this many: an array of its own for each row costs more than filling it. */
const PLACES = 16_384

/** Longer than any line Redis sends; bytes without a line end are no Redis. */
const MAX_LINE_BYTES = 1 << 20

/** Turns chunks into replies; a reply may come in any number of chunks. */
export class ReplyParser {
  readonly #onReply: (reply: Reply) => void
  readonly #rowCells: () => number
  readonly #open: OpenArray[] = []
  #places = new Int32Array(0)
  #usedPlaces = 0
  /** Chunks whose first byte starts an unfinished element. */
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** How many bytes the unfinished element needs at least. */
  #needed = 0

  /** @param rowCells how many bulk strings the next reply has, if it is wanted as a {@link RowReply}; else 0 */
  constructor(onReply: (reply: Reply) => void, rowCells: () => number = () => 0) {
    this.#onReply = onReply
    this.#rowCells = rowCells
  }

  /** @throws Error when the bytes are not RESP */
  push(chunk: Buffer): void {
    let bytes = chunk
    if (this.#waitingBytes > 0) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
      if (this.#waitingBytes < this.#needed) return
      bytes = joined(this.#waiting, this.#waitingBytes)
      this.#waiting = []
      this.#waitingBytes = 0
    }
    const rest = this.#parse(bytes)
    if (rest < bytes.length) {
      const left = bytes.subarray(rest)
      this.#waiting.push(left)
      this.#waitingBytes = left.length
    }
  }

  /** Where the first unfinished element starts. */
  #parse(bytes: Buffer): number {
    const end = bytes.length
    let at = 0
    while (at < end) {
      const start = at
      const type = bytes[at++]
      if (type === PLUS || type === MINUS) {
        const lineEnd = bytes.indexOf(CR, at)
        if (lineEnd < 0 || lineEnd + 1 >= end) return this.#unfinished(start, end)
        const line = bytes.subarray(at, lineEnd)
        at = lineEnd + 2
        this.#emit(type === PLUS ? line : new ErrorReply(line.toString('utf8')))
        continue
      }
      let negative = false
      let number = 0
      if (bytes[at] === MINUS) {
        negative = true
        at++
      }
      while (at < end && bytes[at] !== CR) number = number * 10 + digit(bytes[at++]!)
      if (at + 1 >= end) return this.#unfinished(start, end)
      at += 2
      if (type === DOLLAR) {
        if (negative) this.#emit(null)
        else {
          const next = at + number + 2
          if (next > end) {
            this.#needed = next - start
            return start
          }
          if (bytes[next - 2] !== CR) throw new Error(`byte ${bytes[next - 2]} where a text should end`)
          this.#emit(number === 0 ? EMPTY : bytes.subarray(at, at + number))
          at = next
        }
      } else if (type === ASTERISK) {
        if (negative) this.#emit(null)
        else if (number === 0) this.#emit([])
        else {
          const isRow = this.#open.length === 0 && this.#rowCells() === number
          const rowEnd = isRow ? this.#row(bytes, at, number) : -1
          if (rowEnd < 0) this.#open.push({ items: [], left: number, isRow })
          else at = rowEnd
        }
      } else if (type === COLON) this.#emit(negative ? -number : number)
      else throw new Error(`byte ${type} starts no reply of Redis`)
    }
    return end
  }

  /** Hands out the row at `at`. @returns where it ends; -1 if not all of it is there, or it is no row of bulk strings */
  #row(bytes: Buffer, start: number, cells: number): number {
    if (this.#usedPlaces + 2 * cells > this.#places.length) {
      this.#places = new Int32Array(Math.max(PLACES, 2 * cells))
      this.#usedPlaces = 0
    }
    const places = this.#places
    const base = this.#usedPlaces
    const end = bytes.length
    let at = start
    for (let place = base, last = base + 2 * cells; place < last; place += 2) {
      if (at + 3 >= end || bytes[at] !== DOLLAR) return -1
      let length = bytes[at + 1]! - 0x30
      at += 2
      if (length < 0) {
        // `$-1`: there is none.
        if (bytes[at - 1] !== MINUS) return -1
        places[place] = ABSENT
        places[place + 1] = ABSENT
        at += 3
        continue
      }
      if (length > 9) return -1
      for (;;) {
        const digit = bytes[at++]!
        if (digit === CR) break
        if (digit < 0x30 || digit > 0x39 || at >= end) return -1
        length = length * 10 + digit - 0x30
      }
      places[place] = ++at
      at += length
      // A text that was cut short must not borrow from the one behind it.
      if (bytes[at] !== CR) return -1
      places[place + 1] = at
      at += 2
    }
    if (at > end) return -1
    this.#usedPlaces += 2 * cells
    this.#onReply(new RowReply(bytes, places, base))
    return at
  }

  #unfinished(start: number, end: number): number {
    if (end - start > MAX_LINE_BYTES) throw new Error('a line without end')
    this.#needed = end - start + 1
    return start
  }

  #emit(reply: Reply): void {
    let done = reply
    for (;;) {
      const array = this.#open[this.#open.length - 1]
      if (array === undefined) {
        this.#onReply(done)
        return
      }
      array.items.push(done)
      if (--array.left > 0) return
      this.#open.pop()
      done = array.isRow && array.items.every(isBulk) ? gathered(array.items) : array.items
    }
  }
}

function isBulk(reply: Reply): reply is Buffer | null {
  return reply === null || Buffer.isBuffer(reply)
}

/** A row that came in pieces. */
function gathered(cells: readonly (Buffer | null)[]): RowReply {
  const { bytes, places, base } = rowOfCells(cells)
  return new RowReply(bytes, places, base)
}

function digit(byte: number): number {
  const value = byte - 0x30
  if (value < 0 || value > 9) throw new Error(`byte ${byte} where a digit belongs`)
  return value
}
