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
  type OutputColumn,
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
  /** One per output of the plan. */
  readonly outputs: readonly OutputColumn[]
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
  const computed = plan.onDemand.map((step) => compute(step, rows, requestData))
  const outputs = plan.outputs.map((output): OutputColumn => {
    const { kind, name } = output
    if (kind === 'onDemand') return { kind, name, cells: computed[output.step]!(output.feature) }
    const { group, view } = output.cell
    return { kind, name, place: output.cell, rows: rows.groups[group]!, states: states[group]![view]! }
  })
  const statuses = answerStatuses(plan, outputs, rows.rowCount)
  if (onlineRead.hasSubscribers) {
    const { rowCount, seconds } = rows
    const featureCount = plan.outputs.length
    const event = { rowCount, featureCount, seconds, views: plan.views, statusCounts: statuses.counts }
    onlineRead.publish(event satisfies OnlineReadEvent)
  }
  return { plan, rows, outputs, statuses }
}

function statesOf(plan: OnlinePlan, rows: OnlineRows, { enforceTtl, now }: AnswerOptions): RowStates[][] {
  const nowMs = now()
  return plan.groups.map((group, index) =>
    group.views.map((_, view) => rowStates(group, view, rows.groups[index]!, nowMs, enforceTtl)),
  )
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

/** One column of Value bytes per feature of the view, made when it is asked for. */
function compute(
  { view, run, inputs, requestInputs }: OnDemandStep,
  rows: OnlineRows,
  requestData: ReadonlyMap<string, readonly Cell[]>,
): (feature: number) => readonly (Buffer | null | undefined)[] {
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
