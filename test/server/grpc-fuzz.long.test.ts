import { afterEach, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { FUZZ_TOKEN, openFuzzGuarded } from './fuzz-guarded.js'
import { openGrpcFixture } from './grpc-fixture.js'
import { expectUnharmed, FUZZ_TIMEOUTS, fuzzGrpc } from './grpc-fuzz-campaign.js'

/** Of both tests together; a million with the requests over HTTP. */
const CALLS = Number(process.env.FEAST_FUZZ_REQUESTS ?? 600_000)

let close: () => Promise<void>
afterEach(() => close())

it('malformed calls end as the client’s fault and leave the server as it was', async () => {
  const fixture = await openGrpcFixture({ messageLimitBytes: 20_000, timeouts: FUZZ_TIMEOUTS })
  close = fixture.close
  const result = await fuzzGrpc(fixture, seededRandom('gRPC fuzz, long'), (CALLS * 3) / 5)
  process.stdout.write(`${JSON.stringify([...result.outcomes])} ${JSON.stringify(result.growth)}\n`)
  await expectUnharmed(fixture, result)
}, 1_800_000)

it('nor do they do harm where callers must be known', async () => {
  const guarded = await openFuzzGuarded()
  const { store, access } = guarded
  const { address, close: closeGrpc } = await openGrpcFixture({ store, access, timeouts: FUZZ_TIMEOUTS })
  close = async () => {
    await closeGrpc()
    await guarded.close()
  }
  const target = { address, authorization: FUZZ_TOKEN }
  const result = await fuzzGrpc(target, seededRandom('gRPC fuzz with auth, long'), (CALLS * 2) / 5)
  process.stdout.write(`${JSON.stringify([...result.outcomes])} ${JSON.stringify(result.growth)}\n`)
  await expectUnharmed(target, result)
  for (const code of ['0', '7', '16']) expect(result.outcomes.get(code)).toBeGreaterThan(0)
}, 1_800_000)
