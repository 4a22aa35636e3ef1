import type { ByteWriter } from '../codec/byte-writer.js'
import { encodeValue, valueEncoder } from '../codec/value.js'
import type { Cell } from '../core/cell.js'
import { FIELD_STATUSES } from '../core/field-status.js'
import type { OnlineRow } from '../online-stores/online-row.js'
import { protoNames } from './answer-names.js'
import { AnswerPieces } from './answer-pieces.js'
import { type ComputedCells, MIXED, PRESENT } from './field-status.js'
import type { OnlineAnswer } from './online-answer.js'
import { type CellPlace, timeCell } from './online-plan.js'
import type { EchoedColumn } from './online-read.js'

/** Fields of GetOnlineFeaturesResponse and of what it is made of, as tags: number and wire type 2. */
const METADATA = 0x0a
const RESULTS = 0x12
const FEATURE_NAMES = 0x0a
const VALUES = 0x0a
const STATUSES = 0x12
const EVENT_TIMESTAMPS = 0x1a

const pieces = new AnswerPieces()

/** The message feast.serving.GetOnlineFeaturesResponse: stored Values and Timestamps are copied, none is decoded. */
export function writeProtoResponse(
  out: ByteWriter,
  answer: OnlineAnswer,
  includeViewVersions: boolean,
): void {
  new ProtoResponse(out, answer).write(includeViewVersions ? answer.plan.names.protoVersions : NONE)
}

class ProtoResponse {
  readonly #out: ByteWriter
  readonly #answer: OnlineAnswer
  readonly #rowCount: number
  /** Statuses of a column: tag, length, a byte per row. */
  readonly #statusesBytes: number

  constructor(out: ByteWriter, answer: OnlineAnswer) {
    this.#out = out
    this.#answer = answer
    this.#rowCount = answer.rows.rowCount
    this.#statusesBytes = fieldBytes(this.#rowCount)
    pieces.reset(VIEW_PIECES * answer.plan.storedViewCount)
  }

  write(versions: Buffer): void {
    const { plan, rows, computed } = this.#answer
    const echoedNames = protoNames(rows.echoed.map(({ name }) => name))
    const namesBytes = echoedNames.length + plan.names.proto.length
    this.#tag(METADATA, fieldBytes(namesBytes) + versions.length)
    this.#tag(FEATURE_NAMES, namesBytes)
    this.#out.slice(echoedNames, 0, echoedNames.length)
    this.#out.slice(plan.names.proto, 0, plan.names.proto.length)
    this.#out.slice(versions, 0, versions.length)
    for (const column of rows.echoed) this.#echoed(column)
    const { outputs } = plan
    for (let index = 0; index < outputs.length; index++) {
      const output = outputs[index]!
      if (output.kind === 'stored') this.#stored(output.cell, index)
      else this.#computed(computed[index]!, index)
    }
  }

  #stored(place: CellPlace, index: number): void {
    const out = this.#out
    const { rows, rowOf } = this.#answer.rows.groups[place.group]!
    const cell = 2 * place.cell
    const time = 2 * timeCell(this.#answer.plan, place)
    const status = this.#answer.statuses.common[index]!
    const timesPiece = VIEW_PIECES * place.storedView
    const endPiece = timesPiece + 1 + status
    const valuesBytes = cellsBytes(rows, rowOf, cell, this.#rowCount)
    const endBytes = status === MIXED ? 0 : pieces.length(endPiece)
    if (endBytes > 0) {
      this.#tag(RESULTS, valuesBytes + endBytes)
      this.#cells(VALUES, rows, rowOf, cell)
      pieces.repeat(endPiece, out)
      return
    }
    const timesBytes = pieces.length(timesPiece) || cellsBytes(rows, rowOf, time, this.#rowCount)
    this.#tag(RESULTS, valuesBytes + this.#statusesBytes + timesBytes)
    this.#cells(VALUES, rows, rowOf, cell)
    const start = out.length
    this.#outputStatuses(index)
    const timesStart = out.length
    if (!pieces.repeat(timesPiece, out)) this.#cells(EVENT_TIMESTAMPS, rows, rowOf, time)
    pieces.keep(timesPiece, timesStart, out)
    if (status !== MIXED) pieces.keep(endPiece, start, out)
  }

  #computed(cells: ComputedCells, index: number): void {
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
    this.#tag(STATUSES, this.#rowCount)
    for (let row = 0; row < this.#rowCount; row++) this.#out.byte(status)
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
}

/** Of a view: the times of a column, and per status all that follows its values. */
const VIEW_PIECES = 1 + FIELD_STATUSES.length

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
