import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { errorReply } from '../../src/server/http/error-reply.js'
import { type Fixture, openFixture, writeRows } from './fixture.js'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture({ bodyLimitBytes: 10_000 })
  await writeRows(fixture)
})
afterAll(() => fixture.close())

const BODY = '{"features":["loc_stats:temp"],"entities":{"location_id":[1]}}'

async function send(options: { headers?: Record<string, string>; payload?: string | Buffer; url?: string }) {
  const answer = await fixture.app.inject({ method: 'POST', url: '/get-online-features', ...options })
  return { status: answer.statusCode, text: answer.payload }
}

describe('bodies', () => {
  it.each([
    ['no content type', {}],
    ['what curl -d says', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a charset', { 'content-type': 'application/json; charset=utf-8' }],
  ])('are JSON with %s', async (_, headers) => {
    expect(await send({ headers, payload: BODY })).toMatchObject({ status: 200 })
  })

  it.each([
    ['nothing', '', 'missing'],
    ['null', 'null', 'missing'],
    ['a list', '[]', 'model_attributes_type'],
    ['text', '"x"', 'model_attributes_type'],
    ['half an object', '{"a":', 'json_invalid'],
  ])('of %s are a 422', async (_, payload, type) => {
    const { status, text } = await send({ headers: { 'content-type': 'application/json' }, payload })
    expect(status).toBe(422)
    expect(JSON.parse(text)).toMatchObject({ detail: [{ type }] })
  })

  it('that are not UTF-8 are a 400', async () => {
    const { status, text } = await send({ payload: Buffer.from([0x7b, 0xff, 0x7d]) })
    expect([status, text]).toEqual([400, '{"detail":"There was an error parsing the body"}'])
  })

  it('past the limit are a 413 that says the limit', async () => {
    const { status, text } = await send({ payload: `"${'x'.repeat(10_000)}"` })
    expect(status).toBe(413)
    expect(text).toContain('10000 bytes')
  })

  it('have all their findings listed, with what was sent where it is short', async () => {
    const payload = JSON.stringify({
      entities: { a: 1, b: [1] },
      features: [1],
      full_feature_names: 'perhaps',
    })
    const { status, text } = await send({ payload })
    expect(status).toBe(422)
    expect(JSON.parse(text)).toEqual({
      detail: [
        { type: 'list_type', loc: ['body', 'entities', 'a'], msg: 'Input should be a valid list', input: 1 },
        {
          type: 'string_type',
          loc: ['body', 'features', 0],
          msg: 'Input should be a valid string',
          input: 1,
        },
        {
          type: 'bool_parsing',
          loc: ['body', 'full_feature_names'],
          msg: 'Input should be a valid boolean, unable to interpret input',
          input: 'perhaps',
        },
      ],
    })
    const long = await send({ payload: JSON.stringify({ features: 'x'.repeat(5000) }) })
    expect(long.text.length).toBeLessThan(500)
  })

  it('take the truths that pydantic takes', async () => {
    for (const full_feature_names of ['yes', 1, 'ON', true]) {
      const payload = JSON.stringify({ ...JSON.parse(BODY), full_feature_names })
      expect((await send({ payload })).text).toContain('loc_stats__temp')
    }
  })
})

describe('routes', () => {
  it('that are not there are a 404, wrong methods a 405', async () => {
    const ask = async (method: 'GET' | 'POST' | 'DELETE' | 'HEAD', url: string) => {
      const answer = await fixture.app.inject({ method, url })
      return [answer.statusCode, answer.payload]
    }
    expect(await ask('GET', '/nope')).toEqual([404, '{"detail":"Not Found"}'])
    expect(await ask('GET', '/push?x=1')).toEqual([405, '{"detail":"Method Not Allowed"}'])
    expect(await ask('DELETE', '/health')).toEqual([405, '{"detail":"Method Not Allowed"}'])
    expect((await ask('GET', '/%zz'))[0]).toBe(400)
  })

  it('are all in the OpenAPI document, and nothing else is', async () => {
    const answer = await fixture.app.inject({ url: '/openapi.json' })
    const document = JSON.parse(answer.payload) as { paths: Record<string, Record<string, unknown>> }
    for (const [url, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        expect([url, fixture.app.hasRoute({ url, method: method.toUpperCase() as 'GET' })]).toEqual([
          url,
          true,
        ])
      }
    }
    const routeCount = fixture.app.printRoutes().match(/\((?:GET|POST)\)/g)?.length
    expect(routeCount).toBe(Object.keys(document.paths).length)
    expect(references(document)).toEqual([])
  })

  it('/health has no body', async () => {
    const answer = await fixture.app.inject({ url: '/health' })
    expect([answer.statusCode, answer.payload]).toEqual([200, ''])
  })
})

describe('metrics', () => {
  it("have Feast's names and count what was asked", async () => {
    await send({ payload: BODY })
    await send({ payload: '{' })
    await fixture.post('/push', { push_source_name: 'driver_push', df: {} })
    const answer = await fixture.app.inject({ url: '/metrics' })
    expect(answer.headers['content-type']).toMatch(/^text\/plain/)
    const has = (line: RegExp) => expect(answer.payload).toMatch(line)
    has(/^feast_feature_server_request_total\{endpoint="\/get-online-features",status="success"\} \d+$/m)
    has(/^feast_feature_server_request_total\{endpoint="\/get-online-features",status="error"\} \d+$/m)
    has(
      /request_latency_seconds_count\{endpoint="\/get-online-features",feature_count="1",feature_view_count="1"\} \d+$/m,
    )
    has(/^feast_online_features_request_total \d+$/m)
    has(/^feast_online_features_entity_count_bucket\{le="1"\} \d+$/m)
    has(/^feast_online_features_status_total\{feature_view="loc_stats",status="present"\} \d+$/m)
    has(/^feast_feature_server_online_store_read_duration_seconds_bucket\{le="0.001"\} \d+$/m)
    has(/^feast_push_request_total\{push_source="driver_push",mode="online"\} 1$/m)
    has(/^feast_feature_server_cpu_usage\{pid="\d+"\} [\d.e-]+$/m)
    has(/^feast_feature_server_memory_usage\{pid="\d+"\} [\d.e-]+$/m)
  })
})

describe('errors that nobody foresaw', () => {
  it('say nothing of themselves', () => {
    expect(errorReply(new TypeError('secret'))).toEqual({ status: 500, body: '"Internal Server Error"' })
    expect(errorReply('secret')).toEqual({ status: 500, body: '"Internal Server Error"' })
  })
})

/** References in a document that lead nowhere. */
function references(document: object): string[] {
  const text = JSON.stringify(document)
  const { schemas } = (document as { components: { schemas: object } }).components
  const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!)
  return names.filter((name) => !Object.hasOwn(schemas, name))
}
