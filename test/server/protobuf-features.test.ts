import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import protobuf from 'protobufjs'
import { timestampText } from '../../src/codec/timestamp.js'
import { valueJson } from '../../src/codec/value-json.js'
import { FIELD_STATUSES } from '../../src/core/field-status.js'
import { type Fixture, openFixture, writeRows } from './fixture.js'

const root = new protobuf.Root()
root.resolvePath = (_from, path) => (path.startsWith('google/') ? path : `protos/${path}`)
root.loadSync('feast/serving/ServingService.proto')
const Request = root.lookupType('feast.serving.GetOnlineFeaturesRequest')
const Response = root.lookupType('feast.serving.GetOnlineFeaturesResponse')
const Value = root.lookupType('feast.types.Value')

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture({ ttl: 'enforce' })
  await writeRows(fixture)
})
afterAll(() => fixture.close())

const PROTOBUF = 'application/x-protobuf'

async function send(message: Uint8Array, headers: Record<string, string> = {}) {
  return fixture.app.inject({
    method: 'POST',
    url: '/get-online-features',
    headers: { 'content-type': PROTOBUF, ...headers },
    payload: Buffer.from(message),
  })
}

const int64 = (...values: number[]) => ({ val: values.map((value) => ({ int64Val: value })) })
const text = (...values: string[]) => ({ val: values.map((value) => ({ stringVal: value })) })

interface Columns {
  readonly metadata: { readonly featureNames: { readonly val: string[] } }
  readonly results: readonly {
    readonly values: protobuf.Message[]
    readonly statuses: number[]
    readonly eventTimestamps: { readonly seconds: { toNumber(): number } | number; readonly nanos: number }[]
  }[]
}

/** The message as the JSON answer of the same lookup would be. */
function asJson(message: Buffer): unknown {
  const { metadata, results } = Response.decode(message) as unknown as Columns
  return {
    results: results.map(({ values, statuses, eventTimestamps }) => ({
      values: values.map((value) => JSON.parse(valueJson(Value.encode(value).finish()))),
      statuses: statuses.map((status) => FIELD_STATUSES[status]),
      event_timestamps: eventTimestamps.map(({ seconds, nanos }) =>
        timestampText({ seconds: Number(seconds), nanos }),
      ),
    })),
    metadata: { feature_names: metadata.featureNames.val },
  }
}

const ALL = [
  'conv_rate',
  'acc_rate',
  'trips',
  'i32',
  'name',
  'flag',
  'ts',
  'raw',
  'tags',
  'nums',
  'floats',
  'js',
  'mp',
]

describe('POST /get-online-features in protobuf', () => {
  it.each([
    [
      'every type, rows that are there, that are not, and twice',
      {
        features: { val: ALL.map((name) => `driver_stats:${name}`) },
        entities: { driver_id: int64(1001, 9999, 1002, 1001) },
      },
      {
        features: ALL.map((name) => `driver_stats:${name}`),
        entities: { driver_id: [1001, 9999, 1002, 1001] },
      },
    ],
    [
      'two keys, full names, a view without entity',
      {
        features: { val: ['dc_stats:score', 'global_stats:total', 'driver_stats:trips'] },
        fullFeatureNames: true,
        entities: { driver_id: int64(1001, 1002), customer_id: text('c1', 'Zoë') },
      },
      {
        features: ['dc_stats:score', 'global_stats:total', 'driver_stats:trips'],
        full_feature_names: true,
        entities: { driver_id: [1001, 1002], customer_id: ['c1', 'Zoë'] },
      },
    ],
  ])('says what the JSON answer says: %s', async (_, message, body) => {
    const answer = await send(Request.encode(Request.fromObject(message)).finish())
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, PROTOBUF])
    const { text: json } = await fixture.post('/get-online-features', body)
    expect(asJson(answer.rawPayload)).toEqual(JSON.parse(json))
    // The bytes are those of any other encoder: nothing twice, lengths as short as they can be.
    const again = Response.encode(Response.decode(answer.rawPayload)).finish()
    expect(Buffer.from(again).equals(answer.rawPayload)).toBe(true)
  })

  it('many rows and many columns', async () => {
    const ids = Array.from({ length: 300 }, (_, id) => 900 + id)
    const features = ALL.map((name) => `driver_stats:${name}`)
    const message = Request.fromObject({
      features: { val: features },
      entities: { driver_id: int64(...ids) },
    })
    const answer = await send(Request.encode(message).finish())
    const { text: json } = await fixture.post('/get-online-features', {
      features,
      entities: { driver_id: ids },
    })
    expect(asJson(answer.rawPayload)).toEqual(JSON.parse(json))
  })

  it('answers in the form that is asked for', async () => {
    const message = Request.encode(
      Request.fromObject({ features: { val: ['driver_stats:trips'] }, entities: { driver_id: int64(1001) } }),
    ).finish()
    const json = await send(message, { accept: 'application/json' })
    expect([json.headers['content-type'], JSON.parse(json.body).metadata.feature_names]).toEqual([
      'application/json',
      ['driver_id', 'trips'],
    ])
    const payload = JSON.stringify({ features: ['driver_stats:trips'], entities: { driver_id: [1001] } })
    const headers = { 'content-type': 'application/json', accept: `${PROTOBUF}, application/json;q=0.5` }
    const proto = await fixture.app.inject({ method: 'POST', url: '/get-online-features', headers, payload })
    expect(proto.headers['content-type']).toBe(PROTOBUF)
    expect(asJson(proto.rawPayload)).toEqual(JSON.parse(json.body))
  })

  it.each([
    ['bytes that are no message', Buffer.from('0a05')],
    ['a message of something else', Buffer.from('{"features":[]}')],
    ['a value cut short', Buffer.from('1a0b0a03747878120412024120', 'hex')],
  ])('refuses %s with what is wrong', async (_, payload) => {
    const answer = await send(payload)
    expect([400, 422]).toContain(answer.statusCode)
    expect(answer.body).toContain('message')
  })

  it('no other route takes it for JSON', async () => {
    const headers = { 'content-type': PROTOBUF }
    const answer = await fixture.app.inject({
      method: 'POST',
      url: '/push',
      headers,
      payload: Buffer.from([10, 0]),
    })
    expect([answer.statusCode, answer.body]).toEqual([400, expect.stringContaining('reads JSON')])
  })
})
