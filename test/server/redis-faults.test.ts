import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { expectRight, sufferFailovers, sufferFaults } from './redis-fault-campaign.js'

describeWithRedis('the server while Redis', () => {
  it('is killed, paused, full, read-only or cut off: right answers or 503, and well again', async () => {
    const random = seededRandom('Redis faults')
    const result = await sufferFaults({ random, rounds: 1, holdMs: [300, 500] })
    expect(result.outcomes).toHaveLength(9)
    expectRight(result)
  })

  it('fails over to a replica: right answers or 503, and well again', async () => {
    const result = await sufferFailovers(1, seededRandom('failovers'))
    expectRight(result)
    expect(result.outcomes[0]!.during.readAway).toBeGreaterThan(0)
  })
})
