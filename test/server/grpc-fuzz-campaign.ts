import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { frameMessage } from '../../src/codec/grpc-wire.js'
import type { Random } from '../compat/random.js'
import { encoded, type GrpcFixture } from './grpc-fixture.js'

export interface GrpcFuzzResult {
  /** Calls per gRPC status, or `HTTP n`, or `reset`. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Calls that ended as if the server were at fault, or not at all. */
  readonly failures: readonly string[]
  /** Bytes by which the heap grew after the first fifth. */
  readonly heapGrowthBytes: number
}

interface Seed {
  readonly path: string
  readonly message: Buffer
}

const SERVING = '/feast.serving.ServingService'
const lookup = (message: object) => encoded('feast.serving.GetOnlineFeaturesRequest', message as never)
const keys = (...ids: number[]) => ({ val: ids.map((int64Val) => ({ int64Val })) })

const SEEDS: readonly Seed[] = [
  {
    path: `${SERVING}/GetOnlineFeatures`,
    message: lookup({
      features: { val: ['driver_stats:trips', 'driver_stats:conv_rate', 'dc_stats:score'] },
      entities: {
        driver_id: keys(1001, 1002),
        customer_id: { val: [{ stringVal: 'c1' }, { stringVal: 'c2' }] },
      },
    }),
  },
  {
    path: '/GrpcFeatureServer/GetOnlineFeatures',
    message: lookup({
      featureService: 'svc',
      entities: { driver_id: keys(1001) },
      requestContext: { val_to_add: keys(5) },
    }),
  },
  {
    path: `${SERVING}/GetOnlineFeatures`,
    message: lookup({
      featureService: 'svc_alias',
      fullFeatureNames: true,
      entities: { origin_id: keys(1), dest_id: keys(2) },
    }),
  },
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

/** Sends malformed calls, a few at a time, some of them down a socket of their own as bytes that are no HTTP/2. */
export async function fuzzGrpc(fixture: GrpcFixture, random: Random, count: number): Promise<GrpcFuzzResult> {
  const outcomes = new Map<string, number>()
  const failures: string[] = []
  let heapAfterWarmUp = 0
  let session = connect(fixture)
  for (let index = 0; index < count; index += BATCH) {
    // Streams that were reset count against a connection.
    if (index % 500 === 0) {
      session.destroy()
      session = connect(fixture)
    }
    if (heapAfterWarmUp === 0 && index >= count / 5) heapAfterWarmUp = heapBytes()
    const batch = Array.from({ length: BATCH }, () => one(fixture, session, random, failures))
    for (const outcome of await Promise.all(batch)) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  session.destroy()
  return { outcomes, failures, heapGrowthBytes: heapBytes() - heapAfterWarmUp }
}

const BATCH = 10

function connect({ address }: GrpcFixture): ClientHttp2Session {
  const session = connectHttp2(`http://${address}`)
  session.on('error', () => {})
  return session
}

async function one(
  fixture: GrpcFixture,
  session: ClientHttp2Session,
  random: Random,
  failures: string[],
): Promise<string> {
  if (random.chance(0.01)) return sendBytes(fixture.server.port, randomBytes(random, 200))
  const { path, message } = random.pick(SEEDS)
  const asked = random.chance(0.03) ? random.pick(PATHS) : path
  const headers = random.chance(0.2) ? random.pick(HEADERS) : {}
  const body = bodyOf(random, message)
  const cutAt = random.chance(0.1) ? random.int(0, body.length) : undefined
  const outcome = await call(session, asked, headers, body, cutAt)
  if (FAULTS.has(outcome) || outcome.startsWith('HTTP 5') || outcome === 'nothing') {
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
      resolve(outcome)
    })
    stream.resume()
    if (cutAt === undefined) stream.end(body)
    else {
      stream.write(body.subarray(0, cutAt))
      setImmediate(() => (cutAt % 5 === 0 ? stream.close(8) : stream.end(body.subarray(cutAt))))
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

/** Bytes changed, cut out or put in twice: lengths no longer fit, fields become others. */
function damaged(random: Random, message: Buffer): Buffer {
  let bytes = Buffer.from(message)
  for (let left = random.int(1, 3); left > 0 && bytes.length > 0; left--) {
    const at = random.int(0, bytes.length - 1)
    const end = random.int(at, Math.min(bytes.length, at + 20))
    const way = random.next()
    if (way < 0.6) bytes[at] = random.chance(0.5) ? random.int(0, 255) : bytes[at]! ^ (1 << random.int(0, 7))
    else if (way < 0.8) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    else bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
  }
  return bytes
}

function randomBytes(random: Random, most: number): Buffer {
  return Buffer.from(random.times(random.int(0, most), () => random.int(0, 255)))
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')

function sendBytes(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => {
      socket.end(Buffer.concat([PREFACE, bytes]))
      setTimeout(() => socket.destroy(), 20)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve('bytes'))
    socket.resume()
  })
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
}
