import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { RedisServer } from '../redis-server.js'
import { seededRandom } from './killed-runs.js'
import { KilledSteps, WAYS } from './killed-steps.js'

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1e9)

describe(`kill -9 at every step between query and commit (FEAST_SEED=${seed})`, () => {
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

  describe.each(Object.entries(WAYS))('%s', (_, verbs) => {
    it('at each point once', async () => {
      const points = await steps.points(verbs)
      for (let point = 1; point <= points; point++) expect(await steps.kill(verbs, [point])).toBe(1)
    }, 3_600_000)

    it('again and again', async () => {
      const random = seededRandom(seed)
      const points = await steps.points(verbs)
      for (let round = 0; round < 10; round++) {
        const kills = Array.from({ length: 4 }, () => 1 + Math.floor(random() * points))
        await steps.kill(verbs, kills)
      }
    }, 3_600_000)
  })
})
