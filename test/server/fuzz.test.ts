import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { type Fixture, openFixture, writeSources } from './fixture.js'
import { expectUnharmed, fuzz } from './fuzz-campaign.js'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture({ bodyLimitBytes: 20_000 })
  await writeSources(fixture)
})
afterAll(() => fixture.close())

it('3000 malformed requests get no 5xx and leave the server as it was', async () => {
  const result = await fuzz(fixture, seededRandom('HTTP fuzz'), 3000)
  await expectUnharmed(fixture, result)
  // Most are refused; some are answered, since a harmless change leaves a request right.
  expect(result.statuses.get(422)).toBeGreaterThan(300)
  expect(result.statuses.get(200)).toBeGreaterThan(30)
})
