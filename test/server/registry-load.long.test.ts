import { expect, it } from '@jest/globals'
import { describeWithRedis } from '../online-stores/redis-open.js'
import {
  applyOnAndOn,
  expectNobodyWaits,
  expectServed,
  growRegistry,
  serveRegistry,
} from './registry-load.js'

const FOR_MS = Number(process.env.FEAST_APPLY_MS ?? 120_000)

describeWithRedis('under load, at length,', () => {
  it('a registry of 300 views is applied to for two minutes; no lookup fails or waits for it', async () => {
    const served = await serveRegistry()
    try {
      await growRegistry(served, 300)
      served.load.takeCounts()
      const applied = await applyOnAndOn(served, FOR_MS)
      process.stdout.write(`applied ${applied} times: ${JSON.stringify(served.load.counts)}\n`)
      expect(served.load.counts.readAway).toBe(0)
      for (let round = 0; round < 5; round++) await expectNobodyWaits(served)
      await expectServed(served, 1000)
      expect(served.load.wrong).toEqual([])
      expect(served.serving.child.exitCode).toBe(null)
    } finally {
      await served.close()
    }
  }, 600_000)
})
