import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { EncodedRow } from '../../src/codec/rows.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import type { Cell } from '../../src/core/cell.js'
import type { OnlineTable } from '../../src/online-stores/online-store.js'
import { appendCrc64 } from '../../src/online-stores/redis/crc64.js'
import { type Random, seededRandom } from '../compat/random.js'
import { RedisServer, startCluster } from '../redis-server.js'
import {
  describeWithRedis,
  firstValues,
  hexOf,
  key,
  openRedis,
  row,
  SECOND,
  STATS,
  T0,
} from './redis-open.js'

describe('CRC-64', () => {
  it.each([
    ['123456789', 'cad9b8c414d9c6e9'],
    ['', '0000000000000000'],
  ])('of %j', (text, sum) => {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.alloc(8)])
    expect(appendCrc64(bytes, 0, text.length)).toBe(bytes.length)
    expect(bytes.toString('hex', text.length)).toBe(sum)
  })
})

/** Values of all lengths that decide something, and of texts that look like numbers to Redis. */
function randomRow(id: number, features: number, random: Random): EncodedRow {
  // One long text in many would leave no row of hundreds that is stored as a list; the first rows decide for the rest.
  const short = [1, 30, 60, 61, 62]
  const lengths = id < 5 ? short : random.pick([short, [...short, 63, 64, 200]])
  const value = (): Buffer => {
    const cell = random.pick<Cell>([
      null,
      '',
      'x'.repeat(random.pick(lengths)),
      String(random.int(-99_999, 99_999)),
    ])
    return random.pick([
      () => encodeValue({ valueType: 'STRING' }, cell),
      () => encodeValue({ valueType: 'INT64' }, BigInt(random.int(-5, 1_000_000))),
      () => encodeValue({ valueType: 'DOUBLE' }, random.int(-1000, 1000) / 7),
      () => Buffer.from(String(random.int(0, 10_000))),
    ])()
  }
  return {
    entityKey: key(id),
    values: Array.from({ length: features }, value),
    eventTimestamp: random.pick([0n, T0, T0 + BigInt(random.int(-SECONDS, SECONDS)), -5n]),
    createdTimestamp: null,
  }
}
const SECONDS = 2_000_000

function tableOf(features: number): OnlineTable {
  return {
    name: 'wide',
    joinKeys: ['user_id'],
    features: Array.from({ length: features }, (_, i) => `f${i}`),
  }
}

describeWithRedis('entities that are new to Redis', () => {
  let server: RedisServer
  let connection_string: string
  beforeAll(async () => {
    const args = ['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'yes']
    server = await RedisServer.start(args)
    connection_string = server.address
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    await server.call('FLUSHALL')
    await server.call('CONFIG', 'RESETSTAT')
  })

  async function calls(command: string): Promise<number> {
    const stats = String(await server.call('INFO', 'commandstats'))
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  }
  const failed = async (command: string) => {
    const stats = String(await server.call('INFO', 'commandstats'))
    return Number(new RegExp(`cmdstat_${command}:.*failed_calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  }

  it.each([0, 1, 10, 250, 600, 3500])(
    'are what an HSET makes of them, with %i features',
    async (features) => {
      const random = seededRandom(`new hashes ${features}`)
      const table = tableOf(features)
      const rows = Array.from({ length: features > 500 ? 10 : 300 }, (_, id) =>
        randomRow(id, features, random),
      )
      const found: unknown[] = []
      for (const skip_dedup of [true, false]) {
        await server.call('FLUSHALL')
        const store = await openRedis({ connection_string, skip_dedup })
        await store.write({ table, rows })
        const encodings = await Promise.all(rows.map(({ entityKey }) => encodingOf(entityKey)))
        found.push({ digest: String(await server.call('DEBUG', 'DIGEST')), encodings: encodings.join() })
        await store.close()
      }
      expect(found[1]).toEqual(found[0])
      expect(await calls('restore')).toBeGreaterThan(0)
    },
  )

  const encodingOf = async (entityKey: Buffer) =>
    String(await server.call('OBJECT', 'ENCODING', Buffer.concat([entityKey, Buffer.from('demo')])))

  it('can be written to afterwards, field by field', async () => {
    const store = await openRedis({ connection_string })
    const ids = Array.from({ length: 1000 }, (_, id) => id)
    await store.write({ table: STATS, rows: ids.map((id) => row(id, [id, 1], T0)) })
    expect(await calls('evalsha')).toBe(0)
    await store.write({
      table: STATS,
      rows: ids.map((id) => row(id, [id + 1, 2], T0 + BigInt((id % 3) - 1))),
    })
    expect(await firstValues(store, ids)).toEqual(ids.map((id) => hexOf(id % 3 === 2 ? id + 1 : id)))
    await store.close()
  })

  it('newest wins where a key comes twice, and over what is there', async () => {
    const store = await openRedis({ connection_string })
    await store.write({ table: STATS, rows: [row(1, [1, 1], T0), row(2, [1, 1], T0 + SECOND)] })
    const many = Array.from({ length: 600 }, (_, i) => row(10 + i, [i, i], T0))
    const rows = [
      row(1, [2, 2], T0 + SECOND),
      row(2, [2, 2], T0),
      row(3, [1, 1], T0),
      ...many,
      row(3, [2, 2], T0 + 1n),
      row(3, [3, 3], T0),
    ]
    await store.write({ table: STATS, rows })
    expect(await firstValues(store, [1, 2, 3, 10, 609])).toEqual([2, 1, 2, 0, 599].map(hexOf))
    await store.close()
  })

  it('expire, and not later than others', async () => {
    const store = await openRedis({ connection_string, key_ttl_seconds: 100 })
    await store.write({ table: STATS, rows: Array.from({ length: 500 }, (_, id) => row(id, [id, id], T0)) })
    for (const id of [0, 499]) {
      const left = await server.call('PTTL', Buffer.concat([key(id), Buffer.from('demo')]))
      expect(left).toBeGreaterThan(90_000)
      expect(left).toBeLessThanOrEqual(100_000)
    }
    await store.close()
  })

  it('are not asked for on and on where most entities are there', async () => {
    const store = await openRedis({ connection_string })
    const rows = (at: bigint) => Array.from({ length: 2000 }, (_, id) => row(id, [id, id], at))
    await store.write({ table: STATS, rows: rows(T0) })
    expect([await calls('restore'), await failed('restore')]).toEqual([2000, 0])
    await store.write({ table: STATS, rows: rows(T0 + 1n) })
    expect([await calls('restore'), await failed('restore')]).toEqual([2200, 200])
    await store.close()
  })

  it('go by the script where RESTORE is forbidden', async () => {
    await server.call(
      'ACL',
      'SETUSER',
      'writer',
      'on',
      '>secret',
      '~*',
      '+hget',
      '+hset',
      '+eval',
      '+evalsha',
    )
    const store = await openRedis({
      connection_string: `${connection_string},username=writer,password=secret`,
    })
    const ids = Array.from({ length: 1000 }, (_, id) => id)
    await store.write({ table: STATS, rows: ids.map((id) => row(id, [id, 1], T0)) })
    await store.close()
    const reader = await openRedis({ connection_string })
    expect(await firstValues(reader, ids)).toEqual(ids.map(hexOf))
    await reader.close()
  })

  it('on a cluster as well', async () => {
    const nodes = await startCluster()
    try {
      const store = await openRedis({ redis_type: 'redis_cluster', connection_string: nodes[0]!.address })
      const ids = Array.from({ length: 2000 }, (_, id) => id)
      await store.write({ table: STATS, rows: ids.map((id) => row(id, [id, 1], T0)) })
      await store.write({ table: STATS, rows: ids.map((id) => row(id, [id + 1, 1], T0 + BigInt(id % 2))) })
      expect(await firstValues(store, ids)).toEqual(ids.map((id) => hexOf(id + (id % 2))))
      await store.close()
    } finally {
      await Promise.all(nodes.map((node) => node.stop()))
    }
  })

  it('keeps the event time', async () => {
    const store = await openRedis({ connection_string })
    await store.write({
      table: STATS,
      rows: Array.from({ length: 500 }, (_, id) => row(id, [1, 1], T0 + BigInt(id))),
    })
    const stored = await server.call('HGET', Buffer.concat([key(77), Buffer.from('demo')]), '_ts:stats')
    expect(stored).toEqual(encodeTimestamp(T0 + 77n))
    await store.close()
  })
})
