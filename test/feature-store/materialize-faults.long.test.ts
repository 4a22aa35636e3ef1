import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { disturbRuns } from './materialize-faults.js'

describeWithRedis('materialize while Redis, at length,', () => {
  it('is killed, paused, full, read-only or cut off, 10 times each', async () => {
    const met = await disturbRuns(seededRandom('materialize faults, long'), 10, [50, 2500])
    for (const { fault, outcomes } of met) process.stdout.write(`${fault}: ${outcomes.join(', ')}\n`)
    const all = met.flatMap(({ outcomes }) => outcomes)
    expect(all).toContain('failed')
    expect(all).toContain('done')
  }, 1_800_000)
})
