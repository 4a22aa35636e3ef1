import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  BytesClient,
  decoded,
  encoded,
  type GrpcFixture,
  type Outcome,
  openGrpcFixture,
} from './grpc-fixture.js'

const GET = '/feast.serving.ServingService/GetOnlineFeatures'
const PUSH = '/GrpcFeatureServer/Push'
const WRITE = '/GrpcFeatureServer/WriteToOnlineStore'

let fixture: GrpcFixture
let client: BytesClient
beforeAll(async () => {
  fixture = await openGrpcFixture()
  client = new BytesClient(fixture.address)
})
afterAll(async () => {
  client.close()
  await fixture.close()
})

const int64s = (...values: number[]) => ({ val: values.map((int64Val) => ({ int64Val })) })

function lookup(request: Record<string, unknown>): Promise<Outcome> {
  return client.unary(GET, encoded('feast.serving.GetOnlineFeaturesRequest', request))
}

/** What Python Feast reads from the message of a status. */
function feastError({ code, details, trailers }: Outcome) {
  const { module, class: name, message } = JSON.parse(details)
  expect(module).toBe('feast.errors')
  return { code, class: name, message, errorCode: trailers.get('feast-error-code')[0] }
}

describe('ServingService', () => {
  it('tells the version of Feast that it speaks', async () => {
    expect(await client.ask('/feast.serving.ServingService/GetFeastServingInfo')).toEqual({
      version: '0.66.0',
    })
  })

  it.each(['/feast.serving.ServingService/GetOnlineFeatures', '/GrpcFeatureServer/GetOnlineFeatures'])(
    'looks up what was written, under %s',
    async (path) => {
      await client.ask(WRITE, {
        featureViewName: 'loc_stats',
        typedFeatures: {
          location_id: { int64Val: 7 },
          event_timestamp: { unixTimestampVal: 1785578400 },
          temp: { doubleVal: 17.25 },
        },
      })
      expect(
        await client.ask(path, {
          features: { val: ['loc_stats:temp'] },
          entities: { location_id: int64s(7, 8) },
        }),
      ).toEqual({
        metadata: { featureNames: { val: ['location_id', 'temp'] } },
        results: [
          expect.objectContaining({
            values: [{ int64Val: 7 }, { int64Val: 8 }],
            statuses: ['PRESENT', 'PRESENT'],
          }),
          {
            values: [{ doubleVal: 17.25 }, {}],
            statuses: ['PRESENT', 'NOT_FOUND'],
            eventTimestamps: [{ seconds: 1785578400 }, {}],
          },
        ],
      })
    },
  )

  it('looks up the features of a service, with request data as context', async () => {
    const answer = await client.ask(GET, {
      featureService: 'svc',
      fullFeatureNames: true,
      entities: { driver_id: int64s(1) },
      requestContext: { val_to_add: int64s(5) },
    })
    expect((answer['metadata'] as { featureNames: object }).featureNames).toEqual({
      val: expect.arrayContaining(['driver_id', 'driver_stats__conv_rate', 'od_py__trips_plus']),
    })
  })

  it.each<
    [what: string, request: Record<string, unknown>, code: grpc.status, name: string, errorCode: string]
  >([
    [
      'an unknown view',
      { features: { val: ['nope:x'] } },
      grpc.status.NOT_FOUND,
      'FeatureViewNotFoundException',
      'FEATURE_VIEW_NOT_FOUND',
    ],
    [
      'an unknown service',
      { featureService: 'nope' },
      grpc.status.NOT_FOUND,
      'FeatureServiceNotFoundException',
      'FEATURE_SERVICE_NOT_FOUND',
    ],
    ['no features', {}, grpc.status.INVALID_ARGUMENT, 'FeastError', 'NO_FEATURES'],
    [
      'no entities',
      { features: { val: ['loc_stats:temp'] } },
      grpc.status.INVALID_ARGUMENT,
      'FeastError',
      'INVALID_REQUEST',
    ],
    [
      'a disabled view',
      { features: { val: ['disabled_stats:temp2'] }, entities: { location_id: int64s(1) } },
      grpc.status.FAILED_PRECONDITION,
      'FeastError',
      'VIEW_DISABLED',
    ],
    [
      'too many features',
      { features: { val: Array.from({ length: 10_001 }, () => 'a:b') } },
      grpc.status.RESOURCE_EXHAUSTED,
      'FeastError',
      'PAYLOAD_TOO_LARGE',
    ],
  ])('answers %s with its status and Feast’s class', async (_what, request, code, name, errorCode) => {
    expect(feastError(await lookup(request))).toMatchObject({ code, class: name, errorCode })
  })

  it('answers bytes that are no request with INVALID_ARGUMENT', async () => {
    const outcome = await client.unary(GET, Buffer.from([0x0a, 0xff, 0xff]))
    expect(feastError(outcome)).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      errorCode: 'INVALID_REQUEST',
    })
  })

  it('sends any text in the message of a status', async () => {
    const name = 'fahrer_größe 100% "x" \n 💥'
    const { message, code } = feastError(await lookup({ features: { val: [`${name}:x`] } }))
    expect(code).toBe(grpc.status.NOT_FOUND)
    expect(message).toContain(name)
  })

  it('cuts a message that no client would take', async () => {
    const { message, code } = feastError(await lookup({ features: { val: [`${'größe'.repeat(2000)}:x`] } }))
    expect(code).toBe(grpc.status.NOT_FOUND)
    expect(message.endsWith('…')).toBe(true)
  })
})

describe('GrpcFeatureServer', () => {
  const texts = {
    driver_id: '2001',
    event_timestamp: '2026-08-01 12:00:00+00:00',
    created: '2026-08-01T12:00:00',
    conv_rate: '0.5',
    acc_rate: '0.25',
    trips: '9007199254740993',
    i32: '-3',
    name: '12',
    flag: 'True',
    ts: '1785578400',
    raw: 'eQ==',
    tags: '["a","b"]',
    nums: '[1,2]',
    floats: '[1.5]',
    js: '{"a":3}',
    mp: '{"k":"x"}',
  }
  const names = Object.keys(texts).filter((name) => !/driver_id|event_timestamp|created/.test(name))

  async function valuesOf(driver: number) {
    const answer = await client.unary(
      GET,
      encoded('feast.serving.GetOnlineFeaturesRequest', {
        features: { val: names.map((name) => `driver_stats:${name}`) },
        entities: { driver_id: int64s(driver) },
      }),
    )
    const { results } = decoded('feast.serving.GetOnlineFeaturesResponse', answer.answers[0]!) as {
      results: { values: object[] }[]
    }
    return Object.fromEntries(names.map((name, index) => [name, results[index + 1]!.values[0]!]))
  }

  it('pushes a row of texts, each read as its column’s type', async () => {
    expect(
      await client.ask(PUSH, { features: texts, streamFeatureView: 'driver_push', to: 'online' }),
    ).toEqual({
      status: true,
    })
    expect(await valuesOf(2001)).toMatchObject({
      conv_rate: { floatVal: 0.5 },
      acc_rate: { doubleVal: 0.25 },
      i32: { int32Val: -3 },
      name: { stringVal: '12' },
      flag: { boolVal: true },
      ts: { unixTimestampVal: 1785578400 },
      raw: { bytesVal: Buffer.from('y') },
      tags: { stringListVal: { val: ['a', 'b'] } },
      nums: { int64ListVal: { val: [1, 2] } },
      js: { jsonVal: '{"a":3}' },
      mp: { mapVal: { val: { k: { stringVal: 'x' } } } },
    })
  })

  it('pushes a row of Values', async () => {
    const typedFeatures = {
      driver_id: { int64Val: 2002 },
      event_timestamp: { unixTimestampVal: 1785578400 },
      created: { stringVal: '2026-08-01T12:00:00Z' },
      conv_rate: { floatVal: 0.5 },
      acc_rate: { doubleVal: 0.25 },
      trips: { int64Val: 30 },
      i32: { int32Val: 3 },
      name: { stringVal: 'c' },
      flag: { boolVal: true },
      ts: { unixTimestampVal: 5 },
      raw: { bytesVal: Buffer.from('y') },
      tags: { stringListVal: { val: ['z'] } },
      nums: { nullVal: 0 },
      floats: { floatListVal: { val: [2.5] } },
      js: { jsonVal: '{"a":3}' },
      mp: { mapVal: { val: { k: { stringVal: 'x' } } } },
    }
    await client.ask(PUSH, { typedFeatures, streamFeatureView: 'driver_push', to: 'online' })
    const { driver_id, event_timestamp, created, nums, ...rest } = typedFeatures
    expect(await valuesOf(2002)).toMatchObject(rest)
    expect((await valuesOf(2002))['nums']).toEqual({})
  })

  const whole = { features: texts, streamFeatureView: 'driver_push', to: 'online' }
  it.each<[what: string, change: Record<string, unknown>, errorCode: string]>([
    ['both maps', { typedFeatures: { driver_id: { int64Val: 1 } } }, 'INVALID_REQUEST'],
    ['an unknown push source', { streamFeatureView: 'nope' }, 'PUSH_SOURCE_NOT_FOUND'],
    ['no target', { to: '' }, 'INVALID_VALUE'],
    ['an unknown target', { to: 'nowhere' }, 'INVALID_VALUE'],
    ['a missing column', { features: { driver_id: '1' } }, 'SCHEMA_MISMATCH'],
    ['no column', { features: {} }, 'SCHEMA_MISMATCH'],
    ['a text that is no number', { features: { ...texts, trips: 'many' } }, 'INVALID_VALUE'],
    ['a time that is none', { features: { ...texts, event_timestamp: 'soon' } }, 'INVALID_TIME'],
    ['a key that is none', { features: { ...texts, driver_id: '1.5' } }, 'ENTITY_VALUE_INVALID'],
  ])('refuses %s with INVALID_ARGUMENT', async (_what, change, errorCode) => {
    const outcome = await client.unary(PUSH, encoded('PushRequest', { ...whole, ...change }))
    expect(feastError(outcome)).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, errorCode })
  })

  it('refuses to write to what holds no rows, and to what is not there', async () => {
    const write = async (featureViewName: string) =>
      feastError(
        await client.unary(WRITE, encoded('WriteToOnlineStoreRequest', { featureViewName, features: texts })),
      )
    expect(await write('od_py')).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      errorCode: 'INVALID_REQUEST',
    })
    expect(await write('nope')).toMatchObject({
      code: grpc.status.NOT_FOUND,
      errorCode: 'FEATURE_VIEW_NOT_FOUND',
    })
  })
})

it('counts calls in the metrics, under their full names', async () => {
  await client.ask('/feast.serving.ServingService/GetOnlineFeatures', {
    features: { val: ['loc_stats:temp'] },
    entities: { location_id: int64s(1) },
  })
  const text = await fixture.metrics.text()
  expect(text).toMatch(
    /feast_feature_server_request_total\{endpoint="\/feast.serving.ServingService\/GetOnlineFeatures",status="success"\} [1-9]/,
  )
  expect(text).toMatch(
    /feast_feature_server_request_total\{endpoint="\/GrpcFeatureServer\/Push",status="error"\} [1-9]/,
  )
  expect(text).toMatch(/feast_push_request_total\{push_source="driver_push",mode="online"\} 2/)
})
