import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { FrameReader, frameMessage, parseTimeout } from '../../src/codec/grpc-wire.js'
import { until } from '../until.js'
import { BytesClient, encoded, type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'

const INFO = '/feast.serving.ServingService/GetFeastServingInfo'
const GET = '/feast.serving.ServingService/GetOnlineFeatures'
const WATCH = '/grpc.health.v1.Health/Watch'
const LIMIT = 1024 * 1024

let fixture: GrpcFixture
beforeAll(async () => {
  fixture = await openGrpcFixture({
    timeouts: { handshakeMs: 1000, requestMs: 1000, answerMs: 1000, idleMs: 60_000 },
  })
})
afterAll(() => fixture.close())

const sessions: ClientHttp2Session[] = []
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy()
})

function connect(settings: Record<string, number> = {}): ClientHttp2Session {
  const session = connectHttp2(`http://${fixture.address}`, { settings })
  session.on('error', () => {})
  sessions.push(session)
  return session
}

interface Ending {
  readonly headers: Record<string, unknown>
  readonly trailers: Record<string, unknown>
  readonly body: Buffer
  /** Code of the reset, 0 without. */
  readonly reset: number
}

function open(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
}

async function endingOf(stream: ClientHttp2Stream): Promise<Ending> {
  let headers: Record<string, unknown> = {}
  let trailers: Record<string, unknown> = {}
  const chunks: Buffer[] = []
  stream.on('response', (given) => {
    headers = given
  })
  stream.on('trailers', (given) => {
    trailers = given
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', () => {})
  await new Promise<void>((resolve) => stream.on('close', () => resolve()))
  return { headers, trailers, body: Buffer.concat(chunks), reset: stream.rstCode ?? 0 }
}

async function exchange(
  path: string,
  body: Buffer,
  headers: Record<string, string> = {},
): Promise<Ending & { status: unknown; message: string }> {
  const stream = open(connect(), path, headers)
  stream.end(body)
  const ending = await endingOf(stream)
  const all = { ...ending.headers, ...ending.trailers }
  return {
    ...ending,
    status: all['grpc-status'],
    message: decodeURIComponent(String(all['grpc-message'] ?? '')),
  }
}

const EMPTY = frameMessage(Buffer.alloc(0))
const LOOKUP = encoded('feast.serving.GetOnlineFeaturesRequest', {
  features: { val: ['loc_stats:temp'] },
  entities: { location_id: { val: [{ int64Val: 1 }] } },
})

function compressed(bytes: Buffer): Buffer {
  const frame = frameMessage(bytes)
  frame[0] = 1
  return frame
}

describe('HTTP around a call', () => {
  it.each<[type: string, status: number]>([
    ['application/grpc', 200],
    ['application/grpc+proto', 200],
    ['application/grpc;charset=utf-8', 200],
    ['application/grpc+json', 415],
    ['application/grpc-web', 415],
    ['application/json', 415],
    ['', 415],
  ])('content type "%s" gets %i', async (type, status) => {
    expect((await exchange(INFO, EMPTY, { 'content-type': type })).headers[':status']).toBe(status)
  })

  it('takes POST only', async () => {
    const ending = await endingOf(
      connect().request({ ':method': 'GET', ':path': INFO, 'content-type': 'application/grpc' }),
    )
    expect(ending.headers).toMatchObject({ ':status': 405, allow: 'POST' })
  })

  it('answers in the order of headers, message, trailers', async () => {
    const { headers, body, trailers } = await exchange(INFO, EMPTY)
    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' })
    expect(body.subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 0, body.length - 5]))
    expect(trailers).toMatchObject({ 'grpc-status': '0' })
  })

  it('answers an unknown method with headers alone: UNIMPLEMENTED', async () => {
    const { headers, status, message, body } = await exchange('/feast.serving.ServingService/Nope', EMPTY)
    expect(headers).toMatchObject({ ':status': 200, 'grpc-status': '12' })
    expect({ status, length: body.length }).toEqual({ status: '12', length: 0 })
    expect(message).toContain('/feast.serving.ServingService/Nope')
  })

  it('answers in many streams of one connection', async () => {
    const session = connect()
    const endings = await Promise.all(
      Array.from({ length: 500 }, () => {
        const stream = open(session, GET)
        stream.end(frameMessage(LOOKUP))
        return endingOf(stream)
      }),
    )
    expect(new Set(endings.map(({ trailers }) => trailers['grpc-status']))).toEqual(new Set(['0']))
    expect(new Set(endings.map(({ body }) => body.toString('hex'))).size).toBe(1)
  })
})

describe('messages', () => {
  it.each([1, 2, 4, 5, 6, 50])('may come in pieces of %i bytes', async (size) => {
    const stream = open(connect(), GET)
    const frame = frameMessage(LOOKUP)
    for (let at = 0; at < frame.length; at += size) stream.write(frame.subarray(at, at + size))
    stream.end()
    expect((await endingOf(stream)).trailers['grpc-status']).toBe('0')
  })

  it.each([
    ['gzip', gzipSync(LOOKUP)],
    ['deflate', deflateSync(LOOKUP)],
  ])('may be compressed with %s', async (encoding, bytes) => {
    const plain = await exchange(GET, frameMessage(LOOKUP))
    const { status, body } = await exchange(GET, compressed(bytes), { 'grpc-encoding': encoding })
    expect({ status, body }).toEqual({ status: '0', body: plain.body })
    // The flag says it for each message.
    expect((await exchange(GET, frameMessage(LOOKUP), { 'grpc-encoding': encoding })).status).toBe('0')
  })

  it('in an unknown compression are UNIMPLEMENTED, and the known ones are named', async () => {
    const { status, headers } = await exchange(GET, compressed(LOOKUP), { 'grpc-encoding': 'br' })
    expect({ status, accepted: headers['grpc-accept-encoding'] }).toEqual({
      status: '12',
      accepted: 'identity,gzip,deflate',
    })
    expect((await exchange(GET, EMPTY, { 'grpc-encoding': 'constructor' })).status).toBe('12')
  })

  const long = Buffer.alloc(LIMIT + 1)
  it.each<[what: string, body: Buffer, headers: Record<string, string>, status: string]>([
    ['bytes that are no frame', Buffer.from('hello, world'), {}, '3'],
    ['a flag that is none', Buffer.from([2, 0, 0, 0, 0]), {}, '3'],
    ['half a head', Buffer.from([0, 0, 0]), {}, '3'],
    ['half a message', Buffer.from([0, 0, 0, 0, 9, 1]), {}, '3'],
    ['no message', Buffer.alloc(0), {}, '12'],
    ['two messages', Buffer.concat([EMPTY, EMPTY]), {}, '12'],
    ['a compressed message that names no way', compressed(gzipSync(LOOKUP)), {}, '3'],
    ['what is not compressed as it says', compressed(LOOKUP), { 'grpc-encoding': 'gzip' }, '3'],
    ['more than the limit', frameMessage(long), {}, '8'],
    ['the promise of more than the limit', Buffer.from([0, 255, 255, 255, 255]), {}, '8'],
    ['a bomb', compressed(gzipSync(Buffer.alloc(100 * LIMIT))), { 'grpc-encoding': 'gzip' }, '8'],
  ])('%s: refused with the client’s status', async (_what, body, headers, status) => {
    expect((await exchange(GET, body, headers)).status).toBe(status)
  })

  it('of exactly the limit is taken', async () => {
    const name = Buffer.alloc(LIMIT - LOOKUP.length - 4, 'x')
    // An unknown field fills it up.
    const filled = Buffer.concat([LOOKUP, Buffer.from([0x7a, 0, 0, 0]), name])
    const length = filled.length - LOOKUP.length - 4
    filled.set([(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14], LOOKUP.length + 1)
    expect(filled.length).toBe(LIMIT)
    expect((await exchange(GET, frameMessage(filled))).status).toBe('0')
  })

  it('a refused request is not read to its end', async () => {
    const stream = open(connect(), GET)
    stream.write(Buffer.from([0, 255, 255, 255, 255]))
    const { headers, reset } = await endingOf(stream)
    expect(headers['grpc-status']).toBe('8')
    expect(reset).toBe(constants.NGHTTP2_NO_ERROR)
  })

  it('unfinished ones of one connection have a bound together', async () => {
    const session = connect()
    const part = frameMessage(Buffer.alloc(LIMIT)).subarray(0, LIMIT - 10)
    const streams = Array.from({ length: 8 }, () => open(session, GET))
    const endings = streams.map(endingOf)
    for (const stream of streams) stream.write(part)
    const statuses = (await Promise.all(endings)).map(({ headers }) => headers['grpc-status'])
    // The rest never comes: those within the bound are ended for that.
    expect(statuses.filter((status) => status === '8').length).toBeGreaterThanOrEqual(3)
    expect(statuses.filter((status) => status === '4').length).toBeGreaterThanOrEqual(3)
  })
})

describe('deadlines', () => {
  it.each(['0n', '999u', '0m'])('of %s has passed already', async (timeout) => {
    expect((await exchange(GET, frameMessage(LOOKUP), { 'grpc-timeout': timeout })).status).toBe('4')
  })

  it.each(['1H', '99999999H', '1M', '30S', '30000m', '30000000u'])('of %s leave time', async (timeout) => {
    expect((await exchange(INFO, EMPTY, { 'grpc-timeout': timeout })).status).toBe('0')
  })

  it('of some nanoseconds are kept, or passed', async () => {
    const { status } = await exchange(INFO, EMPTY, { 'grpc-timeout': '99999999n' })
    expect(['0', '4']).toContain(status)
    expect(parseTimeout('99999999n')).toBeCloseTo(100)
  })

  it.each(['', '1', 'S', '-1S', '1.5S', '123456789m', '1s'])('"%s" is none', async (timeout) => {
    expect((await exchange(GET, frameMessage(LOOKUP), { 'grpc-timeout': timeout })).status).toBe('3')
  })

  it('end a call whose request does not come', async () => {
    const stream = open(connect(), GET, { 'grpc-timeout': '50m' })
    stream.write(Buffer.from([0, 0]))
    expect((await endingOf(stream)).headers['grpc-status']).toBe('4')
  })

  it('end a watch', async () => {
    const stream = open(connect(), WATCH, { 'grpc-timeout': '1S' })
    stream.end(EMPTY)
    const { trailers, body } = await endingOf(stream)
    expect({ status: trailers['grpc-status'], body }).toEqual({
      status: '4',
      body: Buffer.from([0, 0, 0, 0, 2, 8, 1]),
    })
  })
})

describe('clients that are slow or rude', () => {
  it('a request that stays unfinished is ended', async () => {
    const stream = open(connect(), GET)
    stream.write(Buffer.from([0, 0]))
    expect((await endingOf(stream)).headers['grpc-status']).toBe('4')
  })

  it('an answer that nobody takes is dropped', async () => {
    const session = connect({ initialWindowSize: 0 })
    const stream = open(session, INFO)
    stream.end(EMPTY)
    expect((await endingOf(stream)).reset).toBe(constants.NGHTTP2_CANCEL)
  })

  it('a connection that says nothing is closed', async () => {
    const socket = connectTcp(fixture.server.port, '127.0.0.1')
    socket.resume()
    await once(socket, 'close')
  })

  it('bytes that are no HTTP/2 close the connection', async () => {
    const socket = connectTcp(fixture.server.port, '127.0.0.1', () =>
      socket.write('POST /get-online-features HTTP/1.1\r\nHost: x\r\n\r\n'),
    )
    socket.resume()
    socket.on('error', () => {})
    await once(socket, 'close')
  })

  it('a dialogue that breaks off with a wrong frame is told so', async () => {
    const stream = open(connect(), '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')
    const ending = endingOf(stream)
    stream.write(Buffer.concat([frameMessage(Buffer.alloc(0)), Buffer.from([0x22, 0, 0, 0, 9])]))
    expect((await ending).trailers['grpc-status']).toBe('3')
  })

  it('a flood of pings closes the connection; pings between calls do not', async () => {
    const calm = connect()
    for (let call = 0; call < 5; call++) {
      for (let ping = 0; ping < 50; ping++) await new Promise((resolve) => calm.ping(resolve))
      const stream = open(calm, INFO)
      stream.end(EMPTY)
      expect((await endingOf(stream)).trailers['grpc-status']).toBe('0')
    }
    const flood = connect()
    const goaway = once(flood, 'goaway')
    await once(flood, 'connect')
    for (let ping = 0; ping < 101; ping++) await new Promise((resolve) => flood.ping(resolve))
    const [code, , reason] = await goaway
    expect({ code, reason: String(reason) }).toEqual({
      code: constants.NGHTTP2_ENHANCE_YOUR_CALM,
      reason: 'too_many_pings',
    })
  })

  it('calls that are cancelled leave nothing behind', async () => {
    const client = new BytesClient(fixture.address)
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, index) => client.unary(GET, LOOKUP, { deadlineMs: index % 5 })),
    )
    for (const { code } of outcomes) {
      expect([grpc.status.OK, grpc.status.DEADLINE_EXCEEDED]).toContain(code)
    }
    expect((await client.unary(GET, LOOKUP)).code).toBe(grpc.status.OK)
    client.close()
  })
})

describe('frames', () => {
  it('are found however the bytes are cut', () => {
    const messages = [0, 1, 5, 300, 70_000].map((length) => Buffer.alloc(length, length % 251))
    const bytes = Buffer.concat(messages.map(frameMessage))
    for (const size of [1, 3, 5, 6, 7, 1000, 65_536, bytes.length]) {
      const found: Buffer[] = []
      const reader = new FrameReader(70_000, (message) => found.push(message))
      for (let at = 0; at < bytes.length; at += size) reader.read(bytes.subarray(at, at + size))
      expect(found).toEqual(messages)
      expect(reader.isEmpty).toBe(true)
    }
  })
})

it('connections beyond the limit are closed at once, the others go on', async () => {
  const limited = await openGrpcFixture({ maxConnections: 2 })
  const open = () => {
    const socket = connectTcp(limited.server.port, '127.0.0.1')
    return new Promise<'open' | 'closed'>((resolve) => {
      // A server of HTTP/2 speaks first.
      socket.once('data', () => resolve('open'))
      socket.once('close', () => resolve('closed'))
      socket.on('error', () => {})
      held.push(socket)
    })
  }
  const held: Socket[] = []
  expect([await open(), await open(), await open()]).toEqual(['open', 'open', 'closed'])
  expect(await limited.metrics.text()).toContain('rejected_total{reason="connections"} 1\n')
  held[0]!.destroy()
  await until(async () => (await open()) === 'open', 'room for another')
  for (const socket of held) socket.destroy()
  await limited.close()
})
