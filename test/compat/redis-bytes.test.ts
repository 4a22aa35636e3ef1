import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntityKeyVersion, entityKeyEncoder } from '../../src/codec/entity-key.js'
import { redisField } from '../../src/codec/field-hash.js'
import { encodeValue } from '../../src/codec/value.js'
import type { Cell } from '../../src/core/cell.js'
import { silentLogger } from '../../src/core/logger.js'
import type { ValueType } from '../../src/core/value-type.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { hasRedis, NO_REDIS, RedisServer, startCluster } from '../redis-server.js'
import { temporaryFolder } from '../temporary-folder.js'
import { until } from '../until.js'
import { PYTHON, TYPESCRIPT, useRedis } from './both-servers.js'
import { Comparison } from './differences.js'
import * as fixture from './fixture.js'
import { FixtureData } from './fixture-data.js'
import { intKeyHex } from './int-key-hex.js'
import { openOurs } from './our-feast.js'
import { type Random, seededRandom } from './random.js'
import { COMPOSITES, randomValue } from './random-values.js'
import { describeWithRealFeast, type RealFeast } from './real-feast.js'
import { redisRows } from './redis-rows.js'

const { everyType } = fixture
const VIEWS = [
  fixture.driverStats,
  fixture.pairStats,
  fixture.globalStats,
  fixture.locStats,
  fixture.inferredStats,
  everyType,
]

/** Small views for rows that are written cell by cell. */
const DEFINITIONS = `
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)
source = FileSource(name="source", path="data/none.parquet", timestamp_field="event_timestamp")
keys = [Field(name="driver_id", dtype=Int64), Field(name="city", dtype=String)]
pairs = FeatureView(name="pairs", entities=[driver, city], source=source,
                    schema=keys + [Field(name="trips", dtype=Int64), Field(name="name", dtype=String)])
others = FeatureView(name="others", entities=[driver, city], source=source,
                     schema=keys + [Field(name="trips", dtype=Int64)])
`
const PAIRS: OnlineTable = { name: 'pairs', joinKeys: ['driver_id', 'city'], features: ['trips', 'name'] }
const OTHERS: OnlineTable = { name: 'others', joinKeys: ['driver_id', 'city'], features: ['trips'] }
const TYPES: Readonly<Record<string, ValueType>> = { trips: 'INT64', name: 'STRING' }
const T0 = 1_785_578_400_000_000n

interface Written {
  readonly id: number
  readonly city: string
  readonly at: bigint
  readonly cells: readonly Buffer[]
}

interface PairsOptions {
  readonly project?: string
  readonly database?: number
  readonly version?: EntityKeyVersion
  /** Further keys of `online_store`. */
  readonly more?: Readonly<Record<string, string | number | boolean>>
  /** Of all nodes of a cluster. */
  readonly connection?: string
}

/** Python's and our store on one Redis, as one configuration describes it to both. */
class PairsStores {
  private constructor(
    private readonly feast: RealFeast,
    readonly repo: string,
    readonly ours: OnlineStore,
    private readonly version: EntityKeyVersion,
  ) {}

  static async open(feast: RealFeast, address: string, options: PairsOptions = {}): Promise<PairsStores> {
    const { project = 'demo', database = 0, version = 3, more = {} } = options
    const connection_string = options.connection ?? `${address},db=${database}`
    const repo = temporaryFolder('compat-redis-bytes')
    mkdirSync(join(repo, 'data'))
    writeFileSync(join(repo, 'definitions.py'), DEFINITIONS)
    const block = Object.entries({ connection_string, ...more }).map(([key, value]) => `  ${key}: ${value}\n`)
    writeFileSync(
      join(repo, 'feature_store.yaml'),
      `project: ${project}
provider: local
registry: data/registry.db
entity_key_serialization_version: ${version}
online_store:
  type: redis
${block.join('')}`,
    )
    await feast.call('apply', { repo })
    const ours = await openOnlineStore(
      { type: 'redis', options: { connection_string, ...more } },
      { project, repoPath: repo, entityKeyVersion: version, logger: silentLogger },
    )
    return new PairsStores(feast, repo, ours, version)
  }

  writeOurs(table: OnlineTable, rows: readonly Written[]): Promise<void> {
    const encode = entityKeyEncoder(
      [
        { name: 'driver_id', type: { valueType: 'INT64' } },
        { name: 'city', type: { valueType: 'STRING' } },
      ],
      this.version,
    )
    return this.ours.write({
      table,
      rows: rows.map(({ id, city, at, cells }) => ({
        entityKey: encode([BigInt(id), city]),
        values: cells.slice(0, table.features.length),
        eventTimestamp: at,
        createdTimestamp: null,
      })),
    })
  }

  writeTheirs(
    table: OnlineTable,
    rows: readonly Written[],
    more: { folder?: string } = {},
  ): Promise<unknown> {
    return this.feast.call(more.folder === undefined ? 'write_cells' : 'write_cells_held', {
      repo: this.repo,
      view: table.name,
      ...more,
      rows: rows.map(({ id, city, at, cells }) => [
        { driver_id: { int64_val: String(id) }, city: { string_val: city } },
        Object.fromEntries(table.features.map((name, i) => [name, cells[i]!.toString('hex')])),
        String(at),
        null,
      ]),
    })
  }

  close(): Promise<void> {
    return this.ours.close()
  }
}

function row(id: number, at: bigint, trips: Cell, name: Cell = 'x', city = 'Zürich'): Written {
  const cells = [trips, name].map((cell, i) => encodeValue({ valueType: TYPES[PAIRS.features[i]!]! }, cell))
  return { id, city, at, cells }
}

function randomRows(random: Random): readonly Written[] {
  return random.times(40, () =>
    row(
      random.int(-3, 3),
      T0 + BigInt(random.int(-5, 5)) * 333_333n,
      random.chance(0.2) ? null : random.bits(62),
      random.pick(['', 'a', 'Ö\u{1F600}', null]),
      random.pick(['', 'Zürich', 'a*b', '*', '[x]']),
    ),
  )
}

/** Hex of a hash's field → what it is. */
function fieldNames(): Readonly<Record<string, string>> {
  const entries = VIEWS.flatMap(({ name, features }) => [
    [Buffer.from(`_ts:${name}`).toString('hex'), `${name}/_ts: time`],
    ...(name === 'inferred_stats' ? ['size', 'ratio', 'open'] : features.map((one) => one.name)).map(
      (feature) => [redisField(name, feature).toString('hex'), `${name}/${feature}: value`],
    ),
  ])
  return Object.fromEntries(entries)
}

function testMaterialized(feast: () => RealFeast, redis: () => RedisServer): void {
  const data = new FixtureData(seededRandom('materialized to Redis'))
  const random = seededRandom('values of every type in Redis')
  let theirs: string
  let ours: string

  beforeAll(async () => {
    theirs = temporaryFolder('compat-redis-theirs')
    ours = temporaryFolder('compat-redis-ours')
    await data.makeRepo(theirs, feast())
    useRedis(theirs, `${redis().address},db=0`)
    await PYTHON.apply(feast(), theirs)
    cpSync(theirs, ours, { recursive: true })
    useRedis(ours, `${redis().address},db=1`)
    await PYTHON.materialize(feast(), theirs, data)
    await TYPESCRIPT.materialize(feast(), ours, data)
  }, 120_000)

  it('holds the same after a materialization by either, key by key, field by field', async () => {
    const comparison = new Comparison('materialize-redis')
    const [there, here] = [await redisRows(redis(), 0), await redisRows(redis(), 1)]
    const names = fieldNames()
    expect(Object.keys(here)).toEqual(Object.keys(there))
    expect(Object.keys(here).length).toBeGreaterThan(10)
    for (const [key, fields] of Object.entries(there)) {
      expect([key, Object.keys(here[key]!).sort()]).toEqual([key, Object.keys(fields).sort()])
      for (const [field, value] of Object.entries(fields)) {
        expect(names).toHaveProperty(field)
        comparison.same(`${key}/${names[field]}`.replace(/^.*\/(?=.*\/)/, ''), value, here[key]![field])
      }
    }
    comparison.finish()
  })

  it.each([
    ['ours', () => ours],
    ['Python’s', () => theirs],
  ])('both read %s rows alike', async (_, repo) => {
    const store = await openOurs(repo())
    try {
      const serving = await store.serving()
      const requests: readonly { view: string; entities: Readonly<Record<string, readonly unknown[]>> }[] = [
        { view: 'driver_stats', entities: { driver_id: [1001, 1002, 1003, 1004, 9999] } },
        { view: 'every_type', entities: { driver_id: [1001, 1002, 1003, 1004] } },
        { view: 'pair_stats', entities: { driver_id: [1001, 1002], customer_id: ['ünïcode', ''] } },
        { view: 'loc_stats', entities: { location_id: [1, 2, 3, 4] } },
      ]
      for (const { view, entities } of requests) {
        const features = VIEWS.find(({ name }) => name === view)!.features.map(
          ({ name }) => `${view}:${name}`,
        )
        const there = await feast().call<Record<string, { values: string[]; times: string[] }>>('online', {
          repo: repo(),
          features,
          entities,
        })
        const here = await serving.getOnlineFeatures({ features, entities })
        for (const { name, values, eventTimestamps } of here.columns) {
          // Pandas made the struct's integer a double, which is an integer again when it is read.
          if (name in entities || (name === 'f_struct' && repo() === theirs)) continue
          const type = VIEWS.find((one) => one.name === view)!.features.find((one) => one.name === name)!.type
          expect([name, eventTimestamps.map(String)]).toEqual([name, there[name]!.times])
          const hexes = values.map((value) =>
            value === null ? '' : encodeValue(type, value).toString('hex'),
          )
          expect([name, await canonical(hexes)]).toEqual([name, there[name]!.values])
        }
      }
    } finally {
      await store.close()
    }
  })

  const canonical = (hexes: readonly string[]) => feast().call<string[]>('canonical_values', { hexes })

  it('writes every type alike, cell by cell', async () => {
    const values = everyType.features.flatMap(({ name, type }) => {
      const value = COMPOSITES[name] ?? randomValue(random, type)
      return value ? [{ name, type, value }] : []
    })
    const encoded = await feast().call<string[][]>('values', {
      items: values.map(({ type, value }) => [type.valueType, [value.tagged]]),
    })
    const cells = Object.fromEntries(values.map(({ name }, i) => [name, encoded[i]![0]]))
    await feast().call('write_cells', {
      repo: theirs,
      view: 'every_type',
      rows: [[{ driver_id: { int64_val: '7' } }, cells, String(T0), null]],
    })
    const store = await openOurs(ours)
    try {
      await store.writeToOnlineStore('every_type', {
        fields: [
          { name: 'driver_id', type: { valueType: 'INT64' }, description: '', tags: {} },
          { name: 'event_timestamp', type: { valueType: 'UNIX_TIMESTAMP' }, description: '', tags: {} },
          ...everyType.features,
        ],
        columns: [
          [7n],
          [T0],
          ...everyType.features.map(({ name }) => [
            values.find((one) => one.name === name)?.value.cell ?? null,
          ]),
        ],
        rowCount: 1,
      })
    } finally {
      await store.close()
    }
    const names = fieldNames()
    const found = async (database: number) => {
      const rows = Object.entries(await redisRows(redis(), database))
      const [, fields] = rows.find(([key]) => key.includes(intKeyHex(7)))!
      const named = Object.entries(fields).filter(([field]) => names[field]!.endsWith(': value'))
      const plain = await canonical(named.map(([, hex]) => hex))
      return Object.fromEntries(named.map(([field], i) => [names[field], plain[i]]))
    }
    const [there, here] = [await found(0), await found(1)]
    expect(Object.keys(here).length).toBe(values.length)
    expect(here).toEqual(there)
  })

  it('keeps versions apart, under the same names', async () => {
    const registry = 'registry:\n  path: data/registry.db\n  enable_online_feature_view_versioning: true\n'
    const versioned = temporaryFolder('compat-redis-versions')
    await data.makeRepo(versioned, feast())
    const yaml = join(versioned, 'feature_store.yaml')
    writeFileSync(yaml, readFileSync(yaml, 'utf8').replace(/registry: .*\n/, registry))
    useRedis(versioned, `${redis().address},db=2`)
    const file = join(versioned, 'definitions.py')
    await feast().call('apply', { repo: versioned })
    // Version 1: another feature, in the source's own column.
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(
        'Field(name="rain", dtype=Float64)], source=location_source',
        'Field(name="rain", dtype=Float64), Field(name="at", dtype=Int64)], source=location_source',
      ),
    )
    await feast().call('apply', { repo: versioned })
    const at = { $time: String(T0) }
    const columns = { location_id: [5], event_timestamp: [at], temp: [1.5], rain: [2.5], at: [3] }
    await feast().call('write_online', { repo: versioned, view: 'loc_stats', columns })
    const theirRows = await redisRows(redis(), 2)
    await flush(redis(), 2)
    const store = await openOurs(versioned)
    try {
      const { features } = (await store.registry())
        .storedViews('demo')
        .find(({ name }) => name === 'loc_stats')!
      const cellOf: Readonly<Record<string, Cell>> = { temp: 1.5, rain: 2.5, at: 3n }
      await store.writeToOnlineStore('loc_stats', {
        fields: [
          { name: 'location_id', type: { valueType: 'INT64' }, description: '', tags: {} },
          { name: 'event_timestamp', type: { valueType: 'UNIX_TIMESTAMP' }, description: '', tags: {} },
          ...features,
        ],
        columns: [[5n], [T0], ...features.map(({ name }) => [cellOf[name]!])],
        rowCount: 1,
      })
      expect(await redisRows(redis(), 2)).toEqual(theirRows)
      expect(JSON.stringify(theirRows)).toContain(Buffer.from('_ts:loc_stats_v1').toString('hex'))
      const serving = await store.serving()
      const features1 = ['loc_stats@v1:at', 'loc_stats@v1:temp']
      const { columns: found } = await serving.getOnlineFeatures({
        features: features1,
        entities: { location_id: [5] },
      })
      expect(found.slice(1).map(({ values }) => values)).toEqual([[3n], [1.5]])
      const there = await feast().call<Record<string, { values: string[] }>>('online', {
        repo: versioned,
        features: features1,
        entities: { location_id: [5] },
      })
      expect(there['at']!.values).toEqual(['2003'])
    } finally {
      await store.close()
    }
  })
}

function testCells(feast: () => RealFeast, redis: () => RedisServer): void {
  const open = (options: PairsOptions) => PairsStores.open(feast(), redis().address, options)
  const random = seededRandom('cells in Redis')

  it.each<[string, PairsOptions]>([
    ['plain', {}],
    ['entity key version 2', { version: 2 }],
    ['key_ttl_seconds', { more: { key_ttl_seconds: 5000 } }],
    ['skip_dedup', { more: { skip_dedup: true } }],
    [
      'skip_dedup, key_ttl_seconds, version 2',
      { version: 2, more: { skip_dedup: true, key_ttl_seconds: 60 } },
    ],
    ['a project with a strange name', { project: 'demo_2' }],
  ])('one batch by each gives the same hashes: %s', async (_, options) => {
    const rows = randomRows(random)
    const begun = Date.now()
    const [there, here] = [await open({ ...options, database: 4 }), await open({ ...options, database: 5 })]
    try {
      for (const table of [PAIRS, OTHERS]) {
        await there.writeTheirs(table, rows)
        await here.writeOurs(table, rows)
      }
      const found = await redisRows(redis(), 5)
      expect(Object.keys(found).length).toBeGreaterThan(5)
      expect(found).toEqual(await redisRows(redis(), 4))
      const ttls = await Promise.all([4, 5].map((database) => expiries(redis(), database)))
      const wanted = options.more?.['key_ttl_seconds']
      const spent = (Date.now() - begun) / 1000
      for (const ttl of ttls.flat()) {
        if (wanted === undefined) expect(ttl).toBe(-1)
        else expect(ttl).toBeLessThanOrEqual(Number(wanted))
        if (wanted !== undefined) expect(ttl).toBeGreaterThanOrEqual(Number(wanted) - Math.ceil(spent))
      }
    } finally {
      await Promise.all([there.close(), here.close()])
      for (const database of [4, 5]) await flush(redis(), database)
    }
  })

  describe('two writers at once', () => {
    let stores: PairsStores
    beforeAll(async () => {
      stores = await open({ database: 6 })
    })
    afterAll(() => stores?.close())

    const timeOf = async (id: number) => {
      const found = Object.entries(await redisRows(redis(), 6)).find(([key]) => key.includes(intKeyHex(id)))
      return found?.[1][redisField('pairs', 'trips').toString('hex')]
    }
    const trips = (value: bigint) => encodeValue({ valueType: 'INT64' }, value).toString('hex')

    it('leaves the newest row when ours is the last to write, whatever Python did meanwhile', async () => {
      for (let round = 0; round < 25; round++) {
        // No two rows of a key have the same time.
        const times = shuffled(random, 20).map((n) => T0 + BigInt(n) * 1_001n)
        const all = times.map((at, i) => row(i % 2 === 0 ? 1 : 2, at, at))
        const ours = all.filter((_, i) => i % 4 < 2)
        const theirs = all.filter((_, i) => i % 4 >= 2)
        await Promise.all([stores.writeTheirs(PAIRS, theirs), stores.writeOurs(PAIRS, ours)])
        await stores.writeOurs(PAIRS, ours)
        for (const id of [1, 2]) {
          const newest = all.filter((one) => one.id === id).reduce((a, b) => (a.at > b.at ? a : b))
          expect(await timeOf(id)).toBe(trips(newest.at))
        }
        await flush(redis(), 6)
      }
    })

    it('Python’s known fault: it looks, then writes, and a newer row in between is lost; ours sets it right', async () => {
      const folder = temporaryFolder('compat-held')
      const [older, newer] = [row(3, T0, 1n), row(3, T0 + 1n, 2n)]
      const python = stores.writeTheirs(PAIRS, [older], { folder })
      await until(() => existsSync(join(folder, 'held')))
      await stores.writeOurs(PAIRS, [newer])
      expect(await timeOf(3)).toBe(trips(2n))
      writeFileSync(join(folder, 'go'), '')
      await python
      expect(await timeOf(3)).toBe(trips(1n))
      await stores.writeOurs(PAIRS, [newer])
      expect(await timeOf(3)).toBe(trips(2n))
    })

    it('has no such fault itself: a row that arrives late changes nothing', async () => {
      await stores.writeTheirs(PAIRS, [row(4, T0 + 1n, 2n)])
      await stores.writeOurs(PAIRS, [row(4, T0, 1n)])
      await stores.writeOurs(PAIRS, [row(4, T0 + 1n, 3n)])
      expect(await timeOf(4)).toBe(trips(2n))
    })
  })

  describe('deletion', () => {
    const rows = [row(1, T0, 1n), row(2, T0, 2n, 'x', '*'), row(-1, T0, null)]

    /** Two projects, one's name the end of the other's, each with both views. */
    async function fill(database: number): Promise<readonly PairsStores[]> {
      await flush(redis(), database)
      const stores: PairsStores[] = []
      for (const project of ['demo', 'xdemo']) {
        const one = await open({ project, database })
        await one.writeTheirs(PAIRS, rows)
        await one.writeOurs(OTHERS, rows)
        stores.push(one)
      }
      return stores
    }
    const keysOf = async (database: number) =>
      Object.entries(await redisRows(redis(), database)).map(([key, fields]) => ({
        project: /[x]?demo$/.exec(Buffer.from(key, 'hex').toString('latin1'))![0],
        views: Object.keys(fields)
          .map((field) => Buffer.from(field, 'hex').toString('latin1'))
          .filter((field) => field.startsWith('_ts:'))
          .sort(),
        fields: Object.keys(fields).length,
      }))

    it('of a view leaves the hash that Python’s deletion leaves, and other projects alone', async () => {
      const [there] = await fill(7)
      const [here, neighbour] = await fill(8)
      await feast().call('delete_view_rows', { repo: there!.repo, view: 'pairs' })
      await here!.ours.teardown([PAIRS])
      const [theirs, ours] = [await keysOf(7), await keysOf(8)]
      const demo = (found: Awaited<ReturnType<typeof keysOf>>) =>
        found.filter(({ project }) => project === 'demo')
      expect(demo(ours)).toEqual(Array(3).fill({ project: 'demo', views: ['_ts:others'], fields: 2 }))
      expect(demo(ours)).toEqual(demo(theirs))
      const untouched = { project: 'xdemo', views: ['_ts:others', '_ts:pairs'], fields: 5 }
      expect(ours.filter(({ project }) => project === 'xdemo')).toEqual(Array(3).fill(untouched))
      // Python's known fault: `demo` is the end of `xdemo` too.
      expect(theirs.filter(({ project }) => project === 'xdemo')).not.toEqual(Array(3).fill(untouched))
      await neighbour!.close()
    })

    it('of all of a project leaves others alone, and what Python deletes is gone for us', async () => {
      const [demo, xdemo] = await fill(9)
      await demo!.ours.teardown([PAIRS, OTHERS], 'project')
      expect((await keysOf(9)).map(({ project }) => project)).toEqual(['xdemo', 'xdemo', 'xdemo'])
      await feast().call('teardown_rows', { repo: xdemo!.repo, views: ['pairs', 'others'] })
      expect(await keysOf(9)).toEqual([])
      await Promise.all([demo!.close(), xdemo!.close()])
    })
  })
}

function testCluster(feast: () => RealFeast): void {
  let nodes: readonly RedisServer[] = []
  let stores: PairsStores
  beforeAll(async () => {
    nodes = await startCluster()
    stores = await PairsStores.open(feast(), '', {
      connection: nodes.map(({ address }) => address).join(','),
      more: { redis_type: 'redis_cluster' },
    })
  }, 60_000)
  afterAll(async () => {
    await stores?.close()
    await Promise.all(nodes.map((node) => node.stop()))
  })

  it('holds the same after a batch by either, on the same nodes', async () => {
    const rows = randomRows(seededRandom('cells in a cluster'))
    const all = () => Promise.all(nodes.map((node) => redisRows(node)))
    await stores.writeTheirs(PAIRS, rows)
    const theirs = await all()
    expect(theirs.filter((node) => Object.keys(node).length > 0).length).toBeGreaterThan(1)
    await stores.ours.teardown([PAIRS])
    expect(await all()).toEqual([{}, {}, {}])
    await stores.writeOurs(PAIRS, rows)
    expect(await all()).toEqual(theirs)
    const key = { driver_id: { int64_val: String(rows[0]!.id) }, city: { string_val: rows[0]!.city } }
    const [found] = await feast().call<[string, object][]>('online_read', {
      repo: stores.repo,
      view: 'pairs',
      keys: [key],
      features: ['trips'],
    })
    expect(found![1]).toHaveProperty('trips')
  })
}

function shuffled(random: Random, count: number): readonly number[] {
  return random
    .times(count, (n) => ({ n, by: random.next() }))
    .sort((a, b) => a.by - b.by)
    .map(({ n }) => n)
}

const flush = (redis: RedisServer, database: number) =>
  redis.call('EVAL', "redis.call('SELECT', ARGV[1]) return redis.call('FLUSHDB')", 0, database)

async function expiries(redis: RedisServer, database: number): Promise<readonly number[]> {
  const script = `redis.call('SELECT', ARGV[1])
local found = {}
for i, key in ipairs(redis.call('KEYS', '*')) do found[i] = redis.call('TTL', key) end
return found`
  return (await redis.call('EVAL', script, 0, database)) as readonly number[]
}

if (!hasRedis) {
  it.skip(`Redis beside real Feast [skipped: ${NO_REDIS}]`, () => {})
} else {
  describeWithRealFeast('Redis beside real Feast', (feast) => {
    let redis: RedisServer
    beforeAll(async () => {
      redis = await RedisServer.start()
    })
    afterAll(() => redis?.stop())

    describe('materialized', () => testMaterialized(feast, () => redis))
    describe('cell by cell', () => testCells(feast, () => redis))
    describe('in a cluster', () => testCluster(feast))
  })
}
