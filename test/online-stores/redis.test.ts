import { afterAll, beforeAll, describe, it } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import type { OnlineStore } from '../../src/online-stores/online-store.js'
import { onlineStoreContract } from '../contract/online-store.js'
import {
  hasRedis,
  NO_REDIS,
  RedisServer,
  type SentinelGroup,
  startCluster,
  startSentinels,
} from '../redis-server.js'

function open(options: Record<string, unknown>, project = 'demo'): Promise<OnlineStore> {
  const context = { project, repoPath: '/', entityKeyVersion: 3 as const, logger: silentLogger }
  return openOnlineStore({ type: 'redis', options }, context)
}

function contract(
  name: string,
  options: () => Record<string, unknown>,
  masters: () => readonly RedisServer[],
) {
  onlineStoreContract(name, {
    open: () => open(options()),
    again: () => open(options()),
    async clean() {
      await Promise.all(masters().map((server) => server.call('FLUSHALL')))
    },
  })
}

const suite = (name: string, body: () => void) =>
  hasRedis ? describe(name, body) : it.skip(`${name} (${NO_REDIS})`, () => {})

suite('one server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.stop())
  contract(
    'Redis',
    () => ({ connection_string: server.address }),
    () => [server],
  )
})

suite('a cluster of three masters', () => {
  let nodes: readonly RedisServer[] = []
  beforeAll(async () => {
    nodes = await startCluster()
  })
  afterAll(() => Promise.all(nodes.map((node) => node.stop())))
  contract(
    'Redis Cluster',
    () => ({ redis_type: 'redis_cluster', connection_string: nodes[0]!.address }),
    () => nodes,
  )
})

suite('sentinels', () => {
  let group: SentinelGroup
  beforeAll(async () => {
    group = await startSentinels()
  })
  afterAll(() => group.stop())
  contract(
    'Redis behind Sentinel',
    () => ({
      redis_type: 'redis_sentinel',
      connection_string: group.sentinels.map(({ address }) => address).join(','),
    }),
    () => group.data.slice(0, 1),
  )
})
