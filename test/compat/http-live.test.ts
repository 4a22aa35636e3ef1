import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Comparison } from './differences.js'
import * as fixture from './fixture.js'
import { FixtureData } from './fixture-data.js'
import { compareAnswers, errorClass, type HttpAnswer, type HttpRequest, send } from './http-answers.js'
import { type OurServer, openOurs, repoOf, serveOurs, temporaryFolder } from './our-feast.js'
import { seededRandom } from './random.js'
import { describeWithRealFeast, freePort, type RealFeast, untilServing } from './real-feast.js'
import { sqliteRows } from './sqlite-rows.js'

const READS: readonly HttpRequest[] = [
  read('one view', ['driver_stats:conv_rate', 'driver_stats:trips'], { driver_id: [1001, 1002, 9999] }),
  read('full names', ['driver_stats:conv_rate'], { driver_id: [1001] }, { full_feature_names: true }),
  read(
    'every column of a view',
    [
      'conv_rate',
      'acc_rate',
      'trips',
      'level',
      'nickname',
      'active',
      'last_seen',
      'photo',
      'labels',
      'counts',
      'scores',
    ].map((name) => `driver_stats:${name}`),
    { driver_id: [1001, 1002, 1003, 1004, 1005] },
  ),
  read('the same entity twice', ['driver_stats:trips'], { driver_id: [1001, 1001, 1002, 1001] }),
  read('two join keys', ['pair_stats:score'], {
    driver_id: [1001, 1001, 1002],
    customer_id: ['a', 'ünïcode', 'zzz'],
  }),
  read('join keys in another order', ['pair_stats:score'], {
    customer_id: ['a', ''],
    driver_id: [1001, 1001],
  }),
  read('views with different keys', ['driver_stats:trips', 'loc_stats:temp'], {
    driver_id: [1001, 1],
    location_id: [1, 2],
  }),
  read('a view without entity and a key', ['global_stats:total', 'driver_stats:trips'], {
    driver_id: [1001, 9999],
  }),
  read('a view without entity and a key of others', ['global_stats:total'], { driver_id: [1001, 1002] }),
  read('stale, null and missing', ['loc_stats:temp', 'loc_stats:rain'], { location_id: [1, 2, 3, 4] }),
  read(
    'every type',
    fixture.everyType.features.map(({ name }) => `every_type:${name}`),
    { driver_id: [1001, 1002, 1003, 1004, 9999] },
  ),
  read('text keys', ['inferred_stats:size', 'inferred_stats:ratio', 'inferred_stats:open'], {
    shop_id: ['s1', 's2', 's3'],
  }),
  service('a service', 'service', { driver_id: [1001, 1002], location_id: [1, 9] }),
  service(
    'a service, full names',
    'service',
    { driver_id: [1001], location_id: [1] },
    { full_feature_names: true },
  ),
  service(
    'aliases, full names',
    'service_alias',
    { origin_id: [1, 2], dest_id: [3, 1] },
    { full_feature_names: true },
  ),
  service('aliases, short names collide', 'service_alias', { origin_id: [1], dest_id: [2] }),
  read('text for an INT64 key', ['driver_stats:trips'], { driver_id: ['1001'] }),
  read('fraction for an INT64 key', ['driver_stats:trips'], { driver_id: [1001.7] }),
  read('boolean for an INT64 key', ['driver_stats:trips'], { driver_id: [true] }),
  read('words for an INT64 key', ['driver_stats:trips'], { driver_id: ['abc'] }),
  read('null key', ['driver_stats:trips'], { driver_id: [null] }),
  read('null and value', ['driver_stats:trips'], { driver_id: [1001, null] }),
  read('number for a text key', ['inferred_stats:size'], { shop_id: [5] }),
  read('a column nobody knows', ['driver_stats:trips'], { driver_id: [1001], zzz: [1] }),
  read('entity name in place of the join key', ['driver_stats:trips'], { driver: [1001] }),
  read('columns of different lengths', ['pair_stats:score'], { driver_id: [1001, 1002], customer_id: ['a'] }),
  read('no join key', ['driver_stats:trips'], { customer_id: ['a'] }),
  read('one of two join keys', ['pair_stats:score'], { driver_id: [1001] }),
  read('no entities', ['driver_stats:trips'], {}),
  read('no rows', ['driver_stats:trips'], { driver_id: [] }),
  read('no features', [], { driver_id: [1001] }),
  read('unknown view', ['nope:trips'], { driver_id: [1001] }),
  read('unknown feature', ['driver_stats:nope'], { driver_id: [1001] }),
  service('unknown service', 'nope', { driver_id: [1001] }),
  read('reference without a colon', ['driver_stats'], { driver_id: [1001] }),
  read('the same name twice', ['driver_stats:trips', 'stream_stats:trips'], { driver_id: [1001] }),
  read(
    'the same reference twice, full names',
    ['driver_stats:trips', 'driver_stats:trips'],
    { driver_id: [1001] },
    { full_feature_names: true },
  ),
  read('a version while versions are off', ['driver_stats@v1:trips'], { driver_id: [1001] }),
  read('the latest version', ['driver_stats@latest:trips'], { driver_id: [1001] }),
  read('a strange version', ['driver_stats@foo:trips'], { driver_id: [1001] }),
  read(
    'versions in the answer',
    ['driver_stats:trips'],
    { driver_id: [1001] },
    { include_feature_view_version_metadata: true },
  ),
  read('a join key as a feature', ['driver_stats:driver_id'], { driver_id: [1001] }),
  { name: 'no entities key', body: { features: ['driver_stats:trips'] } },
  {
    name: 'rows in place of columns',
    body: { features: ['driver_stats:trips'], entities: [{ driver_id: 1001 }] },
  },
  { name: 'broken JSON', body: '{"features": [' },
  { name: 'wrong method', method: 'GET' },
  { name: 'unknown path', path: '/nope', body: {} },
  { name: 'health', path: '/health', method: 'GET' },
]

function read(name: string, features: readonly string[], entities: object, more: object = {}): HttpRequest {
  return { name, body: { features, entities, ...more } }
}

function service(name: string, feature_service: string, entities: object, more: object = {}): HttpRequest {
  return { name, body: { feature_service, entities, ...more } }
}

const MATERIALIZED = [
  'driver_stats',
  'pair_stats',
  'global_stats',
  'loc_stats',
  'inferred_stats',
  'every_type',
]

interface Makers {
  /** Applies the fixture in the repo and materializes it. */
  make(feast: RealFeast, data: FixtureData, repo: string): Promise<void>
}

const PYTHON: Makers = {
  async make(feast, data, repo) {
    await feast.call('apply', { repo })
    const window = { start: String(data.at(-48)), end: String(data.at(240)) }
    await feast.call('materialize', { repo, ...window, views: MATERIALIZED })
  },
}

const TYPESCRIPT: Makers = {
  async make(_feast, data, repo) {
    const definitions = repoOf(fixture, 'fixture.ts')
    const store = await openOurs(repo, definitions)
    try {
      await store.apply(definitions)
      const { views } = await store.materialize({
        mode: 'range',
        start: data.at(-48),
        end: data.at(240),
        views: MATERIALIZED,
      })
      expect(views.filter(({ outcome }) => outcome !== 'done')).toEqual([])
    } finally {
      await store.close()
    }
  },
}

/** Real `feast serve` and ours, each on its own copy of one registry and SQLite file. */
class BothServers {
  theirRepo = ''
  ourRepo = ''
  private theirPort = 0
  private ours: OurServer | undefined

  constructor(
    private readonly feast: () => RealFeast,
    readonly data: FixtureData,
  ) {}

  async start(name: string, { make }: Makers): Promise<void> {
    this.theirRepo = temporaryFolder(`http-${name}-theirs`)
    await this.data.makeRepo(this.theirRepo, this.feast())
    await make(this.feast(), this.data, this.theirRepo)
    this.ourRepo = temporaryFolder(`http-${name}-ours`)
    cpSync(this.theirRepo, this.ourRepo, { recursive: true })
    this.theirPort = await freePort()
    await this.feast().call('serve', { repo: this.theirRepo, port: this.theirPort })
    this.ours = await serveOurs(this.ourRepo)
    await untilServing(this.theirPort)
  }

  async stop(): Promise<void> {
    await this.ours?.stop()
    if (this.theirPort !== 0) await this.feast().call('stop', { port: this.theirPort })
  }

  send(request: HttpRequest): Promise<readonly [theirs: HttpAnswer, ours: HttpAnswer]> {
    return Promise.all([send(this.theirPort, request), send(this.ours!.port, request)])
  }
}

function testReads(servers: BothServers): void {
  const comparison = new Comparison('http')
  it.each(READS)('$name', async (request) => {
    const [theirs, ours] = await servers.send(request)
    expect(ours.status).toBeLessThan(500)
    compareAnswers(comparison, request.name, theirs, ours)
    comparison.check()
  })
  it('every listed difference occurred', () => comparison.finish())
}

describeWithRealFeast('HTTP beside real `feast serve`, on what we made', (feast) => {
  const servers = new BothServers(feast, new FixtureData(seededRandom('HTTP on what we made')))
  beforeAll(() => servers.start('typescript', TYPESCRIPT), 180_000)
  afterAll(() => servers.stop())

  describe('reads', () => testReads(servers))
})

describeWithRealFeast('HTTP beside real `feast serve`, on what it made', (feast) => {
  const data = new FixtureData(seededRandom('HTTP on what Feast made'))
  const servers = new BothServers(feast, data)
  beforeAll(() => servers.start('python', PYTHON), 180_000)
  afterAll(() => servers.stop())

  describe('reads', () => {
    testReads(servers)

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
