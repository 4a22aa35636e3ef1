import type { ByteWriter } from '../codec/byte-writer.js'
import { decodeTimestamp, EPOCH_TEXT, floorSeconds, writeTimestampText } from '../codec/timestamp.js'
import { writeValueJson } from '../codec/value-json.js'
import type { Cell } from '../core/cell.js'
import { FIELD_STATUSES } from '../core/field-status.js'
import type { FeastType } from '../core/value-type.js'
import { AnswerPieces } from './answer-pieces.js'
import { type ComputedCells, MIXED, PRESENT } from './field-status.js'
import { jsonText } from './json-text.js'
import type { OnlineAnswer } from './online-answer.js'
import { type CellPlace, timeCell } from './online-plan.js'
import type { EchoedColumn } from './online-read.js'

const pieces = new AnswerPieces()

/** Feast's answer to POST /get-online-features, straight from the stored bytes: no object per feature. */
export function writeJsonResponse(out: ByteWriter, answer: OnlineAnswer): void {
  new JsonResponse(out, answer).write()
}

class JsonResponse {
  readonly #out: ByteWriter
  readonly #answer: OnlineAnswer
  readonly #rowCount: number

  constructor(out: ByteWriter, answer: OnlineAnswer) {
    this.#out = out
    this.#answer = answer
    this.#rowCount = answer.rows.rowCount
    pieces.reset(VIEW_PIECES * (1 + answer.plan.storedViewCount))
  }

  /** The end of a column is also the start of the next: of most columns nothing but the values is written anew. */
  write(): void {
    const out = this.#out
    const { plan, rows, computed } = this.#answer
    out.ascii('{"results":[')
    out.ascii(COLUMN_START)
    for (const column of rows.echoed) this.#echoed(column)
    const { outputs } = plan
    for (let index = 0; index < outputs.length; index++) {
      const output = outputs[index]!
      const place = output.kind === 'stored' ? output.cell : undefined
      if (place) this.#storedValues(place)
      else this.#computedValues(computed[index]!)
      this.#columnEnd(index, place)
    }
    out.length -= COLUMN_START.length + 1
    out.ascii('],"metadata":{"feature_names":[')
    for (const { name } of rows.echoed) out.text(`${JSON.stringify(name)},`)
    out.slice(plan.names.json, 0, plan.names.json.length)
    out.ascii(']}}')
  }

  #storedValues({ group, cell }: CellPlace): void {
    const out = this.#out
    const { rows, rowOf } = this.#answer.rows.groups[group]!
    const place = 2 * cell
    for (let row = 0; row < this.#rowCount; row++) {
      const { bytes, places, base } = rows[rowOf === undefined ? row : rowOf[row]!]!
      const start = places[base + place]!
      if (start < 0) out.ascii('null')
      else writeValueJson(out, bytes, start, places[base + place + 1]!)
      out.byte(COMMA)
    }
    out.length--
  }

  #computedValues(cells: ComputedCells): void {
    const out = this.#out
    for (const cell of cells) {
      if (cell) writeValueJson(out, cell, 0, cell.length)
      else out.ascii('null')
      out.byte(COMMA)
    }
    out.length--
  }

  #echoed({ type, values }: EchoedColumn): void {
    const out = this.#out
    for (const value of values) {
      if (type === undefined) out.text(jsonText(value))
      else writeKey(out, value as Cell, type)
      out.byte(COMMA)
    }
    out.length--
    this.#sameEnd(PRESENT, undefined)
  }

  /** @param place undefined: of no stored feature, so without event times */
  #columnEnd(index: number, place: CellPlace | undefined): void {
    const { codes, common } = this.#answer.statuses
    if (common[index] === MIXED) {
      this.#out.ascii(VALUES_END)
      const end = (index + 1) * this.#rowCount
      for (let at = index * this.#rowCount; at < end; ) {
        const first = at
        const status = codes[at]!
        while (at < end && codes[at] === status) at++
        this.#statuses(status, at - first)
      }
      this.#times(place)
    } else this.#sameEnd(common[index]!, place)
  }

  #sameEnd(status: number, place: CellPlace | undefined): void {
    const out = this.#out
    const piece = firstPiece(place) + 1 + status
    if (pieces.repeat(piece, out)) return
    const start = out.length
    out.ascii(VALUES_END)
    this.#statuses(status, this.#rowCount)
    this.#times(place)
    pieces.keep(piece, start, out)
  }

  #statuses(status: number, count: number): void {
    const text = STATUS_TEXTS[status]!
    const length = text.length / STATUS_RUN
    for (let left = count; left > 0; left -= STATUS_RUN) {
      this.#out.slice(text, 0, Math.min(left, STATUS_RUN) * length)
    }
  }

  /** With what stands before and behind them. */
  #times(place: CellPlace | undefined): void {
    const out = this.#out
    const piece = firstPiece(place)
    // In place of the comma behind the last status.
    out.length--
    if (pieces.repeat(piece, out)) return
    const start = out.length
    out.ascii(STATUSES_END)
    if (place) this.#storedTimes(place)
    else for (let row = 0; row < this.#rowCount; row++) out.ascii(`"${EPOCH_TEXT}",`)
    out.length--
    out.ascii(COLUMN_END)
    pieces.keep(piece, start, out)
  }

  #storedTimes(place: CellPlace): void {
    const out = this.#out
    const { rows, rowOf } = this.#answer.rows.groups[place.group]!
    const cell = 2 * timeCell(this.#answer.plan, place)
    for (let row = 0; row < this.#rowCount; row++) {
      const { bytes, places, base } = rows[rowOf === undefined ? row : rowOf[row]!]!
      const start = places[base + cell]!
      out.byte(QUOTE)
      if (start < 0) out.ascii(EPOCH_TEXT)
      else writeTimestampText(out, decodeTimestamp(bytes, start, places[base + cell + 1]!))
      out.ascii('",')
    }
  }
}

/** Of a view, and of all that is not stored: the times of a column, and per status all that follows its values. */
const VIEW_PIECES = 1 + FIELD_STATUSES.length

function firstPiece(place: CellPlace | undefined): number {
  return place ? VIEW_PIECES * (1 + place.storedView) : 0
}

const COMMA = 0x2c
const QUOTE = 0x22
const COLUMN_START = '{"values":['
const VALUES_END = '],"statuses":['
const STATUSES_END = '],"event_timestamps":['
const COLUMN_END = `]},${COLUMN_START}`
/** Runs of a status, from which shorter ones are copied. */
const STATUS_RUN = 128
const STATUS_TEXTS = FIELD_STATUSES.map((status) => Buffer.from(`"${status}",`.repeat(STATUS_RUN)))

function writeKey(out: ByteWriter, cell: Cell, type: FeastType): void {
  if (type.valueType === 'STRING') out.text(JSON.stringify(cell))
  else if (type.valueType === 'UNIX_TIMESTAMP') out.ascii(String(floorSeconds(cell as bigint)))
  else if (cell instanceof Uint8Array) out.ascii(`"${Buffer.from(cell).toString('base64')}"`)
  else out.ascii(String(cell))
}
