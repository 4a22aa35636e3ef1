import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { Float64, featureView, fileSource, Int64, String, UnixTimestamp } from '../../src/index.js'
import { entityRows, repoOf, rowsOf } from '../feature-store/workbench.js'
import { until } from '../until.js'
import { driver, type ModelServer, openModelServer } from './model-server.js'
import { linearModel } from './onnx-builder.js'

const MODELS = `
  inference: { workers: 1, timeout_ms: 5000 }
  logging: { uri: data/predictions }
  serve:
    ranking: { shadow: [challenger] }`

let server: ModelServer
beforeAll(async () => {
  server = await openModelServer({ models: MODELS })
})
afterAll(() => server.close())

async function register(weights: readonly number[]): Promise<number> {
  const { status, body, text } = await server.post('/models/ranking/versions', {
    artifact: { base64: linearModel(weights).toString('base64') },
    feature_service: 'numbers',
    metrics: { auc: 0.5 },
  })
  expect([status, text]).toEqual([201, expect.anything()])
  return body.version
}

const approve = (version: number, more: object = {}) =>
  server.post(`/models/ranking/versions/${version}/approval`, { status: 'approved', ...more })
const predict = (drivers: readonly number[], headers: Record<string, string> = {}) =>
  server.post('/predict', { model: 'ranking', entities: { driver_id: drivers } }, headers)
const scores = (body: { predictions: { score: number }[] }) => body.predictions.map(({ score }) => score)

it('registered, approved and deployed over HTTP, a version answers at once; what is not approved never does', async () => {
  expect(await register([1, 0])).toBe(1)
  expect((await predict([1])).status).toBe(404)
  const early = await server.post('/models/ranking/deployments', { version: 1 })
  expect(early.status).toBe(409)
  expect((await approve(1, { deploy: true })).status).toBe(200)
  const { body } = await predict([1, 2])
  expect([body.version, body.role, scores(body)]).toEqual(['1', 'champion', [0.5, 0.25]])
  expect((await approve(1)).status).toBe(409)
})

it('what was predicted joins to what became of it, point-in-time', async () => {
  await server.models.log!.flush()
  const predictions = featureView({
    name: 'ranking_predictions',
    entities: [driver],
    // The model has a feature of the name of its output.
    schema: { prediction__score: Float64, version: String },
    source: fileSource({
      path: 'data/predictions/model=ranking',
      timestampField: 'event_timestamp',
      datePartitionColumn: 'dt',
    }),
  })
  await server.store.apply(repoOf(driver, predictions))
  const [before, after] = [0n, BigInt(Date.now() + 3_600_000) * 1000n]
  const job = await server.store.getHistoricalFeatures({
    entityRows: entityRows(
      { driver_id: Int64, event_timestamp: UnixTimestamp, label: Int64 },
      [1n, 2n].flatMap((driver_id) =>
        [before, after].map((event_timestamp) => ({ driver_id, event_timestamp, label: 1n })),
      ),
    ),
    features: ['ranking_predictions:prediction__score', 'ranking_predictions:version'],
  })
  expect((await rowsOf(job)).map((row) => [row['prediction__score'], row['version']])).toEqual([
    [null, null],
    [0.5, '1'],
    [null, null],
    [0.25, '1'],
  ])
})

it('entities keep meeting their version; a tester may choose among those that answer', async () => {
  await register([0, 1])
  await approve(2)
  await server.post('/models/ranking/deployments', { version: 2, strategy: 'canary', weight: 50 })
  const drivers = Array.from({ length: 200 }, (_, i) => 1 + (i % 2))
  const first = (await predict(drivers)).body
  expect(first.predictions).toEqual((await predict(drivers)).body.predictions)
  const pinned = await predict([1, 2], { 'x-feast-model-version': 'canary' })
  expect([pinned.body.version, scores(pinned.body)]).toEqual(['2', [0.25, 0.5]])
  expect((await predict([1], { 'x-feast-model-version': '9' })).status).toBeGreaterThanOrEqual(400)
  await server.post('/models/ranking/deployments', { version: 2, strategy: 'canary', weight: 0 })
})

it('a shadow looks at the same rows, is logged, and never answers', async () => {
  expect(await register([5, 5])).toBe(3)
  const pointed = await server.app.inject({
    method: 'PUT',
    url: '/models/ranking/aliases/challenger',
    payload: JSON.stringify({ version: 3 }),
  })
  expect(pointed.statusCode).toBe(200)
  expect(scores((await predict([1])).body)).toEqual([0.5])
  expect((await predict([1], { 'x-feast-model-version': '3' })).status).toBeGreaterThanOrEqual(400)
  await until(() => server.models.proxy.counts.shadows.get('ranking\u00003')?.compared === 1, 'a comparison')
  expect([...server.models.proxy.counts.shadows]).toEqual([
    ['ranking\u00003', { compared: 1, differing: 1, failed: 0 }],
  ])
})

it('what was predicted is a batch source', async () => {
  await server.models.log!.flush()
  const path = join(server.bench.path, 'data/predictions/model=ranking')
  const store = await server.store.offlineStore()
  const { fileSource } = await import('feast-node')
  const source = fileSource({ path, timestampField: 'event_timestamp', datePartitionColumn: 'dt' })
  const names = (await store.describe(source)).map(({ name }) => name)
  for (const name of ['event_timestamp', 'role', 'driver_id', 'rate', 'score', 'rate__status']) {
    expect(names).toContain(name)
  }
})
