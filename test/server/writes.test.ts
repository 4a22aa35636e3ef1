import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Fixture, openFixture } from './fixture.js'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

async function temperature(location: number | string) {
  const { text } = await fixture.post('/get-online-features', {
    features: ['loc_stats:temp'],
    entities: { location_id: [location] },
  })
  return (JSON.parse(text) as { results: { values: unknown[]; event_timestamps: string[] }[] }).results[1]!
}

function write(df: unknown) {
  return fixture.post('/write-to-online-store', { feature_view_name: 'loc_stats', df })
}

async function failure(answer: { status: number; text: string } | Promise<{ status: number; text: string }>) {
  const { status, text } = await answer
  const { class: feastClass, message } = JSON.parse(JSON.parse(text) as string) as Record<string, string>
  return { status, feastClass, message }
}

describe('POST /write-to-online-store', () => {
  it('reads times with offsets, naive ones as UTC, and keeps whole seconds of them', async () => {
    const times = [
      '2026-08-05T02:00:00+02:00',
      '2026-08-05 00:00:00',
      '2026-08-05T00:00:00.000Z',
      '2026-08-05',
    ]
    for (const [index, event_timestamp] of times.entries()) {
      const location = 100 + index
      expect(await write({ location_id: [location], event_timestamp: [event_timestamp], temp: [1] })).toEqual(
        {
          status: 200,
          text: 'null',
        },
      )
      expect((await temperature(location)).event_timestamps).toEqual(['2026-08-05T00:00:00Z'])
    }
  })

  it('ignores columns that the view does not know, whatever they hold', async () => {
    const df = { location_id: [110], event_timestamp: ['2026-08-05'], temp: [2.5], other: [{ deep: [[]] }] }
    expect((await write(df)).status).toBe(200)
    expect((await temperature(110)).values).toEqual([2.5])
  })

  it('leaves a row without key out and writes the others', async () => {
    const df = { location_id: [null, 111], event_timestamp: ['2026-08-05', '2026-08-05'], temp: [1, 2] }
    expect((await write(df)).status).toBe(200)
    expect((await temperature(111)).values).toEqual([2])
  })

  it('takes a frame without rows', async () => {
    expect((await write({})).status).toBe(200)
    expect((await write({ location_id: [], temp: [] })).status).toBe(200)
  })

  const frame = { location_id: [1], event_timestamp: ['2026-08-05'], temp: [1] }
  it.each([
    ['a fraction as key', { ...frame, location_id: [1.5] }, /"location_id"/],
    ['text for a number', { ...frame, temp: ['warm'] }, /"temp": "warm"/],
    ['a time that is none', { ...frame, event_timestamp: ['soon'] }, /"event_timestamp": "soon"/],
    ['a number for a time', { ...frame, event_timestamp: [1785888000] }, /"event_timestamp"/],
    ['columns of different lengths', { ...frame, temp: [1, 2] }, /temp: 2/],
    ['a missing feature', { location_id: [1], event_timestamp: ['2026-08-05'] }, /"temp"/],
    ['a missing time', { location_id: [1], temp: [1] }, /"event_timestamp"/],
  ])('refuses %s with a 422 that names it', async (_, df, message) => {
    expect(await failure(write(df))).toMatchObject({ status: 422, message: expect.stringMatching(message) })
  })

  it('refuses an on demand view', async () => {
    const answer = fixture.post('/write-to-online-store', { feature_view_name: 'od_py', df: {} })
    expect(await failure(answer)).toMatchObject({ status: 400, message: expect.stringContaining('"od_py"') })
  })
})

describe('POST /push', () => {
  it('names the nearest push source', async () => {
    const answer = fixture.post('/push', { push_source_name: 'driver_pus', df: {} })
    expect(await failure(answer)).toMatchObject({
      status: 422,
      feastClass: 'PushSourceNotFoundException',
      message: expect.stringContaining('"driver_push"'),
    })
  })

  it('answers with nothing', async () => {
    expect(await fixture.post('/push', { push_source_name: 'driver_push', df: {} })).toEqual({
      status: 200,
      text: '',
    })
  })

  it('carries every type', async () => {
    const row = {
      driver_id: 7001,
      event_timestamp: '2026-08-05T00:00:00Z',
      created: null,
      conv_rate: 0.1,
      acc_rate: 0.1,
      trips: '9007199254740993',
      i32: -2147483648,
      name: 'ünïcode "x"\n',
      flag: false,
      ts: '1785888000',
      raw: 'AP8=',
      tags: ['a', ''],
      nums: [1, -1],
      floats: [0.5],
      js: { a: [1, 'b'] },
      mp: { k: 'v', n: 1, list: [1, 2] },
    }
    const df = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, [value]]))
    expect(await fixture.post('/push', { push_source_name: 'driver_push', df })).toMatchObject({
      status: 200,
    })
    const names = Object.keys(row).slice(3)
    const { text } = await fixture.post('/get-online-features', {
      features: names.map((name) => `driver_stats:${name}`),
      entities: { driver_id: [7001] },
    })
    const values = [...text.matchAll(/"values":(\[.*?\]),"statuses"/g)].map(([, found]) => found)
    expect(values.slice(1)).toEqual([
      '[0.10000000149011612]',
      '[0.1]',
      '[9007199254740993]',
      '[-2147483648]',
      '["ünïcode \\"x\\"\\n"]',
      '[false]',
      '[1785888000]',
      '["AP8="]',
      '[["a",""]]',
      '[[1,-1]]',
      '[[0.5]]',
      '["{\\"a\\": [1, \\"b\\"]}"]',
      '[{"k":"v","list":[1,2],"n":1}]',
    ])
  })
})
