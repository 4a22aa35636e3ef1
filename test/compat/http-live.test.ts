import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { BothServers, PYTHON, TYPESCRIPT } from './both-servers.js'
import { Comparison } from './differences.js'
import { FixtureData } from './fixture-data.js'
import { compareAnswers, errorClass, type HttpRequest } from './http-answers.js'
import { read, testHttpReads } from './http-reads.js'
import { seededRandom } from './random.js'
import { describeWithRealFeast } from './real-feast.js'
import { sqliteRows } from './sqlite-rows.js'

describeWithRealFeast('HTTP beside real `feast serve`, on what we made', (feast) => {
  const servers = new BothServers(feast, new FixtureData(seededRandom('HTTP on what we made')))
  beforeAll(() => servers.start('http-typescript', TYPESCRIPT), 180_000)
  afterAll(() => servers.stop())

  describe('reads', () => testHttpReads(servers, 'http'))
})

describeWithRealFeast('HTTP beside real `feast serve`, on what it made', (feast) => {
  const data = new FixtureData(seededRandom('HTTP on what Feast made'))
  const servers = new BothServers(feast, data)
  beforeAll(() => servers.start('http-python', PYTHON), 180_000)
  afterAll(() => servers.stop())

  describe('reads', () => {
    testHttpReads(servers, 'http')

    it('columns come in the order of the request', async () => {
      const features = ['driver_stats:trips', 'driver_stats:acc_rate', 'driver_stats:conv_rate']
      const [, { text }] = await servers.send(read('order', features, { driver_id: [1001] }))
      expect(JSON.parse(text).metadata.feature_names).toEqual(['driver_id', 'trips', 'acc_rate', 'conv_rate'])
    })

    it('a Python on demand view is refused by name, plain features beside it are served', async () => {
      const entities = { driver_id: [1001], bonus: [1] }
      const [theirs, mine] = await servers.send(
        read('Python', ['trips_plus_python_only:trips_plus'], entities),
      )
      expect(theirs.status).toBe(200)
      expect(mine.status).toBeGreaterThanOrEqual(400)
      expect(mine.text).toContain('trips_plus_python_only')
      expect(errorClass(mine.text)).toBeDefined()
    })
  })

  describe('writes', () => {
    const comparison = new Comparison('http-writes')
    const iso = (hours: number) => new Date(Number(data.at(hours) / 1000n)).toISOString()
    const write = (name: string, path: string, body: unknown): HttpRequest => ({ name, path, body })
    const online = (name: string, view: string, df: object) =>
      write(name, '/write-to-online-store', { feature_view_name: view, df, allow_registry_cache: false })
    const push = (name: string, df: object, more: object = {}) =>
      write(name, '/push', { push_source_name: 'driver_push', df, ...more })
    const driverRow = (id: number, hours: number, trips: number | null) => ({
      driver_id: [id],
      event_timestamp: [iso(hours)],
      created: [iso(hours)],
      conv_rate: [0.5],
      acc_rate: [0.1],
      trips: [trips],
      level: [3],
      nickname: ['Zoë'],
      active: [true],
      last_seen: [1_700_000_000],
      photo: [null],
      labels: [['a', 'b']],
      counts: [[1, 2]],
      scores: [[0.5]],
    })
    const location = (id: number, hours: number, temp: number | null) => ({
      location_id: [id],
      event_timestamp: [iso(hours)],
      temp: [temp],
      rain: [1],
    })
    const WRITES: readonly HttpRequest[] = [
      push('push', driverRow(2001, 100, 7)),
      push('push a newer row', driverRow(2001, 101, 8)),
      push('push to nobody', { driver_id: [1] }, { push_source_name: 'nope' }),
      push('push to nowhere', driverRow(2001, 102, 1), { to: 'zzz' }),
      push('push without a feature', { driver_id: [1], event_timestamp: [iso(1)], created: [iso(1)] }),
      push('push nothing', { driver_id: [], event_timestamp: [] }),
      write('push without df', '/push', { push_source_name: 'driver_push' }),
      online('write', 'loc_stats', location(21, 100, 1.25)),
      online('write null', 'loc_stats', location(22, 100, null)),
      online('write an older row', 'loc_stats', location(21, 50, 9)),
      online('write to an unknown view', 'nope', location(1, 1, 1)),
      online('write several', 'loc_stats', {
        location_id: [31, 32, 31],
        event_timestamp: [iso(10), iso(10), iso(11)],
        temp: [1, 2, 3],
        rain: [1.5, null, 2.5],
      }),
      write('materialize backwards', '/materialize', {
        start_ts: iso(5),
        end_ts: iso(1),
        feature_views: ['loc_stats'],
      }),
      write('materialize without times', '/materialize', { feature_views: ['loc_stats'] }),
      write('materialize an unknown view', '/materialize', {
        start_ts: iso(1),
        end_ts: iso(5),
        feature_views: ['nope'],
      }),
      write('materialize', '/materialize', {
        start_ts: iso(-48),
        end_ts: iso(240),
        feature_views: ['inferred_stats'],
      }),
      write('materialize incrementally', '/materialize-incremental', {
        end_ts: iso(240),
        feature_views: ['inferred_stats'],
      }),
    ]

    it.each(WRITES)('$name', async (request) => {
      const [theirs, mine] = await servers.send(request)
      expect(mine.status).toBeLessThan(500)
      compareAnswers(comparison, request.name, theirs, mine)
      comparison.check()
    })

    it('both SQLite files hold the same rows afterwards', () => {
      const theirs = sqliteRows(join(servers.theirRepo, 'data/online.db'))
      const mine = sqliteRows(join(servers.ourRepo, 'data/online.db'))
      for (const [table, rows] of Object.entries(theirs)) {
        comparison.same(`${table}: rows`, Object.keys(rows).sort(), Object.keys(mine[table] ?? {}).sort())
        for (const [key, row] of Object.entries(rows))
          comparison.same(`${table}: ${key}`, row, mine[table]?.[key])
      }
      comparison.check()
    })

    it('every listed difference occurred', () => comparison.finish())
  })
})
