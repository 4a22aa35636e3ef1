import { spawnSync } from 'node:child_process'
import { RedisAsker, type RedisServer } from '../redis-server.js'
import { FEATURES_PER_VIEW, VIEWS } from './online-data.js'

const KEYS = 10_000
/** As long as our own: an entity key and the project's name. */
const PREFIX = 'redis-benchmark-of-such-hash'
/** Bytes of our values, by type: int64, double, float, string, bool. */
const VALUE_BYTES = [4, 9, 5, 11, 2]

/** Fields of the first views: names and values as long as Feast's; redis-benchmark takes text only. */
function fieldsOf(features: number): readonly string[] {
  const names = Array.from({ length: features }, (_, i) => `f${100 + i}`)
  return [
    ...names,
    ...VIEWS.slice(0, Math.ceil(features / FEATURES_PER_VIEW)).map(({ name }) => `_ts:${name}`),
  ]
}

/** Hashes of all views' fields, so that Redis holds and searches them as it does ours. */
export async function loadCeiling(redis: RedisServer): Promise<void> {
  const values = fieldsOf(VIEWS.length * FEATURES_PER_VIEW).flatMap((field, i) => [
    field,
    'x'.repeat(VALUE_BYTES[i % VALUE_BYTES.length]!),
  ])
  const asker = new RedisAsker(redis.port)
  for (let start = 0; start < KEYS; start += 100) {
    const some = Array.from({ length: 100 }, (_, i) => `${PREFIX}${String(start + i).padStart(12, '0')}`)
    await Promise.all(some.map((key) => asker.call('HSET', key, ...values)))
  }
  asker.close()
}

/** `HMGET`s a second of so many features and their views' times, pipelined by 16: what Redis's one core can do. */
export function ceiling(redis: RedisServer, features: number, seconds: number): number {
  const fields = fieldsOf(features)
  const requests = Math.ceil((seconds * 3_000_000) / fields.length)
  const args = [
    '-p',
    redis.port,
    '-c',
    50,
    '-P',
    16,
    '-n',
    requests,
    '-r',
    KEYS,
    '--csv',
    'HMGET',
    `${PREFIX}__rand_int__`,
  ]
  const run = spawnSync('redis-benchmark', [...args.map(String), ...fields], { encoding: 'utf8' })
  const perSecond = Number(/","([\d.]+)"/.exec(run.stdout.trim().split('\n').at(-1) ?? '')?.[1])
  if (!(perSecond > 0)) throw new Error(`redis-benchmark: ${run.stdout}${run.stderr}`)
  return perSecond
}
