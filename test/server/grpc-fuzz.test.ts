import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { BytesClient, type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'
import { fuzzGrpc } from './grpc-fuzz-campaign.js'

let fixture: GrpcFixture
beforeAll(async () => {
  fixture = await openGrpcFixture({ messageLimitBytes: 20_000 })
})
afterAll(() => fixture.close())

it('5000 malformed calls end as the client’s fault and leave the server as it was', async () => {
  const { failures, outcomes, heapGrowthBytes } = await fuzzGrpc(fixture, seededRandom('gRPC fuzz'), 5000)
  expect(failures).toEqual([])
  // Most are refused; some are answered, since a harmless change leaves a request right.
  expect(outcomes.get('3')).toBeGreaterThan(500)
  expect(outcomes.get('0')).toBeGreaterThan(100)
  expect(heapGrowthBytes).toBeLessThan(20e6)
  const client = new BytesClient(fixture.address)
  expect(await client.ask('/grpc.health.v1.Health/Check')).toEqual({ status: 'SERVING' })
  client.close()
}, 60_000)
