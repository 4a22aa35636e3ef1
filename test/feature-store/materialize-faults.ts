import '../../src/compute-engines/local/index.js'
import '../../src/offline-stores/duckdb/index.js'
import '../../src/online-stores/redis/index.js'
import '../../src/registry/file/file-registry-store.js'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import {
  entity,
  featureView,
  fileSource,
  Int64,
  String as StringType,
  UnixTimestamp,
} from '../../src/index.js'
import type { Random } from '../compat/random.js'
import { type RedisFault, redisFaults } from '../redis-faults.js'
import { RedisServer } from '../redis-server.js'
import { TcpProxy } from '../tcp-proxy.js'
import { until } from '../until.js'
import { at, batchOf, online, repoOf, Workbench } from './workbench.js'

const START = '2024-01-01T00:00:00Z'
const END = '2024-02-01T00:00:00Z'
const KEYS = 2000
const NAMES = ['one', 'two', 'three']
const key = entity({ name: 'k', valueType: Int64 })
const views = NAMES.map((name) =>
  featureView({
    name,
    entities: [key],
    schema: { v: Int64, s: StringType },
    source: fileSource({ name: `${name}_src`, path: 'data/history.parquet', timestampField: 't' }),
  }),
)

export interface MaterializeFault {
  readonly fault: string
  /** Of the run that it met. */
  readonly outcomes: readonly string[]
}

/**
 * Materializes to a Redis to which something happens midway; then once more. A view is recorded only when all of its
 * rows are in, rows that were said to be written are there, none is ever wrong, and the second run makes all good.
 */
export async function disturbRuns(
  random: Random,
  rounds: number,
  holdMs: readonly [least: number, most: number],
  names: readonly string[] | undefined = undefined,
): Promise<readonly MaterializeFault[]> {
  const redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always'])
  const proxy = await TcpProxy.to(redis.port)
  const met: MaterializeFault[] = []
  try {
    for (let round = 0; round < rounds; round++) {
      for (const fault of redisFaults(redis, proxy, random)) {
        if (names?.includes(fault.name) === false) continue
        await redis.call('FLUSHALL')
        const outcomes = await disturbOne(proxy.address, fault, random, random.int(...holdMs))
        met.push({ fault: fault.name, outcomes })
      }
    }
    return met
  } finally {
    proxy.close()
    await redis.stop()
  }
}

async function disturbOne(address: string, fault: RedisFault, random: Random, holdMs: number) {
  const bench = await prepared(address)
  try {
    const store = await bench.open()
    await store.apply(repoOf(key, ...views))
    const written = new Map<string, number>()
    const beginAfter = random.int(1, 30)
    let steps = 0
    let passing: Promise<unknown> | undefined
    const report = await store.materialize({
      mode: 'range',
      start: at(START),
      end: at(END),
      onProgress({ view, phase, rows }) {
        if (phase === 'rows') written.set(view, rows)
        if (++steps === beginAfter) passing = pass(fault, holdMs)
      },
    })
    expect([fault.name, passing !== undefined]).toEqual([fault.name, true])
    await passing
    await until(() => takesReadsAndWrites(store), `reading and writing after "${fault.name}"`)
    const registry = await store.refreshRegistry()
    for (const { view, outcome } of report.views) {
      const isDone = outcome === 'done'
      expect([fault.name, outcome]).toEqual([fault.name, isDone ? 'done' : 'failed'])
      expect([fault.name, registry.viewState('demo', view).intervals.length]).toEqual([
        fault.name,
        isDone ? 1 : 0,
      ])
      await expectRows(store, view, isDone ? KEYS : (written.get(view) ?? 0))
    }
    await expectSecondRun(store)
    return report.views.map(({ outcome }) => outcome)
  } finally {
    await bench.close()
  }
}

async function takesReadsAndWrites(store: FeatureStore): Promise<boolean> {
  const other = { k: BigInt(KEYS), v: 0n, s: '', t: at(START) }
  const schema = { k: Int64, v: Int64, s: StringType, t: UnixTimestamp }
  const both = [store.writeToOnlineStore('one', batchOf(schema, [other])), valuesOf(store, 'one')]
  return (await Promise.allSettled(both)).every(({ status }) => status === 'fulfilled')
}

async function pass(fault: RedisFault, holdMs: number): Promise<void> {
  await fault.begin()
  await sleep(holdMs)
  await fault.end()
}

async function prepared(address: string): Promise<Workbench> {
  const bench = new Workbench()
  writeFileSync(
    join(bench.path, 'feature_store.yaml'),
    `project: demo
provider: local
registry: data/registry.db
online_store:
  type: redis
  connection_string: ${address},socket_timeout=1
offline_store:
  type: duckdb
entity_key_serialization_version: 3
materialization:
  online_write_batch_size: 100
`,
  )
  await bench.parquet(
    'data/history.parquet',
    `SELECT (i % ${KEYS})::BIGINT AS k, TIMESTAMP '2024-01-01' + to_seconds(i) AS t, i::BIGINT AS v, 's' || i AS s
     FROM range(${KEYS * 2}) r(i)`,
  )
  return bench
}

async function expectSecondRun(store: FeatureStore): Promise<void> {
  const { views: reports } = await store.materialize({ mode: 'range', start: at(START), end: at(END) })
  expect(reports.map(({ outcome, error }) => error ?? outcome)).toEqual(NAMES.map(() => 'done'))
  const registry = await store.refreshRegistry()
  for (const name of NAMES) {
    const { intervals } = registry.viewState('demo', name)
    expect(intervals.at(-1)).toEqual({ start: at(START), end: at(END) })
    await expectRows(store, name, KEYS)
  }
}

/** Of each key the newest row, i + KEYS, or none yet; so many at least. */
async function expectRows(store: FeatureStore, view: string, least: number): Promise<void> {
  const { v, s } = await valuesOf(store, view)
  let found = 0
  const wrong: unknown[] = []
  for (let k = 0; k < KEYS; k++) {
    if (v![k] === null && s![k] === null) continue
    found++
    if (v![k] !== BigInt(k + KEYS) || s![k] !== `s${k + KEYS}`) wrong.push([k, v![k], s![k]])
  }
  expect(wrong).toEqual([])
  expect(found).toBeGreaterThanOrEqual(least)
}

function valuesOf(store: FeatureStore, view: string) {
  const keys = Array.from({ length: KEYS }, (_, k) => k)
  return online(store, [`${view}:v`, `${view}:s`], { k: keys })
}
