import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import * as grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from '@jest/globals'
import { frameMessage } from '../../src/codec/grpc-wire.js'
import { BytesClient, decoded, encoded, type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'

const INFO = '/feast.serving.ServingService/GetFeastServingInfo'
const GET = '/feast.serving.ServingService/GetOnlineFeatures'
const CHECK = '/grpc.health.v1.Health/Check'
const WATCH = '/grpc.health.v1.Health/Watch'
const EMPTY = Buffer.alloc(0)
const LOOKUP = encoded('feast.serving.GetOnlineFeaturesRequest', {
  features: { val: ['loc_stats:temp'] },
  entities: { location_id: { val: [{ int64Val: 1 }] } },
})

let fixture: GrpcFixture
const clients: BytesClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await fixture.close()
})

function newClient(
  ...args: ConstructorParameters<typeof BytesClient> extends [string, ...infer R] ? R : never
) {
  const client = new BytesClient(fixture.address, ...args)
  clients.push(client)
  return client
}

const statusOf = (bytes: Buffer) => decoded('grpc.health.v1.HealthCheckResponse', bytes)['status']

describe('health', () => {
  const checkOf = (service: string) => encoded('grpc.health.v1.HealthCheckRequest', { service })

  it.each(['', 'feast.serving.ServingService', 'GrpcFeatureServer'])(
    'of "%s" is SERVING',
    async (service) => {
      fixture = await openGrpcFixture()
      const { answers } = await newClient().unary(CHECK, checkOf(service))
      expect(statusOf(answers[0]!)).toBe('SERVING')
    },
  )

  it('of an unknown service is NOT_FOUND; to a watcher, SERVICE_UNKNOWN', async () => {
    fixture = await openGrpcFixture()
    expect((await newClient().unary(CHECK, checkOf('nope'))).code).toBe(grpc.status.NOT_FOUND)
    const watch = newClient().watch(WATCH, checkOf('nope'))
    watch.on('error', () => {})
    expect(statusOf((await once(watch, 'data'))[0])).toBe('SERVICE_UNKNOWN')
    watch.cancel()
  })

  it('lists all services', async () => {
    fixture = await openGrpcFixture()
    const { statuses } = await newClient().ask('/grpc.health.v1.Health/List')
    expect(statuses).toMatchObject({
      '': { status: 'SERVING' },
      'feast.serving.ServingService': { status: 'SERVING' },
    })
  })

  it('watchers learn that the server stops, and are let go', async () => {
    fixture = await openGrpcFixture()
    const watch = newClient().watch(WATCH, checkOf(''))
    const seen: unknown[] = []
    watch.on('data', (bytes: Buffer) => seen.push(statusOf(bytes)))
    await once(watch, 'data')
    fixture.beginToStop()
    fixture.server.announceEnd()
    await once(watch, 'data')
    const failed = once(watch, 'error')
    await fixture.server.close(5000)
    expect((await failed)[0].code).toBe(grpc.status.UNAVAILABLE)
    expect(seen).toEqual(['SERVING', 'NOT_SERVING'])
  })

  it('is NOT_SERVING while the server stops', async () => {
    fixture = await openGrpcFixture()
    fixture.beginToStop()
    expect(statusOf((await newClient().unary(CHECK, checkOf(''))).answers[0]!)).toBe('NOT_SERVING')
  })
})

describe('the end of a server', () => {
  it('answers every call that it has taken, and takes none after', async () => {
    fixture = await openGrpcFixture()
    const busy: Promise<void>[] = []
    const askers = Array.from({ length: 8 }, () => {
      let answered = () => {}
      busy.push(new Promise((resolve) => (answered = resolve)))
      return askUntilRefused(newClient(), answered)
    })
    await Promise.all(busy)
    fixture.beginToStop()
    fixture.server.announceEnd()
    await new Promise((resolve) => setTimeout(resolve, 100))
    await fixture.server.close(5000)
    for (const last of await Promise.all(askers)) {
      // The call never left the client, or was refused unread: it may be made elsewhere.
      expect(last).toMatchObject({ code: grpc.status.UNAVAILABLE })
      expect(last.details).toMatch(/No connection established|ECONNREFUSED|Stream refused by server/)
    }
  })

  it('waits for a request that is still coming', async () => {
    fixture = await openGrpcFixture()
    const session = connectHttp2(`http://${fixture.address}`)
    const stream = session.request({ ':method': 'POST', ':path': GET, 'content-type': 'application/grpc' })
    const frame = frameMessage(LOOKUP)
    stream.write(frame.subarray(0, 7))
    await taken(session)
    const goaway = once(session, 'goaway')
    fixture.server.announceEnd()
    const [code] = await goaway
    const closed = fixture.server.close(5000)
    const trailers = once(stream, 'trailers')
    stream.resume().end(frame.subarray(7))
    expect((await trailers)[0]['grpc-status']).toBe('0')
    expect(code).toBe(0)
    await closed
  })

  it.each([
    ['does not end its request', {}, LOOKUP.subarray(0, 4)],
    ['does not read its answer', { initialWindowSize: 0 }, LOOKUP],
  ])('cuts off who %s', async (_what, settings, bytes) => {
    fixture = await openGrpcFixture()
    const session = connectHttp2(`http://${fixture.address}`, { settings })
    session.on('error', () => {})
    const streams = Array.from({ length: 20 }, () => {
      const stream = session.request({ ':method': 'POST', ':path': GET, 'content-type': 'application/grpc' })
      stream.on('error', () => {})
      if (bytes === LOOKUP) stream.end(frameMessage(bytes))
      else stream.write(frameMessage(LOOKUP).subarray(0, 9))
      return stream
    })
    await taken(session)
    const gone = Promise.all(streams.map((stream) => once(stream, 'close')))
    await fixture.server.close(200)
    await gone
  })

  it('is told to clients that connect while it comes', async () => {
    fixture = await openGrpcFixture()
    fixture.server.announceEnd()
    const session = connectHttp2(`http://${fixture.address}`)
    await once(session, 'goaway')
    session.destroy()
  })
})

/** Resolves when the server has seen all that was sent before: it answers pings in their turn. */
async function taken(session: ClientHttp2Session): Promise<void> {
  if (session.connecting) await once(session, 'connect')
  await new Promise((resolve) => session.ping(resolve))
}

/** @returns the first outcome that is no answer */
async function askUntilRefused(client: BytesClient, answered: () => void) {
  for (;;) {
    const outcome = await client.unary(GET, LOOKUP)
    if (outcome.code !== grpc.status.OK) return outcome
    answered()
  }
}

describe('TLS', () => {
  const pem = (name: string) => readFileSync(new URL(`../online-stores/tls/${name}`, import.meta.url))

  it('serves h2 with a certificate', async () => {
    fixture = await openGrpcFixture({ tls: { key: pem('server.key'), cert: pem('server.pem') } })
    const credentials = grpc.credentials.createSsl(pem('ca.pem'))
    const client = newClient(credentials, { 'grpc.ssl_target_name_override': 'localhost' })
    expect((await client.unary(INFO, EMPTY)).code).toBe(grpc.status.OK)
    const plain = newClient()
    expect((await plain.unary(INFO, EMPTY, { deadlineMs: 3000 })).code).not.toBe(grpc.status.OK)
  })

  it('a key that is none is named', async () => {
    fixture = await openGrpcFixture()
    const broken = openGrpcFixture({ tls: { key: 'x', cert: 'y' } })
    await expect(broken).rejects.toMatchObject({ code: 'FILE_NOT_READABLE' })
  })
})
