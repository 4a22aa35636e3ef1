import { encodeTextField, readVarint32 } from './wire.js'

/**
 * The message feast.core.PrecomputedFeatureVector: all features of a feature service for one entity.
 *
 *     feature_names=1 (text, repeated)   values=2 (Value, repeated)
 *     fv_timestamps=3 ({ feature_view_name=1, event_timestamp=2 }, repeated)   precomputed_at=4 (Timestamp)
 *
 * Feast stores it as the `bytes_val` of a Value. Nothing is decoded here: values and times are moved as the bytes
 * that they are.
 */
export interface VectorFormat {
  /** Names and order of the values, and the cell of an entity's row that holds each. */
  readonly features: readonly { readonly name: string; readonly cell: number }[]
  /** Names and order of the view times, and which of the row's views each is. */
  readonly views: readonly { readonly name: string; readonly view: number }[]
  /** The row has so many cells before its first view time. */
  readonly featureCells: number
}

/** Cells as places in bytes, two numbers each, from `base` on; absent where the first is below 0. */
export interface PlacedCells {
  readonly bytes: Buffer
  readonly places: Int32Array
  readonly base: number
}

export interface VectorCodec {
  /**
   * The Value that holds the vector of an entity's row.
   * @param precomputedAt a Timestamp message
   */
  encode(row: PlacedCells, precomputedAt: Buffer): Buffer
  /**
   * Finds a vector's values and writes their places to `places`, from `base` on, as the row has them.
   * @param stored cell 0 is the vector's Value, cell 1 + i the time that the row's view i has now
   * @returns false, with `places` in disorder, when this is no vector of the format, or not one of the views' rows
   * as they are now: it says other times
   */
  place(stored: PlacedCells, places: Int32Array, base: number): boolean
}

const BYTES_VAL = 0x0a
const VALUE = 0x12
const VIEW_TIME = 0x1a
const EVENT_TIME = 0x12
const PRECOMPUTED_AT = 0x22

/** All that does not depend on the row is encoded here, once. */
export function vectorCodec({ features, views, featureCells }: VectorFormat): VectorCodec {
  const names = Buffer.concat(features.map(({ name }) => encodeTextField(1, name)))
  const cells = Int32Array.from(features, ({ cell }) => cell)
  const times = views.map(({ name, view }) => ({ name: encodeTextField(1, name), view }))

  function encode({ bytes, places, base }: PlacedCells, precomputedAt: Buffer): Buffer {
    const lengthOf = (cell: number) => {
      const place = base + 2 * cell
      return places[place]! < 0 ? 0 : places[place + 1]! - places[place]!
    }
    const entryLength = (name: Buffer, cell: number) => name.length + fieldLength(lengthOf(cell))
    let length = names.length + fieldLength(precomputedAt.length)
    for (const cell of cells) length += fieldLength(lengthOf(cell))
    for (const { name, view } of times) length += fieldLength(entryLength(name, featureCells + view))
    const out = Buffer.allocUnsafe(fieldLength(length))
    const copyCell = (at: number, cell: number) => {
      const start = places[base + 2 * cell]!
      return start < 0 ? at : copyBytes(out, at, bytes, start, places[base + 2 * cell + 1]!)
    }
    let at = writeHead(out, 0, BYTES_VAL, length)
    at += names.copy(out, at)
    for (const cell of cells) at = copyCell(writeHead(out, at, VALUE, lengthOf(cell)), cell)
    for (const { name, view } of times) {
      const cell = featureCells + view
      at = writeHead(out, at, VIEW_TIME, entryLength(name, cell))
      at = copyBytes(out, at, name, 0, name.length)
      // A view without a row has the time 0, as Feast writes it.
      at = copyCell(writeHead(out, at, EVENT_TIME, lengthOf(cell)), cell)
    }
    at = writeHead(out, at, PRECOMPUTED_AT, precomputedAt.length)
    precomputedAt.copy(out, at)
    return out
  }

  function place(stored: PlacedCells, places: Int32Array, base: number): boolean {
    const { bytes } = stored
    const start = stored.places[stored.base]!
    const end = stored.places[stored.base + 1]!
    if (start < 0 || !enter(bytes, start, end, BYTES_VAL) || field.end !== end) return false
    let at = field.start + names.length
    if (at > end || bytes.compare(names, 0, names.length, field.start, at) !== 0) return false
    for (let i = 0; i < cells.length; i++) {
      const cell = base + 2 * cells[i]!
      const length = at + 2 <= end && bytes[at] === VALUE ? bytes[at + 1]! : 0x80
      if (length < 0x80) {
        places[cell] = at + 2
        at += 2 + length
      } else {
        if (!enter(bytes, at, end, VALUE)) return false
        places[cell] = field.start
        at = field.end
      }
      places[cell + 1] = at
    }
    if (at > end) return false
    for (let i = 0; i < times.length; i++) {
      const { name, view } = times[i]!
      if (!enter(bytes, at, end, VIEW_TIME)) return false
      const nameEnd = field.start + name.length
      at = field.end
      if (nameEnd > at || !sameBytes(bytes, field.start, nameEnd, name, 0, name.length)) return false
      if (!enter(bytes, nameEnd, at, EVENT_TIME) || field.end !== at) return false
      const now = stored.base + 2 * (1 + view)
      const nowStart = stored.places[now]!
      // An absent one is the time 0 of a vector.
      const nowEnd = nowStart < 0 ? nowStart : stored.places[now + 1]!
      if (!sameBytes(bytes, field.start, field.end, bytes, nowStart, nowEnd)) return false
      const cell = base + 2 * (featureCells + view)
      places[cell] = nowStart
      places[cell + 1] = nowEnd
    }
    return true
  }

  return { encode, place }
}

/** What {@link enter} found; reused, since it is called for every value of every row. */
const field = { start: 0, end: 0 }

/** Whether a length-delimited field of this tag starts at `at` and ends by `limit`. */
function enter(bytes: Buffer, at: number, limit: number, tag: number): boolean {
  if (at + 2 > limit || bytes[at] !== tag) return false
  let lengthEnd = at + 1
  while (bytes[lengthEnd]! >= 0x80) if (++lengthEnd >= limit) return false
  lengthEnd++
  // Longer lengths than 28 bits fit no cell.
  if (lengthEnd - at > 5) return false
  field.start = lengthEnd
  field.end = lengthEnd + (lengthEnd - at === 2 ? bytes[at + 1]! : readVarint32(bytes, at + 1, lengthEnd))
  return field.end <= limit
}

/** Names and times are short: a call to compare() or copy() would cost more than a few bytes do. */
function sameBytes(
  bytes: Buffer,
  start: number,
  end: number,
  others: Buffer,
  otherStart: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - otherStart) return false
  for (let i = start, j = otherStart; i < end; i++, j++) if (bytes[i] !== others[j]) return false
  return true
}

function copyBytes(out: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  if (end - start > 24) return at + bytes.copy(out, at, start, end)
  for (let i = start, j = at; i < end; i++, j++) out[j] = bytes[i]!
  return at + end - start
}

function writeHead(out: Buffer, start: number, tag: number, length: number): number {
  let at = start
  out[at++] = tag
  let rest = length
  for (; rest > 0x7f; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80
  out[at++] = rest
  return at
}

/** Of a length-delimited field whose content has this length. */
function fieldLength(length: number): number {
  return length + (length < 0x80 ? 2 : length < 0x4000 ? 3 : length < 0x20_0000 ? 4 : 5)
}
