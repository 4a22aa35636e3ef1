import { it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { RedisServer, startCluster } from '../redis-server.js'
import { describeWithRedis, openRedis } from './redis-open.js'
import { interleave } from './two-writers.js'

const ROUNDS = 1
const ENTITIES = 10_000

describeWithRedis('two writers of one Redis', () => {
  it(`end with the newest row in ${ROUNDS * ENTITIES} interleavings`, async () => {
    const random = seededRandom('two writers')
    const server = await RedisServer.start()
    const stores = await Promise.all([0, 1].map(() => openRedis({ connection_string: server.address })))
    for (let round = 0; round < ROUNDS; round++) {
      await server.call('FLUSHALL')
      await interleave([stores[0]!, stores[1]!], ENTITIES, random)
    }
    await Promise.all(stores.map((store) => store.close()))
    await server.stop()
  }, 3_600_000)

  it(`and on a cluster, in ${(ROUNDS * ENTITIES) / 5}`, async () => {
    const random = seededRandom('two writers of a cluster')
    const nodes = await startCluster()
    const options = { redis_type: 'redis_cluster', connection_string: nodes[0]!.address }
    const stores = await Promise.all([0, 1].map(() => openRedis(options)))
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(nodes.map((node) => node.call('FLUSHALL')))
      await interleave([stores[0]!, stores[1]!], ENTITIES / 5, random)
    }
    await Promise.all(stores.map((store) => store.close()))
    await Promise.all(nodes.map((node) => node.stop()))
  }, 3_600_000)
})
