import { z } from 'zod'
import { feastError } from '../core/errors.js'
import { countOf } from '../core/tensor.js'
import { isListType, type ValueType } from '../core/value-type.js'
import { ENTITY, EVENT_TIMESTAMP, featureProblem } from '../serving/feature-matrix.js'
import type { ModelFeature, ModelInput } from './model-manifest.js'
import type { OnnxInput } from './onnx/onnx-file.js'
import type { ServiceFeatures } from './service-features.js'

const literal = z.union([z.string(), z.number(), z.boolean()])
const policies = {
  /** What a row without a value gets. */
  default: literal.optional(),
  missing: z.enum(['error', 'nan']).optional(),
  stale: z.enum(['missing', 'use']).optional(),
  as: z.literal('epoch_seconds').optional(),
}
const feature = z.union([z.string().min(1), z.strictObject({ name: z.string().min(1), ...policies })])

/** How people say what fills a tensor: in feature_store.yaml, and when a version is registered. */
export const inputMapping = z.array(
  z
    .strictObject({
      tensor: z.string().min(1),
      feature: z.string().min(1).optional(),
      /** Side by side in a matrix, in the order of its columns. */
      features: z.array(feature).min(1).optional(),
      /** For all features of the tensor that say nothing of their own. */
      ...policies,
    })
    .refine((one) => one.feature === undefined || one.features === undefined, {
      message: 'give feature, or features, not both',
    }),
)

export type InputMapping = z.infer<typeof inputMapping>
type Policies = Partial<
  Pick<Exclude<z.infer<typeof feature>, string>, 'default' | 'missing' | 'stale' | 'as'>
>

export interface ResolvedInputs {
  readonly inputs: readonly ModelInput[]
  /** What was decided for lack of a mapping. */
  readonly warnings: readonly string[]
}

/**
 * What fills the tensors of a model, frozen from then on: as mapped; else a tensor of one column takes the feature of
 * its name; else the one matrix takes all features of the service in their order.
 * @throws MODEL_SIGNATURE_MISMATCH with both lists side by side
 */
export function resolveInputs(
  model: string,
  graph: readonly OnnxInput[],
  service: ServiceFeatures,
  mapping: InputMapping = [],
): ResolvedInputs {
  const problems: string[] = []
  for (const { tensor } of mapping) {
    if (!graph.some((one) => one.tensor === tensor)) problems.push(`the model has no input "${tensor}"`)
  }
  const warnings: string[] = []
  const inputs = graph.map((input): ModelInput => {
    const mapped = mapping.find(({ tensor }) => tensor === input.tensor)
    const names = namesFor(input, graph, service, mapped, warnings)
    if (names === undefined) {
      problems.push(
        `nothing fills ${shown(input)}; map it with inputs: [{ tensor: ${input.tensor}, feature: … }]`,
      )
      return { ...input, features: [] }
    }
    const features = names.map((one) => modelFeature(one, mapped ?? {}, service, problems))
    return { ...input, features }
  })
  const filled = inputs.filter(({ features }) => features.length > 0)
  if (problems.length === 0) problems.push(...inputProblems(filled))
  if (problems.length > 0) throw mismatch(model, problems, graph, service)
  return { inputs, warnings }
}

/**
 * Whether a manifest still fits its file and its features: asked when a version is loaded.
 * @throws MODEL_SIGNATURE_MISMATCH
 */
export function checkSignature(
  model: string,
  inputs: readonly ModelInput[],
  graph: readonly OnnxInput[],
  service: ServiceFeatures | undefined,
): void {
  const problems: string[] = []
  for (const { tensor } of graph) {
    if (!inputs.some((one) => one.tensor === tensor)) problems.push(`nothing fills the input "${tensor}"`)
  }
  for (const input of inputs) {
    const found = graph.find(({ tensor }) => tensor === input.tensor)
    if (found === undefined) problems.push(`the model has no input "${input.tensor}"`)
    else if (shown(found) !== shown(input)) {
      problems.push(`the model has ${shown(found)}, and ${shown(input)} was registered`)
    }
  }
  if (service !== undefined) {
    problems.push(...inputProblems(inputs))
    for (const { features } of inputs) {
      for (const { name, type } of features) problems.push(...changesOf(name, type, service))
    }
  }
  if (problems.length > 0) throw mismatch(model, problems, graph, service)
}

function changesOf(name: string, type: string, service: ServiceFeatures): string[] {
  const now = typeOf(name, service)
  if (now === undefined) return [`feature service "${service.service}" has no "${name}" any more`]
  return now === type ? [] : [`"${name}" is ${now} now, and was ${type} when the version was registered`]
}

type Mapped = InputMapping[number]
type NamedFeature = { readonly name: string } & Policies

function namesFor(
  input: OnnxInput,
  graph: readonly OnnxInput[],
  service: ServiceFeatures,
  mapped: Mapped | undefined,
  warnings: string[],
): readonly NamedFeature[] | undefined {
  if (mapped?.features) return mapped.features.map((one) => (typeof one === 'string' ? { name: one } : one))
  if (mapped?.feature !== undefined) return [{ name: mapped.feature }]
  const named = featureNamed(input.tensor, service)
  if (named !== undefined && (isColumn(input) || isListType(typeOf(named, service)!)))
    return [{ name: named }]
  if (graph.length > 1 || input.shape[1] !== service.features.length) return undefined
  const names = service.features.map(({ name, fullName }) => (isAmbiguous(name, service) ? fullName : name))
  warnings.push(
    `input "${input.tensor}" takes the features of "${service.service}" in this order, frozen from now on: ${names.join(', ')}`,
  )
  return names.map((name) => ({ name }))
}

function isColumn({ shape }: OnnxInput): boolean {
  return shape.length === 1 || (shape.length === 2 && shape[1] === 1)
}

/** Full or short, then in snake case. */
function featureNamed(tensor: string, service: ServiceFeatures): string | undefined {
  const known = (name: string) => (typeOf(name, service) === undefined ? undefined : name)
  return known(tensor) ?? known(snakeCase(tensor))
}

function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
}

function isAmbiguous(name: string, { features }: ServiceFeatures): boolean {
  return features.filter((one) => one.name === name).length > 1
}

/** Of anything that may be named: a feature, a request column, an entity column, the time of the request. */
function typeOf(name: string, service: ServiceFeatures): ValueType | undefined {
  if (name.startsWith(ENTITY)) {
    return service.joinKeys.find((key) => key.name === name.slice(ENTITY.length))?.type
  }
  const full = service.features.find(({ fullName }) => fullName === name)
  if (full) return full.type
  const found = service.features.filter((one) => one.name === name)
  if (found.length === 1) return found[0]!.type
  if (found.length > 1) return undefined
  const asked = service.requestColumns.find((one) => one.name === name)
  return asked?.type ?? (name === EVENT_TIMESTAMP ? 'UNIX_TIMESTAMP' : undefined)
}

function modelFeature(
  given: NamedFeature,
  ofInput: Policies,
  service: ServiceFeatures,
  problems: string[],
): ModelFeature {
  const { name } = given
  const type = typeOf(name, service)
  if (type === undefined) {
    problems.push(
      isAmbiguous(name, service)
        ? `several views have a feature "${name}"; write view__feature`
        : `feature service "${service.service}" has no "${name}"`,
    )
  }
  const value = given.default ?? (given.missing ? undefined : ofInput.default)
  const isNan = (given.missing ?? ofInput.missing) === 'nan'
  const stale = given.stale ?? ofInput.stale
  const as = given.as ?? ofInput.as
  return {
    name,
    type: type ?? 'INVALID',
    missing: value !== undefined ? { policy: 'default', value } : { policy: isNan ? 'nan' : 'error' },
    ...(stale && { stale }),
    ...(as && { as }),
  }
}

function inputProblems(inputs: readonly ModelInput[]): string[] {
  return inputs.flatMap((input) => {
    const { shape, features, type } = input
    const problems = features.flatMap((one) => {
      const problem = featureProblem(one, type)
      return problem === undefined ? [] : [`"${one.name}" cannot fill ${shown(input)}: ${problem}`]
    })
    if (shape[0] !== undefined && shape[0] >= 0) {
      problems.push(
        `${shown(input)} takes exactly ${shape[0]} rows; export the model with a dynamic first dimension`,
      )
    }
    return [...problems, ...widthProblems(input)]
  })
}

function widthProblems(input: ModelInput): string[] {
  const { shape, features } = input
  const rest = shape.slice(1)
  if (shape.length === 0 || rest.some((size) => size < 0)) {
    return [
      `${shown(input)} does not say how wide a row is; export the model with fixed dimensions but the first`,
    ]
  }
  const width = countOf(rest)
  const lists = features.filter(({ type }) => isListType(type as ValueType))
  if (lists.length > 0) {
    return features.length === 1
      ? []
      : [`a list fills a tensor alone, and "${lists[0]!.name}" shares ${shown(input)}`]
  }
  if (features.length === width) return []
  return [`${shown(input)} has ${width} values a row, and ${features.length} features are to fill it`]
}

/** `float_input: float32 [N, 4]`. */
function shown({ tensor, type, shape }: Pick<OnnxInput, 'tensor' | 'type' | 'shape'>): string {
  return `${tensor}: ${type} [${shape.map((size, i) => (size < 0 ? (i === 0 ? 'N' : '?') : size)).join(', ')}]`
}

function mismatch(
  model: string,
  problems: readonly string[],
  graph: readonly OnnxInput[],
  service: ServiceFeatures | undefined,
): Error {
  const lists = [`the model takes ${graph.map(shown).join('; ')}`]
  if (service !== undefined) {
    const features = service.features.map(({ name, type }) => `${name} ${type}`)
    lists.push(`feature service "${service.service}" gives ${features.join(', ')}`)
  }
  return feastError('MODEL_SIGNATURE_MISMATCH', { model, problems: [...problems, ...lists] })
}
