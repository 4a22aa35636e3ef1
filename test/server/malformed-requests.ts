import type { Random } from '../compat/random.js'
import { damaged, lookupMessage, randomBytes } from './malformed-messages.js'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD' | 'OPTIONS'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Buffer | undefined
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const SEEDS: readonly { readonly url: string; readonly body: Json }[] = [
  {
    url: '/get-online-features',
    body: {
      features: ['driver_stats:trips', 'driver_stats:conv_rate', 'dc_stats:score'],
      entities: { driver_id: [1001, '1002'], customer_id: ['c1', 'c2'] },
      full_feature_names: false,
    },
  },
  {
    url: '/get-online-features',
    body: { feature_service: 'svc', entities: { driver_id: [1001], val_to_add: [5] } },
  },
  {
    url: '/get-online-features',
    body: {
      feature_service: 'svc_alias',
      full_feature_names: true,
      entities: { origin_id: [1], dest_id: [2] },
    },
  },
  {
    url: '/push',
    body: {
      push_source_name: 'driver_push',
      to: 'online',
      df: {
        driver_id: [1],
        event_timestamp: ['2026-08-05T00:00:00Z'],
        created: [null],
        conv_rate: [0.5],
        acc_rate: [null],
        trips: [7],
        i32: [1],
        name: ['n'],
        flag: [true],
        ts: [1785888000],
        raw: [null],
        tags: [['a']],
        nums: [[1]],
        floats: [[1.5]],
        js: ['{"x":1}'],
        mp: [{ k: 'v' }],
      },
    },
  },
  {
    url: '/write-to-online-store',
    body: {
      feature_view_name: 'loc_stats',
      df: { location_id: [3], event_timestamp: ['2026-08-05'], temp: [1.5] },
    },
  },
  {
    url: '/materialize',
    body: { start_ts: '2026-08-02T00:00:00', end_ts: '2026-08-01T00:00:00', feature_views: [] },
  },
  { url: '/materialize-incremental', body: { end_ts: '2026-08-01T00:00:00', feature_views: [] } },
]

/** Values that have broken parsers before. */
const NASTY: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  -0,
  2 ** 53,
  '',
  ' ',
  '\0',
  '\ud800',
  '\u202e',
  '💥',
  '__proto__',
  'constructor',
  'toString',
  'driver_stats',
  'driver_stats:',
  ':trips',
  'driver_stats:trips:trips',
  'driver_stats@v1:trips',
  'driver_stats@:trips',
  'driver_stats@v99999999999999999999:trips',
  'od_py:trips_plus',
  'od_failing:ratio',
  'od_python_only:conv_plus',
  'disabled_stats:temp2',
  '9'.repeat(400),
  'x'.repeat(5000),
  "'; DROP TABLE demo_driver_stats; --",
  '2026-13-45T99:99:99Z',
  '-271821-04-20',
  '999999-12-31T23:59:59Z',
  [],
  {},
  [[]],
  [null],
  [{}],
  [1, 'a', null, [], {}],
  { a: 1 },
  { '': [] },
  { __proto__x: [1] },
]

/** Text that JSON.stringify would never write. */
const NASTY_TEXT = [
  'NaN',
  'Infinity',
  '-Infinity',
  '1e999',
  '-1e999',
  '123456789012345678901234567890',
  '-9223372036854775809',
  '9223372036854775808',
  '0.1e-400',
  '"\\ud800"',
  '"\\u0000"',
  '{"__proto__":{"polluted":1}}',
  '['.repeat(200),
  `${'['.repeat(50)}${']'.repeat(50)}`,
  `${'{"a":'.repeat(70)}1${'}'.repeat(70)}`,
  `[${'1,'.repeat(2000)}1]`,
  ',',
  '}',
  '/*',
  '\ufeff',
]

const ROUTES = ['/health', '/ready', '/metrics', '/openapi.json', ...SEEDS.map(({ url }) => url)]
const METHODS = ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'] as const
const URLS = [
  '/',
  '//',
  '/get-online-features/',
  '/get-online-features?x=%',
  '/%zz',
  '/..%2f..%2fetc/passwd',
  '/health?%00',
  '/metrics/../push',
  '/materialize?async=maybe',
  '/materialize?async=true&async=false&force=%F0',
  `/${'a'.repeat(3000)}`,
]
const HEADERS: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'content-type': 'application/json' },
  { 'content-type': 'text/xml' },
  { 'content-type': ';;;' },
  { 'content-type': 'application/json; charset=utf-16' },
  { 'content-encoding': 'gzip' },
  { accept: 'text/html', 'accept-encoding': 'br' },
  { authorization: `Bearer ${'x'.repeat(2000)}` },
]

const PROTOBUF_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { 'content-type': 'application/x-protobuf' },
  { 'content-type': 'application/protobuf', accept: 'application/x-protobuf' },
  { 'content-type': 'application/x-protobuf', accept: 'application/json' },
  { 'content-type': 'application/x-protobuf; proto=feast.serving.GetOnlineFeaturesRequest', accept: '*/*' },
  { 'content-type': 'application/json', accept: 'application/x-protobuf' },
  { accept: 'application/protobuf' },
]

/** A request that is wrong in some way; a few come out right, which is no harm. */
export function malformedRequest(random: Random): HttpRequest {
  const way = random.next()
  if (way < 0.3) return protobufRequest(random)
  if (way < 0.33) return otherRequest(random)
  // Materializations that come out right take a while, so they are rare.
  const seed = random.chance(0.003) ? random.pick(SEEDS.slice(5)) : random.pick(SEEDS.slice(0, 5))
  return {
    method: random.chance(0.03) ? random.pick(METHODS) : 'POST',
    url: seed.url,
    headers: headersOf(random, HEADERS),
    payload: payloadOf(random, seed.body),
  }
}

/** To the route that knows messages, mostly. */
function protobufRequest(random: Random): HttpRequest {
  return {
    method: 'POST',
    url: random.chance(0.97) ? '/get-online-features' : random.pick(ROUTES),
    headers: headersOf(random, PROTOBUF_HEADERS),
    payload: random.chance(0.9) ? lookupMessage(random) : payloadOf(random, random.pick(SEEDS).body),
  }
}

/** Any route by any method, and addresses that are none. */
function otherRequest(random: Random): HttpRequest {
  const method = random.pick(METHODS)
  const isAddress = random.chance(0.5)
  return {
    method,
    url: isAddress ? random.pick(URLS) : random.pick(ROUTES),
    headers: headersOf(random, HEADERS),
    payload: method === 'GET' || random.chance(0.5) ? undefined : randomBytes(random, 60),
  }
}

const HEADER_NAMES = ['accept', 'x-request-id', 'traceparent', 'expect', 'cookie', 'x-forwarded-for', 'range']
const HEADER_VALUES = [
  '',
  ' ',
  ',;=',
  '*/*;q=x',
  '00-00000000000000000000000000000000-0000000000000000-00',
  '\u00ff',
  'z'.repeat(3000),
  'bytes=-1',
]

/** Some of those, and now and then some that have nothing to do with the matter. */
function headersOf(
  random: Random,
  known: readonly Readonly<Record<string, string>>[],
): Readonly<Record<string, string>> {
  if (random.chance(0.85)) return random.pick(known)
  const odd = random.times(random.int(1, 4), () => [random.pick(HEADER_NAMES), random.pick(HEADER_VALUES)])
  return { ...random.pick(known), ...Object.fromEntries(odd) }
}

function payloadOf(random: Random, body: Json): Buffer | undefined {
  const way = random.next()
  if (way < 0.02) return undefined
  if (way < 0.05) return randomBytes(random, 60)
  if (way < 0.55) return Buffer.from(JSON.stringify(mutated(random, body)))
  if (way < 0.8) return Buffer.from(withNastyText(random, JSON.stringify(mutated(random, body))))
  return damaged(random, Buffer.from(JSON.stringify(body)))
}

/** One to three places of the body hold something else. */
function mutated(random: Random, body: Json): Json {
  let result = body
  for (let left = random.int(1, 3); left > 0; left--) result = replaced(random, result)
  return result
}

function replaced(random: Random, value: Json): Json {
  if (typeof value !== 'object' || value === null || random.chance(0.15)) return random.pick(NASTY)
  if (Array.isArray(value)) {
    if (value.length === 0 || random.chance(0.2)) return [...value, random.pick(NASTY)]
    const at = random.int(0, value.length - 1)
    return random.chance(0.2)
      ? value.filter((_, index) => index !== at)
      : value.map((item, index) => (index === at ? replaced(random, item) : item))
  }
  const entries = Object.entries(value as Readonly<Record<string, Json>>)
  const at = random.int(0, entries.length)
  if (at === entries.length) return { ...value, [String(random.pick(NASTY))]: random.pick(NASTY) }
  const [name, item] = entries[at]!
  const rest = entries.filter((_, index) => index !== at)
  const way = random.next()
  if (way < 0.1) return Object.fromEntries(rest)
  const changed: [string, Json] =
    way < 0.2 ? [String(random.pick(NASTY)), item] : [name, replaced(random, item)]
  return Object.fromEntries([...rest, changed])
}

/** In place of one value of the text. */
function withNastyText(random: Random, text: string): string {
  const places = [...text.matchAll(/"[^"]*"|-?\d+(\.\d+)?|true|false|null|\[\]/g)]
  if (places.length === 0) return random.pick(NASTY_TEXT)
  const place = random.pick(places)
  return text.slice(0, place.index) + random.pick(NASTY_TEXT) + text.slice(place.index + place[0].length)
}

/** Bytes that are no HTTP, or nearly HTTP. */
export function malformedBytes(random: Random): Buffer {
  const body = JSON.stringify(random.pick(SEEDS).body)
  const head = `POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
  const way = random.next()
  if (way < 0.2) return randomBytes(random, 200)
  if (way < 0.35) return Buffer.from(head.replace('Host: x', oddHeaders(random)) + body, 'latin1')
  if (way < 0.7) return damaged(random, Buffer.from(head + body))
  if (way < 0.8) return Buffer.from(`GET /health HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(30_000)}\r\n\r\n`)
  if (way < 0.9)
    return Buffer.from(
      head.replace(String(body.length), random.pick(['-1', '1e9', 'x', '99999999999'])) + body,
    )
  return Buffer.from(`${head.replace('Content-Length', 'Transfer-Encoding: chunked\r\nX')}zz\r\n${body}`)
}

function oddHeaders(random: Random): string {
  const odd = [
    'Host: x\r\nHost: y',
    'Host',
    'Host: x\r\n folded: y',
    'Host: x\r\nContent-Length: 5',
    'Host: x\r\nTransfer-Encoding: chunked',
    'Host: x\r\nTransfer-Encoding: gzip, chunked',
    'Host: x\r\nA: \0',
    'Host: x\r\n: nameless',
    'Host: x\r\nExpect: 100-continue',
    'Host: x\r\nExpect: the worst',
    'Host: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA',
    'Host: x\r\nContent-Type: \xff\xfe',
    `Host: x${'\r\nA: b'.repeat(random.int(1, 3000))}`,
  ]
  return random.pick(odd)
}
