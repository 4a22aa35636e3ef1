import { jsonCellReader } from '../codec/json-cell.js'
import { valueEncoder } from '../codec/value.js'
import { decodeValue } from '../codec/value-decode.js'
import type { Cell } from '../core/cell.js'
import { type OnlineReadEvent, onlineRead } from '../core/diagnostics.js'
import { feastError } from '../core/errors.js'
import type { FeastType } from '../core/value-type.js'
import { cellOfRow } from '../online-stores/online-row.js'
import {
  type AnswerStatuses,
  answerStatuses,
  type ComputedCells,
  type RowStates,
  rowStates,
} from './field-status.js'
import { type InputColumn, runOnDemand } from './on-demand.js'
import type { CellPlace, OnDemandStep, OnlinePlan } from './online-plan.js'
import { type EntityColumns, type GroupRows, type OnlineRows, readOnline } from './online-read.js'

/** All that a request asked for, still as bytes; a protocol writes it down. */
export interface OnlineAnswer {
  readonly plan: OnlinePlan
  readonly rows: OnlineRows
  /** Of the outputs that are computed, by their place in the plan. */
  readonly computed: readonly ComputedCells[]
  readonly statuses: AnswerStatuses
}

export interface AnswerOptions {
  readonly enforceTtl: boolean
  /** Milliseconds since 1970. */
  now(): number
}

/** Reads and computes what the plan says. @throws what {@link readOnline} and on demand functions throw */
export async function answerOnline(
  plan: OnlinePlan,
  entities: EntityColumns,
  options: AnswerOptions,
): Promise<OnlineAnswer> {
  const requestData = requestDataOf(plan, entities)
  const rows = await readOnline(plan, entities)
  const states = statesOf(plan, rows, options)
  const computed = computedCells(plan, rows, requestData)
  const statuses = answerStatuses(plan, rows, states, computed)
  if (onlineRead.hasSubscribers) {
    const { rowCount, seconds } = rows
    const featureCount = plan.outputs.length
    const event = { rowCount, featureCount, seconds, views: plan.views, statusCounts: statuses.counts }
    onlineRead.publish(event satisfies OnlineReadEvent)
  }
  return { plan, rows, computed, statuses }
}

function statesOf(plan: OnlinePlan, rows: OnlineRows, { enforceTtl, now }: AnswerOptions): RowStates[] {
  const nowMs = now()
  return plan.groups.map((group, index) => rowStates(group, rows.groups[index]!, nowMs, enforceTtl))
}

/** Request values as cells of their declared types. @throws REQUEST_DATA_MISSING, INVALID_VALUE */
function requestDataOf(plan: OnlinePlan, entities: EntityColumns): ReadonlyMap<string, readonly Cell[]> {
  const data = new Map<string, readonly Cell[]>()
  for (const [name, { field, view }] of plan.requestColumns) {
    if (!Object.hasOwn(entities, name)) throw missingRequestData(plan, entities, view)
    data.set(name, entities[name]!.map(jsonCellReader(field.type, `Request value "${name}"`)))
  }
  return data
}

function missingRequestData(plan: OnlinePlan, entities: EntityColumns, view: string): Error {
  const names = [...plan.requestColumns.keys()].filter((name) => !Object.hasOwn(entities, name))
  return feastError('REQUEST_DATA_MISSING', { names, view })
}

function computedCells(
  { onDemand, outputs }: OnlinePlan,
  rows: OnlineRows,
  requestData: ReadonlyMap<string, readonly Cell[]>,
): readonly ComputedCells[] {
  const cells: ComputedCells[] = []
  if (onDemand.length === 0) return cells
  const columnsOf = onDemand.map((step) => compute(step, rows, requestData))
  outputs.forEach((output, index) => {
    if (output.kind === 'onDemand') cells[index] = columnsOf[output.step]!(output.feature)
  })
  return cells
}

/** One column of Value bytes per feature of the view, made when it is asked for. */
function compute(
  { view, run, inputs, requestInputs }: OnDemandStep,
  rows: OnlineRows,
  requestData: ReadonlyMap<string, readonly Cell[]>,
): (feature: number) => ComputedCells {
  if (run === undefined) return () => new Array<undefined>(rows.rowCount).fill(undefined)
  const columns: InputColumn[] = [
    ...inputs.map(({ name, cell }) => ({
      name,
      type: cell.type,
      cells: storedCells(cell, rows.groups[cell.group]!, rows.rowCount),
    })),
    ...requestInputs.map(({ name, type }) => ({ name, type, cells: requestData.get(name)! })),
  ]
  const results = runOnDemand(view, run, columns, rows.rowCount)
  return (feature) => {
    const { name, type } = view.features[feature]!
    return results[feature]!.map(valueEncoder(type, `Feature "${view.name}:${name}"`))
  }
}

/** A stored feature decoded, one cell per request row. */
export function storedCells({ cell, type }: CellPlace, { rows, rowOf }: GroupRows, rowCount: number): Cell[] {
  const decoded = rows.map((row) => decodedCell(cellOfRow(row, cell), type))
  return rowOf === undefined ? decoded : Array.from({ length: rowCount }, (_, row) => decoded[rowOf[row]!]!)
}

/** A view's type may have been changed since the row was written; whole numbers keep what they are. */
function decodedCell(bytes: Buffer | null, { valueType }: FeastType): Cell {
  if (bytes === null) return null
  const { cell } = decodeValue(bytes)
  if (valueType === 'INT64' && typeof cell === 'number') return BigInt(cell)
  return valueType === 'INT32' && typeof cell === 'bigint' ? Number(cell) : cell
}
