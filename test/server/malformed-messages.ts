import type { Random } from '../compat/random.js'
import { encoded } from './grpc-fixture.js'

type Message = Record<string, unknown>

const keys = (...ids: number[]) => ({ val: ids.map((int64Val) => ({ int64Val })) })

/** Lookups that are right. */
export const LOOKUPS: readonly Message[] = [
  {
    features: { val: ['driver_stats:trips', 'driver_stats:conv_rate', 'dc_stats:score'] },
    entities: {
      driver_id: keys(1001, 1002),
      customer_id: { val: [{ stringVal: 'c1' }, { stringVal: 'c2' }] },
    },
  },
  {
    featureService: 'svc',
    entities: { driver_id: keys(1001) },
    requestContext: { val_to_add: keys(5) },
  },
  {
    featureService: 'svc_alias',
    fullFeatureNames: true,
    entities: { origin_id: keys(1), dest_id: keys(2) },
  },
]

/** Values that are no key of any entity, or only just. */
const VALUES: readonly Message[] = [
  {},
  { nullVal: 0 },
  { int64Val: '9223372036854775807' },
  { int64Val: '-9223372036854775808' },
  { int32Val: -1 },
  { doubleVal: Number.NaN },
  { doubleVal: 1e308 },
  { floatVal: Number.NEGATIVE_INFINITY },
  { boolVal: true },
  { stringVal: '' },
  { stringVal: '\0' },
  { stringVal: 'x'.repeat(3000) },
  { stringVal: '9'.repeat(400) },
  { bytesVal: Buffer.from([0xff, 0xfe, 0]) },
  { unixTimestampVal: '9223372036854775807' },
  { int64ListVal: { val: [1, 2] } },
  { stringListVal: { val: ['a'] } },
]
const NAMES = [
  '',
  ':',
  'driver_stats',
  'driver_stats:',
  ':trips',
  'driver_stats:none',
  'driver_stats@v1:trips',
  'driver_stats@v99999999999999999999:trips',
  'od_failing:ratio',
  'od_python_only:conv_plus',
  'disabled_stats:temp2',
  'none:x',
  '__proto__',
  'constructor',
  'driver_id',
  'customer_id',
  '\u202e\0',
  'y'.repeat(4000),
]

/** A GetOnlineFeaturesRequest, right or wrong, as bytes that are mostly a message still. */
export function lookupMessage(random: Random): Buffer {
  const bytes = encoded('feast.serving.GetOnlineFeaturesRequest', lookupOf(random))
  const way = random.next()
  if (way < 0.4) return bytes
  return way < 0.5 ? randomBytes(random, 100) : damaged(random, bytes)
}

function lookupOf(random: Random): Message {
  const lookup = random.pick(LOOKUPS)
  const way = random.next()
  if (way < 0.3) return lookup
  if (way < 0.5) return { ...lookup, features: { val: random.times(random.int(0, 5), () => nameOf(random)) } }
  if (way < 0.6) return { ...lookup, features: undefined, featureService: nameOf(random) }
  const columns = random.times(random.int(0, 3), () => [
    random.chance(0.6) ? 'driver_id' : nameOf(random),
    { val: random.times(random.int(0, 4), () => random.pick(VALUES)) },
  ])
  const place = random.chance(0.8) ? 'entities' : 'requestContext'
  return { ...lookup, [place]: Object.fromEntries(columns) }
}

function nameOf(random: Random): string {
  return random.chance(0.3) ? 'driver_stats:trips' : random.pick(NAMES)
}

/** Bytes changed, cut out or put in twice: lengths no longer fit, fields become others. */
export function damaged(random: Random, message: Buffer): Buffer {
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

export function randomBytes(random: Random, most: number): Buffer {
  return Buffer.from(random.times(random.int(0, most), () => random.int(0, 255)))
}
