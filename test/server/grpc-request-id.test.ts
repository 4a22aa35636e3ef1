import { once } from 'node:events'
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'

let fixture: GrpcFixture
let session: ClientHttp2Session
beforeAll(async () => {
  fixture = await openGrpcFixture()
  session = connect(`http://127.0.0.1:${fixture.server.port}`)
})
afterAll(async () => {
  session.close()
  await fixture.close()
})

/** The headers of the answer to an empty message. */
async function call(path: string, id?: string): Promise<IncomingHttpHeaders> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(id === undefined ? {} : { 'x-request-id': id }),
  })
  stream.end(Buffer.alloc(5))
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  stream.resume()
  await once(stream, 'close')
  return headers
}

const INFO = '/feast.serving.ServingService/GetFeastServingInfo'
const NOWHERE = '/feast.serving.ServingService/GetOnlineFeatures'

it('answers carry the id that the call came with', async () => {
  expect(await call(INFO, 'abc-1')).toMatchObject({ 'x-request-id': 'abc-1' })
  expect(await call(NOWHERE, 'abc-2')).toMatchObject({ 'x-request-id': 'abc-2', 'grpc-status': '3' })
})

it('failed calls carry one in any case; a made one where the caller gave one that is not sane', async () => {
  for (const given of [undefined, 'x'.repeat(200), 'a b']) {
    const { 'x-request-id': id } = await call(NOWHERE, given)
    expect(id).toMatch(/^[\w-]{8}-\w+$/)
  }
})

it('good answers to calls without one stay as short as they are', async () => {
  expect(await call(INFO)).not.toHaveProperty('x-request-id')
})
