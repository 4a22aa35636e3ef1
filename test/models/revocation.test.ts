import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { Random, seededRandom } from '../compat/random.js'
import { until } from '../until.js'
import { type ModelServer, openModelServer } from './model-server.js'
import { linearModel } from './onnx-builder.js'

let server: ModelServer
beforeAll(async () => {
  server = await openModelServer({
    models: `
  inference: { workers: 1, timeout_ms: 20000 }
  serve: { m: { shadow: [challenger] } }`,
  })
})
afterAll(() => server.close())

const DECISIONS = 24
const LANES = 3

const post = (path: string, body: object) => server.post(`/models/m/${path}`, body)

/** Order of events, as the clients see it. */
let clock = 0
let registered = 0
/** Versions whose approval was asked for and not refused. */
const approved = new Set<number>()
/** Version → when its revocation was answered. */
const revoked = new Map<number, number>()

/** Version v answers v times the rate, which is 0.5. */
async function register(): Promise<void> {
  const artifact = { base64: linearModel([registered + 1, 0]).toString('base64') }
  expect((await post('versions', { artifact, feature_service: 'numbers' })).status).toBe(201)
  registered++
}

/** One decision about some version; whether it is possible is for the registry to say. */
async function decide(random: Random): Promise<void> {
  if (registered < 2 || random.chance(0.25)) await register()
  const version = random.int(1, registered)
  const decided = async (status: string) =>
    (await post(`versions/${version}/approval`, { status })).status === 200
  const wasApproved = approved.has(version)
  switch (random.int(0, 7)) {
    case 0:
    case 1:
      approved.add(version)
      if (!(await decided('approved')) && !wasApproved) approved.delete(version)
      return
    case 2:
      if (await decided('revoked')) revoked.set(version, ++clock)
      return
    case 3:
      await decided('rejected')
      return
    case 4:
      await post('deployments', { version, strategy: 'canary', weight: random.int(1, 99) })
      return
    case 5:
      await server.app.inject({ method: 'PUT', url: '/models/m/aliases/challenger', payload: { version } })
      return
    default:
      // Mostly one that may serve.
      await post('deployments', { version: random.pick([version, ...approved]) })
  }
}

/** A version's whole life, with answers in it. */
async function serveAndRevoke(answered: ReadonlyMap<number, number>): Promise<void> {
  await register()
  const version = registered
  approved.add(version)
  const decide = (body: object) => post(`versions/${version}/approval`, body)
  expect((await decide({ status: 'approved', deploy: true })).status).toBe(200)
  await until(() => answered.has(version), 'an answer of the new version')
  expect((await decide({ status: 'revoked' })).status).toBe(200)
  revoked.set(version, ++clock)
  await sleep(20)
}

/** By whichever way may lead to a version. @returns who answered what; undefined: nobody did */
async function ask(random: Random): Promise<{ version: number; score: number } | undefined> {
  const wanted = random.pick([
    undefined,
    'canary',
    'challenger',
    String(random.int(1, Math.max(1, registered))),
  ])
  const usesFeatures = random.chance(0.5)
  const headers: Record<string, string> = wanted === undefined ? {} : { 'x-feast-model-version': wanted }
  const tensors = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [0.5, 0.25] }] }
  const { status, body } = usesFeatures
    ? await server.post('/predict', { model: 'm', entities: { driver_id: [1] } }, headers)
    : await server.post(`/v2/models/m${wanted === undefined ? '' : `/versions/${wanted}`}/infer`, tensors)
  if (status !== 200) {
    expect(status).toBe(404)
    return undefined
  }
  return usesFeatures
    ? { version: Number(body.version), score: body.predictions[0].score }
    : { version: Number(body.model_version), score: body.outputs[0].data[0] }
}

it('whatever is decided while it is asked, only approved versions answer, and none after its revocation', async () => {
  const random = seededRandom('revocations')
  const answered = new Map<number, number>()
  let isOver = false
  const lane = async (mine: Random) => {
    while (!isOver) {
      await sleep(1)
      const startedAt = ++clock
      const answer = await ask(mine)
      if (answer === undefined) continue
      const { version, score } = answer
      expect(score).toBe(version * 0.5)
      expect({ version, mayAnswer: approved.has(version) }).toEqual({ version, mayAnswer: true })
      expect(revoked.get(version) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(startedAt)
      answered.set(version, (answered.get(version) ?? 0) + 1)
    }
  }
  const lanes = Array.from({ length: LANES }, (_, i) => lane(new Random(random.seed + i + 1)))
  // A lane that fails ends the test with what it found, not with what came of it.
  const failed = Promise.all(lanes)
  const decisions = (async () => {
    for (let i = 0; i < DECISIONS; i++) await decide(random)
    // Whatever chance has left out.
    for (let i = 0; i < 2; i++) await serveAndRevoke(answered)
  })()
  try {
    await Promise.race([decisions, failed])
  } finally {
    isOver = true
  }
  await failed
  await decisions
  expect(answered.size).toBeGreaterThan(1)
}, 120_000)
