import type { Cell, ColumnBatch } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { type Field, field } from '../core/field.js'
import type { OnDemandFeatureView, RowFunction } from '../core/on-demand-feature-view.js'
import type { FeastType } from '../core/value-type.js'
import { writeBatches } from '../offline-stores/index.js'
import type { OfflineStore, RetrievalJob } from '../offline-stores/offline-store.js'
import { applyOnDemand, rowFunctionOf } from '../serving/on-demand.js'

/** What an on demand view adds to the rows of a join. */
export interface OnDemandOutputs {
  readonly view: OnDemandFeatureView
  /** What the function sees: its names, and the joined columns that hold them. */
  readonly inputs: readonly { readonly name: string; readonly column: string; readonly type: FeastType }[]
  readonly outputs: readonly { readonly feature: Field; readonly column: string }[]
}

/**
 * Appends on demand features to the rows of a job, batch by batch.
 * @throws PYTHON_TRANSFORMATION, TRANSFORMATION_UNAVAILABLE at once
 */
export function onDemandJob(
  base: RetrievalJob,
  store: Pick<OfflineStore, 'save'>,
  onDemand: readonly OnDemandOutputs[],
  transformations: ReadonlyMap<string, RowFunction>,
): RetrievalJob {
  const steps = onDemand.map((outputs) => {
    const run = rowFunctionOf(outputs.view, transformations.get(outputs.view.name))
    if (typeof run !== 'function') throw run
    return { ...outputs, run }
  })
  const fields = async () => {
    const given = await base.fields()
    const added = onDemand.flatMap(({ outputs }) =>
      outputs.map(({ feature, column }) => ({ ...feature, name: column })),
    )
    refuseClash(given, onDemand)
    return [...given, ...added]
  }
  return {
    fields,
    sql: () => base.sql(),
    cost: () => base.cost?.(),
    ...(base.dryRun && { dryRun: () => base.dryRun!() }),
    batches: (signal) => computed(base, steps, signal),
    async persist(target, options) {
      const rows = computed(base, steps, options?.signal)
      if (typeof target === 'string') return writeBatches(target, await fields(), rows, options)
      return store.save(target, await fields(), rows, options)
    },
  }
}

type Step = OnDemandOutputs & { readonly run: RowFunction }

function refuseClash(given: readonly Field[], onDemand: readonly OnDemandOutputs[]): void {
  const taken = new Set(given.map(({ name }) => name))
  for (const { view, outputs } of onDemand) {
    const clash = outputs.find(({ column }) => taken.has(column))
    if (clash)
      throw feastError('COLUMN_CLASH', {
        column: clash.column,
        feature: `${view.name}:${clash.feature.name}`,
      })
  }
}

async function* computed(
  base: RetrievalJob,
  steps: readonly Step[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ColumnBatch> {
  refuseClash(await base.fields(), steps)
  for await (const batch of base.batches(signal)) {
    const added = steps.map((step) => stepColumns(step, batch))
    yield {
      fields: [...batch.fields, ...added.flatMap(({ fields }) => fields)],
      columns: [...batch.columns, ...added.flatMap(({ columns }) => columns)],
      rowCount: batch.rowCount,
    }
  }
}

/** The function sees its inputs alone, under its own names and in their declared types. */
function stepColumns(
  { view, run, inputs, outputs }: Step,
  batch: ColumnBatch,
): Pick<ColumnBatch, 'fields' | 'columns'> {
  const given: ColumnBatch = {
    fields: inputs.map(({ name, type }) => field(name, type)),
    columns: inputs.map(({ column, type }) => inputCells(batch, column, type)),
    rowCount: batch.rowCount,
  }
  const wanted = outputs.map(({ feature, column }) => ({ feature: feature.name, column }))
  const result = applyOnDemand([{ view, run, outputs: wanted }], given)
  return { fields: result.fields.slice(inputs.length), columns: result.columns.slice(inputs.length) }
}

function inputCells(batch: ColumnBatch, column: string, type: FeastType): readonly Cell[] {
  const index = batch.fields.findIndex(({ name }) => name === column)
  if (index < 0) throw feastError('INTERNAL', { what: `no column "${column}" in the joined rows` })
  const cells = batch.columns[index]!
  return batch.fields[index]!.type.valueType === type.valueType
    ? cells
    : cells.map((cell) => numberAs(cell, type))
}

/** Entity rows bring request values in the types of their file: whole numbers where decimals are declared, and so on. */
function numberAs(cell: Cell, { valueType }: FeastType): Cell {
  if (valueType === 'INT64' && typeof cell === 'number' && Number.isSafeInteger(cell)) return BigInt(cell)
  if (valueType === 'INT32' && typeof cell === 'bigint') return Number(cell)
  if ((valueType === 'DOUBLE' || valueType === 'FLOAT') && typeof cell === 'bigint') return Number(cell)
  return cell
}
