import type { Cell } from '../core/cell.js'
import type { TensorType } from '../core/tensor.js'
import {
  ArrayOf,
  Bool,
  type FeastType,
  Float32,
  Float64,
  Int32,
  Int64,
  StringType,
} from '../core/value-type.js'
import type { Registry } from '../registry/registry.js'
import type { ModelInput } from './model-manifest.js'
import type { ProxiedRequest } from './model-proxy.js'
import { predictionRows, type RowValue } from './output-rows.js'
import type { PredictionRecord } from './predict.js'
import type { LoggedValue, PredictionRow } from './prediction-log.js'
import type { Role } from './traffic.js'

/** What the log is told. */
export type LoggedPrediction =
  | {
      readonly kind: 'answered'
      readonly record: PredictionRecord
      /** Of a shadow run: what was answered. It is logged when that is, so that the two can be compared. */
      readonly primary?: PredictionRecord
    }
  | {
      readonly kind: 'failed'
      readonly request: ProxiedRequest
      readonly version: string | undefined
      readonly role: Role
      readonly error: string
      /** Milliseconds since 1970: when the request came. */
      readonly at: number
      readonly ms: number
    }

/** Entity rows of what was predicted, or should have been. */
export function rowCountOf(logged: LoggedPrediction): number {
  if (logged.kind === 'answered') return logged.record.matrix.rowCount
  return Object.values(logged.request.entities)[0]?.length ?? 0
}

/** A row per entity row: keys, inputs as the model saw them, why a value stood in for another, outputs. */
export function loggedRows(
  logged: LoggedPrediction,
  registry: Registry,
  project: string,
): readonly PredictionRow[] {
  return logged.kind === 'answered'
    ? answeredRows(logged.record, registry, project)
    : failedRows(logged, registry, project)
}

function answeredRows(
  record: PredictionRecord,
  registry: Registry,
  project: string,
): readonly PredictionRow[] {
  const { matrix, model, inference, at, ms } = record
  const request = record.request as ProxiedRequest
  const kept = range(matrix.rowCount).filter((row) => !matrix.failures.has(row))
  const outputs = inference
    ? predictionRows(model.name, model.graph.outputs, inference.outputs, kept.length)
    : []
  const keys = keyReaders(request.entities, registry, project)
  const inputs = model.manifest.inputs.flatMap((input) => inputReaders(input, record))
  const reasons = new Map<number, Map<string, string>>()
  for (const { feature, row, reason } of matrix.imputed) {
    const ofRow = reasons.get(row) ?? new Map<string, string>()
    reasons.set(row, ofRow.set(feature, reason))
  }
  return range(matrix.rowCount).map((row) => {
    const index = kept.indexOf(row)
    const imputed = reasons.get(row)
    const statuses = inputs.map(({ name }) =>
      value(`${name}__status`, StringType, imputed?.get(name) ?? null),
    )
    const seen = index < 0 ? [] : inputs.map(({ name, type, read }) => value(name, type, read(index)))
    return {
      ...fixedOf(request, row, at, ms),
      version: model.version,
      role: record.role as Role,
      featureService: model.manifest.featureService,
      registryVersion: model.manifest.registryVersion,
      inferMicros: index < 0 ? undefined : inference && inference.runMs * 1000,
      error: matrix.failures.get(row)?.why,
      imputed: [...(imputed?.keys() ?? [])],
      values: distinct([
        ...keys.map((read) => read(row)),
        ...seen,
        ...statuses,
        ...(index < 0 ? [] : outputValues(outputs[index] ?? {})),
      ]),
    }
  })
}

function failedRows(
  failed: Extract<LoggedPrediction, { kind: 'failed' }>,
  registry: Registry,
  project: string,
): readonly PredictionRow[] {
  const { request, version, role, error, at, ms } = failed
  const keys = keyReaders(request.entities, registry, project)
  return range(rowCountOf(failed)).map((row) => ({
    ...fixedOf(request, row, at, ms),
    version: version ?? '',
    role,
    featureService: undefined,
    registryVersion: undefined,
    inferMicros: undefined,
    error,
    imputed: [],
    values: keys.map((read) => read(row)),
  }))
}

function fixedOf({ model, requestId, rows }: ProxiedRequest, row: number, at: number, ms: number) {
  return {
    model,
    requestId: requestId ?? '',
    row: rows?.[row] ?? row,
    eventTimestamp: BigInt(Math.round(at)) * 1000n,
    latencyMicros: ms * 1000,
  }
}

/** Join keys have their entity's type, so that they join. */
function keyReaders(
  entities: ProxiedRequest['entities'],
  registry: Registry,
  project: string,
): readonly ((row: number) => LoggedValue)[] {
  return Object.entries(entities).map(([name, values]) => {
    const entity = registry.entities(project).find(({ joinKey }) => joinKey === name)
    const isInteger = entity
      ? ['INT32', 'INT64'].includes(entity.valueType)
      : values.every((one) => typeof one === 'bigint' || Number.isSafeInteger(one))
    return (row) =>
      isInteger
        ? value(name, Int64, integerOf(values[row]))
        : value(name, StringType, values[row] == null ? null : String(values[row]))
  })
}

function integerOf(given: unknown): bigint | null {
  try {
    return given == null ? null : BigInt(given as string)
  } catch {
    return null
  }
}

interface InputReader {
  readonly name: string
  readonly type: FeastType
  /** @param index among the rows that the tensors have */
  read(index: number): Cell
}

/** As the model saw them, which is after defaults and casts. */
function inputReaders(
  { tensor, type, features }: ModelInput,
  { matrix }: PredictionRecord,
): readonly InputReader[] {
  const found = matrix.tensors.get(tensor)
  if (found === undefined || features.length === 0) return []
  const width = found.shape.slice(1).reduce((product, size) => product * size, 1)
  const each = width / features.length
  const scalar = cellType(type)
  const cell = (index: number): Cell => {
    const one = found.data[index] as RowValue
    if (type === 'bool') return one === 1
    return scalar === Float64 ? (plain(Number(one)) as Cell) : (plain(one) as Cell)
  }
  return features
    .map(({ name }, position): InputReader => {
      const start = (index: number) => index * width + position * each
      const read = (index: number): Cell =>
        each === 1 ? cell(start(index)) : range(each).map((offset) => cell(start(index) + offset))
      return { name, type: each === 1 ? scalar : ArrayOf(scalar), read }
    })
    .filter(({ name }) => !name.startsWith('entity:') && Number.isInteger(each))
}

function cellType(type: TensorType): FeastType {
  switch (type) {
    case 'float32':
      return Float32
    case 'string':
      return StringType
    case 'bool':
      return Bool
    case 'int64':
      return Int64
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
      return Int32
    default:
      return Float64
  }
}

/** A number per class becomes a column per class. */
function outputValues(outputs: Readonly<Record<string, RowValue>>): readonly LoggedValue[] {
  return Object.entries(outputs).flatMap(([name, one]): LoggedValue[] => {
    if (Array.isArray(one)) {
      const numbers = (one as readonly RowValue[]).flat(8).map(Number)
      return [value(name, ArrayOf(Float64), numbers)]
    }
    if (typeof one === 'object') {
      return Object.entries(one).map(([label, share]) => value(`${name}__${label}`, Float64, Number(share)))
    }
    return [value(name, outputType(one), plain(one) as Cell)]
  })
}

function outputType(one: RowValue): FeastType {
  if (typeof one === 'string') return StringType
  if (typeof one === 'boolean') return Bool
  return typeof one === 'bigint' ? Int64 : Float64
}

/** A float that is no number is nothing. */
function plain(one: RowValue): RowValue | null {
  return typeof one === 'number' && Number.isNaN(one) ? null : one
}

/** An output that is called as an input gets another name. */
function distinct(values: readonly LoggedValue[]): readonly LoggedValue[] {
  const names = new Set<string>()
  return values.map((one) => {
    const name = names.has(one.name) ? `prediction__${one.name}` : one.name
    names.add(name)
    return { ...one, name }
  })
}

function value(name: string, type: FeastType, cell: Cell): LoggedValue {
  return { name, type, cell }
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}
