import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from '@jest/globals'
import type { ValueType } from '../../src/core/value-type.js'
import { createModelHost, DEFAULT_INFERENCE } from '../../src/models/model-host.js'
import { resolveInputs } from '../../src/models/model-signature.js'
import { readOnnx } from '../../src/models/onnx/onnx-file.js'
import { predictionRows } from '../../src/models/output-rows.js'
import { verifyModel } from '../../src/models/verify-model.js'
import { matrixOfCells } from '../../src/serving/feature-matrix.js'
import { manifestFor } from './onnx-builder.js'

/** Made by the scripts in frameworks/, each by its own framework. */
const MODELS = ['sklearn_mixed', 'xgboost_trees', 'lightgbm_trees', 'pytorch_network', 'keras_network']

interface Recording {
  readonly features: Readonly<Record<string, { readonly type: ValueType; readonly values: unknown[] }>>
  readonly framework: Readonly<Record<string, unknown[]>>
  readonly onnxruntime: Readonly<Record<string, unknown[]>>
}

const host = createModelHost({ ...DEFAULT_INFERENCE, workers: 1, timeoutMs: 20_000 })
afterAll(() => host.close())

const file = (name: string) => readFileSync(new URL(`frameworks/${name}`, import.meta.url))

/** Numbers in the order in which they stand, whatever they stand in. */
function flat(value: unknown): number[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(flat) : [Number(value)]
}

function furthest(expected: readonly unknown[], got: readonly unknown[]): number {
  const [a, b] = [expected.flatMap(flat), got.flatMap(flat)]
  expect(b).toHaveLength(a.length)
  return Math.max(...a.map((one, index) => Math.abs(one - b[index]!)))
}

describe.each(MODELS)('%s', (name) => {
  const recorded = JSON.parse(file(`${name}.json`).toString()) as Recording
  const bytes = file(`${name}.onnx`)
  const graph = readOnnx(bytes, name)
  const service = {
    service: 'recorded',
    features: Object.entries(recorded.features).map(([feature, { type }]) => ({
      name: feature,
      fullName: `rows__${feature}`,
      type,
    })),
    joinKeys: [],
    requestColumns: [],
  }
  const { inputs } = resolveInputs(name, graph.inputs, service)

  it.each([1, 2, 257])('predicts %d rows as its framework and as Python', async (size) => {
    const manifest = manifestFor(bytes, name, { inputs, featureService: 'recorded' })
    const model = await host.load({ manifest, version: '1', artifact: async () => bytes })
    const columns = Object.fromEntries(
      Object.entries(recorded.features).map(([feature, { values }]) => [feature, values.slice(0, size)]),
    )
    const { tensors, failures } = matrixOfCells(inputs, columns, size)
    expect(failures.size).toBe(0)
    const { outputs } = await model.infer(tensors, { timeoutMs: 20_000 })
    const rows = predictionRows(name, graph.outputs, outputs, size)
    for (const [output, expected] of Object.entries(recorded.framework)) {
      const got = rows.map((row) => row[output])
      expect([output, furthest(expected.slice(0, size), got)]).toEqual([output, expect.closeTo(0, 5)])
      const python = recorded.onnxruntime[output]!.slice(0, size)
      expect(furthest(python, got)).toBeLessThanOrEqual(1e-6)
    }
    expect(Object.keys(rows[0]!).sort()).toEqual(Object.keys(recorded.framework).sort())
  })

  it('serves with its rows as examples, and not when one of them says otherwise', async () => {
    const row = (at: number) => ({
      inputs: Object.fromEntries(
        Object.entries(recorded.features).map(([feature, { values }]) => [feature, values[at] as never]),
      ),
      outputs: Object.fromEntries(
        Object.entries(recorded.framework).map(([output, values]) => [output, values[at]]),
      ),
    })
    const examples = [row(0), row(1), row(2)]
    const manifest = manifestFor(bytes, name, { inputs, featureService: 'recorded', examples })
    const model = { ...(await host.load({ manifest, version: '1', artifact: async () => bytes })), manifest }
    await verifyModel(model, service)
    const wrong = {
      ...row(1),
      outputs: Object.fromEntries(Object.keys(row(1).outputs).map((one) => [one, 7])),
    }
    await expect(
      verifyModel({ ...model, manifest: { ...manifest, examples: [row(0), wrong] } }, service),
    ).rejects.toMatchObject({ code: 'MODEL_EXAMPLE_MISMATCH' })
  })
})
