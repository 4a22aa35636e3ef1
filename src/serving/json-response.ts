import { floorSeconds } from '../codec/timestamp.js'
import { valueJson } from '../codec/value-json.js'
import type { Cell } from '../core/cell.js'
import type { FeastType } from '../core/value-type.js'
import { FRESH, fieldStatus, type RowTimes } from './field-status.js'
import { jsonText } from './json-text.js'
import type { OnDemandColumn, OnlineAnswer, StoredColumn } from './online-answer.js'
import type { EchoedColumn } from './online-read.js'

/** Feast's answer to POST /get-online-features, straight from the cells: no object per feature. */
export function writeJsonResponse(answer: OnlineAnswer): Buffer {
  const constant = repeated(answer.rowCount)
  const stamps = new Map<RowTimes, string>()
  const body = new GrowingText()
  const names: string[] = []
  const add = (name: string, column: string) => {
    body.add(names.length === 0 ? '{"results":[' : ',')
    body.add(column)
    names.push(JSON.stringify(name))
  }
  for (const column of answer.echoed) {
    add(column.name, `{"values":[${echoedValues(column)}]${constant.present}`)
  }
  for (const output of answer.outputs) {
    const isStored = output.kind === 'stored'
    add(output.name, isStored ? storedColumn(output, constant, stamps) : onDemandColumn(output, constant))
  }
  body.add(`],"metadata":{"feature_names":[${names.join()}]}}`)
  return body.bytes()
}

/** Text becomes bytes in pieces: a long string put together from many costs more than copying its bytes. */
class GrowingText {
  #text = ''
  readonly #pieces: Buffer[] = []

  add(text: string): void {
    this.#text += text
    if (this.#text.length < PIECE_CHARACTERS) return
    this.#pieces.push(Buffer.from(this.#text))
    this.#text = ''
  }

  bytes(): Buffer {
    const rest = Buffer.from(this.#text)
    return this.#pieces.length === 0 ? rest : Buffer.concat([...this.#pieces, rest])
  }
}

const PIECE_CHARACTERS = 8192

/** What is the same in many columns, written once. */
interface Repeated {
  readonly rowCount: number
  /** The end of a column whose values are all there and have no event time. */
  readonly present: string
  readonly presentStatuses: string
  readonly epochs: string
}

function repeated(rowCount: number): Repeated {
  const epochs = `],"event_timestamps":[${Array(rowCount).fill('"1970-01-01T00:00:00Z"').join()}]}`
  const presentStatuses = Array(rowCount).fill('"PRESENT"').join()
  return { rowCount, epochs, presentStatuses, present: `,"statuses":[${presentStatuses}${epochs}` }
}

function storedColumn(
  { place, rows: { rows, rowOf }, times }: StoredColumn,
  { rowCount, presentStatuses }: Repeated,
  stampsOf: Map<RowTimes, string>,
): string {
  const { cell } = place
  let values = ''
  let statuses = ''
  let absent = 0
  for (let row = 0; row < rowCount; row++) {
    const index = rowOf === undefined ? row : rowOf[row]!
    const bytes = rows[index]![cell]!
    values += bytes === null ? ',null' : `,${valueJson(bytes)}`
    const status = fieldStatus(bytes, times.states[index]!)
    // Mostly all of them are there, and then there is nothing to write down.
    if (status === 'PRESENT' && absent === 0) continue
    if (absent++ === 0) statuses = ',"PRESENT"'.repeat(row)
    statuses += `,"${status}"`
  }
  let stamps = stampsOf.get(times)
  if (stamps === undefined) {
    stamps = stampsText(times, rowOf)
    stampsOf.set(times, stamps)
  }
  const all = absent === 0 ? presentStatuses : statuses.slice(1)
  return `{"values":[${values.slice(1)}],"statuses":[${all}${stamps}`
}

function stampsText({ texts }: RowTimes, rowOf: readonly number[] | undefined): string {
  const perRow = rowOf === undefined ? texts : rowOf.map((index) => texts[index]!)
  return `],"event_timestamps":["${perRow.join('","')}"]}`
}

function onDemandColumn({ cells }: OnDemandColumn, constant: Repeated): string {
  let values = ''
  let statuses = ''
  for (const cell of cells) {
    values += cell === null || cell === undefined ? ',null' : `,${valueJson(cell)}`
    statuses += cell === undefined ? ',"INVALID"' : `,"${fieldStatus(cell, FRESH)}"`
  }
  return `{"values":[${values.slice(1)}],"statuses":[${statuses.slice(1)}${constant.epochs}`
}

function echoedValues({ type, values }: EchoedColumn): string {
  if (type === undefined) return values.map((value) => jsonText(value)).join()
  return values.map((value) => keyJson(value as Cell, type)).join()
}

function keyJson(cell: Cell, type: FeastType): string {
  if (type.valueType === 'STRING') return JSON.stringify(cell)
  if (type.valueType === 'UNIX_TIMESTAMP') return String(floorSeconds(cell as bigint))
  return cell instanceof Uint8Array ? `"${Buffer.from(cell).toString('base64')}"` : String(cell)
}
