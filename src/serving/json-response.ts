import { floorSeconds } from '../codec/timestamp.js'
import { valueJson } from '../codec/value-json.js'
import type { Cell } from '../core/cell.js'
import type { FeastType } from '../core/value-type.js'
import { FRESH, fieldStatus } from './field-status.js'
import { jsonText } from './json-text.js'
import type { OnDemandColumn, OnlineAnswer, StoredColumn } from './online-answer.js'
import type { EchoedColumn } from './online-read.js'

/** Feast's answer to POST /get-online-features, straight from the cells: no object per feature. */
export function writeJsonResponse(answer: OnlineAnswer): Buffer {
  const constant = repeated(answer.rowCount)
  let results = ''
  let names = ''
  for (const column of answer.echoed) {
    results += `,{"values":[${echoedValues(column)}]${constant.present}`
    names += `,${JSON.stringify(column.name)}`
  }
  for (const output of answer.outputs) {
    results +=
      output.kind === 'stored' ? storedColumn(output, answer.rowCount) : onDemandColumn(output, constant)
    names += `,${JSON.stringify(output.name)}`
  }
  return Buffer.from(`{"results":[${results.slice(1)}],"metadata":{"feature_names":[${names.slice(1)}]}}`)
}

interface Repeated {
  /** The end of a column whose values are all there and have no event time. */
  readonly present: string
  readonly epochs: string
}

function repeated(rowCount: number): Repeated {
  const epochs = `],"event_timestamps":[${Array(rowCount).fill('"1970-01-01T00:00:00Z"').join()}]}`
  return { epochs, present: `,"statuses":[${Array(rowCount).fill('"PRESENT"').join()}${epochs}` }
}

function storedColumn({ place, rows, times }: StoredColumn, rowCount: number): string {
  let values = ''
  let statuses = ''
  let stamps = ''
  for (let row = 0; row < rowCount; row++) {
    const index = rows.rowOf === undefined ? row : rows.rowOf[row]!
    const bytes = rows.rows[index]![place.cell]!
    values += bytes === null ? ',null' : `,${valueJson(bytes)}`
    statuses += `,"${fieldStatus(bytes, times.states[index]!)}"`
    stamps += `,"${times.texts[index]!}"`
  }
  return column(values, statuses, `],"event_timestamps":[${stamps.slice(1)}]}`)
}

function onDemandColumn({ cells }: OnDemandColumn, constant: Repeated): string {
  let values = ''
  let statuses = ''
  for (const cell of cells) {
    values += cell === null || cell === undefined ? ',null' : `,${valueJson(cell)}`
    statuses += cell === undefined ? ',"INVALID"' : `,"${fieldStatus(cell, FRESH)}"`
  }
  return column(values, statuses, constant.epochs)
}

function column(values: string, statuses: string, end: string): string {
  return `,{"values":[${values.slice(1)}],"statuses":[${statuses.slice(1)}${end}`
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
