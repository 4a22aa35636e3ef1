import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'
import { expectUnharmed, FUZZ_TIMEOUTS, fuzzGrpc } from './grpc-fuzz-campaign.js'

let fixture: GrpcFixture
beforeAll(async () => {
  fixture = await openGrpcFixture({ messageLimitBytes: 20_000, timeouts: FUZZ_TIMEOUTS })
})
afterAll(() => fixture.close())

it('5000 malformed calls end as the client’s fault and leave the server as it was', async () => {
  const result = await fuzzGrpc(fixture, seededRandom('gRPC fuzz'), 5000)
  await expectUnharmed(fixture, result)
  // Most are refused; some are answered, since a harmless change leaves a request right.
  expect(result.outcomes.get('3')).toBeGreaterThan(500)
  expect(result.outcomes.get('0')).toBeGreaterThan(100)
}, 60_000)
