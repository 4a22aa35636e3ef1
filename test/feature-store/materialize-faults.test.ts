import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { disturbRuns } from './materialize-faults.js'

describeWithRedis('materialize while Redis', () => {
  it('is killed, full or cut off: nothing recorded that is not there', async () => {
    const names = ['killed', 'out of memory', 'closing mid-reply']
    const met = await disturbRuns(seededRandom('materialize faults'), 1, [200, 1400], names)
    expect(met.map(({ fault }) => fault)).toEqual(names)
    expect(met[1]!.outcomes).toContain('failed')
  })
})
