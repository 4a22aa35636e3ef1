import { cellOfRowValue, rowValueOf } from '../codec/row-value.js'
import type { Cell, ColumnBatch } from '../core/cell.js'
import { onDemandRun } from '../core/diagnostics.js'
import { type FeastError, feastError, isFeastError, messageOf } from '../core/errors.js'
import type { Field } from '../core/field.js'
import type { OnDemandFeatureView, RowFunction } from '../core/on-demand-feature-view.js'
import type { FeastType } from '../core/value-type.js'

/** A column that an on demand function sees, under the name by which it sees it. */
export interface InputColumn {
  readonly name: string
  readonly type: FeastType
  readonly cells: readonly Cell[]
}

/**
 * Runs a view's function row by row.
 * @returns one column of cells per feature of the view, in its order
 * @throws TRANSFORMATION_FAILED naming the row and the cause
 */
export function runOnDemand(
  view: OnDemandFeatureView,
  run: RowFunction,
  inputs: readonly InputColumn[],
  rowCount: number,
): Cell[][] {
  const started = onDemandRun.hasSubscribers ? performance.now() : 0
  const outputs: Cell[][] = view.features.map(() => new Array<Cell>(rowCount))
  for (let row = 0; row < rowCount; row++) {
    const result = callOnce(view, run, inputs, row)
    view.features.forEach((feature, index) => {
      outputs[index]![row] = outputCell(view, feature, result, row)
    })
  }
  if (onDemandRun.hasSubscribers) {
    const seconds = (performance.now() - started) / 1000
    onDemandRun.publish({ view: view.name, mode: 'typescript', seconds })
  }
  return outputs
}

function callOnce(
  view: OnDemandFeatureView,
  run: RowFunction,
  inputs: readonly InputColumn[],
  row: number,
): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {}
  for (const { name, type, cells } of inputs) values[name] = rowValueOf(cells[row]!, type)
  let result: unknown
  try {
    result = run(values)
  } catch (error) {
    throw failed(view, row, `its function threw ${messageOf(error)}`, error)
  }
  if (typeof result !== 'object' || result === null || result instanceof Promise) {
    const got = result instanceof Promise ? 'a promise' : String(result)
    throw failed(view, row, `its function must return an object with its features, got ${got}`)
  }
  return result as Readonly<Record<string, unknown>>
}

function outputCell(
  view: OnDemandFeatureView,
  feature: Field,
  result: Readonly<Record<string, unknown>>,
  row: number,
): Cell {
  const value = result[feature.name]
  if (value === undefined) {
    throw failed(view, row, `its function returned no "${feature.name}"; return null where there is no value`)
  }
  try {
    return cellOfRowValue(value, feature.type)
  } catch (error) {
    if (error instanceof TypeError) throw failed(view, row, `"${feature.name}" ${error.message}`, error)
    throw error
  }
}

function failed(view: OnDemandFeatureView, row: number, why: string, cause?: unknown): FeastError {
  return feastError('TRANSFORMATION_FAILED', { view: view.name, why: `row ${row}: ${why}` }, cause)
}

/** One on demand view over a batch of its inputs. */
export interface OnDemandJoin {
  readonly view: OnDemandFeatureView
  /** The function, where the loaded feature repo has it; default: the definition's own. */
  readonly run?: RowFunction | undefined
  /** What to add, and under which column names. */
  readonly outputs: readonly { readonly feature: string; readonly column: string }[]
}

/**
 * Appends on demand features to a batch, one view after another. A function sees every column of the batch as it
 * was given, under the batch's names, so give it what its sources declare.
 * @throws PYTHON_TRANSFORMATION, TRANSFORMATION_UNAVAILABLE, TRANSFORMATION_FAILED
 */
export function applyOnDemand(joins: readonly OnDemandJoin[], batch: ColumnBatch): ColumnBatch {
  const inputs = batch.fields.map(({ name, type }, index) => ({ name, type, cells: batch.columns[index]! }))
  const added = joins.flatMap((join) => joinColumns(join, inputs, batch.rowCount))
  return {
    fields: [...batch.fields, ...added.map(({ field }) => field)],
    columns: [...batch.columns, ...added.map(({ cells }) => cells)],
    rowCount: batch.rowCount,
  }
}

function joinColumns(
  { view, run: loaded, outputs }: OnDemandJoin,
  inputs: readonly InputColumn[],
  rowCount: number,
): { readonly field: Field; readonly cells: readonly Cell[] }[] {
  const run = rowFunctionOf(view, loaded)
  if (isFeastError(run)) throw run
  const results = runOnDemand(view, run, inputs, rowCount)
  return outputs.map(({ feature, column }) => {
    const index = view.features.findIndex(({ name }) => name === feature)
    return { field: { ...view.features[index]!, name: column }, cells: results[index]! }
  })
}

/** The function that computes a view here, or the error that says why there is none (Y1). */
export function rowFunctionOf(
  view: OnDemandFeatureView,
  loaded: RowFunction | undefined,
): RowFunction | FeastError {
  if (view.transformation.language === 'python') {
    return feastError('PYTHON_TRANSFORMATION', { view: view.name })
  }
  const run = loaded ?? view.transformation.run
  return run ?? feastError('TRANSFORMATION_UNAVAILABLE', { view: view.name, file: 'the loaded feature repo' })
}
