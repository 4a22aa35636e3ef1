import { timestampMicros } from '../codec/timestamp.js'
import { decodeValue } from '../codec/value-decode.js'
import type { Cell } from '../core/cell.js'
import type { Micros } from '../core/instant.js'
import { type FieldStatus, FRESH, fieldStatus } from './field-status.js'
import { type OnDemandColumn, type OnlineAnswer, type StoredColumn, storedCells } from './online-answer.js'

export interface OnlineResponse {
  readonly columns: readonly {
    readonly name: string
    readonly values: readonly Cell[]
    readonly statuses: readonly FieldStatus[]
    readonly eventTimestamps: readonly Micros[]
  }[]
}

type Column = OnlineResponse['columns'][number]

/** The answer as cells, for a program. */
export function programResponse(answer: OnlineAnswer): OnlineResponse {
  const { rowCount } = answer
  const echoed = answer.echoed.map(({ name, values }) => ({
    name,
    values: values as readonly Cell[],
    statuses: new Array<FieldStatus>(rowCount).fill('PRESENT'),
    eventTimestamps: new Array<bigint>(rowCount).fill(0n),
  }))
  const outputs = answer.outputs.map((output) =>
    output.kind === 'stored' ? storedColumn(output, rowCount) : onDemandColumn(output),
  )
  return { columns: [...echoed, ...outputs] }
}

function storedColumn(column: StoredColumn, rowCount: number): Column {
  const { name, place, rows, times } = column
  const indexes = Array.from({ length: rowCount }, (_, row) => (rows.rowOf ? rows.rowOf[row]! : row))
  return {
    name,
    values: storedCells(place, rows, rowCount),
    statuses: indexes.map((index) => fieldStatus(rows.rows[index]![place.cell]!, times.states[index]!)),
    eventTimestamps: indexes.map((index) => {
      const time = rows.rows[index]![times.place]!
      return time === null ? 0n : timestampMicros(time)
    }),
  }
}

function onDemandColumn({ name, cells }: OnDemandColumn): Column {
  return {
    name,
    values: cells.map((cell) => (cell === null || cell === undefined ? null : decodeValue(cell).cell)),
    statuses: cells.map((cell) => (cell === undefined ? 'INVALID' : fieldStatus(cell, FRESH))),
    eventTimestamps: cells.map(() => 0n),
  }
}
