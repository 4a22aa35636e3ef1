import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { isFeastError, messageOf } from '../../src/core/errors.js'
import { keySlot } from '../../src/online-stores/redis/key-slot.js'
import type { RedisAddress } from '../../src/online-stores/redis/redis-connection.js'
import { ClusterRouter } from '../../src/online-stores/redis/redis-router.js'
import { encodeCommand, type Reply } from '../../src/online-stores/redis/resp.js'
import { seededRandom } from '../compat/random.js'
import { type RedisServer, type SentinelGroup, startCluster, startSentinels } from '../redis-server.js'
import { TcpProxy } from '../tcp-proxy.js'
import { until } from '../until.js'
import { describeWithRedis, firstValues, hexOf, key, openRedis, row, STATS, T0 } from './redis-open.js'

const ids = Array.from({ length: 300 }, (_, id) => id)
const redisKey = (id: number) => Buffer.concat([key(id), Buffer.from('demo')])
const allRows = (value: number) => ids.map((id) => row(id, [id + value, 0], T0 + BigInt(value)))
const allValues = (value: number) => ids.map((id) => hexOf(id + value))

function addressOf(text: string): RedisAddress {
  const [host, port] = text.split(':')
  return { host: host!, port: Number(port) }
}

describeWithRedis('Redis Cluster', () => {
  let nodes: readonly RedisServer[] = []
  const clusterOf = (options: Record<string, unknown> = {}) =>
    openRedis({ redis_type: 'redis_cluster', connection_string: nodes[0]!.address, ...options })

  beforeAll(async () => {
    nodes = await startCluster()
  })
  beforeEach(() => Promise.all(nodes.map((node) => node.call('FLUSHALL'))))
  afterAll(() => Promise.all(nodes.map((node) => node.stop())))

  it('keys have the slots that Redis says, whatever bytes they hold', async () => {
    const random = seededRandom('key slots')
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(random.times(random.int(0, 12), () => random.pick([0x7b, 0x7d, 0, 255, 65])))
      expect(keySlot(bytes)).toBe(await nodes[0]!.call('CLUSTER', 'KEYSLOT', bytes))
    }
  })

  it('a request over many slots is one round trip per node', async () => {
    const store = await clusterOf()
    await store.write({ table: STATS, rows: allRows(1) })
    expect(await firstValues(store, ids)).toEqual(allValues(1))
    const readsOf = async (node: RedisServer) =>
      Number(/total_reads_processed:(\d+)/.exec(String(await node.call('INFO', 'stats')))![1])
    for (const node of nodes) expect(await node.call('DBSIZE')).toBeGreaterThan(50)
    // A few kilobytes: whatever is sent at once arrives at once.
    const few = ids.slice(0, 30)
    await firstValues(store, few)
    const before = await Promise.all(nodes.map(readsOf))
    for (let i = 0; i < 10; i++) await firstValues(store, few)
    const after = await Promise.all(nodes.map(readsOf))
    // Asking for the count is a read or two as well, and the nodes of a cluster talk among themselves.
    for (const [i, count] of after.entries()) expect(count - before[i]!).toBeLessThan(60)
    await store.close()
  })

  it('follows a slot that moves: ASK while it is on its way, MOVED afterwards', async () => {
    const store = await clusterOf()
    await store.write({ table: STATS, rows: allRows(1) })
    await firstValues(store, ids)
    const slot = keySlot(redisKey(7))
    const names = await Promise.all(nodes.map(async (node) => String(await node.call('CLUSTER', 'MYID'))))
    const ranges = (await nodes[0]!.call('CLUSTER', 'SLOTS')) as readonly (readonly Reply[])[]
    const owner = ranges.find(([from, to]) => slot >= Number(from) && slot <= Number(to))!
    const from = nodes.findIndex(({ port }) => port === Number((owner[2] as readonly Reply[])[1]))
    const to = (from + 1) % 3
    await nodes[to]!.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', names[from]!)
    await nodes[from]!.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', names[to]!)
    const moving = (await nodes[from]!.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as readonly Buffer[]
    for (const name of moving) await nodes[from]!.call('MIGRATE', '127.0.0.1', nodes[to]!.port, name, 0, 5000)
    expect(await firstValues(store, ids)).toEqual(allValues(1))
    await store.write({ table: STATS, rows: allRows(2) })
    expect(await firstValues(store, ids)).toEqual(allValues(2))
    for (const i of [to, from]) await nodes[i]!.call('CLUSTER', 'SETSLOT', slot, 'NODE', names[to]!)
    expect(await firstValues(store, ids)).toEqual(allValues(2))
    await store.write({ table: STATS, rows: allRows(3) })
    expect(await firstValues(store, ids)).toEqual(allValues(3))
    const fresh = await clusterOf()
    expect(await firstValues(fresh, ids)).toEqual(allValues(3))
    await fresh.teardown([STATS])
    for (const node of nodes) expect(await node.call('DBSIZE')).toBe(0)
    await fresh.close()
    await store.close()
  })

  it('closes a connection that was on its way to a node without slots when the map came', async () => {
    const port = Number(nodes[1]!.address.split(':')[1])
    const proxy = await TcpProxy.to(port)
    proxy.delayMs = 100
    const clients = async () =>
      Number(/connected_clients:(\d+)/.exec(String(await nodes[1]!.call('INFO', 'clients')))![1])
    const before = await clients()
    const [seed, newcomer] = [nodes[0]!, proxy].map(({ address }) => addressOf(address))
    const router = new ClusterRouter([seed!], { db: 0, connectTimeoutMs: 1000, masterOnly: false })
    const asked = router.node(newcomer!, 'read').request(() => encodeCommand(['PING']), 1, Date.now() + 2000)
    await router.masters()
    await asked
    router.close()
    await until(async () => (await clients()) === before)
    proxy.close()
  })

  it('expires and writes blindly there too', async () => {
    const store = await clusterOf({ skip_dedup: true, key_ttl_seconds: 500 })
    await store.write({ table: STATS, rows: allRows(1) })
    await store.write({ table: STATS, rows: allRows(-5) })
    expect(await firstValues(store, ids)).toEqual(allValues(-5))
    await store.close()
  })

  it('without one node: its keys are unavailable, and come back with it', async () => {
    const store = await clusterOf({
      connection_string: `${nodes[0]!.address},${nodes[1]!.address},socket_timeout=1`,
    })
    await store.write({ table: STATS, rows: allRows(1) })
    for (const node of nodes) await node.call('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await nodes[0]!.kill()
    const results = await Promise.all(
      ids.slice(0, 60).map((id) => firstValues(store, [id]).catch((error) => error)),
    )
    const failed = results.filter((result) => !Array.isArray(result))
    expect(failed.length).toBeGreaterThan(5)
    expect(failed.length).toBeLessThan(55)
    expect(failed.filter((error) => !isFeastError(error, 'ONLINE_STORE_UNAVAILABLE')).map(messageOf)).toEqual(
      [],
    )
    await nodes[0]!.restart()
    await until(() =>
      store.write({ table: STATS, rows: allRows(2) }).then(
        () => true,
        () => false,
      ),
    )
    expect(await firstValues(store, ids)).toEqual(allValues(2))
    await store.close()
  })
})

describeWithRedis('Redis behind Sentinel', () => {
  let group: SentinelGroup
  const open = (timeout: number) =>
    openRedis({
      redis_type: 'redis_sentinel',
      connection_string: `${group.sentinels.map(({ address }) => address).join(',')},socket_timeout=${timeout}`,
    })

  beforeAll(async () => {
    group = await startSentinels()
  })
  afterAll(() => group?.stop())

  it('follows a failover that is asked for', async () => {
    const store = await open(20)
    await store.write({ table: STATS, rows: allRows(1) })
    const before = await group.master()
    await until(() => group.sentinels[0]!.call('SENTINEL', 'FAILOVER', 'mymaster').then(Boolean, () => false))
    await until(async () => (await group.master()) !== before)
    // The old master becomes a replica; a write must not be lost to it.
    // Sentinel ends all connections of a master that it makes a replica, this question's as well.
    const roleOf = () => before.call('ROLE').catch(() => 'being told')
    await until(async () => String(await roleOf()).startsWith('slave'))
    await store.write({ table: STATS, rows: allRows(2) })
    expect(await firstValues(store, ids)).toEqual(allValues(2))
    expect(await (await group.master()).call('DBSIZE')).toBe(ids.length)
    await store.close()
  })

  it('and the death of the master, while it reads and writes', async () => {
    const store = await open(1)
    await store.write({ table: STATS, rows: allRows(5) })
    const master = await group.master()
    const replica = group.data.find((server) => server !== master)!
    await until(async () =>
      String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
    )
    const codes = new Set<string>()
    let stopping = false
    const load = Promise.all(
      ids.slice(0, 10).map(async (id) => {
        for (let value = 10; !stopping; value++) {
          await store
            .write({ table: STATS, rows: [row(id, [value, 0], T0 + BigInt(value))] })
            .catch((error) => codes.add(error.code))
          await firstValues(store, [id]).catch((error) => codes.add(error.code))
          await sleep(5)
        }
      }),
    )
    try {
      await master.kill()
      await until(async () => (await group.master()) === replica)
      await until(() =>
        store.write({ table: STATS, rows: allRows(1_000_000) }).then(
          () => true,
          () => false,
        ),
      )
    } finally {
      stopping = true
    }
    await load
    expect([...codes].filter((code) => code !== 'ONLINE_STORE_UNAVAILABLE')).toEqual([])
    expect(await firstValues(store, ids)).toEqual(allValues(1_000_000))
    await store.close()
  })

  it('names the sentinels when none knows the master', async () => {
    const store = await openRedis({
      redis_type: 'redis_sentinel',
      sentinel_master: 'other',
      connection_string: `${group.sentinels[0]!.address},socket_timeout=0.5`,
    })
    const error = await firstValues(store, [1]).catch((failed) => failed)
    expect(isFeastError(error, 'ONLINE_STORE_UNAVAILABLE')).toBe(true)
    expect(messageOf(error)).toMatch(/knows no master "other"/)
    await store.close()
  })
})
