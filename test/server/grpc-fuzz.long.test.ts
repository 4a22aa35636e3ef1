import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { BytesClient, type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'
import { fuzzGrpc } from './grpc-fuzz-campaign.js'

let fixture: GrpcFixture
beforeAll(async () => {
  fixture = await openGrpcFixture({ messageLimitBytes: 20_000 })
})
afterAll(() => fixture.close())

it('a million malformed calls end as the client’s fault and leave the server as it was', async () => {
  const { failures, outcomes, heapGrowthBytes } = await fuzzGrpc(
    fixture,
    seededRandom('gRPC fuzz, long'),
    1_000_000,
  )
  process.stdout.write(`${JSON.stringify([...outcomes])} heap +${Math.round(heapGrowthBytes / 1e6)} MB\n`)
  expect(failures).toEqual([])
  expect(heapGrowthBytes).toBeLessThan(20e6)
  const client = new BytesClient(fixture.address)
  expect(await client.ask('/grpc.health.v1.Health/Check')).toEqual({ status: 'SERVING' })
  client.close()
}, 7_200_000)
