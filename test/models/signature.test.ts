import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { TensorType } from '../../src/core/tensor.js'
import type { ValueType } from '../../src/core/value-type.js'
import {
  Float32,
  Float64,
  featureService,
  featureView,
  fileSource,
  pick,
  String as Text,
} from '../../src/index.js'
import { type InputMapping, resolveInputs } from '../../src/models/model-signature.js'
import type { OnnxInput } from '../../src/models/onnx/onnx-file.js'
import type { ServiceFeatures } from '../../src/models/service-features.js'
import { repoOf } from '../feature-store/workbench.js'
import { driver, type ModelServer, openModelServer } from './model-server.js'
import { linearModel } from './onnx-builder.js'

const service = (
  types: Readonly<Record<string, ValueType>>,
  more: Partial<ServiceFeatures> = {},
): ServiceFeatures => ({
  service: 's',
  features: Object.entries(types).map(([fullName, type]) => ({
    name: fullName.replace(/^.*__/, ''),
    fullName,
    type,
  })),
  joinKeys: [{ name: 'id', type: 'INT64' }],
  requestColumns: [{ name: 'amount', type: 'DOUBLE' }],
  ...more,
})
const column = (tensor: string, type: TensorType = 'float32', ...shape: number[]): OnnxInput => ({
  tensor,
  type,
  shape: [-1, ...(shape.length > 0 ? shape : [1])],
})
const filled = (graph: readonly OnnxInput[], of: ServiceFeatures, mapping?: InputMapping) =>
  Object.fromEntries(
    resolveInputs('m', graph, of, mapping).inputs.map(({ tensor, features }) => [
      tensor,
      features.map(({ name }) => name),
    ]),
  )

const RIDES = service({ v__city: 'STRING', v__trips: 'INT64', v__rate: 'FLOAT' })
const NUMBERS = service({ v__a: 'FLOAT', v__b: 'DOUBLE', v__c: 'INT64' })

describe('what fills a tensor', () => {
  it('a column takes the feature of its name: short, full, or in snake case', () => {
    const graph = [column('city', 'string'), column('v__trips', 'int64'), column('Rate')]
    expect(filled(graph, RIDES)).toEqual({ city: ['city'], v__trips: ['v__trips'], Rate: ['rate'] })
    expect(filled([column('tripCount', 'int64')], service({ v__trip_count: 'INT64' }))).toEqual({
      tripCount: ['trip_count'],
    })
  })

  it('one matrix takes all features in the order of the service, which is frozen and said', () => {
    const { inputs, warnings } = resolveInputs('m', [column('x', 'float32', 3)], NUMBERS)
    expect(inputs[0]!.features.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(warnings).toEqual([
      'input "x" takes the features of "s" in this order, frozen from now on: a, b, c',
    ])
    expect(filled([column('float_input')], service({ v__a: 'FLOAT' }))).toEqual({ float_input: ['a'] })
  })

  it('a mapping comes first; keys, the time and request data may be named in it', () => {
    const graph = [
      column('city', 'string'),
      column('x', 'float32', 2),
      column('key', 'int64'),
      column('at', 'int64'),
    ]
    const mapping: InputMapping = [
      { tensor: 'x', features: ['amount', { name: 'rate', missing: 'nan' }] },
      { tensor: 'key', feature: 'entity:id' },
      { tensor: 'at', feature: 'event_timestamp', as: 'epoch_seconds' },
    ]
    expect(filled(graph, RIDES, mapping)).toEqual({
      city: ['city'],
      x: ['amount', 'rate'],
      key: ['entity:id'],
      at: ['event_timestamp'],
    })
  })

  const TYPES: readonly (readonly [ValueType, readonly TensorType[]])[] = [
    ['INT32', ['int32', 'int64', 'float32', 'float64']],
    ['INT64', ['int32', 'int64', 'float32', 'float64']],
    ['FLOAT', ['float32', 'float64']],
    ['DOUBLE', ['float32', 'float64']],
    ['BOOL', ['bool', 'int32', 'int64', 'float32', 'float64']],
    ['STRING', ['string']],
    ['UNIX_TIMESTAMP', []],
    ['BYTES', []],
    ['MAP', []],
  ]
  const TENSORS: readonly TensorType[] = ['bool', 'int32', 'int64', 'float32', 'float64', 'string']
  it.each(TYPES)('%s fills %j and nothing else', (type, fits) => {
    const fitting = TENSORS.filter((tensor) => {
      try {
        resolveInputs('m', [column('f', tensor)], service({ v__f: type }))
        return true
      } catch {
        return false
      }
    })
    expect(fitting.sort()).toEqual(TENSORS.filter((tensor) => fits.includes(tensor)).sort())
  })

  it.each<[string, readonly OnnxInput[], ServiceFeatures, InputMapping, string]>([
    [
      'nothing of that name',
      [column('rates')],
      RIDES,
      [],
      'nothing fills rates: float32 [N, 1]; map it with',
    ],
    [
      'a matrix of another width',
      [column('x', 'float32', 2)],
      NUMBERS,
      [],
      'nothing fills x: float32 [N, 2]',
    ],
    ['a matrix beside columns', [column('x', 'float32', 3), column('a')], NUMBERS, [], 'nothing fills x'],
    ['text in a matrix', [column('x', 'float32', 3)], RIDES, [], '"city" cannot fill x: float32 [N, 3]'],
    [
      'a fraction for an integer',
      [column('rate', 'int64')],
      RIDES,
      [],
      '"rate" cannot fill rate: int64 [N, 1]',
    ],
    [
      'two views with a feature of that name',
      [column('rate')],
      service({ v__rate: 'FLOAT', w__rate: 'FLOAT' }),
      [{ tensor: 'rate', feature: 'rate' }],
      'several views have a feature "rate"; write view__feature',
    ],
    [
      'a tensor that is not there',
      [column('rate')],
      RIDES,
      [{ tensor: 'x', feature: 'rate' }],
      'the model has no input "x"',
    ],
    [
      'a feature that is not there',
      [column('x')],
      RIDES,
      [{ tensor: 'x', feature: 'speed' }],
      'feature service "s" has no "speed"',
    ],
    [
      'rows of a fixed number',
      [{ tensor: 'rate', type: 'float32', shape: [1, 1] }],
      RIDES,
      [],
      'takes exactly 1 rows',
    ],
    [
      'a width that is open',
      [{ tensor: 'x', type: 'float32', shape: [-1, -1] }],
      RIDES,
      [{ tensor: 'x', feature: 'rate' }],
      'does not say how wide a row is',
    ],
  ])('%s: refused, with both lists', (_, graph, of, mapping, why) => {
    let message = ''
    try {
      resolveInputs('m', graph, of, mapping)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain(why)
    expect(message).toContain('- the model takes ')
    expect(message).toContain('- feature service "s" gives ')
  })
})

describe('a version that does not fit its features', () => {
  const view = (types: object) =>
    featureView({
      name: 'speeds',
      entities: [driver],
      schema: types as { a: typeof Float64 },
      source: fileSource({ path: 'data/speeds.parquet', timestampField: 'event_timestamp' }),
    })
  const repo = (types: object, ...picked: 'a'[]) => {
    const speeds = view(types)
    return repoOf(driver, speeds, featureService({ name: 'speeds', features: [pick(speeds, ...picked)] }))
  }
  const bare = { skipSourceValidation: true }

  let server: ModelServer
  beforeAll(async () => {
    server = await openModelServer({
      models: '{ inference: { workers: 1, timeout_ms: 20000, max_model_bytes: 1000 } }',
    })
    await server.store.apply(repo({ a: Float64, b: Float32 }, 'a', 'b' as 'a'), bare)
  })
  afterAll(() => server.close())

  const post = (path: string, body: object) => server.post(`/models/m/${path}`, body)
  const register = (width: number) => {
    const weights = Array.from({ length: width }, () => 1)
    return post('versions', {
      artifact: { base64: linearModel(weights).toString('base64') },
      feature_service: 'speeds',
    })
  }
  const serving = async () => (await server.get('/models/m')).body.serving

  it('does not come into the registry', async () => {
    const { status, text, headers } = await register(3)
    expect([status, headers['feast-error-code']]).toEqual([422, 'MODEL_SIGNATURE_MISMATCH'])
    expect(text).toContain('nothing fills x: float32 [N, 3]')
    const large = await register(300)
    expect([large.status, large.headers['feast-error-code']]).toEqual([422, 'MODEL_INVALID'])
    expect(large.text).toContain('models.inference.max_model_bytes is 1000')
    expect((await server.get('/models/m')).status).toBe(404)
  })

  it('that fitted when it was registered is not loaded, and the one before goes on', async () => {
    for (const version of [1, 2]) {
      expect((await register(2)).status).toBe(201)
      expect((await post(`versions/${version}/approval`, { status: 'approved' })).status).toBe(200)
    }
    expect((await post('deployments', { version: 1 })).status).toBe(200)
    await server.store.apply(repo({ a: Text, b: Float32 }, 'a', 'b' as 'a'), bare)
    await server.store.refreshRegistry()
    expect((await post('deployments', { version: 2 })).status).toBe(200)
    const { champion, failures } = await serving()
    expect([champion, failures]).toEqual([
      '1',
      { 2: expect.stringContaining('"a" is STRING now, and was DOUBLE when the version was registered') },
    ])
    await server.store.apply(repo({ a: Text, b: Float32 }, 'b' as 'a'), bare)
    await server.store.refreshRegistry()
    expect((await register(1)).status).toBe(201)
    expect((await post('versions/3/approval', { status: 'approved', deploy: true })).status).toBe(200)
    expect((await serving()).champion).toBe('3')
    // Going back is no way around it.
    expect((await post('rollback', {})).status).toBe(200)
    expect((await serving()).champion).toBe('3')
  })
})
