import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
// Jest's module loader trips over two dynamic imports at once; what the store loads lazily is loaded here first.
import '../../src/compute-engines/local/index.js'
import '../../src/feature-store/apply.js'
import '../../src/feature-store/delete-object.js'
import '../../src/feature-store/materialize.js'
import '../../src/feature-store/precompute.js'
import '../../src/feature-store/push.js'
import '../../src/feature-store/teardown.js'
import '../../src/offline-stores/duckdb/index.js'
import '../../src/online-stores/redis/index.js'
import '../../src/serving/online-serving.js'
import { redisField } from '../../src/codec/field-hash.js'
import type { Definition } from '../../src/core/definition.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import {
  entity,
  featureService,
  featureView,
  fileSource,
  Int64,
  mapJoinKeys,
  pick,
  pushSource,
  rename,
  String as StringType,
  UnixTimestamp,
} from '../../src/index.js'
import { seededRandom } from '../compat/random.js'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { RedisAsker as Asker, type RedisAsker, RedisServer } from '../redis-server.js'
import { at, batchOf, errorOf, repoOf, Workbench } from './workbench.js'

const NOON = at('2026-08-01T12:00:00Z')
const SECOND = 1_000_000n
const MANY = 100_500

const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
const shop = entity({ name: 'shop', joinKey: 'shop_id', valueType: Int64 })
const history = fileSource({
  name: 'history',
  path: 'data/history.parquet',
  timestampField: 'event_timestamp',
})
const pushed = pushSource({ name: 'payments', batchSource: history })
const spending = featureView({
  name: 'spending',
  entities: [user],
  schema: { paid: Int64, note: StringType },
  source: pushed,
  ttl: '36500d',
})
const logins = featureView({ name: 'logins', entities: [user], schema: { count: Int64 }, source: history })
const sales = featureView({ name: 'sales', entities: [shop], schema: { sold: Int64 }, source: history })
const limits = featureService({
  name: 'limits',
  features: [spending, rename(logins, 'seen')],
  precomputeOnline: true,
})
const REFS = ['spending:paid', 'spending:note', 'logins:count']

describeWithRedis('precomputed vectors', () => {
  let server: RedisServer
  let asker: RedisAsker
  let bench: Workbench

  beforeAll(async () => {
    server = await RedisServer.start()
    asker = new Asker(server.port)
  })
  afterAll(async () => {
    asker?.close()
    await server?.stop()
  })
  beforeEach(async () => {
    bench = new Workbench()
    useOnlineStore('  type: redis\n', `  connection_string: ${server.address}\n`)
    await bench.parquet(
      'data/history.parquet',
      `SELECT i AS user_id, i AS shop_id, i * 7 AS paid, 'note ' || i AS note, i * 3 AS "count", i AS sold,
       TIMESTAMP '2026-08-01 00:00:00' AS event_timestamp FROM range(50) AS t(i)`,
    )
  })
  afterEach(async () => {
    await bench.close()
    await server.call('FLUSHALL')
  })

  function useOnlineStore(...lines: readonly string[]): void {
    writeFileSync(
      join(bench.path, 'feature_store.yaml'),
      `project: demo\nprovider: local\nregistry: data/registry.db\nonline_store:\n${lines.join('')}offline_store:\n  type: duckdb\nentity_key_serialization_version: 3\n`,
    )
  }

  const ALL: readonly Definition[] = [user, shop, spending, logins, sales, limits]
  async function opened(...definitions: readonly Definition[]): Promise<FeatureStore> {
    const store = await bench.open()
    await store.apply(repoOf(...(definitions.length > 0 ? definitions : ALL)))
    return store
  }

  const materialize = (store: FeatureStore, views?: readonly string[]) =>
    store.materialize({ mode: 'range', start: 0n, end: NOON, ...(views && { views }) })

  async function answer(store: FeatureStore, request: object, ids: readonly number[]) {
    const serving = await store.serving()
    const { body } = await serving.answer(
      { ...request, entities: { user_id: ids }, fullFeatureNames: true },
      'json',
    )
    return JSON.parse(body.toString()).results.slice(1)
  }
  const byVector = (store: FeatureStore, ids: readonly number[], featureService = 'limits') =>
    answer(store, { featureService }, ids)
  const byRows = (store: FeatureStore, ids: readonly number[], features: readonly string[] = REFS) =>
    answer(store, { features }, ids)

  const push = (store: FeatureStore, rows: readonly { user_id: bigint; paid: bigint; time: bigint }[]) =>
    store.push({
      pushSource: 'payments',
      to: 'online',
      rows: batchOf(
        { user_id: Int64, paid: Int64, note: StringType, event_timestamp: UnixTimestamp },
        rows.map(({ user_id, paid, time }) => ({ user_id, paid, note: `${paid}`, event_timestamp: time })),
      ),
    })

  /** Takes a feature's values out of the rows, whose times stay: only a vector still has them. */
  async function loseFeature(view: string, feature: string): Promise<void> {
    for (const key of await keys()) await asker.call('HDEL', key, redisField(view, feature))
  }
  /** Of users. */
  const keys = async () =>
    ((await asker.call('KEYS', '*user_id*')) as readonly Buffer[]).map((key) => Buffer.from(key))
  const vectorCount = async (service = 'limits') => {
    const fields = [redisField(`__precomputed__${service}`, 'vector'), `_ts:__precomputed__${service}`]
    const found = await Promise.all((await keys()).map((key) => asker.call('HMGET', key, ...fields)))
    return found.filter((reply) => (reply as readonly unknown[]).every((cell) => cell !== null)).length
  }

  const IDS = Array.from({ length: 52 }, (_, id) => id)

  it('materialize makes them, and reads use them', async () => {
    const store = await opened()
    const { views, services } = await materialize(store)
    expect(views.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done'])
    expect(services).toEqual([
      { service: 'limits', entities: 50, vectors: 50, outcome: 'done', elapsedMs: expect.any(Number) },
    ])
    const before = await byVector(store, IDS)
    expect(before).toEqual(await byRows(store, IDS))
    expect(before[0].values.slice(48)).toEqual([48 * 7, 49 * 7, null, null])
    expect(before[0].statuses.slice(49, 51)).toEqual(['PRESENT', 'NOT_FOUND'])
    await loseFeature('spending', 'paid')
    await loseFeature('logins', 'count')
    expect(await byVector(store, IDS)).toEqual(before)
    expect((await byRows(store, IDS))[0].statuses[0]).toBe('NULL_VALUE')
  })

  it('a run that touches no view of a service leaves it alone', async () => {
    const store = await opened()
    expect(await materialize(store, ['sales'])).not.toHaveProperty('services')
    expect(await vectorCount()).toBe(0)
  })

  it('of many entities too', async () => {
    await bench.parquet(
      'data/history.parquet',
      `SELECT i AS user_id, i AS shop_id, i AS paid, 'note' AS note, i * 3 AS "count", i AS sold,
       TIMESTAMP '2026-08-01 00:00:00' AS event_timestamp FROM range(${MANY}) AS t(i)`,
    )
    const store = await opened()
    // One view, so that the entities of the run are just too many to be remembered.
    const { services } = await materialize(store, ['spending'])
    expect(services).toEqual([expect.objectContaining({ outcome: 'done', vectors: MANY })])
    const [paid] = await byVector(store, [0, MANY - 1, MANY])
    expect(paid.values).toEqual([0, MANY - 1, null])
  }, 60_000)

  it('a push makes those of the entities that it names', async () => {
    const store = await opened()
    await push(store, [{ user_id: 3n, paid: 5n, time: NOON }])
    expect(await vectorCount()).toBe(1)
    await push(store, [
      { user_id: 3n, paid: 6n, time: NOON + 1n },
      { user_id: 4n, paid: 7n, time: NOON },
    ])
    await loseFeature('spending', 'paid')
    expect((await byVector(store, [3, 4]))[0].values).toEqual([6, 7])
    await store.writeToOnlineStore(
      'logins',
      batchOf({ user_id: Int64, count: Int64, event_timestamp: UnixTimestamp }, [
        { user_id: 3n, count: 9n, event_timestamp: NOON },
      ]),
    )
    await loseFeature('logins', 'count')
    // The row of spending has lost its value, and the vector was made anew from it.
    expect((await byVector(store, [3, 4])).map(({ values }: { values: unknown }) => values)).toEqual([
      [null, 7],
      ['6', '7'],
      [9, null],
    ])
  })

  it('whatever lies in place of a vector, the rows are read', async () => {
    const store = await opened()
    await materialize(store)
    const rows = await byRows(store, IDS)
    const field = redisField('__precomputed__limits', 'vector')
    const random = seededRandom('broken vectors')
    for (const key of await keys()) {
      const vector = Buffer.from((await asker.call('HGET', key, field)) as Buffer)
      const broken = random.pick([
        Buffer.alloc(0),
        vector.subarray(0, random.int(0, vector.length - 1)),
        Buffer.concat([vector, Buffer.from([0])]),
        Buffer.from([0x12, ...vector.subarray(1)]),
        Buffer.from([0x0a, 0]),
        Buffer.alloc(40, 0xff),
      ])
      await asker.call('HSET', key, field, broken)
    }
    expect(await byVector(store, IDS)).toEqual(rows)
    await loseFeature('spending', 'paid')
    expect(await byVector(store, IDS)).toEqual(await byRows(store, IDS))
  })

  it('a row that was written without its vector is what is read', async () => {
    const store = await opened()
    await materialize(store)
    const online = await store.onlineStore()
    const withoutVectors = { ...online, write: online.write.bind(online) }
    for (const key of (await keys()).slice(0, 20)) {
      await withoutVectors.write({
        table: { name: 'logins', joinKeys: ['user_id'], features: ['count'] },
        rows: [
          {
            entityKey: key.subarray(0, key.length - 'demo'.length),
            values: [Buffer.from([0x20, 77])],
            eventTimestamp: NOON,
            createdTimestamp: null,
          },
        ],
      })
    }
    const read = await byVector(store, IDS)
    expect(read).toEqual(await byRows(store, IDS))
    expect(read[2].values.filter((value: unknown) => value === 77)).toHaveLength(20)
    const { services } = await store.precompute()
    expect(services).toEqual([expect.objectContaining({ vectors: 50 })])
    await loseFeature('logins', 'count')
    expect(await byVector(store, IDS)).toEqual(read)
  })

  it('a service that changed is read from rows until its vectors are made anew', async () => {
    const store = await opened()
    await materialize(store)
    await store.apply(
      repoOf(
        user,
        spending,
        logins,
        featureService({ ...limits, features: [logins, spending], precomputeOnline: true }),
      ),
    )
    await loseFeature('spending', 'note')
    await store.refreshRegistry()
    const [, , note] = await byVector(store, [1])
    expect(note.statuses).toEqual(['NULL_VALUE'])
    await store.precompute()
    await loseFeature('logins', 'count')
    expect((await byVector(store, [1]))[0].values).toEqual([3])
  })

  it('the same view under two names', async () => {
    const twice = featureService({
      name: 'twice',
      features: [
        pick(spending, 'note'),
        rename(pick(spending, 'paid', 'note'), 'again'),
        pick(logins, 'count'),
      ],
      precomputeOnline: true,
    })
    const store = await opened(user, spending, logins, twice)
    await materialize(store)
    await loseFeature('spending', 'note')
    const [note, paid, again, count] = await byVector(store, [2, 60], 'twice')
    expect([note, again].map(({ values }) => values)).toEqual([
      ['note 2', null],
      ['note 2', null],
    ])
    expect([paid.values, count.values]).toEqual([
      [14, null],
      [6, null],
    ])
  })

  it('a view looked up by another column', async () => {
    const friend = featureService({
      name: 'friend',
      features: [mapJoinKeys(spending, { user_id: 'friend_id' })],
      precomputeOnline: true,
    })
    const store = await opened(user, spending, friend)
    await materialize(store)
    await loseFeature('spending', 'paid')
    const { columns } = await (await store.serving()).getOnlineFeatures({
      featureService: 'friend',
      entities: { friend_id: [3] },
    })
    expect(columns.find(({ name }) => name === 'paid')!.values).toEqual([21n])
  })

  it('go with their service, or when it asks for none any more', async () => {
    const store = await opened()
    await materialize(store)
    expect(await vectorCount()).toBe(50)
    await store.apply(
      repoOf(
        ...ALL.slice(0, -1),
        featureService({ ...limits, features: [spending], precomputeOnline: false }),
      ),
    )
    expect(await vectorCount()).toBe(0)
    await store.apply(repoOf(...ALL))
    await store.precompute()
    expect(await vectorCount()).toBe(50)
    await store.apply(repoOf(...ALL.slice(0, -1)), { prune: true })
    expect(await vectorCount()).toBe(0)
    await store.apply(repoOf(...ALL))
    await store.precompute()
    await store.deleteObject('limits')
    expect(await vectorCount()).toBe(0)
    expect(await byRows(store, [1])).toHaveLength(3)
    await store.apply(repoOf(...ALL))
    await store.precompute()
    await store.teardown()
    expect(await server.call('DBSIZE')).toBe(0)
  })

  it('are not made of a service whose views have different keys, which says so', async () => {
    const wide = featureService({ name: 'wide', features: [spending, sales], precomputeOnline: true })
    const store = await opened(user, shop)
    const { warnings } = await store.apply(repoOf(user, shop, spending, sales, wide))
    expect(warnings).toEqual([
      expect.stringMatching(/"wide": precomputeOnline does nothing.*user_id; shop_id/),
    ])
    const { services } = await materialize(store)
    expect(services).toEqual([
      expect.objectContaining({ outcome: 'failed', error: expect.stringContaining('different keys') }),
    ])
    const { columns } = await (await store.serving()).getOnlineFeatures({
      featureService: 'wide',
      entities: { user_id: [2], shop_id: [5] },
    })
    expect(columns.map(({ values }) => values[0])).toEqual([2n, 5n, 14n, 'note 2', 5n])
    expect(await errorOf(store.precompute({ services: ['wide'] }))).toMatchObject({ code: 'INVALID_REQUEST' })
    expect(await errorOf(store.precompute({ services: ['nobody'] }))).toMatchObject({
      code: 'FEATURE_SERVICE_NOT_FOUND',
    })
  })

  it('an online store without vectors serves the rows', async () => {
    useOnlineStore('  type: sqlite\n', '  path: data/online.db\n')
    const store = await opened()
    expect(await materialize(store)).not.toHaveProperty('services')
    expect(await byVector(store, IDS)).toEqual(await byRows(store, IDS))
    expect((await errorOf(store.precompute({ services: ['limits'] }))).message).toMatch(
      /sqlite\) keeps no vectors/,
    )
  })

  it('do not prolong the life of an entity, nor bring it back', async () => {
    useOnlineStore('  type: redis\n', `  connection_string: ${server.address}\n`, '  key_ttl_seconds: 1000\n')
    const store = await opened()
    await materialize(store)
    for (const key of await keys()) await asker.call('EXPIRE', key, 100)
    await store.precompute()
    for (const key of await keys()) expect(await asker.call('TTL', key)).toBeLessThanOrEqual(100)
    const { vectors } = await store.onlineStore()
    const [key] = await keys()
    await asker.call('DEL', key!)
    await vectors!.write({
      table: { name: '__precomputed__limits', joinKeys: ['user_id'], features: ['vector'] },
      rows: [
        {
          entityKey: key!.subarray(0, key!.length - 'demo'.length),
          values: [Buffer.from([0x0a, 0])],
          eventTimestamp: NOON,
          createdTimestamp: null,
        },
      ],
    })
    expect(await asker.call('EXISTS', key!)).toBe(0)
  })

  describe('with several writers', () => {
    /**
     * Two processes' worth of pushes to a few entities, with vectors made of all of them over and over beside that.
     * Whoever crosses whom: what was acknowledged is read, and no read goes back in time.
     */
    it('what was acknowledged is what is read', async () => {
      const stores = [await opened(), await bench.open()]
      await Promise.all(stores.map((store) => store.refreshRegistry()))
      const random = seededRandom('concurrent vectors')
      const acknowledged = new Map<number, number>()
      const entities = [1, 2, 3]
      let step = 0
      let running = true
      const write = async (store: FeatureStore) => {
        while (step < 600) {
          const user_id = random.pick(entities)
          const paid = ++step
          await push(store, [
            { user_id: BigInt(user_id), paid: BigInt(paid), time: NOON + BigInt(paid) * SECOND },
          ])
          acknowledged.set(user_id, Math.max(acknowledged.get(user_id) ?? 0, paid))
        }
      }
      const rebuild = async (store: FeatureStore) => {
        while (running) await store.precompute()
      }
      let reads = 0
      const read = async (store: FeatureStore) => {
        const seen = new Map<number, number>()
        while (running) {
          const least = new Map(acknowledged)
          const [paid, note] = await byVector(store, entities)
          entities.forEach((id, i) => {
            const value = paid.values[i] ?? 0
            expect(value).toBeGreaterThanOrEqual(Math.max(least.get(id) ?? 0, seen.get(id) ?? 0))
            if (value > 0) {
              expect(note.values[i]).toBe(String(value))
              expect(Date.parse(paid.event_timestamps[i])).toBe(Number(NOON / 1000n) + value * 1000)
            }
            seen.set(id, value)
          })
          reads++
        }
      }
      const others = [...stores.map(rebuild), ...stores.map(read)]
      await Promise.all([...stores, ...stores].map(write)).finally(() => {
        running = false
      })
      await Promise.all(others)
      expect(reads).toBeGreaterThan(10)
      await stores[0]!.precompute()
      const last = await byVector(stores[1]!, entities)
      expect(last[0].values).toEqual(entities.map((id) => acknowledged.get(id)))
      await loseFeature('spending', 'paid')
      expect(await byVector(stores[1]!, entities)).toEqual(last)
    }, 30_000)

    it('a vector from a clock that is ahead is replaced', async () => {
      const store = await opened()
      await push(store, [{ user_id: 1n, paid: 1n, time: NOON }])
      const [key] = await keys()
      const ahead = Buffer.from('08ffffffff0f', 'hex')
      await asker.call('HSET', key!, '_ts:__precomputed__limits', ahead)
      await push(store, [{ user_id: 1n, paid: 2n, time: NOON + 1n }])
      await loseFeature('spending', 'paid')
      expect((await byVector(store, [1]))[0].values).toEqual([2])
    })
  })
})
