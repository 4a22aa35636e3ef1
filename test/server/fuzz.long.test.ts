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

it('100 000 malformed requests get no 5xx and leave the server as it was', async () => {
  const { failures, statuses, heapGrowthBytes } = await fuzz(
    fixture,
    seededRandom('HTTP fuzz, long'),
    100_000,
  )
  process.stdout.write(`${JSON.stringify([...statuses])} heap +${Math.round(heapGrowthBytes / 1e6)} MB\n`)
  expect(failures).toEqual([])
  expect(heapGrowthBytes).toBeLessThan(20e6)
  expect((await fixture.app.inject({ url: '/health' })).statusCode).toBe(200)
}, 1_800_000)
