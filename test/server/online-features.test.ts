import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Fixture, openFixture, writeRows } from './fixture.js'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture({ ttl: 'enforce' })
  await writeRows(fixture)
})
afterAll(() => fixture.close())

async function lookup(body: unknown): Promise<{ status: number; text: string }> {
  return fixture.post('/get-online-features', body)
}

interface Column {
  readonly values: readonly unknown[]
  readonly statuses: readonly string[]
  readonly event_timestamps: readonly string[]
}

async function columns(body: unknown): Promise<ReadonlyMap<string, Column>> {
  const { status, text } = await lookup(body)
  expect([status, text.slice(0, 10)]).toEqual([200, '{"results"'])
  const { results, metadata } = JSON.parse(text) as {
    results: Column[]
    metadata: { feature_names: string[] }
  }
  expect(results).toHaveLength(metadata.feature_names.length)
  return new Map(metadata.feature_names.map((name, index) => [name, results[index]!]))
}

async function failure(body: unknown): Promise<{ status: number; class: string; message: string }> {
  const { status, text } = await lookup(body)
  const detail = JSON.parse(JSON.parse(text) as string) as { class: string; message: string }
  return { status, class: detail.class, message: detail.message }
}

describe('POST /get-online-features', () => {
  it("answers in Feast's bytes", async () => {
    const { text } = await lookup({
      features: ['loc_stats:temp', 'global_stats:total'],
      entities: { location_id: [1, 9] },
    })
    expect(text).toBe(
      '{"results":[' +
        '{"values":[1,9],"statuses":["PRESENT","PRESENT"],"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]},' +
        '{"values":[10.5,null],"statuses":["PRESENT","NOT_FOUND"],"event_timestamps":["2026-08-01T10:00:00Z","1970-01-01T00:00:00Z"]},' +
        '{"values":[42,42],"statuses":["PRESENT","PRESENT"],"event_timestamps":["2026-08-01T10:00:00Z","2026-08-01T10:00:00Z"]}' +
        '],"metadata":{"feature_names":["location_id","temp","total"]}}',
    )
  })

  it('keeps the order of the request: entity columns as given, then features as asked (O3)', async () => {
    const found = await columns({
      features: ['driver_stats:trips', 'dc_stats:score', 'driver_stats:conv_rate', 'driver_stats:acc_rate'],
      entities: { customer_id: ['c1'], driver_id: [1001] },
    })
    expect([...found.keys()]).toEqual(['customer_id', 'driver_id', 'trips', 'score', 'conv_rate', 'acc_rate'])
  })

  it('says what is too old and keeps its value, and what is null or not there (O1)', async () => {
    const now = new Date().toISOString()
    const row = (driver: number, at: string, trips: number | null) => ({ driver, at, trips })
    const rows = [row(1, now, 5), row(2, now, null), row(3, '2020-01-01T00:00:00Z', 7)]
    await fixture.post('/write-to-online-store', { feature_view_name: 'driver_stats', df: driverFrame(rows) })

    const { trips } = Object.fromEntries(
      await columns({ features: ['driver_stats:trips'], entities: { driver_id: [1, 2, 3, 4] } }),
    )
    expect(trips!.values).toEqual([5, null, 7, null])
    expect(trips!.statuses).toEqual(['PRESENT', 'NULL_VALUE', 'OUTSIDE_MAX_AGE', 'NOT_FOUND'])
    expect(trips!.event_timestamps.slice(2)).toEqual(['2020-01-01T00:00:00Z', '1970-01-01T00:00:00Z'])
  })

  it('keeps 64-bit integers exact, as numbers and as text, in and out (O5)', async () => {
    const frame =
      '{"location_id":[9007199254740993,-9223372036854775808],"event_timestamp":["2026-08-01","2026-08-01"],"temp":[1.0,2.0]}'
    await fixture.post('/write-to-online-store', `{"feature_view_name":"loc_stats","df":${frame}}`)
    const { text } = await lookup(
      '{"features":["loc_stats:temp"],"entities":{"location_id":[9007199254740993,"9007199254740993",9007199254740992,-9223372036854775808]}}',
    )
    expect(text).toContain(
      '"values":[9007199254740993,9007199254740993,9007199254740992,-9223372036854775808]',
    )
    expect(text).toContain('"values":[1.0,1.0,null,2.0]')
  })

  it('reads repeated entities once and answers each', async () => {
    const found = await columns({
      features: ['driver_stats:trips'],
      entities: { driver_id: [1002, 1001, '1002'] },
    })
    expect(found.get('trips')!.values).toEqual([20, 30, 20])
    expect(found.get('driver_id')!.values).toEqual([1002, 1001, 1002])
  })

  it('takes an entity name for its join key, unless the join key is there too', async () => {
    const features = ['driver_stats:trips']
    expect((await columns({ features, entities: { driver: [1001] } })).get('driver_id')!.values).toEqual([
      1001,
    ])
    const both = await columns({ features, entities: { driver: [1002], driver_id: [1001] } })
    expect(both.get('trips')!.values).toEqual([30])
  })

  it('echoes join keys of other views as they came, and ignores columns of no entity', async () => {
    const { text } = await lookup(
      '{"features":["loc_stats:temp"],"entities":{"location_id":[1],"driver_id":[12345678901234567890],"customer_id":[null],"other":[{}]}}',
    )
    expect(text).toContain('"values":[12345678901234567890]')
    expect(text).toContain('"feature_names":["location_id","driver_id","customer_id","temp"]')
  })

  it('reads views under other names by other entity columns', async () => {
    const found = await columns({
      feature_service: 'svc_alias',
      full_feature_names: true,
      entities: { origin_id: [1, 2], dest_id: [2, 3] },
    })
    expect(found.get('origin__temp')!.values).toEqual([10.5, 20.5])
    expect(found.get('dest__temp')!.values).toEqual([20.5, null])
  })
})

describe('on demand features', () => {
  it('of Python views are INVALID beside features that can be read (Y1)', async () => {
    const found = await columns({
      features: ['driver_stats:trips', 'od_python_only:conv_plus'],
      entities: { driver_id: [1001] },
    })
    expect(found.get('trips')!.values).toEqual([30])
    expect(found.get('conv_plus')).toMatchObject({ values: [null], statuses: ['INVALID'] })
  })

  it('of Python views alone are an error naming the view (Y1)', async () => {
    expect(
      await failure({ features: ['od_python_only:conv_plus'], entities: { driver_id: [1001] } }),
    ).toMatchObject({ status: 400, message: expect.stringContaining('"od_python_only"') })
  })

  it('that fail are a 422 with view, row and cause', async () => {
    const entities = { driver_id: [1001, 1002], val_to_add: [1, 0] }
    expect(await failure({ features: ['od_failing:ratio'], entities })).toMatchObject({
      status: 422,
      message: expect.stringMatching(/"od_failing" failed: row 1: .*Division by zero/),
    })
  })

  it('check their request data', async () => {
    const features = ['od_py:trips_plus']
    expect(await failure({ features, entities: { driver_id: [1001], val_to_add: ['x'] } })).toMatchObject({
      status: 422,
      message: expect.stringContaining('"val_to_add"'),
    })
    const found = await columns({ features, entities: { driver_id: [1001, 1002], val_to_add: [null, '7'] } })
    expect(found.get('trips_plus')).toMatchObject({ values: [null, 27], statuses: ['NULL_VALUE', 'PRESENT'] })
    expect([...found.keys()]).toEqual(['driver_id', 'trips_plus'])
  })
})

describe('requests that cannot be answered', () => {
  const driver = { driver_id: [1001] }
  const CASES: readonly (readonly [string, unknown, number, string, RegExp])[] = [
    [
      'a disabled view',
      { features: ['disabled_stats:temp2'], entities: { location_id: [1] } },
      400,
      'FeastError',
      /disabled/,
    ],
    [
      'a misspelt view',
      { features: ['driver_stat:trips'], entities: driver },
      404,
      'FeatureViewNotFoundException',
      /"driver_stats"/,
    ],
    [
      'a misspelt feature',
      { features: ['driver_stats:trip'], entities: driver },
      404,
      'FeastObjectNotFoundException',
      /"trips"/,
    ],
    [
      'a misspelt service',
      { feature_service: 'svcc', entities: driver },
      404,
      'FeatureServiceNotFoundException',
      /"svc"/,
    ],
    ['a missing key', { features: ['dc_stats:score'], entities: driver }, 400, 'FeastError', /"customer_id"/],
    [
      'a fraction as key',
      { features: ['driver_stats:trips'], entities: { driver_id: [1001.5] } },
      422,
      'FeastError',
      /"driver_id": 1001\.5/,
    ],
    [
      'a version while versions are off',
      { features: ['driver_stats@v1:trips'], entities: driver },
      400,
      'VersionedOnlineReadNotSupported',
      /enable_online_feature_view_versioning/,
    ],
    [
      'too many features',
      { features: Array(10_001).fill('a:b'), entities: driver },
      413,
      'FeastError',
      /10000 features/,
    ],
    [
      'too many rows',
      { features: ['driver_stats:trips'], entities: { driver_id: Array(100_001).fill(1) } },
      413,
      'FeastError',
      /100000 entity rows/,
    ],
  ]
  it.each(CASES)('%s', async (_, body, status, feastClass, message) => {
    expect(await failure(body)).toMatchObject({
      status,
      class: feastClass,
      message: expect.stringMatching(message),
    })
  })
})

describe('the same lookup for a program', () => {
  it('has cells, statuses and times', async () => {
    const serving = await fixture.store.serving()
    const { columns: found } = await serving.getOnlineFeatures({
      features: ['driver_stats:trips', 'driver_stats:tags', 'driver_stats:ts', 'od_py:trips_plus'],
      entities: { driver_id: [1001n, 9999], val_to_add: [2n ** 60n, 1] },
    })
    expect(found.map(({ name }) => name)).toEqual(['driver_id', 'trips', 'tags', 'ts', 'trips_plus'])
    expect(found.map(({ values }) => values[0])).toEqual([
      1001n,
      30n,
      ['z'],
      1785578400_000_000n,
      2n ** 60n + 30n,
    ])
    expect(found[1]).toMatchObject({
      values: [30n, null],
      statuses: ['OUTSIDE_MAX_AGE', 'NOT_FOUND'],
      eventTimestamps: [1785585600_000_000n, 0n],
    })
  })
})

function driverFrame(rows: readonly { driver: number; at: string; trips: number | null }[]) {
  const empty = [
    'conv_rate',
    'acc_rate',
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
  return {
    driver_id: rows.map(({ driver }) => driver),
    event_timestamp: rows.map(({ at }) => at),
    trips: rows.map(({ trips }) => trips),
    ...Object.fromEntries(empty.map((name) => [name, rows.map(() => null)])),
  }
}
