import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { expect } from '@jest/globals'
import { frameMessage } from '../../src/codec/grpc-wire.js'
import type { Random } from '../compat/random.js'
import { BytesClient, encoded } from './grpc-fixture.js'
import { growthBelow, type Held, heldNow } from './held.js'
import { damaged, lookupMessage, randomBytes } from './malformed-messages.js'

export interface GrpcFuzzResult {
  /** Calls per gRPC status, or `HTTP n`, or `reset`. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Calls that ended as if the server were at fault, or not at all. */
  readonly failures: readonly string[]
  /** Since the first fifth. */
  readonly growth: Held
}

interface Seed {
  readonly path: string
  readonly message: Buffer
}

const SERVING = '/feast.serving.ServingService'

/** Lookups take turns with these. */
const LOOKUP_PATHS = [`${SERVING}/GetOnlineFeatures`, '/GrpcFeatureServer/GetOnlineFeatures']

const SEEDS: readonly Seed[] = [
  {
    path: '/GrpcFeatureServer/Push',
    message: encoded('PushRequest', {
      streamFeatureView: 'driver_push',
      to: 'online',
      features: {
        driver_id: '1',
        event_timestamp: '2026-08-05T00:00:00Z',
        trips: '7',
        tags: '["a"]',
        flag: 'true',
      },
    }),
  },
  {
    path: '/GrpcFeatureServer/WriteToOnlineStore',
    message: encoded('WriteToOnlineStoreRequest', {
      featureViewName: 'loc_stats',
      typedFeatures: {
        location_id: { int64Val: 3 },
        event_timestamp: { unixTimestampVal: 1785888000 },
        temp: { doubleVal: 1.5 },
      },
    }),
  },
  {
    path: '/grpc.health.v1.Health/Check',
    message: encoded('grpc.health.v1.HealthCheckRequest', { service: 'x' }),
  },
  { path: '/grpc.health.v1.Health/List', message: Buffer.alloc(0) },
  { path: `${SERVING}/GetFeastServingInfo`, message: Buffer.alloc(0) },
  {
    path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    message: encoded('grpc.reflection.v1.ServerReflectionRequest', {
      fileContainingSymbol: 'feast.types.Value',
    }),
  },
  {
    path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    message: encoded('grpc.reflection.v1.ServerReflectionRequest', { listServices: '*' }),
  },
]

const PATHS = [
  '/',
  '//',
  '/x',
  '/feast.serving.ServingService',
  '/GrpcFeatureServer/push',
  `/${'a'.repeat(3000)}`,
  '*',
]
const HEADERS: readonly Readonly<Record<string, string>>[] = [
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/grpc-web' },
  { 'grpc-encoding': 'gzip' },
  { 'grpc-encoding': 'deflate' },
  { 'grpc-encoding': 'snappy' },
  { 'grpc-encoding': '__proto__' },
  { 'grpc-timeout': '1n' },
  { 'grpc-timeout': '2m' },
  { 'grpc-timeout': '99999999H' },
  { 'grpc-timeout': 'NaN' },
  { 'grpc-accept-encoding': 'x'.repeat(2000) },
  { authorization: `Bearer ${'x'.repeat(2000)}` },
  { 'x-bin': '%%%' },
  { 'x-request-id': '"\u00e9\\' },
]

/** Not the client's doing: UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const FAULTS = new Set(['2', '13', '14', '15'])
const PATIENCE_MS = 20_000
const SESSIONS = 8
const BATCH = 200
/** Most of the calls that are worth keeping are alike. */
const MAX_FAILURES = 50
const BOUNDS: Held = { heapBytes: 20e6, files: 40, resources: 40 }

export const FUZZ_TIMEOUTS = { handshakeMs: 2000, requestMs: 20_000, answerMs: 20_000, idleMs: 3000 }

export interface GrpcFuzzTarget {
  readonly address: string
  /** Sent with most calls. */
  readonly authorization?: string
}

/** Sends malformed calls over several connections, and down some of their own bytes that are no HTTP/2. */
export async function fuzzGrpc(
  target: GrpcFuzzTarget,
  random: Random,
  count: number,
): Promise<GrpcFuzzResult> {
  const outcomes = new Map<string, number>()
  const failures: string[] = []
  const sessions = Array.from({ length: SESSIONS }, () => connect(target))
  let warm: Held | undefined
  let turn = 0
  for (let index = 0; index < count && failures.length < MAX_FAILURES; index += BATCH) {
    if (index >= count / 5) warm ??= heldNow()
    // Streams that were reset count against a connection.
    const oldest = turn++ % SESSIONS
    sessions[oldest]!.destroy()
    sessions[oldest] = connect(target)
    const batch = Array.from({ length: BATCH }, (_, n) =>
      one(target, sessions[n % SESSIONS]!, random, failures),
    )
    for (const outcome of await Promise.all(batch)) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  for (const session of sessions) session.destroy()
  // Connections on which frames were wrong are kept until they have been idle for long.
  await sleep(FUZZ_TIMEOUTS.idleMs)
  return { outcomes, failures, growth: await growthBelow(BOUNDS, warm!) }
}

export async function expectUnharmed({ address }: GrpcFuzzTarget, result: GrpcFuzzResult): Promise<void> {
  expect(result.failures).toEqual([])
  expect(result.growth.heapBytes).toBeLessThan(BOUNDS.heapBytes)
  expect(result.growth.files).toBeLessThan(BOUNDS.files)
  expect(result.growth.resources).toBeLessThan(BOUNDS.resources)
  const client = new BytesClient(address)
  expect(await client.ask('/grpc.health.v1.Health/Check')).toEqual({ status: 'SERVING' })
  client.close()
}

function connect({ address }: GrpcFuzzTarget): ClientHttp2Session {
  const session = connectHttp2(`http://${address}`)
  session.on('error', () => {})
  return session
}

async function one(
  { address, authorization }: GrpcFuzzTarget,
  session: ClientHttp2Session,
  random: Random,
  failures: string[],
): Promise<string> {
  if (random.chance(0.01)) return sendBytes(address, malformedFrames(random))
  const { path, message } = random.chance(0.5)
    ? { path: random.pick(LOOKUP_PATHS), message: lookupMessage(random) }
    : random.pick(SEEDS)
  const asked = random.chance(0.03) ? random.pick(PATHS) : path
  const known: Record<string, string> =
    authorization !== undefined && random.chance(0.9) ? { authorization } : {}
  const headers = { ...known, ...(random.chance(0.2) && random.pick(HEADERS)) }
  const body = bodyOf(random, message)
  const cutAt = random.chance(0.1) ? random.int(0, body.length) : undefined
  const outcome = await call(session, asked, headers, body, cutAt)
  if (FAULTS.has(outcome) || outcome === 'nothing' || /^HTTP [25]/.test(outcome)) {
    failures.push(`${asked} ${JSON.stringify(headers)} ${body.toString('hex').slice(0, 600)} → ${outcome}`)
  }
  return outcome
}

/** @param cutAt the body comes in two pieces, a few of which end with a reset between them */
function call(
  session: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  cutAt: number | undefined,
): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    let outcome = 'reset'
    let isTakenBack = false
    const late = setTimeout(() => {
      outcome = 'nothing'
      stream.destroy()
    }, PATIENCE_MS)
    stream.on('response', (answer) => {
      outcome = String(answer['grpc-status'] ?? `HTTP ${answer[':status']}`)
    })
    stream.on('trailers', (trailers) => {
      outcome = String(trailers['grpc-status'])
    })
    stream.on('error', () => {})
    stream.on('close', () => {
      clearTimeout(late)
      resolve(isTakenBack ? 'taken back' : outcome)
    })
    stream.resume()
    if (cutAt === undefined) stream.end(body)
    else {
      stream.write(body.subarray(0, cutAt))
      setImmediate(() => {
        isTakenBack = cutAt % 5 === 0
        if (isTakenBack) stream.close(8)
        else stream.end(body.subarray(cutAt))
      })
    }
  })
}

function bodyOf(random: Random, message: Buffer): Buffer {
  const way = random.next()
  if (way < 0.05) return randomBytes(random, 60)
  const changed = way < 0.1 ? message : way < 0.2 ? randomBytes(random, 100) : damaged(random, message)
  const frame = frameMessage(way < 0.3 ? gzipSync(changed) : changed)
  if (way < 0.3) frame[0] = 1
  if (random.chance(0.05)) frame.writeUInt32BE(random.pick([0, 1, frame.length, 0xffff_ffff, 30_000]), 1)
  return random.chance(0.05) ? Buffer.concat([frame, frame]) : frame
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')

/** Frames as they should be but for their types, flags, streams, lengths or contents; or no frames at all. */
function malformedFrames(random: Random): Buffer {
  if (random.chance(0.3)) return randomBytes(random, 200)
  const frames = random.times(random.int(1, 8), () => {
    const payload = random.chance(0.3) ? SOME_HEADERS : randomBytes(random, random.pick([0, 4, 8, 40]))
    const head = Buffer.alloc(9)
    head.writeUIntBE(random.chance(0.9) ? payload.length : random.pick([0, 16_385, 0xff_ffff]), 0, 3)
    head[3] = random.int(0, 11)
    head[4] = random.pick([0, 1, 4, 5, 8, 0x20, 0xff])
    head.writeUInt32BE(random.pick([0, 1, 1, 3, 2, 0x7fff_ffff, 0xffff_ffff]), 5)
    return Buffer.concat([head, payload])
  })
  return Buffer.concat(frames)
}

/** Of HPACK: a POST over http to a path that is none. */
const SOME_HEADERS = Buffer.from([0x83, 0x86, 0x84, 0x40, 0x01, 0x61, 0x01, 0x62])

function sendBytes(address: string, bytes: Buffer): Promise<string> {
  const [host, port] = address.split(':') as [string, string]
  return new Promise((resolve) => {
    const socket = connectTcp(Number(port), host, () => {
      socket.end(Buffer.concat([PREFACE, bytes]))
      setTimeout(() => socket.destroy(), 20)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve('bytes'))
    socket.resume()
  })
}
