import { decodeTimestamp } from '../codec/timestamp.js'
import { decodeValueAt, readable } from '../codec/value-decode.js'
import { BYTES, eachField, eachPacked, readText, readVarint32, VARINT } from '../codec/wire.js'
import { feastError } from '../core/errors.js'
import { FIELD_STATUSES, type FieldStatus } from './field-status.js'
import type { OnlineColumn } from './online-features.js'

/** Reads a decoded Value of the column of this name. */
export type ReaderOf = (name: string) => (decoded: ReturnType<typeof decodeValueAt>) => unknown

/**
 * The columns of a `feast.serving.GetOnlineFeaturesResponse`, decoded one by one as they are asked for. They keep
 * the bytes. @throws BYTES_UNREADABLE
 */
export function protoColumns(bytes: Buffer, rowCount: number, readerOf: ReaderOf): OnlineColumn<unknown>[] {
  const names: string[] = []
  const vectors: Range[] = []
  readable(() => {
    eachField(bytes, 0, bytes.length, (number, wireType, _start, from, to) => {
      if (wireType !== BYTES) return
      if (number === 1) readNames(bytes, from, to, names)
      else if (number === 2) vectors.push({ start: from, end: to })
    })
  })
  if (names.length !== vectors.length)
    throw misshapen(`it has ${names.length} names for ${vectors.length} columns`)
  return names.map((name, i) => new ProtoColumn(name, bytes, vectors[i]!, rowCount, readerOf))
}

interface Range {
  readonly start: number
  readonly end: number
}

/** metadata.feature_names.val */
function readNames(bytes: Buffer, start: number, end: number, names: string[]): void {
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number !== 1 || wireType !== BYTES) return
    eachField(bytes, from, to, (inner, innerWire, _innerStart, textStart, textEnd) => {
      if (inner === 1 && innerWire === BYTES) names.push(readText(bytes, textStart, textEnd))
    })
  })
}

const VALUES = 1
const STATUSES = 2
const TIMES = 3

/** A FeatureVector. */
class ProtoColumn implements OnlineColumn<unknown> {
  #values: readonly unknown[] | undefined
  #statuses: readonly FieldStatus[] | undefined
  #times: readonly (Date | null)[] | undefined

  constructor(
    readonly name: string,
    readonly bytes: Buffer,
    readonly range: Range,
    readonly rowCount: number,
    readonly readerOf: ReaderOf,
  ) {}

  get values(): readonly unknown[] {
    if (this.#values === undefined) {
      const read = this.readerOf(this.name)
      this.#values = this.#each(VALUES, (start, end) => read(decodeValueAt(this.bytes, start, end)))
    }
    return this.#values
  }

  get statuses(): readonly FieldStatus[] {
    this.#statuses ??= this.#readStatuses()
    return this.#statuses
  }

  get eventTimestamps(): readonly (Date | null)[] {
    this.#times ??= this.#each(TIMES, (start, end) => {
      const { seconds, nanos } = decodeTimestamp(this.bytes, start, end)
      return seconds === 0 && nanos === 0 ? null : new Date(seconds * 1000 + Math.floor(nanos / 1e6))
    })
    return this.#times
  }

  #each<T>(wanted: number, read: (start: number, end: number) => T): readonly T[] {
    const { bytes, range } = this
    const found: T[] = []
    readable(() => {
      eachField(bytes, range.start, range.end, (number, wireType, _start, from, to) => {
        if (number === wanted && wireType === BYTES) found.push(read(from, to))
      })
    })
    return this.#whole(found)
  }

  #readStatuses(): readonly FieldStatus[] {
    const { bytes, range } = this
    const found: FieldStatus[] = []
    const push = (from: number, to: number) => {
      found.push(FIELD_STATUSES[readVarint32(bytes, from, to)] ?? 'INVALID')
    }
    readable(() => {
      eachField(bytes, range.start, range.end, (number, wireType, _start, from, to) => {
        if (number !== STATUSES) return
        if (wireType === VARINT) push(from, to)
        else if (wireType === BYTES) eachPacked(bytes, from, to, push)
      })
    })
    return this.#whole(found)
  }

  #whole<T>(found: readonly T[]): readonly T[] {
    if (found.length === this.rowCount) return found
    throw misshapen(`column "${this.name}" has ${found.length} rows, asked were ${this.rowCount}`)
  }
}

export function misshapen(why: string): Error {
  return feastError('BYTES_UNREADABLE', { what: 'The answer of the feature server', why })
}
