import { feastError, isFeastError } from '../core/errors.js'
import { countOf, tensorData } from '../core/tensor.js'
import { matrixOfCells, unusable } from '../serving/feature-matrix.js'
import type { LoadedModel } from './model-host.js'
import { checkSignature } from './model-signature.js'
import { predictionRows } from './output-rows.js'
import type { ServiceFeatures } from './service-features.js'

/** First runs are slow, and nobody waits for these. */
const RUN_MS = 10_000
/** float32 against the framework's float64, with room for another order of additions. */
const TOLERANCE = 1e-4

/**
 * What must hold before a loaded version may serve: its inputs fit the features as they are now, its outputs have a
 * row for each row of its inputs, and its recorded examples come out as recorded.
 * @throws MODEL_SIGNATURE_MISMATCH, MODEL_INVALID, MODEL_EXAMPLE_MISMATCH
 */
export async function verifyModel(model: LoadedModel, service: ServiceFeatures | undefined): Promise<void> {
  const { name, manifest, graph } = model
  checkSignature(name, manifest.inputs, graph.inputs, service)
  if (service === undefined) return
  await tryTwoRows(model)
  await replayExamples(model)
}

/** Converters declare outputs carelessly, so that what comes out counts. Not every model takes rows of zeros. */
async function tryTwoRows({ name, manifest, graph, infer }: LoadedModel): Promise<void> {
  const feeds = new Map(
    manifest.inputs.map(({ tensor, type, shape }) => {
      const sizes = [2, ...shape.slice(1)]
      return [tensor, { type, shape: sizes, data: tensorData(type, countOf(sizes)) }] as const
    }),
  )
  try {
    const { outputs } = await infer(feeds, { timeoutMs: RUN_MS })
    predictionRows(name, graph.outputs, outputs, 2)
  } catch (error) {
    if (!isFeastError(error, 'MODEL_RUN_FAILED')) throw error
  }
}

async function replayExamples(model: LoadedModel): Promise<void> {
  const { name, manifest, graph } = model
  const { examples, inputs } = manifest
  if (examples.length === 0) return
  const features = inputs.flatMap((input) => input.features.map((one) => one.name))
  const columns = Object.fromEntries(
    features.map((feature) => [feature, examples.map((one) => one.inputs[feature] ?? null)]),
  )
  const { tensors, failures } = matrixOfCells(inputs, columns, examples.length)
  for (const failure of failures.values()) throw unusable(failure)
  const { outputs } = await model.infer(tensors, { timeoutMs: RUN_MS })
  const rows = predictionRows(name, graph.outputs, outputs, examples.length)
  examples.forEach((example, row) => {
    for (const [output, expected] of Object.entries(example.outputs)) {
      const got = rows[row]![output]
      if (got !== undefined && isClose(expected, got)) continue
      const why = `example ${row}, output "${output}": ${shown(got)} instead of ${shown(expected)}`
      throw feastError('MODEL_EXAMPLE_MISMATCH', { model: name, why })
    }
  })
}

function isClose(expected: unknown, got: unknown): boolean {
  if (isNumber(expected) && isNumber(got)) {
    const [a, b] = [Number(expected), Number(got)]
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) === Number.isNaN(b)
    return a === b || Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a))
  }
  if (typeof expected !== 'object' || expected === null || typeof got !== 'object' || got === null) {
    return expected === null ? Number.isNaN(got) : expected === got
  }
  const names = Object.keys(expected)
  return (
    names.length === Object.keys(got).length &&
    names.every((key) => isClose((expected as never)[key], (got as never)[key]))
  )
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one)) ?? 'nothing'
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
