import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import type { AccessLine } from '../../src/server/server-log.js'
import { hasRedis, RedisServer } from '../redis-server.js'
import { until } from '../until.js'
import { type Fixture, openFixture, writeRows } from './fixture.js'

const lines: AccessLine[] = []
const errors: object[] = []
let fixture: Fixture

beforeAll(async () => {
  const logger = { ...silentLogger, error: (details: object) => errors.push(details) }
  const log = { logger, access: (line: AccessLine) => lines.push(line) }
  fixture = await openFixture({ log })
  await writeRows(fixture)
  lines.length = 0
})
afterEach(() => {
  lines.length = 0
  errors.length = 0
})
afterAll(() => fixture.close())

const onRedis = hasRedis ? it : it.skip

const BODY = '{"features":["loc_stats:temp"],"entities":{"location_id":[1]}}'

function send(headers: Record<string, string> = {}, payload = BODY, url = '/get-online-features') {
  return fixture.app.inject({ method: 'POST', url, headers, payload })
}

describe('request ids', () => {
  it("are the client's where they are sane, in the answer and in the log", async () => {
    const { headers } = await send({ 'x-request-id': 'abc-123:4/5_6.7' })
    expect(headers['x-request-id']).toBe('abc-123:4/5_6.7')
    expect(lines).toMatchObject([{ id: 'abc-123:4/5_6.7', path: '/get-online-features', status: 200 }])
  })

  it.each([
    ['too long', 'x'.repeat(129)],
    ['with quotes', 'a"b'],
    ['with spaces', 'a b'],
    ['empty', ''],
  ])('are made where the client sends one that is %s', async (_, given) => {
    const { headers } = await send({ 'x-request-id': given })
    expect(headers['x-request-id']).toMatch(/^[\w-]{8}-\w+$/)
    expect(lines[0]!.id).toBe(headers['x-request-id'])
  })

  it('are made anew for each request, and stand on errors too', async () => {
    const answers = [await send(), await send(), await send({}, '{'), await send({}, BODY, '/nope')]
    const ids = answers.map(({ headers }) => headers['x-request-id'])
    expect(new Set(ids).size).toBe(4)
    expect(lines.map(({ id, status }) => [id, status])).toEqual(
      ids.map((id, i) => [id, [200, 200, 422, 404][i]]),
    )
  })
})

it('logs neither what was asked for nor the query', async () => {
  await fixture.app.inject({
    method: 'POST',
    url: '/get-online-features?token=secret',
    headers: { authorization: 'Bearer secret' },
    payload: '{"features":["loc_stats:temp"],"entities":{"location_id":["secret"]}}',
  })
  expect(lines).toHaveLength(1)
  expect(JSON.stringify([lines, errors])).not.toContain('secret')
})

describe('limits', () => {
  onRedis('turn away what is more than may be under way, at once, with Retry-After', async () => {
    const redis = await RedisServer.start()
    const full = await openFixture({ inFlight: 2, redis: `${redis.address},socket_timeout=30` })
    try {
      const ask = () => full.app.inject({ method: 'POST', url: '/get-online-features', payload: BODY })
      const metrics = async () => (await full.app.inject({ url: '/metrics' })).payload
      expect((await ask()).statusCode).toBe(200)
      redis.signal('SIGSTOP')
      const waiting = [ask(), ask()]
      await until(async () => /^feast_node_requests_in_flight 2$/m.test(await metrics()), 'two under way')
      const refused = await Promise.race([ask(), ...waiting])
      expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '1'])
      expect(refused.payload).toContain('is answering 2 requests already')
      // Other routes do not wait for room.
      expect((await full.app.inject({ url: '/health' })).statusCode).toBe(200)
      redis.signal('SIGCONT')
      await Promise.all(waiting)
      for (let i = 0; i < 3; i++) expect((await ask()).statusCode).toBe(200)
      expect(await metrics()).toMatch(/^feast_node_requests_rejected_total\{reason="overload"\} 1$/m)
      expect(await metrics()).toMatch(/^feast_node_requests_in_flight 0$/m)
    } finally {
      await full.close()
      await redis.stop()
    }
  })

  it('leave room again after requests that fail', async () => {
    const small = await openFixture({ inFlight: 1 })
    try {
      for (const payload of ['{"features":["no:such"],"entities":{"a":[1]}}', '[]', '{', BODY]) {
        for (let i = 0; i < 3; i++) {
          const { statusCode } = await small.app.inject({
            method: 'POST',
            url: '/get-online-features',
            payload,
          })
          expect(statusCode).not.toBe(503)
        }
      }
    } finally {
      await small.close()
    }
  })

  it('say which one it was: rows, features, values', async () => {
    const ask = async (features: readonly string[], rows: number) => {
      const entities = { location_id: Array.from({ length: rows }, (_, i) => i) }
      const { status, text } = await fixture.post('/get-online-features', { features, entities })
      return [status, text]
    }
    expect(await ask(['loc_stats:temp'], 100_001)).toEqual([
      413,
      expect.stringContaining('100000 entity rows'),
    ])
    const many = Array.from({ length: 10_001 }, (_, i) => `loc_stats:f${i}`)
    expect(await ask(many, 1)).toEqual([413, expect.stringContaining('10000 features')])
    const { payload } = await fixture.app.inject({ url: '/metrics' })
    expect(payload).toMatch(/rejected_total\{reason="entity_rows"\} 1/)
    expect(payload).toMatch(/rejected_total\{reason="features"\} 1/)
  })
})

describe('on the bare socket', () => {
  /** Everything that comes back until the server closes. */
  async function exchange(...parts: readonly string[]): Promise<string> {
    const address = fixture.app.server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += String(chunk)
    })
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    for (const part of parts) {
      socket.write(part)
      await sleep(20)
    }
    await closed
    return text
  }
  beforeAll(() => fixture.app.listen({ port: 0, host: '127.0.0.1' }))

  it('headers that are too large are a 431 in the form of the other errors', async () => {
    const text = await exchange(`GET /health HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 431 /)
    expect(text).toContain('{"detail":"The headers have more than 16384 bytes"}')
  })

  it('what is no HTTP is a 400', async () => {
    expect(await exchange('hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
  })
})

describe('/ready', () => {
  it('is 200 and says what was looked at', async () => {
    const { statusCode, payload } = await fixture.app.inject({ url: '/ready' })
    expect([statusCode, JSON.parse(payload)]).toEqual([
      200,
      { status: 'ready', checks: { registry: 'ok', online_store: 'ok' } },
    ])
  })

  onRedis('is 503 while Redis is away, and asks it no more than once a second', async () => {
    const redis = await RedisServer.start()
    const away = await openFixture({ redis: redis.address })
    try {
      const ask = async () => {
        const { statusCode, payload } = await away.app.inject({ url: '/ready' })
        return [statusCode, JSON.parse(payload)] as const
      }
      const commands = async () =>
        Number(/total_commands_processed:(\d+)/.exec(String(await redis.call('INFO')))?.[1])
      expect((await ask())[0]).toBe(200)
      const before = await commands()
      await Promise.all(Array.from({ length: 200 }, ask))
      // One probe at most, and our own INFO.
      expect((await commands()) - before).toBeLessThanOrEqual(5)

      await redis.kill()
      await sleep(1100)
      const [status, body] = await ask()
      expect([status, body.status, body.checks.registry]).toEqual([503, 'not ready', 'ok'])
      expect(body.checks.online_store).toMatch(/Redis at .* does not answer|no answer within/)

      const lookup = await away.app.inject({ method: 'POST', url: '/get-online-features', payload: BODY })
      expect([lookup.statusCode, lookup.headers['retry-after']]).toEqual([503, '1'])
      // Alive all the same.
      expect((await away.app.inject({ url: '/health' })).statusCode).toBe(200)

      const { payload } = await away.app.inject({ url: '/metrics' })
      expect(payload).toMatch(
        /^feast_node_online_store_failures_total\{reason="(unavailable|timeout)"\} [1-9]/m,
      )
      expect(payload).toMatch(/^feast_node_online_store_connections_total\{outcome="lost"\} 1$/m)
      expect(payload).toMatch(/^feast_node_request_failures_total\{code="ONLINE_STORE_UNAVAILABLE"\} 1$/m)

      await redis.restart()
      await until(async () => (await ask())[0] === 200, 'being ready again')
    } finally {
      await away.close()
      await redis.stop()
    }
  })
})

it('metrics tell values by status, plans, the registry, the process', async () => {
  const failures = /^feast_node_registry_refresh_failures_total (\d+)$/m
  // Stores of tests that ran before in this process may have failed to refresh theirs.
  const before = failures.exec((await fixture.app.inject({ url: '/metrics' })).payload)?.[1]
  expect(before).toBeDefined()
  await fixture.post('/get-online-features', {
    features: ['loc_stats:temp', 'driver_stats:raw'],
    entities: { location_id: [1, 99], driver_id: [1002, 1001] },
  })
  await send()
  await send()
  const { payload } = await fixture.app.inject({ url: '/metrics' })
  const value = (line: string) => Number(new RegExp(`^${line} (\\S+)$`, 'm').exec(payload)?.[1])
  const values = (view: string, status: string) =>
    value(`feast_node_online_values_total\\{feature_view="${view}",status="${status}"\\}`)
  expect(values('loc_stats', 'PRESENT')).toBeGreaterThanOrEqual(3)
  expect(values('loc_stats', 'NOT_FOUND')).toBeGreaterThanOrEqual(1)
  expect([values('driver_stats', 'NULL_VALUE'), values('driver_stats', 'PRESENT')]).toEqual([1, 1])
  const presence = (status: string) =>
    value(`feast_online_features_status_total\\{feature_view="driver_stats",status="${status}"\\}`)
  // To Feast, a row with a null is a row.
  expect(presence('present')).toBe(2)
  expect(value('feast_node_plan_cache_plans')).toBeGreaterThanOrEqual(2)
  expect(value('feast_node_plan_cache_hits_total')).toBeGreaterThanOrEqual(1)
  expect(value('feast_node_registry_age_seconds')).toBeLessThan(60)
  expect(failures.exec(payload)?.[1]).toBe(before)
  expect(payload).toMatch(/^feast_node_open_connections\{protocol="http"\} \d+$/m)
  for (const name of [
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
    'process_resident_memory_bytes',
  ]) {
    expect(value(name)).toBeGreaterThan(0)
  }
})
