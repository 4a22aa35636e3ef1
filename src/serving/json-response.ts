import { ByteWriter } from '../codec/byte-writer.js'
import { decodeTimestamp, EPOCH_TEXT, floorSeconds, writeTimestampText } from '../codec/timestamp.js'
import { writeValueJson } from '../codec/value-json.js'
import type { Cell } from '../core/cell.js'
import { FIELD_STATUSES } from '../core/field-status.js'
import type { FeastType } from '../core/value-type.js'
import { MIXED, type OnDemandColumn, PRESENT, type StoredColumn } from './field-status.js'
import { jsonText } from './json-text.js'
import type { OnlineAnswer } from './online-answer.js'
import { timeCell } from './online-plan.js'
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

/** Where in the answer a piece stands that other columns have as well: copying it costs less than writing it. */
type Piece = { readonly start: number; readonly end: number }

class JsonResponse {
  readonly #out: ByteWriter
  readonly #answer: OnlineAnswer
  readonly #rowCount: number
  /** By status: the statuses of a column in which all rows have it. */
  readonly #statuses: (Piece | undefined)[] = []
  /** By group and view. */
  readonly #times: (Piece | undefined)[][]
  #epochs: Piece | undefined

  constructor(out: ByteWriter, answer: OnlineAnswer) {
    this.#out = out
    this.#answer = answer
    this.#rowCount = answer.rows.rowCount
    this.#times = answer.plan.groups.map(() => [])
  }

  write(): void {
    const out = this.#out
    const { plan, rows, outputs } = this.#answer
    out.ascii('{"results":[')
    for (const column of rows.echoed) this.#echoed(column)
    outputs.forEach((output, index) => {
      out.ascii('{"values":[')
      if (output.kind === 'stored') this.#storedValues(output)
      else this.#computedValues(output)
      out.ascii(VALUES_END)
      this.#outputStatuses(index)
      if (output.kind === 'stored') this.#storedTimes(output)
      else this.#epochTimes()
    })
    out.length--
    out.ascii('],"metadata":{"feature_names":[')
    for (const { name } of rows.echoed) out.text(`${JSON.stringify(name)},`)
    out.slice(plan.names.json, 0, plan.names.json.length)
    out.ascii(']}}')
  }

  #storedValues({ place, rows: { rows, rowOf } }: StoredColumn): void {
    const out = this.#out
    const cell = 2 * place.cell
    for (let row = 0; row < this.#rowCount; row++) {
      const { bytes, places, base } = rows[rowOf === undefined ? row : rowOf[row]!]!
      const start = places[base + cell]!
      if (start < 0) out.ascii('null')
      else writeValueJson(out, bytes, start, places[base + cell + 1]!)
      out.byte(COMMA)
    }
    out.length--
  }

  #computedValues({ cells }: OnDemandColumn): void {
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
    out.ascii('{"values":[')
    for (const value of values) {
      if (type === undefined) out.text(jsonText(value))
      else writeKey(out, value as Cell, type)
      out.byte(COMMA)
    }
    out.length--
    out.ascii(VALUES_END)
    this.#sameStatuses(PRESENT)
    this.#epochTimes()
  }

  #outputStatuses(index: number): void {
    const { codes, common } = this.#answer.statuses
    if (common[index] !== MIXED) {
      this.#sameStatuses(common[index]!)
      return
    }
    const out = this.#out
    for (let at = index * this.#rowCount, end = at + this.#rowCount; at < end; at++) {
      const status = STATUS_TEXTS[codes[at]!]!
      out.slice(status, 0, status.length)
    }
    out.length--
    out.ascii(STATUSES_END)
  }

  #sameStatuses(status: number): void {
    this.#statuses[status] = this.#once(this.#statuses[status], () => {
      const text = STATUS_TEXTS[status]!
      for (let row = 0; row < this.#rowCount; row++) this.#out.slice(text, 0, text.length)
      this.#out.length--
      this.#out.ascii(STATUSES_END)
    })
  }

  #storedTimes({ place, rows: { rows, rowOf } }: StoredColumn): void {
    const times = this.#times[place.group]!
    times[place.view] = this.#once(times[place.view], () => {
      const out = this.#out
      const cell = 2 * timeCell(this.#answer.plan, place)
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

const COMMA = 0x2c
const QUOTE = 0x22
const VALUES_END = '],"statuses":['
const STATUSES_END = '],"event_timestamps":['
const COLUMN_END = ']},'
const STATUS_TEXTS = FIELD_STATUSES.map((status) => Buffer.from(`"${status}",`))

function writeKey(out: ByteWriter, cell: Cell, type: FeastType): void {
  if (type.valueType === 'STRING') out.text(JSON.stringify(cell))
  else if (type.valueType === 'UNIX_TIMESTAMP') out.ascii(String(floorSeconds(cell as bigint)))
  else if (cell instanceof Uint8Array) out.ascii(`"${Buffer.from(cell).toString('base64')}"`)
  else out.ascii(String(cell))
}
