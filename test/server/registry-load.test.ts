import { expect, it } from '@jest/globals'
import { describeWithRedis } from '../online-stores/redis-open.js'
import { applyOnAndOn, expectNobodyWaits, expectServed, serveRegistry } from './registry-load.js'

describeWithRedis('under load', () => {
  it('the registry is refreshed and applied to; no lookup fails or waits for it', async () => {
    const served = await serveRegistry()
    try {
      await applyOnAndOn(served, 3000)
      await expectNobodyWaits(served)
      await expectServed(served, 1000)
      expect(served.load.wrong).toEqual([])
      expect(served.load.counts.readAway).toBe(0)
      expect(served.serving.child.exitCode).toBe(null)
    } finally {
      await served.close()
    }
  })
})
