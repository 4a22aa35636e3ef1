import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'
import { BothServers, PYTHON, TYPESCRIPT } from './both-servers.js'
import { Comparison, type Suite } from './differences.js'
import { everyType } from './fixture.js'
import { FixtureData, time } from './fixture-data.js'
import { testHttpReads } from './http-reads.js'
import { intKeyHex } from './int-key-hex.js'
import { seededRandom } from './random.js'
import { COMPOSITES, randomValue } from './random-values.js'
import { describeWithRealFeast, type RealFeast, type Tagged } from './real-feast.js'
import { redisRows } from './redis-rows.js'
import { type Attempt, attempt, remoteRepo } from './remote-client.js'
import { sqliteRows } from './sqlite-rows.js'

/** One call of the SDK: the driver's operation and its arguments. */
interface Call {
  readonly name: string
  readonly op: string
  readonly args: object
}

const DRIVER_FEATURES = [
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
]

const READS: readonly Call[] = [
  read('one view', ['driver_stats:conv_rate', 'driver_stats:trips'], { driver_id: [1001, 1002, 9999] }),
  read('rows in place of columns', ['driver_stats:trips'], [{ driver_id: 1001 }, { driver_id: 1002 }]),
  read('full names', ['driver_stats:conv_rate'], { driver_id: [1001] }, { full_feature_names: true }),
  read('every column of a view', of('driver_stats', DRIVER_FEATURES), {
    driver_id: [1001, 1002, 1003, 1005],
  }),
  ...everyType.features.map(({ name }) =>
    read(name, [`every_type:${name}`], { driver_id: [1001, 1002, 1003, 1004, 9999] }),
  ),
  read('two join keys', ['pair_stats:score'], { driver_id: [1001, 1001], customer_id: ['a', 'zzz'] }),
  read('views with different keys', ['driver_stats:trips', 'loc_stats:temp'], {
    driver_id: [1001, 1],
    location_id: [1, 2],
  }),
  read('a view without entity', ['global_stats:total', 'driver_stats:trips'], { driver_id: [1001] }),
  read('stale, null and missing', ['loc_stats:temp', 'loc_stats:rain'], { location_id: [1, 2, 3, 4] }),
  read('text keys', ['inferred_stats:size', 'inferred_stats:ratio'], { shop_id: ['s1', 's9'] }),
  online('a service', { service: 'service', entities: { driver_id: [1001, 9999], location_id: [1, 9] } }),
  online('a service, full names', {
    service: 'service',
    entities: { driver_id: [1001], location_id: [1] },
    full_feature_names: true,
  }),
  online('aliases', {
    service: 'service_alias',
    entities: { origin_id: [1, 2], dest_id: [3, 1] },
    full_feature_names: true,
  }),
  online('versions in the answer', {
    features: ['driver_stats:trips'],
    entities: { driver_id: [1001] },
    include_feature_view_version_metadata: true,
  }),
  // The SDK's own store has no asynchronous calls: it fails before it sends anything.
  online('asynchronously', {
    features: ['driver_stats:trips'],
    entities: { driver_id: [1001] },
    run_async: true,
  }),
  {
    name: 'the store’s own read',
    op: 'online_read',
    args: { view: 'driver_stats', features: DRIVER_FEATURES, keys: [1001, 1002].map(driverKey) },
  },
]

/** Mistakes: the class that Python raises, after one request. */
const MISTAKES: readonly (Call & { readonly raises: string })[] = [
  {
    ...read('unknown view', ['nope:trips'], { driver_id: [1001] }),
    raises: 'FeatureViewNotFoundException',
  },
  {
    ...read('unknown feature', ['driver_stats:nope'], { driver_id: [1001] }),
    raises: 'FeastObjectNotFoundException',
  },
  {
    ...online('unknown service', { unregistered_service: 'nope', entities: { driver_id: [1001] } }),
    raises: 'FeatureServiceNotFoundException',
  },
  { ...read('no colon', ['driver_stats'], { driver_id: [1001] }), raises: 'FeastError' },
  { ...read('no features', [], { driver_id: [1001] }), raises: 'FeastError' },
  { ...read('words for a number', ['driver_stats:trips'], { driver_id: ['abc'] }), raises: 'FeastError' },
  { ...read('null key', ['driver_stats:trips'], { driver_id: [null] }), raises: 'FeastError' },
  { ...read('no join key', ['driver_stats:trips'], { customer_id: ['a'] }), raises: 'FeastError' },
  { ...read('no entities', ['driver_stats:trips'], {}), raises: 'FeastError' },
  {
    ...read('lengths', ['pair_stats:score'], { driver_id: [1001, 1002], customer_id: ['a'] }),
    raises: 'FeastError',
  },
  {
    ...read('name collision', ['driver_stats:trips', 'stream_stats:trips'], { driver_id: [1001] }),
    raises: 'FeatureNameCollisionError',
  },
  {
    ...read('version without versions', ['driver_stats@v1:trips'], { driver_id: [1001] }),
    raises: 'VersionedOnlineReadNotSupported',
  },
  {
    ...post('push source', '/push', { push_source_name: 'nope', df: { driver_id: [1] } }),
    raises: 'PushSourceNotFoundException',
  },
  {
    ...post('write to an unknown view', '/write-to-online-store', {
      feature_view_name: 'nope',
      df: { driver_id: [1] },
    }),
    raises: 'FeatureViewNotFoundException',
  },
  {
    ...post('write without a feature', '/write-to-online-store', {
      feature_view_name: 'loc_stats',
      df: { location_id: [1], event_timestamp: ['2026-01-01T00:00:00'], rain: [1] },
    }),
    raises: 'FeastError',
  },
]

function of(view: string, features: readonly string[]): readonly string[] {
  return features.map((feature) => `${view}:${feature}`)
}

function online(name: string, args: object): Call {
  return { name, op: 'online', args }
}

function read(name: string, features: readonly string[], entities: object, more: object = {}): Call {
  return online(name, { features, entities, ...more })
}

function post(name: string, path: string, body: object): Call {
  return { name, op: 'post', args: { path, body } }
}

function driverKey(id: number): object {
  return { driver_id: { int64_val: String(id) } }
}

/** The SDK once on real `feast serve` and once on ours. */
class BothClients {
  private theirs = ''
  private ours = ''

  constructor(
    private readonly feast: () => RealFeast,
    private readonly servers: BothServers,
  ) {}

  make(): void {
    const { theirPort, theirRepo, ourPort, ourRepo } = this.servers
    // Python's server answers 500 to most mistakes, and its client would wait and ask again.
    this.theirs = remoteRepo('remote-theirs', theirPort, theirRepo, 0)
    this.ours = remoteRepo('remote-ours', ourPort, ourRepo)
  }

  async call({ op, args }: Call): Promise<readonly [theirs: Attempt, ours: Attempt]> {
    return [await attempt(this.feast(), this.theirs, op, args), await this.callOurs({ op, args })]
  }

  callOurs({ op, args }: Omit<Call, 'name'>): Promise<Attempt> {
    return attempt(this.feast(), this.ours, op, args)
  }
}

interface Column {
  readonly values: readonly string[]
  readonly statuses: readonly number[]
}

const STATUSES = ['INVALID', 'PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']

function compareAttempts(comparison: Comparison, name: string, theirs: Attempt, ours: Attempt): void {
  comparison.same(`${name}: error class`, theirs.error ?? null, ours.error ?? null)
  comparison.same(`${name}: requests`, theirs.requests, ours.requests)
  if (theirs.error !== undefined || ours.error !== undefined) return
  if (!isTable(theirs.result) || !isTable(ours.result)) {
    comparison.same(`${name}: result`, theirs.result, ours.result)
    return
  }
  const [table, other] = [ours.result, theirs.result]
  comparison.same(`${name}: columns`, Object.keys(other).sort(), Object.keys(table).sort())
  for (const [column, { values, statuses }] of Object.entries(table)) {
    for (const [row, value] of values.entries()) {
      const where = `${name}: ${column}[${row}]`
      comparison.same(`${where}: value`, other[column]?.values[row], value)
      comparison.same(
        `${where}: status`,
        STATUSES[other[column]?.statuses[row] ?? 0],
        STATUSES[statuses[row]!],
      )
    }
  }
}

function isTable(result: unknown): result is Readonly<Record<string, Column>> {
  return typeof result === 'object' && result !== null && !Array.isArray(result)
}

function testReads(clients: BothClients, suite: Suite): void {
  const comparison = new Comparison(suite)
  it.each(READS)('reads: $name', async (call) => {
    const [theirs, ours] = await clients.call(call)
    compareAttempts(comparison, call.name, theirs, ours)
    comparison.check()
  })

  it.each(MISTAKES)('raises at once: $name', async (call) => {
    const [theirs, ours] = await clients.call(call)
    expect(ours).toMatchObject({ error: call.raises, requests: 1 })
    comparison.same(`${call.name}: error class`, theirs.error ?? null, ours.error ?? null)
    comparison.check()
  })

  it('every listed difference occurred', () => comparison.finish())
}

const TIMES = Buffer.from('_ts:').toString('hex')

/** What a store holds: table and key, or key → feature or field → value in hex. */
type Rows = Readonly<Record<string, Readonly<Record<string, string>>>>

function testWrites(
  feast: () => RealFeast,
  clients: BothClients,
  suite: Suite,
  data: FixtureData,
  rows: () => Promise<readonly [theirs: Rows, ours: Rows]>,
): void {
  const comparison = new Comparison(suite)
  const at = (hours: number): Tagged => time(data.at(hours))
  const location = (id: number, hours: number, temp: Tagged) => ({
    location_id: [id],
    event_timestamp: [at(hours)],
    temp: [temp],
    rain: [1],
  })
  const driver = (id: number, hours: number, changes: object = {}) => ({
    driver_id: [id],
    event_timestamp: [at(hours)],
    created: [at(hours)],
    conv_rate: [0.5],
    acc_rate: [0.1],
    trips: [{ $int: '9007199254740993' }],
    level: [3],
    nickname: ['Zoë'],
    active: [true],
    last_seen: [at(1)],
    photo: [null],
    labels: [['a', 'b']],
    counts: [[1, 2]],
    scores: [[0.5]],
    ...changes,
  })
  const write = (name: string, view: string, columns: object, more: object = {}): Call => ({
    name,
    op: 'write_online',
    args: { view, columns, ...more },
  })
  const push = (name: string, columns: object, more: object = {}): Call => ({
    name,
    op: 'push',
    args: { source: 'driver_push', columns, ...more },
  })
  const random = seededRandom('values written by the remote store')
  const WRITES: readonly Call[] = [
    write('write', 'loc_stats', location(21, 100, 1.25)),
    write('write a newer row', 'loc_stats', location(21, 101, 2.25)),
    write('write null', 'loc_stats', location(22, 100, null)),
    write('write two join keys', 'pair_stats', {
      driver_id: [5, 5],
      customer_id: ['ü', 'b'],
      at: [at(3), at(4)],
      score: [0.5, -0.5],
    }),
    write('write a view without entity', 'global_stats', { event_timestamp: [at(300)], total: [5] }),
    push('push', driver(2001, 100)),
    push('push bytes', driver(2002, 100, { photo: [{ $bytes: '00ff' }] })),
    push('push to nobody', driver(1, 1), { source: 'nope' }),
    write('write asynchronously', 'loc_stats', location(1, 1, 1), { run_async: true }),
    push('push asynchronously', driver(1, 1), { run_async: true }),
    ...everyType.features.map(({ name, type }, index) => {
      const value = (COMPOSITES[name] ?? randomValue(random, type))!.tagged
      const others = everyType.features.map((field) => [field.name, [field.name === name ? value : null]])
      return write(`write ${name}`, 'every_type', {
        driver_id: [3000 + index],
        event_timestamp: [at(1)],
        ...Object.fromEntries(others),
      })
    }),
    {
      name: 'materialize',
      op: 'materialize',
      args: { start: String(data.at(-48)), end: String(data.at(240)), views: ['inferred_stats'] },
    },
    {
      name: 'materialize incrementally',
      op: 'materialize_incremental',
      args: { end: String(data.at(240)), views: ['inferred_stats', 'loc_stats'] },
    },
    {
      name: 'materialize an unknown view',
      op: 'materialize',
      args: { start: String(data.at(1)), end: String(data.at(2)), views: ['nope'] },
    },
    {
      name: 'materialize backwards',
      op: 'materialize',
      args: { start: String(data.at(2)), end: String(data.at(1)), views: ['loc_stats'] },
    },
    {
      name: 'materialize later',
      op: 'materialize',
      args: {
        start: String(data.at(1)),
        end: String(data.at(2)),
        views: ['global_stats'],
        run_async: true,
      },
    },
  ]

  const onlyOurs: number[] = []
  it.each(WRITES)('$name', async (call) => {
    const [theirs, ours] = await clients.call(call)
    compareAttempts(comparison, call.name, theirs, ours)
    const { driver_id } = (call.args as { columns?: { driver_id?: [number] } }).columns ?? {}
    if (driver_id && theirs.error !== undefined && ours.error === undefined) onlyOurs.push(driver_id[0])
    expect(ours.error).not.toBe('RetryError')
    comparison.check()
  })

  it('both stores hold the same afterwards', async () => {
    const [theirs, ours] = await rows()
    for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
      const isRefused = onlyOurs.some((id) => key.includes(intKeyHex(id)))
      const [their, our] = [theirs[key], ours[key]]
      if (their === undefined || our === undefined) {
        const where = `${key}${isRefused ? ', which Python refused' : ''}: is there`
        comparison.same(where, their !== undefined, our !== undefined)
      } else await compareRow(key, their, our)
    }
    comparison.check()
  })

  /** Python writes the entries of a map in an order of its own each time. */
  async function compareRow(key: string, theirs: Rows[string], ours: Rows[string]) {
    comparison.same(`${key}: fields`, Object.keys(theirs).sort(), Object.keys(ours).sort())
    for (const field of Object.keys(ours)) {
      const pair = [theirs[field] ?? '', ours[field]!]
      const isTime = field.startsWith(TIMES)
      const [their, our] =
        pair[0] === pair[1] || isTime
          ? pair
          : await feast().call<string[]>('canonical_values', { hexes: pair })
      comparison.same(`${key}: ${field}`, their, our)
    }
  }

  it('every listed difference occurred', () => comparison.finish())
}

function sqliteValues(repo: string): Rows {
  const values: Record<string, Record<string, string>> = {}
  for (const [table, rows] of Object.entries(sqliteRows(join(repo, 'data/online.db')))) {
    for (const [name, { value, event_ts, created_ts }] of Object.entries(rows)) {
      const [key, feature] = name.split('/') as [string, string]
      const times = { [`${TIMES}${feature}`]: `${event_ts} ${created_ts}` }
      values[`${table} ${key}`] = { ...values[`${table} ${key}`], [feature]: String(value), ...times }
    }
  }
  return values
}

describeWithRealFeast('Python’s remote store on our server, over SQLite', (feast) => {
  const data = new FixtureData(seededRandom('remote store on SQLite'))
  const servers = new BothServers(feast, data)
  const clients = new BothClients(feast, servers)
  beforeAll(async () => {
    await servers.start('remote-sqlite', TYPESCRIPT)
    clients.make()
  }, 180_000)
  afterAll(() => servers.stop())

  it('every error of ours is a class that Python knows', async () => {
    const page = readFileSync(new URL('../../src/core/errors.md', import.meta.url), 'utf8')
    const rows = [...page.matchAll(/^\| ([A-Z_0-9]+) \| \d+ \| [A-Z_]+ \| (\w+) \|/gm)]
    expect(rows.length).toBeGreaterThan(40)
    const details = rows.map(([, code, name]) =>
      JSON.stringify({ module: 'feast.errors', class: name, message: code }),
    )
    const raised = await feast().call<readonly (readonly [string, string, number] | null)[]>('raise', {
      details,
    })
    expect(raised.map((error) => error?.slice(0, 2))).toEqual(rows.map(([, code, name]) => [name, code]))
  })

  describe('reads', () => testReads(clients, 'remote'))
  describe('writes', () => {
    testWrites(feast, clients, 'remote-writes', data, async () => [
      sqliteValues(servers.theirRepo),
      sqliteValues(servers.ourRepo),
    ])
  })
})

if (!hasRedis) {
  it.skip(`Python’s remote store on our server, over Redis [skipped: ${NO_REDIS}]`, () => {})
} else {
  describeWithRealFeast('Python’s remote store on our server, over Redis', (feast) => {
    const data = new FixtureData(seededRandom('remote store on Redis'))
    const servers = new BothServers(feast, data)
    const clients = new BothClients(feast, servers)
    let redis: RedisServer
    beforeAll(async () => {
      redis = await RedisServer.start()
      await servers.start('remote-redis', PYTHON, redis.address)
      clients.make()
    }, 180_000)
    afterAll(async () => {
      await servers.stop()
      await redis?.stop()
    })

    describe('plain HTTP', () => testHttpReads(servers, 'http-redis'))
    describe('reads', () => testReads(clients, 'remote-redis'))
    describe('writes', () => {
      testWrites(feast, clients, 'remote-redis-writes', data, async () => [
        await redisRows(redis, 0),
        await redisRows(redis, 1),
      ])
    })
  })
}
