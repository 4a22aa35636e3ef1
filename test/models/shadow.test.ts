import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { createModelHost, DEFAULT_INFERENCE, type ModelHost } from '../../src/models/model-host.js'
import { ModelProxy } from '../../src/models/model-proxy.js'
import { createPredictor } from '../../src/models/predict.js'
import type { LoggedPrediction } from '../../src/models/prediction-rows.js'
import { until } from '../until.js'
import { type ModelServer, openModelServer } from './model-server.js'
import { linearModel } from './onnx-builder.js'

let server: ModelServer
let shadowHost: ModelHost
let logged: LoggedPrediction[]

beforeAll(async () => {
  server = await openModelServer({
    models: `
  inference: { workers: 1, timeout_ms: 20000 }
  serve: { m: { shadow: [challenger] } }`,
  })
  shadowHost = createModelHost({ ...DEFAULT_INFERENCE, workers: 1 })
  const post = (path: string, body: object) => server.post(`/models/m/${path}`, body)
  for (const weight of [1, 2]) {
    const artifact = { base64: linearModel([weight, 0]).toString('base64') }
    expect((await post('versions', { artifact, feature_service: 'numbers' })).status).toBe(201)
  }
  expect((await post('versions/1/approval', { status: 'approved', deploy: true })).status).toBe(200)
  const { registry } = server.models
  await registry.change(
    'm',
    { action: 'set_alias', alias: 'challenger', version: 2, comment: '' },
    { name: 'anna', groups: [], requestId: '' },
  )
  await server.models.deployer.refresh()
  const { manifest } = await registry.version('m', 2)
  await shadowHost.load({ manifest, version: '2', artifact: () => registry.artifact(manifest) })
})
afterAll(async () => {
  await shadowHost.close()
  await server.close()
})
beforeEach(() => {
  logged = []
})

/** The proxy of the server, with another way to its shadows. */
function proxyWith(use: ModelHost['use']): ModelProxy {
  const { store, models } = server
  const common = { store, logger: silentLogger, timeoutMs: 20_000, maxRows: 10 }
  const proxy: ModelProxy = new ModelProxy({
    ...models,
    logger: silentLogger,
    keyColumns: async () => new Map([['driver_id', 'driver_id']]),
    predictor: createPredictor({
      ...common,
      host: models.host,
      onPrediction: (record) => proxy.onPrediction(record),
    }),
    shadows: {
      host: Object.assign(Object.create(shadowHost) as ModelHost, { use }),
      predictor: createPredictor({ ...common, host: shadowHost }),
    },
    log: (one) => logged.push(one),
  })
  return proxy
}

const roleOf = (one: LoggedPrediction) => (one.kind === 'answered' ? one.record.role : one.role)
const ofRole = (role: string) => logged.filter((one) => roleOf(one) === role)

async function predictions(proxy: ModelProxy, count: number): Promise<readonly unknown[]> {
  const answers: unknown[] = []
  for (let i = 0; i < count; i++) {
    const request = { model: 'm', requestId: String(i), entities: { driver_id: [1] } }
    answers.push((await proxy.predict(request)).predictions)
  }
  return answers
}

const WAITING = 256

it('answers come while a shadow stands still; what it has no room for is dropped and counted', async () => {
  let [entered, left] = [0, 0]
  let go: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const proxy = proxyWith(async (name, version, work) => {
    entered++
    await gate
    return shadowHost.use(name, version, work).finally(() => left++)
  })
  const answers = await predictions(proxy, WAITING + 50)
  expect(answers).toEqual(answers.map(() => [{ outputs: { score: 0.5 } }]))
  await until(() => ofRole('champion').length === WAITING + 50)
  // One stands still, and so many wait for it.
  expect([entered, left]).toEqual([1, 0])
  expect(proxy.counts.dropped).toBe(50 - 1)
  go()
  await until(() => ofRole('shadow').length === WAITING + 1)
  expect([entered, left, proxy.counts.dropped]).toEqual([WAITING + 1, WAITING + 1, 49])
  await predictions(proxy, 3)
  await until(() => ofRole('shadow').length === WAITING + 4)
  proxy.close()
})

it('a shadow that fails is logged and changes no answer', async () => {
  const proxy = proxyWith(() => Promise.reject(new Error('out of order')))
  expect(await predictions(proxy, 3)).toEqual([1, 2, 3].map(() => [{ outputs: { score: 0.5 } }]))
  await until(() => ofRole('shadow').length === 3)
  expect(ofRole('shadow')).toEqual(
    [1, 2, 3].map(() => expect.objectContaining({ kind: 'failed', error: 'out of order' })),
  )
  proxy.close()
})

it('what waits at the end is given up', async () => {
  let entered = 0
  const proxy = proxyWith(async () => {
    entered++
    await new Promise(() => {})
    throw new Error('never')
  })
  await predictions(proxy, 5)
  await until(() => entered === 1)
  proxy.close()
  await predictions(proxy, 1)
  expect(entered).toBe(1)
})
