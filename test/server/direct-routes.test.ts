import { channel } from 'node:diagnostics_channel'
import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { FastifyInstance } from 'fastify'
import { silentLogger } from '../../src/core/logger.js'
import type { AccessLine } from '../../src/server/server-log.js'
import { type ModelServer, openModelServer } from '../models/model-server.js'
import { linearModel } from '../models/onnx-builder.js'
import { until } from '../until.js'
import { type Guarded, openGuarded } from './auth-fixture.js'
import { type Fixture, openFixture, writeRows } from './fixture.js'
import { encoded } from './grpc-fixture.js'

// What is asked at the plain path is answered without fastify, with a query behind it by fastify: nobody may see which.

const LOOKUP = '/get-online-features'

interface Question {
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

interface Answer {
  readonly status: number
  /** Names and values as they came. */
  readonly headers: readonly string[]
  readonly body: string
}

const lookup = (more: object = {}): string =>
  JSON.stringify({ features: ['loc_stats:temp'], entities: { location_id: [1, 9] }, ...more })
const message = encoded('feast.serving.GetOnlineFeaturesRequest', {
  features: { val: ['loc_stats:temp'] },
  entities: { location_id: { val: [{ int64Val: 1 }] } },
})
const PROTOBUF = { 'content-type': 'application/x-protobuf' }

const QUESTIONS: readonly (readonly [name: string, status: number, question: Question])[] = [
  ['values', 200, { body: lookup() }],
  ['no content type', 200, { body: lookup(), headers: { 'content-type': '' } }],
  ['JSON answered in protobuf', 200, { body: lookup(), headers: { accept: 'application/x-protobuf' } }],
  ['a message', 200, { body: message, headers: PROTOBUF }],
  ['a message answered in JSON', 200, { body: message, headers: { ...PROTOBUF, accept: 'text/plain' } }],
  ['an id that is not sane', 200, { body: lookup(), headers: { 'x-request-id': 'a b' } }],
  ['a client that closes', 200, { body: lookup(), headers: { connection: 'close' } }],
  ['no JSON', 422, { body: '{"features": [' }],
  ['no UTF-8', 400, { body: Buffer.from([0x7b, 0xff, 0x7d]) }],
  ['no message', 400, { body: Buffer.from([0xff, 0xff]), headers: PROTOBUF }],
  ['nothing', 422, { body: '' }],
  ['another shape', 422, { body: lookup({ features: 'loc_stats:temp' }) }],
  ['an unknown view', 404, { body: lookup({ features: ['no:such'] }) }],
  ['a key that is none', 422, { body: lookup({ entities: { location_id: [1.5] } }) }],
  ['too large', 413, { body: lookup({ entities: { location_id: [' '.repeat(2 << 20)] } }) }],
]

const lines: AccessLine[] = []
const logged: unknown[] = []
const error = (fields: unknown) => logged.push(fields)
const log = { logger: { ...silentLogger, error }, access: (line: AccessLine) => lines.push(line) }

/** Requests that came to fastify. */
let seen = 0
const handled = channel('tracing:fastify.request.handler:start')
const onHandled = () => {
  seen++
}
let plain: Fixture
let full: Fixture
let guarded: Guarded
let models: ModelServer
beforeAll(async () => {
  handled.subscribe(onHandled)
  plain = await openFixture({ log })
  await writeRows(plain)
  full = await openFixture({ log, inFlight: 0 })
  guarded = await openGuarded({
    auth: '{ type: token, tokens: [{ name: alice, token: open-sesame-open-sesame }] }',
  })
  models = await openModelServer({
    models:
      '{ inference: { timeout_ms: 20000 }, files: { linear: { path: linear.onnx, version: v.1, feature_service: numbers } } }',
    files: { 'linear.onnx': linearModel([10, 1]) },
  })
  for (const { app } of [plain, full, guarded, models]) await app.listen({ host: '127.0.0.1', port: 0 })
})
beforeEach(() => {
  lines.length = 0
  logged.length = 0
  seen = 0
})
afterAll(async () => {
  handled.unsubscribe(onHandled)
  await Promise.all([plain.close(), full.close(), guarded.close(), models.close()])
})

function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

function ask(app: FastifyInstance, path: string, { headers = {}, body }: Question): Promise<Answer> {
  const given = { 'content-type': 'application/json', 'x-request-id': 'same', ...headers }
  const sent = Object.entries(given).filter(([, value]) => value !== '')
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port: portOf(app), host: '127.0.0.1', path, method: 'POST' },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const { statusCode, rawHeaders } = response
          resolve({
            status: statusCode!,
            headers: lasting(rawHeaders),
            body: Buffer.concat(chunks).toString(),
          })
        })
      },
    )
    request.on('error', reject)
    for (const [name, value] of sent) request.setHeader(name, value)
    request.setHeader('content-length', Buffer.byteLength(body))
    request.end(body)
  })
}

/** Without the time of day, and with ids of ours made alike. */
function lasting(rawHeaders: readonly string[]): readonly string[] {
  return rawHeaders.flatMap((name, i) => {
    if (i % 2 === 1 || name === 'Date') return []
    const value = rawHeaders[i + 1]!
    return [name, name === 'x-request-id' && value !== 'same' ? 'ours' : value]
  })
}

/** Both answers, and that only the second came from fastify. */
async function askBoth(
  app: FastifyInstance,
  question: Question,
  path = LOOKUP,
): Promise<readonly [Answer, Answer]> {
  const counts = [await counted(app)]
  seen = 0
  const direct = await ask(app, path, question)
  expect(seen).toBe(0)
  counts.push(await counted(app))
  seen = 0
  const byFastify = await ask(app, `${path}?`, question)
  // Others do not get as far as its handler.
  if (byFastify.status === 200) expect(seen).toBe(1)
  counts.push(await counted(app))
  expect(difference(counts[0]!, counts[1]!)).toEqual(difference(counts[1]!, counts[2]!))
  return [direct, byFastify]
}

/** What is counted of requests. */
async function counted(app: FastifyInstance): Promise<ReadonlyMap<string, number>> {
  const headers = { authorization: 'Bearer open-sesame-open-sesame' }
  const { payload } = await app.inject({ url: '/metrics', headers })
  const samples = payload.matchAll(/^(feast_\S*(?:_total|_count|in_flight)(?:\{.*\})?) (\S+)$/gm)
  return new Map([...samples].map(([, name, value]) => [name!, Number(value)]))
}

function difference(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) {
  const names = [...after.keys()].filter((name) => !/plan_cache|connections/.test(name))
  const changed = names.map((name) => [name, after.get(name)! - (before.get(name) ?? 0)] as const)
  return Object.fromEntries(changed.filter(([, by]) => by !== 0))
}

describe('a lookup that does not come to fastify', () => {
  it.each(QUESTIONS)('is answered alike: %s', async (_, status, question) => {
    const [direct, byFastify] = await askBoth(plain.app, question)
    expect(direct).toEqual(byFastify)
    expect(direct.status).toBe(status)
    const ours = lines.filter(({ path }) => path === LOOKUP)
    const [first, second] = ours.map(({ ms, id, ...line }) => ({ ...line, isGiven: id === 'same' }))
    expect(first).toEqual(second)
    expect(first).toMatchObject({ method: 'POST', path: LOOKUP, status })
  })

  it('is turned away when too many are under way', async () => {
    const [direct, byFastify] = await askBoth(full.app, { body: lookup() })
    expect(direct).toEqual(byFastify)
    expect(direct).toMatchObject({ status: 503, headers: expect.arrayContaining(['retry-after', '1']) })
    expect(logged[0]).toEqual(logged[1])
    expect(logged).toHaveLength(2)
  })

  it.each([
    ['nobody', 401, ''],
    ['a stranger', 401, 'Bearer wrong'],
    ['somebody', 200, 'Bearer open-sesame-open-sesame'],
  ])('asks who it is: %s', async (_, status, authorization) => {
    const headers = { authorization }
    const [direct, byFastify] = await askBoth(guarded.app, { body: lookup(), headers })
    expect(direct).toEqual(byFastify)
    expect(direct.status).toBe(status)
  })

  it('may come in pieces, and behind another one', async () => {
    const text = `POST ${LOOKUP} HTTP/1.1\r\nhost: x\r\ncontent-length: ${lookup().length}\r\n\r\n${lookup()}`
    const expected = await ask(plain.app, LOOKUP, { body: lookup() })
    for (const pieceBytes of [1, 7, 97, text.length - 1, 3 * text.length]) {
      const socket = connect(portOf(plain.app), '127.0.0.1').setNoDelay(true)
      let received = ''
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString()
      })
      const all = text.repeat(3)
      for (let at = 0; at < all.length; at += pieceBytes) {
        socket.write(all.slice(at, at + pieceBytes))
        if (at % 50 === 0) await new Promise((later) => setImmediate(later))
      }
      await until(() => received.split(expected.body).length >= 4, 'three answers')
      expect(received.match(/HTTP\/1.1 200 OK/g)).toHaveLength(3)
      socket.destroy()
    }
  })

  it('whose client goes away leaves nothing behind', async () => {
    for (const sent of ['{', lookup()]) {
      const socket = connect(portOf(plain.app), '127.0.0.1')
      socket.write(`POST ${LOOKUP} HTTP/1.1\r\nhost: x\r\ncontent-length: ${lookup().length}\r\n\r\n${sent}`)
      await new Promise((later) => setTimeout(later, 20))
      socket.destroy()
    }
    const inFlight = async () => (await counted(plain.app)).get('feast_node_requests_in_flight')
    await until(async () => (await inFlight()) === 0, 'the end of both')
    expect((await ask(plain.app, LOOKUP, { body: lookup() })).status).toBe(200)
  })
})

describe('a model that does not come to fastify', () => {
  const x = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2.5] }
  const tensors = (more: object = {}): string => JSON.stringify({ inputs: [x], ...more })
  const binary = { parameters: { binary_data_output: true } }
  const INFER = '/v2/models/linear/infer'
  it.each([
    ['tensors', 200, INFER, { body: tensors({ id: 'a' }) }],
    ['of a version', 200, '/v2/models/linear/versions/v.1/infer', { body: tensors() }],
    ['answered in bytes', 200, INFER, { body: tensors(binary) }],
    ['of another version', 404, '/v2/models/linear/versions/2/infer', { body: tensors() }],
    ['of no model', 404, '/v2/models/none/infer', { body: tensors() }],
    ['no JSON', 400, INFER, { body: '{' }],
    ['nothing', 400, INFER, { body: '' }],
    ['too large', 413, INFER, { body: ' '.repeat(9 << 20) }],
    ['too few values', 400, INFER, { body: tensors({ inputs: [{ ...x, data: [1] }] }) }],
    ['a prediction', 200, '/predict', { body: '{"model":"linear","entities":{"driver_id":[1,2]}}' }],
    ['a prediction by no model', 404, '/predict', { body: '{"model":"none","entities":{"driver_id":[1]}}' }],
    ['a prediction of another shape', 422, '/predict', { body: '{"model":1}' }],
    ['a prediction of no JSON', 422, '/predict', { body: '{' }],
  ])('is answered alike: %s', async (_, status, path, question) => {
    const [direct, byFastify] = await askBoth(models.app, question, path)
    expect(direct).toEqual(byFastify)
    expect(direct.status).toBe(status)
  })
})
