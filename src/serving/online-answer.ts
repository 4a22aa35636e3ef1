import { valueEncoder } from '../codec/value.js'
import { decodeValue } from '../codec/value-decode.js'
import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import type { FeastType } from '../core/value-type.js'
import { type RowTimes, rowTimes } from './field-status.js'
import { jsonCellReader } from './json-cell.js'
import { type InputColumn, runOnDemand } from './on-demand.js'
import type { CellPlace, OnDemandStep, OnlinePlan } from './online-plan.js'
import {
  type EchoedColumn,
  type EntityColumns,
  type GroupRows,
  type OnlineRows,
  readOnline,
} from './online-read.js'

/** All that a request asked for, still as bytes; a protocol writes it down. */
export interface OnlineAnswer {
  readonly rowCount: number
  readonly echoed: readonly EchoedColumn[]
  readonly outputs: readonly (StoredColumn | OnDemandColumn)[]
}

export interface StoredColumn {
  readonly kind: 'stored'
  readonly name: string
  readonly place: CellPlace
  readonly rows: GroupRows
  readonly times: RowTimes
}

export interface OnDemandColumn {
  readonly kind: 'onDemand'
  readonly name: string
  /** Value bytes per row; undefined in every row of a view that cannot be computed here. */
  readonly cells: readonly (Buffer | null | undefined)[]
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
  const times = timesOf(plan, rows, options)
  const computed = plan.onDemand.map((step) => compute(step, rows, requestData))
  const outputs = plan.outputs.map((output): StoredColumn | OnDemandColumn =>
    output.kind === 'stored'
      ? {
          kind: 'stored',
          name: output.name,
          place: output.cell,
          rows: rows.groups[output.cell.group]!,
          times: times[output.cell.group]![output.cell.view]!,
        }
      : { kind: 'onDemand', name: output.name, cells: computed[output.step]!(output.feature) },
  )
  return { rowCount: rows.rowCount, echoed: rows.echoed, outputs }
}

function timesOf(plan: OnlinePlan, rows: OnlineRows, { enforceTtl, now }: AnswerOptions): RowTimes[][] {
  const nowMs = now()
  return plan.groups.map((group, index) =>
    group.views.map((_, view) => rowTimes(group, view, rows.groups[index]!, nowMs, enforceTtl)),
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
  const decoded = rows.map((row) => decodedCell(row[cell]!, type))
  return rowOf === undefined ? decoded : Array.from({ length: rowCount }, (_, row) => decoded[rowOf[row]!]!)
}

/** A view's type may have been changed since the row was written; whole numbers keep what they are. */
function decodedCell(bytes: Buffer | null, { valueType }: FeastType): Cell {
  if (bytes === null) return null
  const { cell } = decodeValue(bytes)
  if (valueType === 'INT64' && typeof cell === 'number') return BigInt(cell)
  return valueType === 'INT32' && typeof cell === 'bigint' ? Number(cell) : cell
}
