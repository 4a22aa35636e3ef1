import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { until } from '../until.js'
import { type Fixture, openFixture, writeSources } from './fixture.js'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
  await writeSources(fixture)
})
afterAll(() => fixture.close())

const RANGE = { start_ts: '2026-08-01T00:00:00', end_ts: '2026-08-02T00:00:00+00:00' }

async function idle(): Promise<void> {
  const views = ['loc_stats', 'global_stats', 'dc_stats', 'driver_stats']
  await until(() => fixture.jobs.busy(views).length === 0, 'the end of all runs')
}

async function valuesOf(feature: string, entities: object): Promise<unknown> {
  const { text } = await fixture.post('/get-online-features', { features: [feature], entities })
  return (JSON.parse(text) as { results: { values: unknown[] }[] }).results[1]!.values
}

describe('POST /materialize', () => {
  it('brings the named views online and no others', async () => {
    expect(await fixture.post('/materialize', { ...RANGE, feature_views: ['loc_stats'] })).toEqual({
      status: 200,
      text: 'null',
    })
    expect(await valuesOf('loc_stats:temp', { location_id: [1] })).toEqual([10.5])
    expect(await valuesOf('global_stats:total', { location_id: [1] })).toEqual([null])
  })

  it('without names brings all enabled views online', async () => {
    expect((await fixture.post('/materialize', RANGE)).status).toBe(200)
    expect(await valuesOf('global_stats:total', { location_id: [1] })).toEqual([42])
  })

  it('with no names at all does nothing', async () => {
    expect((await fixture.post('/materialize', { ...RANGE, feature_views: [] })).status).toBe(200)
  })

  it('counts what it did', async () => {
    const { payload } = await fixture.app.inject({ url: '/metrics' })
    expect(payload).toMatch(
      /^feast_materialization_result_total\{feature_view="loc_stats",status="success"\} 2$/m,
    )
    expect(payload).toMatch(
      /^feast_feature_freshness_seconds\{feature_view="global_stats",project="demo"\} \d/m,
    )
  })

  it.each([
    ['an unknown view', { ...RANGE, feature_views: ['loc_stat'] }, 404, /Did you mean .*loc_stats/],
    ['a disabled view', { ...RANGE, feature_views: ['disabled_stats'] }, 400, /disabled/],
    ['an on demand view', { ...RANGE, feature_views: ['od_py'] }, 400, /on demand/],
    ['a start after the end', { start_ts: RANGE.end_ts, end_ts: RANGE.start_ts }, 422, /must be before/],
    ['a date that is none', { ...RANGE, start_ts: '2026-02-30' }, 422, /start_ts: \\"2026-02-30/],
    ['no dates', {}, 422, /required/],
    [
      'a version while versions are off',
      { ...RANGE, feature_views: ['loc_stats'], version: 'v1' },
      400,
      /version/i,
    ],
  ])('refuses %s', async (_, body, status, message) => {
    const answer = await fixture.post('/materialize', body)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text)).toMatch(message)
  })
})

describe('POST /materialize?async=true', () => {
  it('accepts, refuses the same views while they run, and lets force through', async () => {
    const body = { ...RANGE, feature_views: ['loc_stats'] }
    const [first, second, other, forced] = await Promise.all([
      fixture.post('/materialize?async=true', body),
      fixture.post('/materialize?async=true', body),
      fixture.post('/materialize-incremental?async=1', { end_ts: RANGE.end_ts, feature_views: ['dc_stats'] }),
      fixture.post('/materialize?async=true&force=true', body),
    ])
    expect(first).toEqual({ status: 202, text: '{"status":"accepted","feature_views":["loc_stats"]}' })
    expect(second.status).toBe(409)
    expect(JSON.parse(second.text)).toMatchObject({
      error: expect.stringContaining("['loc_stats']"),
      feature_views: ['loc_stats'],
    })
    expect([other.status, forced.status]).toEqual([202, 202])
    await idle()
    expect((await fixture.post('/materialize?async=true', body)).status).toBe(202)
    await idle()
  })

  it('refuses a flag that is no truth', async () => {
    const answer = await fixture.post('/materialize?async=maybe', RANGE)
    expect(answer.status).toBe(422)
    expect(JSON.parse(answer.text)).toMatchObject({ detail: [{ loc: ['query', 'async'] }] })
  })

  it('takes so many waiting runs and no more', async () => {
    const answers = await Promise.all(
      Array.from({ length: 110 }, () =>
        fixture.post('/materialize?async=true&force=true', { ...RANGE, feature_views: ['global_stats'] }),
      ),
    )
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 202)).toHaveLength(102)
    expect(statuses.filter((status) => status === 409)).toHaveLength(8)
  })
})
