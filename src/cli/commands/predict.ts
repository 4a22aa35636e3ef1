import { resolve } from 'node:path'
import type { Cell, ColumnBatch } from '../../core/cell.js'
import { feastError } from '../../core/errors.js'
import { type Field, field } from '../../core/field.js'
import type { TensorType } from '../../core/tensor.js'
import type { FeastType, ValueType } from '../../core/value-type.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import { serviceOf } from '../../models/model-file.js'
import type { LoadedModel } from '../../models/model-host.js'
import type { ModelOutput } from '../../models/model-manifest.js'
import { type Models, openModels } from '../../models/open-models.js'
import type { RowValue } from '../../models/output-rows.js'
import type { Prediction } from '../../models/predict.js'
import { readRows, writeBatches } from '../../offline-stores/index.js'
import { type CliContext, loggerFor } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { count, materializeProgress, perSecond } from '../materialize-progress.js'
import { print, printJson } from '../output.js'

interface PredictFlags extends Files {
  readonly overwrite?: boolean
  readonly partial?: boolean
  readonly version?: string
  readonly json?: boolean
}

interface Files {
  readonly input: string
  readonly output: string
}

/** `feast predict MODEL --input entities.parquet --output predictions.parquet`: rows stream through. */
export async function predict(
  context: CliContext,
  [model]: readonly [string],
  flags: Omit<PredictFlags, keyof Files> & Partial<Files>,
): Promise<void> {
  const { input, output } = flags
  if (!input || !output) throw usageError('Say whom to predict for and where to: --input FILE --output FILE.')
  const store = await context.store()
  const models = await openModels(store, loggerFor(context.globals.logLevel))
  try {
    const started = performance.now()
    const result = await predictFile(store, models, model, { ...flags, input, output }, context.signal)
    const elapsedMs = performance.now() - started
    const rate = perSecond(result.rows, elapsedMs)
    if (flags.json) {
      printJson({ ...result, file: resolve(output), rows_per_second: rate })
    } else {
      const failed = result.failed > 0 ? `, ${count(result.failed)} of them without a prediction` : ''
      print(`Wrote ${count(result.rows)} rows to ${output} (${count(rate)} rows/s)${failed}`)
    }
  } finally {
    await models.close()
  }
}

interface Result {
  readonly model: string
  readonly version: string
  readonly rows: number
  readonly failed: number
}

async function predictFile(
  store: FeatureStore,
  models: Models,
  name: string,
  flags: PredictFlags,
  signal: AbortSignal,
): Promise<Result> {
  const model = models.host.find(name, flags.version)
  const given = await readRows(resolve(flags.input), undefined, new Map())
  const keys = await keyColumns(store, model, given.fields)
  const outputs = outputColumns(model.graph.outputs, given.fields)
  const progress = materializeProgress()
  const started = performance.now()
  let done = 0
  let failed = 0
  const predicted = async function* () {
    for await (const batch of given.batches(signal)) {
      for (let from = 0; from < batch.rowCount; from += models.config.inference.max_rows) {
        signal.throwIfAborted()
        const part = rowsOf(batch, from, Math.min(batch.rowCount, from + models.config.inference.max_rows))
        const entities = Object.fromEntries(keys.map(({ name: key, at }) => [key, part.columns[at]!]))
        const { predictions } = await models.predictor.predict({
          model: name,
          version: flags.version,
          entities,
          options: { partial: flags.partial ?? false },
        })
        done += part.rowCount
        failed += predictions.filter((one) => 'error' in one).length
        const elapsedMs = performance.now() - started
        progress.update({ view: name, phase: 'rows', start: 0n, end: 0n, rows: done, elapsedMs })
        yield withPredictions(part, outputs, predictions)
      }
    }
  }
  const fields = [...given.fields, ...outputs.map(({ name: column, type }) => field(column, type))]
  const { rows } = await writeBatches(resolve(flags.output), fields, predicted(), {
    signal,
    overwrite: flags.overwrite ?? false,
  })
  progress.end()
  return { model: name, version: model.version, rows, failed }
}

/** Columns of the file that a lookup needs; the others go through to the output. */
async function keyColumns(
  store: FeatureStore,
  { name, manifest }: LoadedModel,
  fields: readonly Field[],
): Promise<readonly { readonly name: string; readonly at: number }[]> {
  const service = await serviceOf(store, manifest.featureService)
  if (service === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `Model "${name}" has no feature service, so there is nothing to look up for the rows of a file.`,
    })
  }
  return [...service.joinKeys, ...service.requestColumns].flatMap((key) => {
    const at = fields.findIndex((one) => one.name === key.name)
    return at < 0 ? [] : [{ name: key.name, at }]
  })
}

function rowsOf({ fields, columns }: ColumnBatch, from: number, to: number): ColumnBatch {
  return { fields, columns: columns.map((column) => column.slice(from, to)), rowCount: to - from }
}

interface OutputColumn {
  readonly name: string
  readonly type: FeastType
  read(prediction: Prediction): Cell
}

/** One per output, per class where it has classes; and why a row has none. */
function outputColumns(outputs: readonly ModelOutput[], given: readonly Field[]): readonly OutputColumn[] {
  const columns = outputs.flatMap(({ tensor, type, shape, classes }): OutputColumn[] => {
    const valueType = VALUE_TYPES[type] ?? 'INT64'
    if (classes !== undefined) {
      return classes.map((one) => ({
        name: `${tensor}_${one}`,
        type: { valueType },
        read: (prediction) => cellOf(valueOf(prediction, tensor, String(one)), valueType),
      }))
    }
    const isList = shape.length > 1 && shape.slice(1).some((size) => size !== 1)
    const listType = `${valueType}_LIST` as ValueType
    return [
      {
        name: tensor,
        type: { valueType: isList ? listType : valueType },
        read: (prediction) => cellOf(valueOf(prediction, tensor), valueType),
      },
    ]
  })
  const error: OutputColumn = {
    name: 'prediction_error',
    type: { valueType: 'STRING' },
    read: (prediction) => ('error' in prediction ? prediction.error.message : null),
  }
  const taken = new Set(given.map(({ name }) => name))
  return [...columns, error].map((one) =>
    taken.has(one.name) ? { ...one, name: `prediction_${one.name}` } : one,
  )
}

const VALUE_TYPES: Partial<Record<TensorType, ValueType>> = {
  float32: 'FLOAT',
  float64: 'DOUBLE',
  bool: 'BOOL',
  string: 'STRING',
}

function valueOf(prediction: Prediction, output: string, name?: string): RowValue | undefined {
  if ('error' in prediction) return undefined
  const value = prediction.outputs[output]
  return name === undefined ? value : (value as Readonly<Record<string, RowValue>> | undefined)?.[name]
}

function cellOf(value: RowValue | undefined, type: ValueType): Cell {
  if (value === undefined) return null
  if (Array.isArray(value)) return value.flat(8).map((one) => cellOf(one as RowValue, type))
  return type === 'INT64' ? BigInt(value as number | bigint) : (value as Cell)
}

function withPredictions(
  batch: ColumnBatch,
  outputs: readonly OutputColumn[],
  predictions: readonly Prediction[],
): ColumnBatch {
  return {
    fields: [...batch.fields, ...outputs.map(({ name, type }) => field(name, type))],
    columns: [...batch.columns, ...outputs.map(({ read }) => predictions.map(read))],
    rowCount: batch.rowCount,
  }
}
