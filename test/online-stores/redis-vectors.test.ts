import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { RedisServer, startCluster } from '../redis-server.js'
import { describeWithRedis, key, openRedis, row, STATS, T0 } from './redis-open.js'

const VECTORS: OnlineTable = { name: '__precomputed__svc', joinKeys: ['user_id'], features: ['vector'] }
const IDS = Array.from({ length: 3000 }, (_, id) => id)

const kinds = {
  'one server': async () => [await RedisServer.start()],
  'a cluster': startCluster,
}

describeWithRedis('keys and vectors', () => {
  describe.each(Object.entries(kinds))('of %s', (_name, start) => {
    let servers: readonly RedisServer[]
    const stores: OnlineStore[] = []

    beforeAll(async () => {
      servers = await start()
    }, 60_000)
    afterAll(async () => {
      for (const store of stores) await store.close()
      await Promise.all(servers.map((server) => server.stop()))
    })

    async function open(project: string, more: Record<string, unknown> = {}) {
      const redis_type = servers.length > 1 ? 'redis_cluster' : 'redis'
      const options = { redis_type, connection_string: servers[0]!.address, ...more }
      const store = await openRedis(options, { project })
      stores.push(store)
      return store
    }

    it('every entity of the project with these join keys is visited, and nothing else', async () => {
      const store = await open('demo')
      await store.write({ table: STATS, rows: IDS.map((id) => row(id, [id, id], T0)) })
      await (await open('xdemo')).write({ table: STATS, rows: [row(9000, [1, 1], T0)] })
      const both = entityKeyEncoder(
        [
          { name: 'user_id', type: { valueType: 'INT64' } },
          { name: 'zone', type: { valueType: 'STRING' } },
        ],
        3,
      )
      const other = { name: 'stats', joinKeys: ['user_id', 'zone'], features: ['a', 'b'] }
      await store.write({ table: other, rows: [{ ...row(1, [1, 1], T0), entityKey: both([1n, 'demo']) }] })
      const found = new Set<string>()
      let visiting = 0
      await store.vectors!.eachKey(['user_id'], async (keys) => {
        expect(++visiting).toBe(1)
        for (const one of keys) found.add(one.toString('hex'))
        await new Promise((later) => setTimeout(later, 1))
        visiting--
      })
      expect([...found].sort()).toEqual(IDS.map((id) => key(id).toString('hex')).sort())
    })

    it('what goes wrong in a visit ends the scan', async () => {
      const store = await open('demo')
      let visits = 0
      const scan = store.vectors!.eachKey(['user_id'], async () => {
        visits++
        throw new Error('enough')
      })
      await expect(scan).rejects.toThrow('enough')
      expect(visits).toBe(1)
    })

    it.each([false, true])('vectors keep the life that an entity has, skip_dedup %s', async (skip_dedup) => {
      const project = `life${skip_dedup}`
      const store = await open(project, { key_ttl_seconds: 1000, skip_dedup })
      const ids = [1, 2, 3, 4, 5, 6, 7, 8]
      await store.write({ table: STATS, rows: ids.map((id) => row(id, [id, id], T0)) })
      const write = (at: bigint) =>
        store.vectors!.write({ table: VECTORS, rows: [...ids, 99].map((id) => row(id, [id], at)) })
      const call = async (id: number, command: string, ...args: (string | number)[]) => {
        const name = Buffer.concat([key(id), Buffer.from(project)])
        for (const server of servers) {
          const reply = await server.call(command, name, ...args).catch(() => undefined)
          if (reply !== undefined) return reply
        }
        throw new Error(`nobody answers ${command}`)
      }
      for (const id of ids) await call(id, 'EXPIRE', 100)
      await write(T0)
      for (const id of ids) expect(await call(id, 'TTL')).toBeLessThanOrEqual(100)
      expect(await call(99, 'EXISTS')).toBe(0)
      // An older one changes nothing, even where rows are written blindly.
      const field = '_ts:__precomputed__svc'
      const before = String(await call(1, 'HGET', field))
      await write(T0 - 1n)
      expect(String(await call(1, 'HGET', field))).toBe(before)
      await write(T0 + 1n)
      expect(String(await call(1, 'HGET', field))).not.toBe(before)
    })
  })
})
