import { timestampMicros } from '../codec/timestamp.js'
import { decodeValue } from '../codec/value-decode.js'
import type { Cell } from '../core/cell.js'
import { FIELD_STATUSES, type FieldStatus } from '../core/field-status.js'
import type { Micros } from '../core/instant.js'
import { cellOfRow } from '../online-stores/online-row.js'
import { type OnlineAnswer, storedCells } from './online-answer.js'
import { timeCell } from './online-plan.js'

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
  const { rowCount, echoed } = answer.rows
  const keys = echoed.map(({ name, values }) => ({
    name,
    values: values as readonly Cell[],
    statuses: new Array<FieldStatus>(rowCount).fill('PRESENT'),
    eventTimestamps: new Array<bigint>(rowCount).fill(0n),
  }))
  return { columns: [...keys, ...answer.plan.outputs.map((_, index) => outputColumn(answer, index))] }
}

function outputColumn({ plan, rows, computed, statuses }: OnlineAnswer, index: number): Column {
  const { rowCount } = rows
  const output = plan.outputs[index]!
  const codes = statuses.codes.subarray(index * rowCount, (index + 1) * rowCount)
  const column = { name: output.name, statuses: Array.from(codes, (code) => FIELD_STATUSES[code]!) }
  if (output.kind === 'onDemand') {
    const values = computed[index]!.map((cell) => (cell ? decodeValue(cell).cell : null))
    return { ...column, values, eventTimestamps: values.map(() => 0n) }
  }
  const group = rows.groups[output.cell.group]!
  const times = group.rows.map((row) => {
    const time = cellOfRow(row, timeCell(plan, output.cell))
    return time === null ? 0n : timestampMicros(time)
  })
  return {
    ...column,
    values: storedCells(output.cell, group, rowCount),
    eventTimestamps: group.rowOf === undefined ? times : group.rowOf.map((row) => times[row]!),
  }
}
