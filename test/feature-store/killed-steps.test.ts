import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'
import { seededRandom } from './killed-runs.js'
import { KilledSteps, WAYS } from './killed-steps.js'

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1e9)
const describeWithRedis = hasRedis ? describe : describe.skip

describeWithRedis(
  `kill -9 between query and commit (FEAST_SEED=${seed})${hasRedis ? '' : `: ${NO_REDIS}`}`,
  () => {
    let redis: RedisServer
    let steps: KilledSteps

    beforeAll(async () => {
      redis = await RedisServer.start()
      steps = await KilledSteps.open(redis)
    }, 120_000)
    afterAll(async () => {
      await steps.close()
      await redis.stop()
    })

    it.each(Object.entries(WAYS))(
      '%s, run again: the rows of an undisturbed run, one query, one interval, nothing left',
      async (_, verbs) => {
        const random = seededRandom(seed)
        const points = await steps.points(verbs)
        expect(points).toBeGreaterThan(20)
        const point = () => 1 + Math.floor(random() * points)
        let met = 0
        for (let round = 0; round < 2; round++) met += await steps.kill(verbs, [point(), point()])
        expect(met).toBeGreaterThan(0)
      },
      300_000,
    )
  },
)
