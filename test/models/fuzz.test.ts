import { afterAll, beforeAll, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { isFeastError } from '../../src/core/errors.js'
import { readOnnx } from '../../src/models/onnx/onnx-file.js'
import { Random } from '../compat/random.js'
import { loadDamagedModels } from './damaged-models.js'
import { type ModelServer, openModelServer } from './model-server.js'
import { linearModel, mixedModel } from './onnx-builder.js'

const seed = Number(process.env['FEAST_SEED'] ?? Date.now() % 1_000_000_007)
console.info(`models: FEAST_SEED=${seed}`)

let server: ModelServer
beforeAll(async () => {
  server = await openModelServer({
    models: `
  inference: { workers: 1, timeout_ms: 20000 }
  files:
    mixed: { path: mixed.onnx, feature_service: mixed }
    matrix: { path: matrix.onnx }`,
    files: { 'mixed.onnx': mixedModel(), 'matrix.onnx': linearModel([10, 1]) },
  })
})
afterAll(() => server.close())

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    'x',
    0,
    -1,
    1.5,
    1e300,
    [],
    {},
    [[]],
    [null],
    [1, [2]],
    '\ud800',
    Number.MAX_SAFE_INTEGER,
  ),
  fc.jsonValue(),
)
const shape = fc.oneof(
  fc.constantFrom<unknown>([1, 2], [2, 1], [0, 2], [1], [], [-1, 2], [1e9, 1e9], ['1', '2']),
  odd,
)
const datatype = fc.constantFrom<unknown>('FP32', 'INT64', 'BYTES', 'FP16', 'BOOL', 'fp32', 7, null)
const data = fc.oneof(
  fc.constantFrom<unknown>([1, 2], [[1, 2]], ['a', 'b'], [null, null], [true, false]),
  odd,
)
const parameters = fc.oneof(fc.constant(undefined), fc.record({ binary_data_size: odd }), odd)
const input = fc.oneof(
  fc.record({ name: fc.constantFrom<unknown>('x', 'city', 'y', 3), datatype, shape, data, parameters }),
  odd,
)
const request = fc.oneof(
  fc.record({
    inputs: fc.oneof(fc.array(input, { maxLength: 3 }), odd),
    outputs: fc.oneof(fc.constant(undefined), odd),
    id: odd,
    parameters,
  }),
  odd,
)

it('no request to a model is a fault of the server', async () => {
  const lengths = fc.constantFrom<string | undefined>(undefined, '0', '5', '-1', '1e3', 'x', '99999999')
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('matrix', 'mixed', 'feature_service.mixed', 'none', 'feature_service.', '%00'),
      fc.oneof(
        request.map((one) => JSON.stringify(one) ?? ''),
        fc.string(),
        fc.uint8Array().map((one) => Buffer.from(one)),
      ),
      lengths,
      async (model, body, length) => {
        const headers: Record<string, string> =
          length === undefined ? {} : { 'inference-header-content-length': length }
        const { status, text } = await server.post(`/v2/models/${model}/infer`, body, headers)
        expect({ status: status < 500 ? 'well' : status, text }).toEqual({ status: 'well', text })
        if (status >= 400) expect(Object.keys(JSON.parse(text))).toEqual(['error'])
      },
    ),
    { seed, numRuns: 400 },
  )
})

it('no request to predict is a fault of the server', async () => {
  const columns = fc.oneof(fc.record({ driver_id: fc.oneof(fc.array(odd, { maxLength: 3 }), odd) }), odd)
  const body = fc.record({
    model: fc.constantFrom<unknown>('mixed', 'matrix', 'x', 1),
    version: fc.constantFrom<unknown>(undefined, '1', 1, '9'),
    entities: columns,
    request_data: fc.oneof(fc.constant(undefined), columns),
    overrides: fc.oneof(fc.constant(undefined), fc.record({ rate: fc.array(odd, { maxLength: 2 }) }), odd),
    options: fc.oneof(
      fc.constant(undefined),
      fc.record({ partial: odd, timeout_ms: odd, explain: odd }),
      odd,
    ),
  })
  await fc.assert(
    fc.asyncProperty(body, async (one) => {
      const { status, text } = await server.post('/predict', JSON.stringify(one))
      // A client that gives no time gets none.
      expect({ status: status < 500 || status === 504 ? 'well' : status, text }).toEqual({
        status: 'well',
        text,
      })
    }),
    { seed, numRuns: 400 },
  )
})

it('a damaged model file is read or refused, never more', () => {
  const file = mixedModel()
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const bytes = Buffer.from(file)
        for (const [at, value] of changes) bytes[at] = value
        try {
          readOnnx(bytes, 'm')
        } catch (error) {
          expect(isFeastError(error, 'MODEL_INVALID') ? 'refused' : error).toBe('refused')
        }
      },
    ),
    { seed, numRuns: 2000 },
  )
})

it('the runtime gets damaged model files: each is loaded or refused, and the process lives', async () => {
  await loadDamagedModels(new Random(seed), 25)
})
