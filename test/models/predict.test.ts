import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type ModelServer, openModelServer } from './model-server.js'
import { linearModel, loopingModel, mixedModel, node, onnxModel, tensorInfo } from './onnx-builder.js'

/** Gives back what it is fed, column by column. */
const echoModel = onnxModel({
  nodes: [
    node('Identity', ['bonus'], ['bonus_out']),
    node('Identity', ['key'], ['key_out']),
    node('Identity', ['since'], ['since_out']),
    node('Identity', ['recent'], ['recent_out']),
    node('Identity', ['active'], ['active_out']),
  ],
  inputs: [
    tensorInfo('bonus', 'float64', ['N']),
    tensorInfo('key', 'int64', ['N', 1]),
    tensorInfo('since', 'int64', ['N', 1]),
    tensorInfo('recent', 'float32', ['N', 3]),
    tensorInfo('active', 'bool', ['N', 1]),
  ],
  outputs: [
    tensorInfo('bonus_out', 'float64', ['N']),
    tensorInfo('key_out', 'int64', ['N', 1]),
    tensorInfo('since_out', 'int64', ['N', 1]),
    tensorInfo('recent_out', 'float32', ['N', 3]),
    tensorInfo('active_out', 'bool', ['N', 1]),
  ],
})

const MODELS = `
  inference: { workers: 1, timeout_ms: 5000, max_rows: 10 }
  files:
    mixed: { path: mixed.onnx, version: '7', feature_service: mixed, required: true }
    lenient:
      path: mixed.onnx
      feature_service: mixed
      inputs:
        - { tensor: trips, default: -1, stale: use }
        - { tensor: rate, missing: nan }
        - { tensor: city, default: nowhere }
    matrix: { path: matrix.onnx, feature_service: numbers }
    swapped: { path: matrix.onnx, feature_service: numbers, inputs: [{ tensor: x, features: [score, rate] }] }
    echo:
      path: echo.onnx
      feature_service: all
      inputs:
        - { tensor: bonus, feature: score }
        - { tensor: key, feature: 'entity:driver_id' }
        - { tensor: since, as: epoch_seconds }
    on_demand: { path: bonus.onnx, feature_service: bonus, inputs: [{ tensor: x, features: [trips_with_bonus, rate] }] }
    tensors: { path: matrix.onnx }
    wrong: { path: matrix.onnx, feature_service: mixed }
    gone: { path: gone.onnx, feature_service: mixed }`

let server: ModelServer
beforeAll(async () => {
  server = await openModelServer({
    models: MODELS,
    files: {
      'mixed.onnx': mixedModel(),
      'matrix.onnx': linearModel([10, 1]),
      'bonus.onnx': linearModel([1, 100]),
      'echo.onnx': echoModel,
      'looping.onnx': loopingModel(),
    },
  })
})
afterAll(() => server.close())

const predict = (body: object) => server.post('/predict', body)
const of = (...ids: unknown[]) => ({ driver_id: ids })

it('answers with a prediction for each entity, in their order', async () => {
  const { status, body } = await predict({ model: 'mixed', entities: of(2, 1, 2) })
  expect(status).toBe(200)
  expect(body).toMatchObject({ model: 'mixed', version: '7', role: 'champion', metadata: {} })
  expect(body.predictions.map((one: { label: number }) => one.label)).toEqual([1, 0, 1])
  const [{ probabilities }] = body.predictions
  expect(Object.keys(probabilities)).toEqual(['0', '1'])
  expect(probabilities['0'] + probabilities['1']).toBeCloseTo(1, 6)
  expect(body.predictions[0]).toEqual(body.predictions[2])
})

it('what is wrong with a request is told', async () => {
  const cases: [object, number, string][] = [
    [
      { model: 'mixe', entities: of(1) },
      404,
      'No model \\\\\\"mixe\\\\\\" is served here. Did you mean \\\\\\"mixed\\\\\\"?',
    ],
    [{ model: 'mixed', version: '3', entities: of(1) }, 404, 'is not served at version 3'],
    [{ model: 'mixed', entities: {} }, 400, 'There are no entity rows'],
    [{ model: 'mixed', entities: { driver: [1], x: [2, 3] } }, 422, 'x'],
    [{ model: 'mixed', entities: of('a') }, 422, 'driver_id'],
    [{ model: 'mixed', entities: of(...Array(11).keys()) }, 413, 'more than 10 entity rows'],
    [{ model: 'mixed' }, 422, 'Field required'],
    [{ model: 'mixed', entities: of(1), options: { timeout_ms: -1 } }, 422, 'timeout_ms'],
    [{ model: 'mixed', entities: of(1), options: [] }, 422, 'dictionary'],
    [{ model: 'mixed', entities: of(1), overrides: { nothing: [1] } }, 400, 'takes no feature'],
    [{ model: 'mixed', entities: of(1), overrides: { rate: [1, 2] } }, 400, 'has 2 values for 1 rows'],
    [{ model: 'mixed', entities: of(1), overrides: { trips: [0.5] } }, 422, 'is not a value of type Int64'],
    [{ model: 'on_demand', entities: of(1) }, 404, 'needs request values'],
    [
      { model: 'on_demand', entities: { ...of(1), bonus: [1] }, request_data: { bonus: [1] } },
      400,
      'give it once',
    ],
    [{ model: 'tensors', entities: of(1) }, 400, '/v2/models/tensors/infer'],
  ]
  for (const [body, expected, why] of cases) {
    const { status, text } = await predict(body)
    expect({ body, status, text: text.includes(why) ? why : text }).toEqual({
      body,
      status: expected,
      text: why,
    })
  }
})

describe('a value that is not there', () => {
  it.each([
    [3, 'Feature \\\\\\"trips\\\\\\" of row 1 cannot be fed to the model: it is null'],
    [5, 'Feature \\\\\\"city\\\\\\" of row 1 cannot be fed to the model: there is no row for the entity'],
    [4, "it is older than its view's ttl"],
  ])('is an error that names it: driver %d', async (id, why) => {
    const { status, text, headers } = await predict({ model: 'mixed', entities: of(1, id) })
    expect(status).toBe(422)
    expect(headers['feast-error-code']).toBe('MODEL_INPUT_UNUSABLE')
    expect(text).toContain(why)
  })

  it('fails its row alone where that is asked for', async () => {
    const { body } = await predict({ model: 'mixed', entities: of(5, 1, 3), options: { partial: true } })
    expect(body.predictions).toEqual([
      { error: { code: 'MODEL_INPUT_UNUSABLE', message: expect.stringContaining('"city" of row 0') } },
      expect.objectContaining({ label: 0 }),
      { error: { code: 'MODEL_INPUT_UNUSABLE', message: expect.stringContaining('"trips" of row 2') } },
    ])
  })

  it('has a stand-in where the input has one, and that is told', async () => {
    const { body } = await predict({ model: 'lenient', entities: of(3, 4, 5) })
    expect(body.predictions).toHaveLength(3)
    expect(body.metadata.imputed).toEqual([
      { feature: 'city', row: 1, reason: 'stale' },
      { feature: 'city', row: 2, reason: 'not_found' },
      { feature: 'trips', row: 0, reason: 'null' },
      { feature: 'trips', row: 2, reason: 'not_found' },
      { feature: 'rate', row: 0, reason: 'null' },
      { feature: 'rate', row: 1, reason: 'stale' },
      { feature: 'rate', row: 2, reason: 'not_found' },
    ])
    const text = await server.metrics.text()
    expect(text).toContain('feast_model_imputed_total{model="lenient",feature="trips",reason="null"} 1')
  })

  it('may be given by the caller', async () => {
    const overrides = { trips: [10, null], rate: [0.5, null], city: ['seoul', null] }
    const { body } = await predict({ model: 'mixed', entities: of(5, 1), overrides })
    expect(body.predictions[0]).toEqual(body.predictions[1])
  })
})

it('one matrix takes the features of the service in their order, or as mapped', async () => {
  const score = async (model: string) => (await predict({ model, entities: of(1) })).body.predictions[0].score
  expect(await score('matrix')).toBe(10 * 0.5 + 0.25)
  expect(await score('swapped')).toBe(10 * 0.25 + 0.5)
})

it('keys, times, lists and truths are fed as they are', async () => {
  const { body } = await predict({ model: 'echo', entities: of(1) })
  expect(body.predictions).toEqual([
    { bonus_out: 0.25, key_out: 1, since_out: 1785578400, recent_out: [1, 2, 3], active_out: true },
  ])
  const short = await predict({ model: 'echo', entities: of(2) })
  expect(short.text).toContain('the list has 2 values, and the model takes 3')
})

it('request data reaches on demand features, and these the model', async () => {
  const { body } = await predict({ model: 'on_demand', entities: of(1, 2), request_data: { bonus: [5, 6] } })
  expect(body.predictions).toEqual([{ score: 15 + 50 }, { score: 26 + 25 }])
})

it('shows the features with statuses and times on request', async () => {
  const { body } = await predict({ model: 'lenient', entities: of(1, 4), options: { explain: true } })
  expect(body.metadata.registry_version).toEqual(expect.any(String))
  expect(body.metadata.features['driver_stats__trips']).toEqual({
    values: [10, 40],
    statuses: ['PRESENT', 'OUTSIDE_MAX_AGE'],
    event_timestamps: [expect.stringMatching(/^20.*Z$/), expect.stringMatching(/^20.*Z$/)],
    age_seconds: [expect.any(Number), expect.any(Number)],
  })
  const brief = await predict({ model: 'lenient', entities: of(1), options: { statuses: true } })
  expect(brief.body.metadata.feature_statuses).toMatchObject({ driver_stats__rate: ['PRESENT'] })
  expect(brief.body.metadata.features).toBeUndefined()
})

it('a model that does not fit its features never serves, and says why', async () => {
  for (const model of ['wrong', 'gone']) {
    expect((await predict({ model, entities: of(1) })).status).toBe(404)
  }
  const text = await server.metrics.text()
  expect(text).toContain('feast_model_loaded{model="mixed",version="7"} 1')
  expect(text).not.toContain('model="wrong",version')
})

it('counts what models are asked', async () => {
  const text = await server.metrics.text()
  expect(text).toMatch(
    /feast_model_requests_total\{model="mixed",version="7",role="champion",code="OK"\} [1-9]/,
  )
  expect(text).toMatch(
    /feast_model_requests_total\{model="mixed",version="7",role="champion",code="MODEL_INPUT_UNUSABLE"\} [1-9]/,
  )
  for (const part of ['request', 'feature', 'queue', 'infer']) {
    expect(text).toMatch(
      new RegExp(`feast_model_${part}_duration_seconds_count\\{model="mixed",version="7"\\} [1-9]`),
    )
  }
})
