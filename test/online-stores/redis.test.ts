import { afterAll, beforeAll } from '@jest/globals'
import { onlineStoreContract } from '../contract/online-store.js'
import { RedisServer, type SentinelGroup, startCluster, startSentinels } from '../redis-server.js'
import { describeWithRedis, openRedis } from './redis-open.js'

/** Time enough for a machine that is busy with other tests. */
const PATIENT = 'socket_timeout=30'

function contract(
  name: string,
  options: () => Record<string, unknown>,
  masters: () => readonly RedisServer[],
) {
  onlineStoreContract(name, {
    open: () => openRedis(options()),
    again: () => openRedis(options()),
    async clean() {
      await Promise.all(masters().map((server) => server.call('FLUSHALL')))
    },
  })
}

describeWithRedis('one server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.stop())
  contract(
    'Redis',
    () => ({ connection_string: `${server.address},${PATIENT}` }),
    () => [server],
  )
})

describeWithRedis('a cluster of three masters', () => {
  let nodes: readonly RedisServer[] = []
  beforeAll(async () => {
    nodes = await startCluster()
  })
  afterAll(() => Promise.all(nodes.map((node) => node.stop())))
  contract(
    'Redis Cluster',
    () => ({ redis_type: 'redis_cluster', connection_string: `${nodes[0]!.address},${PATIENT}` }),
    () => nodes,
  )
})

describeWithRedis('sentinels', () => {
  let group: SentinelGroup
  beforeAll(async () => {
    group = await startSentinels()
  })
  afterAll(() => group.stop())
  contract(
    'Redis behind Sentinel',
    () => ({
      redis_type: 'redis_sentinel',
      connection_string: [...group.sentinels.map(({ address }) => address), PATIENT].join(','),
    }),
    () => group.data.slice(0, 1),
  )
})
