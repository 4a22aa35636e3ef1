import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import { redisField } from '../../src/codec/field-hash.js'
import { encodeTimestamp, encodeTimestampParts } from '../../src/codec/timestamp.js'
import { parseInstant } from '../../src/core/instant.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { seededRandom } from '../compat/random.js'
import { RedisServer } from '../redis-server.js'
import { readCells } from './read-cells.js'
import {
  describeWithRedis,
  firstValues,
  hexOf,
  int,
  key,
  openRedis,
  row,
  SECOND,
  STATS,
  T0,
} from './redis-open.js'

interface StateRow {
  readonly join_keys: readonly string[]
  readonly entity_values: readonly string[]
  readonly values_hex: Readonly<Record<string, string>>
  readonly event_timestamp: string
}

type Hashes = Readonly<Record<string, Readonly<Record<string, string>>>>

interface StateVectors {
  readonly steps: readonly {
    readonly name: string
    readonly write: { readonly feature_view: string; readonly rows: readonly StateRow[] }
    readonly redis_after: Hashes
  }[]
}

const vectors: StateVectors = JSON.parse(
  readFileSync(new URL('../compat/vectors/online_store_state.json', import.meta.url), 'utf8'),
)

function vectorRow({ join_keys, entity_values, values_hex, event_timestamp }: StateRow) {
  const parts = entity_values.map((text) => {
    const value = text.slice(text.indexOf('=') + 1)
    return text.startsWith('int64_val')
      ? ({ type: { valueType: 'INT64' }, cell: BigInt(value) } as const)
      : ({ type: { valueType: 'STRING' }, cell: value } as const)
  })
  const joinKeys = join_keys.map((name, i) => ({ name, type: parts[i]!.type }))
  return {
    entityKey: entityKeyEncoder(joinKeys, 3)(parts.map(({ cell }) => cell)),
    values: Object.values(values_hex).map((hex) => Buffer.from(hex, 'hex')),
    eventTimestamp: parseInstant(event_timestamp, 'vector'),
    createdTimestamp: null,
  }
}

describeWithRedis('Redis, byte for byte', () => {
  let server: RedisServer
  let store: OnlineStore

  beforeAll(async () => {
    server = await RedisServer.start()
    store = await openRedis({ connection_string: server.address })
  })
  beforeEach(() => server.call('FLUSHALL'))
  afterAll(async () => {
    await store?.close()
    await server?.stop()
  })

  async function using<T>(
    options: Record<string, unknown>,
    run: (store: OnlineStore) => Promise<T>,
    context: Parameters<typeof openRedis>[1] = {},
  ): Promise<T> {
    const other = await openRedis({ connection_string: server.address, ...options }, context)
    try {
      return await run(other)
    } finally {
      await other.close()
    }
  }

  async function hashes(): Promise<Hashes> {
    const keys = (await server.call('KEYS', '*')) as readonly Buffer[]
    const entries = await Promise.all(
      keys.map(async (name) => {
        const flat = (await server.call('HGETALL', name)) as readonly Buffer[]
        const fields: Record<string, string> = {}
        for (let i = 0; i < flat.length; i += 2) {
          const field = flat[i]!
          const text = field.toString().startsWith('_ts:') ? field.toString() : field.toString('hex')
          fields[text] = flat[i + 1]!.toString('hex')
        }
        return [name.toString('hex'), fields] as const
      }),
    )
    return Object.fromEntries(entries)
  }

  const keyHex = (id: number, project = 'demo') =>
    Buffer.concat([key(id), Buffer.from(project)]).toString('hex')
  const ttlOf = (id: number) => server.call('PTTL', Buffer.from(keyHex(id), 'hex'))

  it('holds what Feast holds after the same writes', async () => {
    for (const { name, write, redis_after } of vectors.steps) {
      const { feature_view, rows } = write
      const features = Object.keys(rows[0]!.values_hex)
      const table = { name: feature_view, joinKeys: rows[0]!.join_keys, features }
      await store.write({ table, rows: rows.map(vectorRow) })
      expect({ name, state: await hashes() }).toEqual({ name, state: redis_after })
    }
    expect(vectors.steps.length).toBeGreaterThan(7)
  })

  it('reads what Feast wrote', async () => {
    const { redis_after } = vectors.steps[0]!
    for (const [name, fields] of Object.entries(redis_after)) {
      for (const [field, value] of Object.entries(fields)) {
        const bytes = field.startsWith('_ts:') ? field : Buffer.from(field, 'hex')
        await server.call('HSET', Buffer.from(name, 'hex'), bytes, Buffer.from(value, 'hex'))
      }
    }
    const { rows } = vectors.steps[0]!.write
    const features = Object.keys(rows[0]!.values_hex)
    const shape = {
      features: features.map((feature) => ({ view: 'driver_stats', feature })),
      views: ['driver_stats'],
    }
    const expected = rows.map(vectorRow)
    const keys = expected.map(({ entityKey }) => entityKey)
    const found = await readCells(store, shape, keys)
    expect(found).toEqual(expected.map((one) => [...one.values, encodeTimestamp(one.eventTimestamp)]))
  })

  it('has one round trip and one hash for all views with the same join keys', async () => {
    const other = { ...STATS, name: 'other' }
    await store.write({ table: STATS, rows: [row(1, [1, 2], T0)] })
    await store.write({ table: other, rows: [row(1, [3, 4], T0)] })
    expect(Object.keys(await hashes())).toEqual([keyHex(1)])
    const reader = store.prepareRead({
      features: [
        { view: 'stats', feature: 'a' },
        { view: 'other', feature: 'b' },
      ],
      views: ['stats', 'other'],
    })
    await reader.read([key(1)])
    await server.call('CONFIG', 'RESETSTAT')
    await reader.read([key(1), key(2)])
    const stats = String(await server.call('INFO', 'commandstats'))
    expect(/cmdstat_hmget:calls=(\d+)/.exec(stats)?.[1]).toBe('2')
    expect(/cmdstat_hget:calls/.test(stats)).toBe(false)
  })

  it('writes rows of thousands of features', async () => {
    const features = Array.from({ length: 7001 }, (_, i) => `f${i}`)
    const table: OnlineTable = { name: 'wide', joinKeys: ['user_id'], features }
    const values = features.map((_, i) => int(i))
    const entityKey = key(1)
    await store.write({ table, rows: [{ entityKey, values, eventTimestamp: T0, createdTimestamp: null }] })
    expect(await server.call('HLEN', Buffer.from(keyHex(1), 'hex'))).toBe(7002)
    const last = Buffer.from(keyHex(1), 'hex')
    expect(await server.call('HGET', last, redisField('wide', 'f7000'))).toEqual(int(7000))
  })

  it('writes values of any length', async () => {
    const lengths = [0, 1, 23, 24, 25, 31, 32, 255, 256, 65_535, 65_536, 200_000]
    const features = lengths.map((length) => `f${length}`)
    const table: OnlineTable = { name: 'long', joinKeys: ['user_id'], features }
    const values = lengths.map((length) => Buffer.alloc(length, '\r\n'))
    await store.write({ table, rows: [{ ...row(1, [], T0), values }] })
    const shape = { features: features.map((feature) => ({ view: 'long', feature })), views: ['long'] }
    const [found] = await readCells(store, shape, [key(1)])
    expect(found!.map((cell) => cell?.length)).toEqual([...lengths, encodeTimestamp(T0).length])
    values.forEach((value, i) => {
      expect(value.equals(found![i]!)).toBe(true)
    })
  })

  describe('times in the script', () => {
    const at = (seconds: bigint, nanos: number) => ({
      seconds,
      nanos,
      bytes: encodeTimestampParts(seconds, nanos),
    })
    const interesting = [
      [0n, 0],
      [0n, 1],
      [0n, 999_999_999],
      [-1n, 0],
      [-1n, 999_999_999],
      [-2n, 5],
      [1n, 0],
      [127n, 0],
      [128n, 0],
      [-128n, 0],
      [1_785_578_400n, 0],
      [1_785_578_400n, 1],
      [1_785_578_400n, 999_999_999],
      [253_402_300_799n, 999_999_999],
      [-62_135_596_800n, 0],
      [-62_135_596_800n, 1],
    ] as const

    it('are compared exactly, nanoseconds and negative ones too', async () => {
      const random = seededRandom('script times')
      const times = [
        ...interesting.map(([seconds, nanos]) => at(seconds, nanos)),
        ...random.times(40, () => {
          const nanos = random.chance(0.5) ? random.int(0, 999_999_999) : random.int(0, 999_999) * 1000
          return at(BigInt(random.int(-62_135_596_800, 253_402_300_799)), nanos)
        }),
      ]
      const hash = Buffer.from(keyHex(1), 'hex')
      for (const stored of times) {
        for (const next of times.filter(({ nanos }) => nanos % 1000 === 0)) {
          await server.call('HSET', hash, '_ts:stats', stored.bytes, redisField('stats', 'a'), 'old')
          const micros = next.seconds * SECOND + BigInt(next.nanos / 1000)
          await store.write({ table: STATS, rows: [row(1, [1, 2], micros)] })
          const isNewer =
            next.seconds > stored.seconds || (next.seconds === stored.seconds && next.nanos > stored.nanos)
          const value = String(await server.call('HGET', hash, redisField('stats', 'a')))
          expect({ stored, next, isOld: value === 'old' }).toEqual({ stored, next, isOld: !isNewer })
        }
      }
    })

    it('that are no Timestamp lose', async () => {
      const hash = Buffer.from(keyHex(1), 'hex')
      for (const bytes of [Buffer.from('ff', 'hex'), Buffer.from('08', 'hex'), Buffer.from('nonsense')]) {
        await server.call('HSET', hash, '_ts:stats', bytes, redisField('stats', 'a'), 'old')
        await store.write({ table: STATS, rows: [row(1, [1, 2], -5n)] })
        expect(await firstValues(store, [1])).toEqual([hexOf(1)])
      }
    })
  })

  it('loads its script again after SCRIPT FLUSH', async () => {
    await store.write({ table: STATS, rows: [row(1, [1, 2], T0)] })
    await server.call('SCRIPT', 'FLUSH')
    await store.write({ table: STATS, rows: [row(1, [3, 4], T0 + 1n)] })
    expect(await firstValues(store, [1])).toEqual([hexOf(3)])
  })

  describe('key_ttl_seconds', () => {
    it('is set by a newer row, refreshed by an equal one, left alone by an older one', async () => {
      await using({ key_ttl_seconds: 1000 }, async (expiring) => {
        const hash = Buffer.from(keyHex(1), 'hex')
        const write = (at: bigint) => expiring.write({ table: STATS, rows: [row(1, [1, 2], at)] })
        await write(T0)
        expect(await ttlOf(1)).toBeGreaterThan(990_000)
        await server.call('EXPIRE', hash, 10)
        await write(T0 - 1n)
        expect(await ttlOf(1)).toBeLessThanOrEqual(10_000)
        await write(T0)
        expect(await ttlOf(1)).toBeGreaterThan(990_000)
        await server.call('EXPIRE', hash, 10)
        await write(T0 + 1n)
        expect(await ttlOf(1)).toBeGreaterThan(990_000)
      })
    })

    it('is not set without the option', async () => {
      await store.write({ table: STATS, rows: [row(1, [1, 2], T0)] })
      expect(await ttlOf(1)).toBe(-1)
    })
  })

  describe('skip_dedup', () => {
    it('writes what comes, the last row of a batch last', async () => {
      await using({ skip_dedup: true, key_ttl_seconds: 500 }, async (blind) => {
        await blind.write({
          table: STATS,
          rows: [row(1, [1, 2], T0), row(2, [9, 9], T0), row(1, [3, 4], T0 - 5n)],
        })
        expect(await firstValues(blind, [1, 2])).toEqual([hexOf(3), hexOf(9)])
        await blind.write({ table: STATS, rows: [row(1, [5, 6], T0 - SECOND)] })
        expect(await firstValues(blind, [1])).toEqual([hexOf(5)])
        expect(await ttlOf(1)).toBeGreaterThan(490_000)
        const stats = String(await server.call('INFO', 'commandstats'))
        expect(/cmdstat_hset:calls/.test(stats)).toBe(true)
      })
    })

    it('leaves the bytes that a checked write leaves', async () => {
      const rows = Array.from({ length: 500 }, (_, id) => row(id, [id, -id], T0 + BigInt(id)))
      await store.write({ table: STATS, rows })
      const checked = await hashes()
      await server.call('FLUSHALL')
      await using({ skip_dedup: true }, (blind) => blind.write({ table: STATS, rows }))
      expect(await hashes()).toEqual(checked)
    })
  })

  describe('deletion', () => {
    const OTHER: OnlineTable = { ...STATS, name: 'other' }

    async function writeIn(project: string, table: OnlineTable, ids: readonly number[]): Promise<void> {
      const rows = ids.map((id) => row(id, [id, id], T0))
      await using({}, (its) => its.write({ table, rows }), { project })
    }

    it('leaves other views, other projects, and keys that only look alike', async () => {
      await store.write({ table: STATS, rows: [row(1, [1, 1], T0), row(2, [2, 2], T0)] })
      await store.write({ table: OTHER, rows: [row(2, [2, 2], T0)] })
      await writeIn('xdemo', STATS, [1])
      await writeIn('demo2', STATS, [1])
      await server.call('SET', Buffer.concat([key(77), Buffer.from('!demo')]), 'a string')
      await server.call(
        'HSET',
        Buffer.concat([key(78).subarray(0, -3), Buffer.from('demo')]),
        '_ts:stats',
        '',
      )
      const before = await hashesButStrings()
      await store.teardown([STATS])
      const after = await hashesButStrings()
      const gone = Object.keys(before).filter((name) => !(name in after))
      expect(gone).toEqual([keyHex(1)])
      expect(Object.keys(after[keyHex(2)]!).sort()).toEqual(
        ['_ts:other', ...OTHER.features.map((name) => redisField('other', name).toString('hex'))].sort(),
      )
      expect(after[keyHex(1, 'xdemo')]).toEqual(before[keyHex(1, 'xdemo')])
      expect(await server.call('EXISTS', Buffer.concat([key(77), Buffer.from('!demo')]))).toBe(1)
    })

    async function hashesButStrings(): Promise<Hashes> {
      const stray = Buffer.concat([key(77), Buffer.from('!demo')])
      const kept = await server.call('GET', stray)
      await server.call('DEL', stray)
      const found = await hashes()
      if (Buffer.isBuffer(kept)) await server.call('SET', stray, kept)
      return found
    }

    it('of the last view takes fields of features that are in no definition any more', async () => {
      await store.write({ table: { ...STATS, features: ['gone', 'b'] }, rows: [row(1, [1, 1], T0)] })
      await store.teardown([STATS])
      expect(await hashes()).toEqual({})
    })

    it('of several views at once, and of a versioned one', async () => {
      const versioned = { ...STATS, name: 'stats_v2' }
      for (const table of [STATS, OTHER, versioned]) await store.write({ table, rows: [row(1, [1, 1], T0)] })
      await store.teardown([STATS, versioned])
      expect(Object.keys((await hashes())[keyHex(1)]!)).toContain('_ts:other')
      expect(Object.keys((await hashes())[keyHex(1)]!)).toHaveLength(3)
      await store.teardown([OTHER, STATS])
      expect(await hashes()).toEqual({})
    })

    it('knows names that are patterns to Redis, and keys of every kind of value', async () => {
      const names = ['a*b', '[x]', 'q?', 'back\\slash', 'hat^-]', 'ü\u{1F600}']
      const types = ['INT64', 'STRING', 'BYTES', 'INT32', 'UNIX_TIMESTAMP'] as const
      const cells = { INT64: 42n, STRING: '*?[', BYTES: Buffer.from('\\*'), INT32: 0x2a, UNIX_TIMESTAMP: T0 }
      const project = 'pro*je[ct'
      for (const name of names) {
        const joinKeys = types.map((valueType) => ({ name: `${name}_${valueType}`, type: { valueType } }))
        const encode = entityKeyEncoder(joinKeys, 3)
        const table = { ...STATS, joinKeys: joinKeys.map((one) => one.name) }
        const mine = { ...row(0, [1, 2], T0), entityKey: encode(types.map((type) => cells[type])) }
        await using({}, (its) => its.write({ table, rows: [mine] }), { project: 'pro-je[ct' })
        await using(
          {},
          async (its) => {
            await its.write({ table, rows: [mine] })
            await its.teardown([table])
          },
          { project },
        )
      }
      const left = Object.keys(await hashes())
      expect(left).toHaveLength(names.length)
      for (const hex of left) expect(Buffer.from(hex, 'hex').toString()).toContain('pro-je[ct')
    })

    it('finds keys of serialization version 2', async () => {
      const encode = entityKeyEncoder([{ name: 'user_id', type: { valueType: 'INT64' } }], 2)
      await using(
        {},
        async (its) => {
          await its.write({ table: STATS, rows: [{ ...row(1, [1, 2], T0), entityKey: encode([1n]) }] })
          const shape = { features: [{ view: 'stats', feature: 'a' }], views: ['stats'] }
          expect(await readCells(its, shape, [encode([1n])])).toEqual([[int(1), encodeTimestamp(T0)]])
          await its.teardown([STATS])
        },
        { version: 2 },
      )
      expect(await hashes()).toEqual({})
    })

    it('goes through many keys', async () => {
      const ids = Array.from({ length: 5000 }, (_, id) => id)
      await store.write({ table: STATS, rows: ids.map((id) => row(id, [id, id], T0)) })
      await writeIn('xdemo', STATS, [1, 2, 3])
      await store.teardown([STATS])
      expect(await server.call('DBSIZE')).toBe(3)
    })

    it('does not scan with full_scan_for_deletion: false, and says so', async () => {
      const warnings: string[] = []
      const logger = {
        debug() {},
        info() {},
        error() {},
        warn: (_: object, text = '') => void warnings.push(text),
      }
      await using(
        { full_scan_for_deletion: false },
        async (its) => {
          await its.write({ table: STATS, rows: [row(1, [1, 2], T0)] })
          await its.teardown([STATS])
          expect(await firstValues(its, [1])).toEqual([hexOf(1)])
          expect(warnings.join()).toContain('full_scan_for_deletion')
          await its.teardown([STATS], 'project')
          expect(await hashes()).toEqual({})
        },
        { logger },
      )
    })

    it('of a project takes what is left of views that nobody remembers, and nothing of others', async () => {
      await store.write({ table: STATS, rows: [row(1, [1, 1], T0)] })
      await store.write({
        table: { ...STATS, name: 'forgotten' },
        rows: [row(1, [1, 1], T0), row(2, [1, 1], T0)],
      })
      await writeIn('xdemo', STATS, [1])
      await store.teardown([STATS], 'project')
      expect(Object.keys(await hashes())).toEqual([keyHex(1, 'xdemo')])
    })
  })
})
