import { ByteWriter } from '../codec/byte-writer.js'
import { encodeValue, valueEncoder } from '../codec/value.js'
import type { Cell } from '../core/cell.js'
import type { OnlineRow } from '../online-stores/online-row.js'
import { protoNames } from './answer-names.js'
import { MIXED, type OnDemandColumn, PRESENT, type StoredColumn } from './field-status.js'
import type { OnlineAnswer } from './online-answer.js'
import { timeCell } from './online-plan.js'
import type { EchoedColumn } from './online-read.js'

/** Answers are written here one after another, so that none pays for a buffer that grows. */
const scratch = new ByteWriter(1 << 16)
const KEPT_BYTES = 1 << 22

/** Fields of GetOnlineFeaturesResponse and of what it is made of, as tags: number and wire type 2. */
const METADATA = 0x0a
const RESULTS = 0x12
const FEATURE_NAMES = 0x0a
const VALUES = 0x0a
const STATUSES = 0x12
const EVENT_TIMESTAMPS = 0x1a

/** The message feast.serving.GetOnlineFeaturesResponse: stored Values and Timestamps are copied, none is decoded. */
export function writeProtoResponse(answer: OnlineAnswer, includeViewVersions: boolean): Buffer {
  scratch.reset(KEPT_BYTES)
  new ProtoResponse(scratch, answer).write(includeViewVersions ? answer.plan.names.protoVersions : NONE)
  return scratch.copy()
}

/** Where in the answer a piece stands that other columns have as well: copying it costs less than writing it. */
type Piece = { readonly start: number; readonly end: number }

class ProtoResponse {
  readonly #out: ByteWriter
  readonly #answer: OnlineAnswer
  readonly #rowCount: number
  /** Statuses of a column: tag, length, a byte per row. */
  readonly #statusesBytes: number
  readonly #statuses: (Piece | undefined)[] = []
  /** By group and view. */
  readonly #times: (Piece | undefined)[][]

  constructor(out: ByteWriter, answer: OnlineAnswer) {
    this.#out = out
    this.#answer = answer
    this.#rowCount = answer.rows.rowCount
    this.#statusesBytes = fieldBytes(this.#rowCount)
    this.#times = answer.plan.groups.map(() => [])
  }

  write(versions: Buffer): void {
    const { plan, rows, outputs } = this.#answer
    const echoedNames = protoNames(rows.echoed.map(({ name }) => name))
    const namesBytes = echoedNames.length + plan.names.proto.length
    this.#tag(METADATA, fieldBytes(namesBytes) + versions.length)
    this.#tag(FEATURE_NAMES, namesBytes)
    this.#out.slice(echoedNames, 0, echoedNames.length)
    this.#out.slice(plan.names.proto, 0, plan.names.proto.length)
    this.#out.slice(versions, 0, versions.length)
    for (const column of rows.echoed) this.#echoed(column)
    outputs.forEach((output, index) => {
      if (output.kind === 'stored') this.#stored(output, index)
      else this.#computed(output, index)
    })
  }

  #stored({ place, rows: { rows, rowOf } }: StoredColumn, index: number): void {
    const cell = 2 * place.cell
    const time = 2 * timeCell(this.#answer.plan, place)
    const times = this.#times[place.group]!
    const written = times[place.view]
    let bytes =
      this.#statusesBytes +
      (written ? written.end - written.start : cellsBytes(rows, rowOf, time, this.#rowCount))
    bytes += cellsBytes(rows, rowOf, cell, this.#rowCount)
    this.#tag(RESULTS, bytes)
    this.#cells(VALUES, rows, rowOf, cell)
    this.#outputStatuses(index)
    times[place.view] = this.#once(written, () => this.#cells(EVENT_TIMESTAMPS, rows, rowOf, time))
  }

  #computed({ cells }: OnDemandColumn, index: number): void {
    this.#resultHead(cells)
    for (const cell of cells) this.#field(VALUES, cell ?? NONE, 0, cell?.length ?? 0)
    this.#outputStatuses(index)
    this.#epochTimes()
  }

  #echoed({ name, type, values }: EchoedColumn): void {
    const encode = type === undefined ? inferredValue : valueEncoder(type, `Entity column "${name}"`)
    const cells = values.map((value) => encode(value as Cell))
    this.#resultHead(cells)
    for (const cell of cells) this.#field(VALUES, cell, 0, cell.length)
    this.#sameStatuses(PRESENT)
    this.#epochTimes()
  }

  /** Of a column without event times. */
  #resultHead(cells: readonly (Buffer | null | undefined)[]): void {
    let bytes = this.#statusesBytes + 2 * this.#rowCount
    for (const cell of cells) bytes += fieldBytes(cell?.length ?? 0)
    this.#tag(RESULTS, bytes)
  }

  #cells(tag: number, rows: readonly OnlineRow[], rowOf: readonly number[] | undefined, cell: number): void {
    for (let row = 0; row < this.#rowCount; row++) {
      const { bytes, places, base } = rows[rowOf === undefined ? row : rowOf[row]!]!
      const start = places[base + cell]!
      if (start < 0) this.#tag(tag, 0)
      else this.#field(tag, bytes, start, places[base + cell + 1]!)
    }
  }

  #outputStatuses(index: number): void {
    const { codes, common } = this.#answer.statuses
    if (common[index] !== MIXED) this.#sameStatuses(common[index]!)
    else {
      const start = index * this.#rowCount
      this.#tag(STATUSES, this.#rowCount)
      for (let row = 0; row < this.#rowCount; row++) this.#out.byte(codes[start + row]!)
    }
  }

  #sameStatuses(status: number): void {
    this.#statuses[status] = this.#once(this.#statuses[status], () => {
      this.#tag(STATUSES, this.#rowCount)
      for (let row = 0; row < this.#rowCount; row++) this.#out.byte(status)
    })
  }

  /** The epoch is a Timestamp without bytes. */
  #epochTimes(): void {
    for (let row = 0; row < this.#rowCount; row++) this.#tag(EVENT_TIMESTAMPS, 0)
  }

  #tag(tag: number, length: number): void {
    this.#out.byte(tag)
    this.#out.varint(length)
  }

  #field(tag: number, bytes: Buffer, start: number, end: number): void {
    const out = this.#out
    const length = end - start
    if (length > 24) {
      this.#tag(tag, length)
      out.slice(bytes, start, end)
      return
    }
    // Most values: one look at the room that is left, one length byte, no call per piece.
    out.reserve(26)
    const to = out.bytes
    let at = out.length
    to[at++] = tag
    to[at++] = length
    for (let from = start; from < end; from++) to[at++] = bytes[from]!
    out.length = at
  }

  #once(written: Piece | undefined, write: () => void): Piece {
    if (written === undefined) {
      const start = this.#out.length
      write()
      return { start, end: this.#out.length }
    }
    this.#out.repeat(written.start, written.end)
    return written
  }
}

const NONE = Buffer.alloc(0)

/** Of a length-delimited field with one byte of tag. */
function fieldBytes(length: number): number {
  let bytes = 2 + length
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}

function cellsBytes(
  rows: readonly OnlineRow[],
  rowOf: readonly number[] | undefined,
  cell: number,
  rowCount: number,
): number {
  let total = 0
  for (let row = 0; row < rowCount; row++) {
    const { places, base } = rows[rowOf === undefined ? row : rowOf[row]!]!
    const start = places[base + cell]!
    total += start < 0 ? 2 : fieldBytes(places[base + cell + 1]! - start)
  }
  return total
}

/** A column that no view knows has no type: its values are what they look like. */
function inferredValue(value: unknown): Buffer {
  if (typeof value === 'bigint') return encodeValue({ valueType: 'INT64' }, BigInt.asIntN(64, value))
  if (typeof value === 'boolean') return encodeValue({ valueType: 'BOOL' }, value)
  if (typeof value === 'string') return encodeValue({ valueType: 'STRING' }, value)
  if (value instanceof Uint8Array) return encodeValue({ valueType: 'BYTES' }, value)
  if (typeof value !== 'number') return NONE
  return Number.isSafeInteger(value)
    ? encodeValue({ valueType: 'INT64' }, BigInt(value))
    : encodeValue({ valueType: 'DOUBLE' }, value)
}
