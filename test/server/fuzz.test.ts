import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { type Fixture, openFixture, writeSources } from './fixture.js'
import { fuzz } from './fuzz-campaign.js'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture({ bodyLimitBytes: 20_000 })
  await writeSources(fixture)
})
afterAll(() => fixture.close())

it('3000 malformed requests get no 5xx and leave the server as it was', async () => {
  const { failures, statuses, heapGrowthBytes } = await fuzz(fixture, seededRandom('HTTP fuzz'), 3000)
  expect(failures).toEqual([])
  // Most are refused; some are answered, since a harmless change leaves a request right.
  expect(statuses.get(422)).toBeGreaterThan(300)
  expect(statuses.get(200)).toBeGreaterThan(30)
  expect(heapGrowthBytes).toBeLessThan(20e6)
  expect((await fixture.app.inject({ url: '/health' })).statusCode).toBe(200)
})
