import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { type CampaignResult, expectRight, sufferFailovers, sufferFaults } from './redis-fault-campaign.js'

/** A second of its own, and what a machine that is busy with the test takes. */
const RECOVERY_MS = 1500
/** A connection that has gone silent is given up only when a request on it has had its time. */
const BACK_AT_ONCE = ['killed', 'paused', 'out of memory', 'read-only', 'closing mid-reply', 'failing over']

function report({ outcomes }: CampaignResult): void {
  for (const { fault, during, recoveredMs } of outcomes) {
    process.stdout.write(`${fault}: well again after ${recoveredMs} ms ${JSON.stringify(during)}\n`)
  }
  const late = outcomes.filter((one) => BACK_AT_ONCE.includes(one.fault) && one.recoveredMs > RECOVERY_MS)
  expect(late).toEqual([])
}

describeWithRedis('the server while Redis, at length,', () => {
  it('is killed, paused, full, read-only or cut off, 12 times each', async () => {
    const result = await sufferFaults({
      random: seededRandom('Redis faults, long'),
      rounds: 12,
      holdMs: [200, 3000],
    })
    expectRight(result)
    report(result)
    // Away for longer than a request may take, it is said so; full or read-only, writes are refused.
    for (const name of ['killed', 'paused', 'too late']) {
      const met = result.outcomes.filter(({ fault }) => fault === name)
      expect([name, met.some(({ during }) => during.readAway > 0)]).toEqual([name, true])
    }
    for (const name of ['out of memory', 'read-only']) {
      const met = result.outcomes.filter(({ fault }) => fault === name)
      expect([name, met.some(({ during }) => during.notWritten > 0)]).toEqual([name, true])
    }
  }, 1_800_000)

  it('fails over to a replica, 6 times', async () => {
    const result = await sufferFailovers(6, seededRandom('failovers, long'))
    expectRight(result)
    report(result)
  }, 600_000)
})
