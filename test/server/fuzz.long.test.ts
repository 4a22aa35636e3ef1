import { afterEach, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { openFixture, writeSources } from './fixture.js'
import { expectUnharmed, fuzz } from './fuzz-campaign.js'
import { FUZZ_TOKEN, openFuzzGuarded } from './fuzz-guarded.js'

/** Of both tests together; a million with those over gRPC. */
const REQUESTS = Number(process.env.FEAST_FUZZ_REQUESTS ?? 400_000)

let close: () => Promise<void>
afterEach(() => close())

it('malformed requests get no 5xx and leave the server as it was', async () => {
  const fixture = await openFixture({ bodyLimitBytes: 20_000 })
  close = fixture.close
  await writeSources(fixture)
  const result = await fuzz(fixture, seededRandom('HTTP fuzz, long'), (REQUESTS * 3) / 5)
  process.stdout.write(`${JSON.stringify([...result.statuses])} ${JSON.stringify(result.growth)}\n`)
  await expectUnharmed(fixture, result)
}, 1_800_000)

it('nor do they where callers must be known', async () => {
  const guarded = await openFuzzGuarded()
  close = guarded.close
  const target = { app: guarded.app, authorization: FUZZ_TOKEN }
  const result = await fuzz(target, seededRandom('HTTP fuzz with auth, long'), (REQUESTS * 2) / 5)
  process.stdout.write(`${JSON.stringify([...result.statuses])} ${JSON.stringify(result.growth)}\n`)
  await expectUnharmed(target, result)
  expect(result.statuses.get(401)).toBeGreaterThan(0)
  expect(result.statuses.get(403)).toBeGreaterThan(0)
  expect(result.statuses.get(200)).toBeGreaterThan(0)
}, 1_800_000)
