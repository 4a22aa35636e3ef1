import { ByteWriter } from '../codec/byte-writer.js'
import { decodeTimestamp, EPOCH_TEXT, floorSeconds, writeTimestampText } from '../codec/timestamp.js'
import { writeValueJson } from '../codec/value-json.js'
import type { Cell } from '../core/cell.js'
import { FIELD_STATUSES } from '../core/field-status.js'
import type { FeastType } from '../core/value-type.js'
import { type ComputedCells, MIXED, PRESENT } from './field-status.js'
import { jsonText } from './json-text.js'
import type { OnlineAnswer } from './online-answer.js'
import { type CellPlace, timeCell } from './online-plan.js'
import type { EchoedColumn } from './online-read.js'

/** Answers are written here one after another, so that none pays for a buffer that grows. */
const scratch = new ByteWriter(1 << 16)
const KEPT_BYTES = 1 << 22

/** Feast's answer to POST /get-online-features, straight from the stored bytes: no object per feature. */
export function writeJsonResponse(answer: OnlineAnswer): Buffer {
  scratch.reset(KEPT_BYTES)
  new JsonResponse(scratch, answer).write()
  return scratch.copy()
}

class JsonResponse {
  readonly #out: ByteWriter
  readonly #answer: OnlineAnswer
  readonly #rowCount: number
  /** By status: the statuses of a column in which all rows have it. */
  readonly #statuses: (Piece | undefined)[] = []
  /** By group and view: the times of its columns; and by status as well, all that follows their values. */
  readonly #times: (Piece | undefined)[][]
  readonly #ends: (Piece | undefined)[][]
  #epochs: Piece | undefined

  constructor(out: ByteWriter, answer: OnlineAnswer) {
    this.#out = out
    this.#answer = answer
    this.#rowCount = answer.rows.rowCount
    this.#times = answer.plan.groups.map(() => [])
    this.#ends = answer.plan.groups.map(() => [])
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
      if (output.kind === 'stored') {
        this.#storedValues(output.cell)
        this.#storedEnd(index, output.cell)
      } else {
        this.#computedValues(computed[index]!)
        this.#outputStatuses(index)
        this.#epochTimes()
      }
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
    this.#sameStatuses(PRESENT)
    this.#epochTimes()
  }

  #storedEnd(index: number, place: CellPlace): void {
    const status = this.#answer.statuses.common[index]!
    if (status === MIXED) {
      this.#outputStatuses(index)
      this.#storedTimes(place)
      return
    }
    const ends = this.#ends[place.group]!
    const at = place.view * STATUS_TEXTS.length + status
    const written = ends[at]
    if (written !== undefined) this.#out.repeat(written.start, written.end)
    else {
      const start = this.#out.length
      this.#sameStatuses(status)
      this.#storedTimes(place)
      ends[at] = { start, end: this.#out.length }
    }
  }

  #outputStatuses(index: number): void {
    const { codes, common } = this.#answer.statuses
    if (common[index] !== MIXED) {
      this.#sameStatuses(common[index]!)
      return
    }
    const out = this.#out
    out.ascii(VALUES_END)
    for (let at = index * this.#rowCount, end = at + this.#rowCount; at < end; at++) {
      const status = STATUS_TEXTS[codes[at]!]!
      out.slice(status, 0, status.length)
    }
    out.length--
  }

  #sameStatuses(status: number): void {
    this.#statuses[status] = this.#once(this.#statuses[status], () => {
      this.#out.ascii(VALUES_END)
      const text = STATUS_TEXTS[status]!
      for (let row = 0; row < this.#rowCount; row++) this.#out.slice(text, 0, text.length)
      this.#out.length--
    })
  }

  #storedTimes(place: CellPlace): void {
    const times = this.#times[place.group]!
    times[place.view] = this.#once(times[place.view], () => {
      const out = this.#out
      const { rows, rowOf } = this.#answer.rows.groups[place.group]!
      const cell = 2 * timeCell(this.#answer.plan, place)
      out.ascii(STATUSES_END)
      for (let row = 0; row < this.#rowCount; row++) {
        const { bytes, places, base } = rows[rowOf === undefined ? row : rowOf[row]!]!
        const start = places[base + cell]!
        out.byte(QUOTE)
        if (start < 0) out.ascii(EPOCH_TEXT)
        else writeTimestampText(out, decodeTimestamp(bytes, start, places[base + cell + 1]!))
        out.ascii('",')
      }
      out.length--
      out.ascii(COLUMN_END)
    })
  }

  #epochTimes(): void {
    this.#epochs = this.#once(this.#epochs, () => {
      this.#out.ascii(STATUSES_END)
      for (let row = 0; row < this.#rowCount; row++) this.#out.ascii(`"${EPOCH_TEXT}",`)
      this.#out.length--
      this.#out.ascii(COLUMN_END)
    })
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

/** Where in the answer a piece stands that other columns have as well: copying it costs less than writing it. */
type Piece = { readonly start: number; readonly end: number }

const COMMA = 0x2c
const QUOTE = 0x22
const COLUMN_START = '{"values":['
const VALUES_END = '],"statuses":['
const STATUSES_END = '],"event_timestamps":['
const COLUMN_END = `]},${COLUMN_START}`
const STATUS_TEXTS = FIELD_STATUSES.map((status) => Buffer.from(`"${status}",`))

function writeKey(out: ByteWriter, cell: Cell, type: FeastType): void {
  if (type.valueType === 'STRING') out.text(JSON.stringify(cell))
  else if (type.valueType === 'UNIX_TIMESTAMP') out.ascii(String(floorSeconds(cell as bigint)))
  else if (cell instanceof Uint8Array) out.ascii(`"${Buffer.from(cell).toString('base64')}"`)
  else out.ascii(String(cell))
}
