import { jsonCellReader } from '../codec/json-cell.js'
import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { countOf, type Tensor, type TensorData, type TensorType, tensorData } from '../core/tensor.js'
import { elementTypeOf, type FeastType, isListType, type ValueType } from '../core/value-type.js'
import { NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT } from './field-status.js'
import {
  cellAt,
  elementConverter,
  isExact,
  type ToElement,
  typeProblem,
  whyNoElement,
} from './matrix-value.js'
import type { OnlineAnswer } from './online-answer.js'
import type { OnlinePlan } from './online-plan.js'
import type { EntityColumns } from './online-read.js'

/** Which features fill which tensor. */
export interface MatrixInput {
  readonly tensor: string
  readonly type: TensorType
  /** -1: any. The first dimension counts rows; the others hold as many values as a row of `features` has. */
  readonly shape: readonly number[]
  readonly features: readonly MatrixFeature[]
}

export interface MatrixFeature {
  /** Full (`view__feature`) or, where only one view has it, short; `entity:<join key>`, request data, `event_timestamp`. */
  readonly name: string
  /** A value type. */
  readonly type: string
  readonly missing: MissingValue
  /** What a value older than its view's ttl counts as; default: missing. */
  readonly stale?: 'missing' | 'use' | undefined
  readonly as?: 'epoch_seconds' | undefined
}

export type MissingValue =
  | { readonly policy: 'error' }
  | { readonly policy: 'default'; readonly value: string | number | boolean }
  | { readonly policy: 'nan' }

export interface FeatureMatrix {
  readonly rowCount: number
  /** By name; of the rows that {@link failures} does not have, in their order. */
  readonly tensors: ReadonlyMap<string, Tensor>
  /** Rows that cannot be fed. */
  readonly failures: ReadonlyMap<number, MatrixFailure>
  readonly imputed: readonly Imputed[]
  /** Features whose integers lost digits in a float. */
  readonly inexact: readonly string[]
}

export interface MatrixFailure {
  readonly feature: string
  readonly row: number
  readonly why: string
}

/** A value that stood in for one that was not there. */
export interface Imputed {
  readonly feature: string
  readonly row: number
  readonly reason: ImputedReason
}

export type ImputedReason = 'null' | 'not_found' | 'stale' | 'invalid' | 'unavailable'

/** Values given by the caller in place of those looked up; null leaves the row's own. */
export type Overrides = Readonly<Record<string, readonly unknown[]>>

/** A row's failure as the error of a request that takes no partial answer. */
export function unusable({ feature, row, why }: MatrixFailure): Error {
  return feastError('MODEL_INPUT_UNUSABLE', { feature, row, why })
}

/**
 * Features into tensors, from the store's reply buffers.
 * @throws INVALID_VALUE, INVALID_REQUEST about overrides
 */
export function fillMatrix(
  inputs: readonly MatrixInput[],
  answer: OnlineAnswer,
  entities: EntityColumns,
  overrides: Overrides,
): FeatureMatrix {
  const { rowCount } = answer.rows
  const filling = new Filling(rowCount)
  const given = overriddenCells(inputs, overrides, rowCount)
  const tensors = inputs.map((input) =>
    filling.fill(input, (feature) => {
      const source = sourceOf(feature, answer, entities)
      const cells = given.get(feature.name)
      return cells ? overridden(source, cells) : source
    }),
  )
  return filling.result(inputs, tensors)
}

/** Inputs from cells by feature, such as a recorded example. Every row has every feature, or null. */
export function matrixOfCells(
  inputs: readonly MatrixInput[],
  columns: Readonly<Record<string, readonly unknown[]>>,
  rowCount: number,
): FeatureMatrix {
  const filling = new Filling(rowCount)
  const tensors = inputs.map((input) =>
    filling.fill(input, ({ name, type }) => {
      const read = jsonCellReader({ valueType: type as ValueType }, `Feature "${name}"`)
      const cells = Object.hasOwn(columns, name) ? columns[name]!.map(read) : []
      return ofCells(cells, NULL_VALUE)
    }),
  )
  return filling.result(inputs, tensors)
}

/** Rows of nothing but defaults; undefined where some input has none. */
export function defaultMatrix(inputs: readonly MatrixInput[], rowCount: number): FeatureMatrix | undefined {
  const filling = new Filling(rowCount)
  const tensors = inputs.map((input) => filling.fill(input, () => ofCells([], UNAVAILABLE)))
  const matrix = filling.result(inputs, tensors)
  return matrix.failures.size > 0 ? undefined : matrix
}

/** Where a column's values come from. */
interface Source {
  status(row: number): number
  cell(row: number): Cell
}

/** Beside the statuses of {@link FieldStatus}: the store did not answer. */
const UNAVAILABLE = 5

const REASONS: readonly ImputedReason[] = ['invalid', 'null', 'null', 'not_found', 'stale', 'unavailable']
const WHYS: readonly string[] = [
  'its on demand feature view cannot be computed here',
  '',
  'it is null',
  'there is no row for the entity (NOT_FOUND)',
  "it is older than its view's ttl (OUTSIDE_MAX_AGE)",
  'the online store did not answer in time',
]

function sourceOf(feature: MatrixFeature, answer: OnlineAnswer, entities: EntityColumns): Source {
  const { name, type } = feature
  const { plan, rows } = answer
  if (name === EVENT_TIMESTAMP) {
    const now = BigInt(Date.now()) * 1000n
    return { status: () => PRESENT, cell: () => now }
  }
  if (name.startsWith(ENTITY)) {
    const column = name.slice(ENTITY.length)
    const values = rows.echoed.find((one) => one.name === column)?.values ?? entities[column] ?? []
    return ofCells(values as readonly Cell[], NULL_VALUE)
  }
  const index = outputIndex(plan, name)
  if (index !== undefined) return ofOutput(answer, index)
  const read = jsonCellReader({ valueType: type as ValueType }, `Request value "${name}"`)
  return ofCells((Object.hasOwn(entities, name) ? entities[name]! : []).map(read), NULL_VALUE)
}

export const ENTITY = 'entity:'
export const EVENT_TIMESTAMP = 'event_timestamp'

function ofCells(cells: readonly Cell[], absent: number): Source {
  return {
    status: (row) => (cells[row] === null || cells[row] === undefined ? absent : PRESENT),
    cell: (row) => cells[row] ?? null,
  }
}

function overridden(source: Source, cells: readonly Cell[]): Source {
  return {
    status: (row) => (cells[row] === null ? source.status(row) : PRESENT),
    cell: (row) => (cells[row] === null ? source.cell(row) : cells[row]!),
  }
}

function ofOutput({ plan, computed, statuses, rows }: OnlineAnswer, index: number): Source {
  const output = plan.outputs[index]!
  const at = index * rows.rowCount
  const status = (row: number) => statuses.codes[at + row]!
  if (output.kind === 'onDemand') {
    const cells = computed[index]!
    return { status, cell: (row) => cellAt(cells[row]!, 0, cells[row]!.length) }
  }
  const { rows: stored, rowOf } = rows.groups[output.cell.group]!
  const place = 2 * output.cell.cell
  return {
    status,
    cell(row) {
      const { bytes, places, base } = stored[rowOf === undefined ? row : rowOf[row]!]!
      return cellAt(bytes, places[base + place]!, places[base + place + 1]!)
    },
  }
}

const indexes = new WeakMap<OnlinePlan, ReadonlyMap<string, number>>()

/** Of a plan with full names: by these, and by short ones that are no other's. */
function outputIndex(plan: OnlinePlan, name: string): number | undefined {
  let known = indexes.get(plan)
  if (known === undefined) {
    known = namesOf(plan)
    indexes.set(plan, known)
  }
  return known.get(name)
}

function namesOf(plan: OnlinePlan): ReadonlyMap<string, number> {
  const short = plan.outputs.map((output) =>
    output.kind === 'stored'
      ? plan.groups[output.cell.group]!.features[output.cell.cell]!.feature
      : plan.onDemand[output.step]!.view.features[output.feature]!.name,
  )
  const names = new Map<string, number>()
  short.forEach((name, index) => {
    if (short.indexOf(name) === short.lastIndexOf(name)) names.set(name, index)
  })
  plan.outputs.forEach(({ name }, index) => {
    names.set(name, index)
  })
  return names
}

function overriddenCells(
  inputs: readonly MatrixInput[],
  overrides: Overrides,
  rowCount: number,
): ReadonlyMap<string, readonly Cell[]> {
  const given = Object.entries(overrides)
  if (given.length === 0) return NO_OVERRIDES
  const features = new Map(inputs.flatMap((input) => input.features.map((one) => [one.name, one] as const)))
  return new Map(
    given.map(([name, values]) => {
      const feature = features.get(name)
      if (feature === undefined) {
        const message = `overrides: the model takes no feature "${name}"; it takes ${[...features.keys()].join(', ')}.`
        throw feastError('INVALID_REQUEST', { message })
      }
      if (values.length !== rowCount) {
        const message = `overrides: "${name}" has ${values.length} values for ${rowCount} rows; give one for each, null for none.`
        throw feastError('INVALID_REQUEST', { message })
      }
      const read = jsonCellReader(
        { valueType: feature.type as ValueType } as FeastType,
        `overrides: "${name}"`,
      )
      return [name, values.map(read)]
    }),
  )
}

const NO_OVERRIDES: ReadonlyMap<string, readonly Cell[]> = new Map()

/** The tensors of one request while they are made. */
class Filling {
  readonly failures = new Map<number, MatrixFailure>()
  readonly imputed: Imputed[] = []
  readonly inexact = new Set<string>()

  constructor(readonly rowCount: number) {}

  fill(input: MatrixInput, source: (feature: MatrixFeature) => Source): TensorData {
    const width = countOf(input.shape.slice(1).map((size) => Math.abs(size)))
    const data = tensorData(input.type, this.rowCount * width)
    if (input.features.length === 1 && isListType(input.features[0]!.type as ValueType)) {
      this.#fillList(data, input, width, source(input.features[0]!))
    } else {
      input.features.forEach((feature, offset) => {
        this.#fillColumn(data, input, width, offset, feature, source(feature))
      })
    }
    return data
  }

  result(inputs: readonly MatrixInput[], filled: readonly TensorData[]): FeatureMatrix {
    const { rowCount, failures, imputed } = this
    const kept = Array.from({ length: rowCount }, (_, row) => row).filter((row) => !failures.has(row))
    const tensors = new Map(
      inputs.map(({ tensor, type, shape }, index): [string, Tensor] => {
        const sizes = shape.slice(1).map((size) => Math.abs(size))
        const data = failures.size > 0 ? rowsOf(filled[index]!, type, countOf(sizes), kept) : filled[index]!
        return [tensor, { type, shape: [kept.length, ...sizes], data }]
      }),
    )
    return { rowCount, tensors, failures, imputed, inexact: [...this.inexact] }
  }

  #fillColumn(
    data: TensorData,
    { type }: MatrixInput,
    width: number,
    offset: number,
    feature: MatrixFeature,
    source: Source,
  ): void {
    const convert = converterOf(feature, type)
    const watchesDigits = (type === 'float32' || type === 'float64') && feature.type.startsWith('INT')
    for (let row = 0, at = offset; row < this.rowCount; row++, at += width) {
      const status = source.status(row)
      if (!isUsable(status, feature)) {
        this.#impute(data, at, 1, type, feature, row, status)
        continue
      }
      const cell = source.cell(row)
      const element = cell === null ? undefined : convert(cell)
      if (element === undefined) {
        this.#fail(feature, row, whyNoElement(cell, feature.type as ValueType, type))
      } else {
        data[at] = element as never
        if (watchesDigits && !isExact(element, type)) this.inexact.add(feature.name)
      }
    }
  }

  /** A list of fixed length fills a row. */
  #fillList(data: TensorData, { type, features }: MatrixInput, width: number, source: Source): void {
    const feature = features[0]!
    const convert = converterOf(feature, type)
    for (let row = 0; row < this.rowCount; row++) {
      const status = source.status(row)
      if (!isUsable(status, feature)) {
        this.#impute(data, row * width, width, type, feature, row, status)
        continue
      }
      const list = source.cell(row) as readonly Cell[]
      if (list.length !== width) {
        this.#fail(feature, row, `the list has ${list.length} values, and the model takes ${width}`)
        continue
      }
      list.forEach((cell, index) => {
        const element = cell === null ? undefined : convert(cell)
        if (element !== undefined) data[row * width + index] = element as never
        else
          this.#fail(feature, row, `value ${index}: ${whyNoElement(cell, feature.type as ValueType, type)}`)
      })
    }
  }

  #impute(
    data: TensorData,
    at: number,
    count: number,
    type: TensorType,
    feature: MatrixFeature,
    row: number,
    status: number,
  ): void {
    const { name, missing } = feature
    if (missing.policy === 'error') {
      const mend = 'give the input a default, or a value in `overrides`'
      this.#fail(feature, row, `${WHYS[status]!}; ${mend}`)
      return
    }
    const value = missing.policy === 'nan' ? Number.NaN : defaultElement(feature, type, missing.value)
    data.fill(value as never, at, at + count)
    this.imputed.push({ feature: name, row, reason: REASONS[status]! })
  }

  #fail({ name }: MatrixFeature, row: number, why: string): void {
    if (!this.failures.has(row)) this.failures.set(row, { feature: name, row, why })
  }
}

function isUsable(status: number, { stale }: MatrixFeature): boolean {
  return status === PRESENT || (status === OUTSIDE_MAX_AGE && stale === 'use')
}

function converterOf({ type, as }: MatrixFeature, tensor: TensorType): ToElement {
  const valueType = type as ValueType
  const scalar = isListType(valueType) ? elementTypeOf(valueType)! : valueType
  return elementConverter(scalar, tensor, as)!
}

/** A default as the tensor's element. @returns undefined when it is none */
function defaultElement(
  feature: MatrixFeature,
  type: TensorType,
  value: unknown,
): number | bigint | string | undefined {
  const valueType = feature.type as ValueType
  const scalar = isListType(valueType) ? elementTypeOf(valueType)! : valueType
  if (scalar === 'STRING') return typeof value === 'string' && type === 'string' ? value : undefined
  if (typeof value === 'string') return undefined
  if (type === 'float32' || type === 'float64') return Number(value)
  if (!Number.isSafeInteger(Number(value))) return undefined
  return (
    elementConverter('INT64', type, undefined)?.(BigInt(value as number)) ??
    elementConverter('BOOL', type, undefined)?.(Boolean(value))
  )
}

/** What is wrong with how a feature is to fill a tensor; undefined: nothing. */
export function featureProblem(feature: MatrixFeature, type: TensorType): string | undefined {
  const { missing } = feature
  const problem = typeProblem(feature.type as ValueType, type, feature.as)
  if (problem !== undefined) return problem
  if (missing.policy === 'nan' && type !== 'float32' && type !== 'float64') {
    return `only floats can be NaN, and the tensor is ${type}; give a default`
  }
  if (missing.policy === 'default' && defaultElement(feature, type, missing.value) === undefined) {
    return `the default ${JSON.stringify(missing.value)} is no ${type}`
  }
  return undefined
}

function rowsOf(data: TensorData, type: TensorType, width: number, rows: readonly number[]): TensorData {
  const kept = tensorData(type, rows.length * width)
  rows.forEach((row, index) => {
    for (let i = 0; i < width; i++) kept[index * width + i] = data[row * width + i] as never
  })
  return kept
}
