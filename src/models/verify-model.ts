import { feastError } from '../core/errors.js'
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
  refuseFixedRows(model)
  await replayExamples(model)
}

function refuseFixedRows({ name, graph }: LoadedModel): void {
  const fixed = graph.outputs.find(({ shape }) => shape[0] !== undefined && shape[0] >= 0)
  if (fixed === undefined) return
  const why = `output "${fixed.tensor}" has always ${fixed.shape[0]} rows; export the model with a dynamic first dimension`
  throw feastError('MODEL_INVALID', { model: name, why })
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
  const rows = predictionRows(graph.outputs, outputs, examples.length)
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
