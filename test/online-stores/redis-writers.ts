import { afterEach, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { RedisServer, startCluster } from '../redis-server.js'
import { describeWithRedis, openRedis } from './redis-open.js'
import { interleave } from './two-writers.js'

const ENTITIES = 10_000

const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function twoStores(options: Record<string, unknown>) {
  const stores = await Promise.all([openRedis(options), openRedis(options)])
  cleanup.push(() => Promise.all(stores.map((store) => store.close())))
  return stores
}

/** Interleavings of two writers, of which the newest row must be left each time. */
export function redisWriters(rounds: number): void {
  describeWithRedis('two writers of one Redis', () => {
    it(`end with the newest row in ${rounds * ENTITIES} interleavings`, async () => {
      const random = seededRandom('two writers')
      const server = await RedisServer.start()
      cleanup.push(() => server.stop())
      // They are to be right, not fast.
      const stores = await twoStores({ connection_string: `${server.address},socket_timeout=60` })
      for (let round = 0; round < rounds; round++) {
        await server.call('FLUSHALL')
        await interleave(stores, ENTITIES, random)
      }
    }, 3_600_000)

    it(`and on a cluster, in ${(rounds * ENTITIES) / 5}`, async () => {
      const random = seededRandom('two writers of a cluster')
      const nodes = await startCluster()
      cleanup.push(() => Promise.all(nodes.map((node) => node.stop())))
      const connection_string = `${nodes[0]!.address},socket_timeout=60`
      const stores = await twoStores({ redis_type: 'redis_cluster', connection_string })
      for (let round = 0; round < rounds; round++) {
        await Promise.all(nodes.map((node) => node.call('FLUSHALL')))
        await interleave(stores, ENTITIES / 5, random)
      }
    }, 3_600_000)
  })
}
