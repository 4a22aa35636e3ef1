import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { until } from '../until.js'
import { type ModelServer, openModelServer, type Reply, type StatsRow, writeStats } from './model-server.js'
import { floats, linearModel, node, onnxModel, tensorInfo } from './onnx-builder.js'

const MODELS = `
  inference: { workers: 1, timeout_ms: 5000 }
  serve:
    watched: { rollback: { error_rate: 0.2, requests: 20 } }
    slow: { rollback: { p99_ms: 0.0001, requests: 20 } }
    patient: { rollback: { p99_ms: 100000, error_rate: 1, requests: 20 } }`

/** Cannot be run with a score of 1 or more. */
const brittle = onnxModel({
  nodes: [node('Cast', ['x'], ['place'], { to: { i: 7 } }), node('Gather', ['table', 'place'], ['y'])],
  inputs: [tensorInfo('x', 'float32', ['N', 2])],
  outputs: [tensorInfo('y', 'float32', ['N', 2])],
  weights: [floats('table', [1], [7])],
})

const DRIVERS = Array.from({ length: 40 }, (_, index) => 1000 + index)
const [FINE, UNUSABLE] = [{}, { overrides: { score: [5] } }]

let server: ModelServer
beforeAll(async () => {
  server = await openModelServer({ models: MODELS })
  const event_timestamp = BigInt(Date.now()) * 1000n
  await writeStats(
    server.store,
    DRIVERS.map(
      (id): StatsRow => ({ driver_id: BigInt(id), event_timestamp, trips: 3n, rate: 0.5, score: 0 }),
    ),
  )
})
afterAll(() => server.close())

async function deployed(model: string, service: string, champion: Buffer, canary: Buffer): Promise<void> {
  const post = async (path: string, body: object) => {
    const { status, text } = await server.post(`/models/${model}/${path}`, body)
    expect({ path, status, text }).toEqual({ path, status: expect.any(Number), text: expect.anything() })
    expect(Math.floor(status / 100)).toBe(2)
  }
  for (const [index, bytes] of [champion, canary].entries()) {
    await post('versions', { artifact: { base64: bytes.toString('base64') }, feature_service: service })
    await post(`versions/${index + 1}/approval`, { status: 'approved', deploy: index === 0 })
  }
  await post('deployments', { version: 2, strategy: 'canary', weight: 50 })
}

const predict = (model: string, driver: number, more: object): Promise<Reply> =>
  server.post('/predict', { model, entities: { driver_id: [driver] }, ...more })

/** One of the entities that meet the canary, by asking each of them. @returns it, and how often the canary was asked */
async function driverOfCanary(model: string): Promise<{ driver: number; asked: number }> {
  const roles: string[] = []
  for (const driver of DRIVERS) roles.push((await predict(model, driver, FINE)).body.role)
  expect(new Set(roles)).toEqual(new Set(['champion', 'canary']))
  const asked = roles.filter((role) => role === 'canary').length
  return { driver: DRIVERS[roles.indexOf('canary')]!, asked }
}

const canariesOf = (model: string) => server.models.deployer.route(model)!.canaries
const takenOut = (model: string) => until(() => canariesOf(model).length === 0, 'taking out')

it('a canary whose runs fail is taken out when more than allowed do, and told', async () => {
  await deployed('watched', 'numbers', linearModel([1, 0]), brittle)
  const { driver } = await driverOfCanary('watched')
  const ask = async (times: number, more: object, status: number) => {
    for (let i = 0; i < times; i++) expect((await predict('watched', driver, more)).status).toBe(status)
  }
  await ask(16, FINE, 200)
  await ask(4, UNUSABLE, 422)
  // Nor are a caller's own mistakes and haste the canary's doing, for better or worse.
  await ask(30, { overrides: { score: ['x'] } }, 422)
  await ask(30, { options: { timeout_ms: 0.0001 } }, 504)
  // Taking out takes its time.
  await sleep(200)
  expect(canariesOf('watched')).toMatchObject([{ version: '2', weight: 50 }])
  await ask(2, UNUSABLE, 422)
  await takenOut('watched')
  const { body } = await predict('watched', driver, UNUSABLE)
  expect([body.version, body.role]).toEqual(['1', 'champion'])
  expect((await server.models.registry.history('watched')).at(-1)).toMatchObject({
    action: 'deploy',
    by: 'system',
    alias: 'canary',
    version: 2,
    weight: 0,
    comment: expect.stringMatching(/^(25|30)\.0 % of 20 requests failed; allowed are 20 %$/),
  })
})

it('a canary that is too slow is taken out once enough requests say so', async () => {
  await deployed('slow', 'numbers', linearModel([1, 0]), linearModel([2, 0]))
  let canary = 0
  for (let i = 0; canaryIsIn(); i++) {
    expect(i).toBeLessThan(1000)
    const { body } = await predict('slow', DRIVERS[i % DRIVERS.length]!, FINE)
    if (body.role === 'canary') canary++
    if (canary >= 20) await takenOut('slow')
  }
  expect(canary).toBe(20)
  for (const driver of DRIVERS) expect((await predict('slow', driver, FINE)).body.role).toBe('champion')
  expect((await server.models.registry.history('slow')).at(-1)).toMatchObject({
    by: 'system',
    weight: 0,
    comment: expect.stringMatching(/^p99 of 20 requests is/),
  })

  function canaryIsIn(): boolean {
    return canariesOf('slow').length > 0
  }
})

it.each(['patient', 'free'])('nothing is taken out within the limits, or without any: %s', async (model) => {
  await deployed(model, 'numbers', linearModel([1, 0]), brittle)
  const { driver } = await driverOfCanary(model)
  const before = await server.models.registry.history(model)
  for (let i = 0; i < 60; i++) expect((await predict(model, driver, UNUSABLE)).status).toBe(422)
  await sleep(200)
  expect(canariesOf(model)).toMatchObject([{ version: '2', weight: 50 }])
  expect(await server.models.registry.history(model)).toEqual(before)
})

it('an entity meets its version whatever else is asked with it, and wherever that stands', async () => {
  await deployed('sticky', 'bonus', linearModel([1, 0]), linearModel([2, 0]))
  const roles = new Map<number, Set<string>>()
  for (const driver of DRIVERS) {
    for (const bonus of [1, 2, 3]) {
      const forms = [
        { entities: { driver_id: [driver] }, request_data: { bonus: [bonus] } },
        { entities: { driver_id: [driver], bonus: [bonus] } },
      ]
      for (const form of forms) {
        const { status, body } = await server.post('/predict', { model: 'sticky', ...form })
        expect(status).toBe(200)
        roles.set(driver, (roles.get(driver) ?? new Set()).add(body.role))
      }
    }
  }
  expect([...roles].filter(([, met]) => met.size !== 1)).toEqual([])
  expect(new Set([...roles.values()].flatMap((met) => [...met]))).toEqual(new Set(['champion', 'canary']))
})
