import { decodeTimestamp } from '../codec/timestamp.js'
import { readable } from '../codec/value-decode.js'
import { BYTES, eachField, eachPacked, readText, readVarint32, VARINT } from '../codec/wire.js'
import { feastError } from '../core/errors.js'
import { FIELD_STATUSES, type FieldStatus } from '../core/field-status.js'
import type { ValueReader } from './feature-value.js'
import { LazyColumn, type OnlineColumn } from './online-features.js'

/** The reader of the values of the column of this name. */
type ReaderOf = (name: string) => ValueReader

/**
 * The columns of a `feast.serving.GetOnlineFeaturesResponse`, decoded one by one as they are asked for. They keep
 * the bytes. @throws BYTES_UNREADABLE
 */
export function protoColumns(bytes: Buffer, rowCount: number, readerOf: ReaderOf): OnlineColumn<unknown>[] {
  const names: string[] = []
  const vectors: Vector[] = []
  readable(() => {
    eachField(bytes, 0, bytes.length, (number, wireType, _start, from, to) => {
      if (wireType !== BYTES) return
      if (number === 1) readNames(bytes, from, to, names)
      else if (number === 2) vectors.push({ bytes, start: from, end: to, rowCount })
    })
  })
  if (names.length !== vectors.length)
    throw misshapen(`it has ${names.length} names for ${vectors.length} columns`)
  return names.map((name, i) => protoColumn(name, vectors[i]!, readerOf))
}

/** Where a FeatureVector stands. */
interface Vector {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly rowCount: number
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
function protoColumn(name: string, vector: Vector, readerOf: ReaderOf): OnlineColumn<unknown> {
  const { bytes } = vector
  return new LazyColumn(name, {
    values() {
      const read = readerOf(name)
      return eachMessage(name, vector, VALUES, (start, end) => read(bytes, start, end))
    },
    statuses: () => readStatuses(name, vector),
    eventTimestamps: () =>
      eachMessage(name, vector, TIMES, (start, end) => {
        const { seconds, nanos } = decodeTimestamp(bytes, start, end)
        return seconds === 0 && nanos === 0 ? null : new Date(seconds * 1000 + Math.floor(nanos / 1e6))
      }),
  })
}

function eachMessage<T>(
  name: string,
  { bytes, start, end, rowCount }: Vector,
  wanted: number,
  read: (start: number, end: number) => T,
): readonly T[] {
  const found: T[] = []
  readable(() => {
    eachField(bytes, start, end, (number, wireType, _start, from, to) => {
      if (number === wanted && wireType === BYTES) found.push(read(from, to))
    })
  })
  return whole(name, found, rowCount)
}

function readStatuses(name: string, { bytes, start, end, rowCount }: Vector): readonly FieldStatus[] {
  const found: FieldStatus[] = []
  const push = (from: number, to: number) => {
    found.push(FIELD_STATUSES[readVarint32(bytes, from, to)] ?? 'INVALID')
  }
  readable(() => {
    eachField(bytes, start, end, (number, wireType, _start, from, to) => {
      if (number !== STATUSES) return
      if (wireType === VARINT) push(from, to)
      else if (wireType === BYTES) eachPacked(bytes, from, to, push)
    })
  })
  return whole(name, found, rowCount)
}

function whole<T>(name: string, found: readonly T[], rowCount: number): readonly T[] {
  if (found.length === rowCount) return found
  throw misshapen(`column "${name}" has ${found.length} rows, asked were ${rowCount}`)
}

export function misshapen(why: string): Error {
  return feastError('BYTES_UNREADABLE', { what: 'The answer of the feature server', why })
}
