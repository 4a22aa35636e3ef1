import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { DatabaseSync } from '@photostructure/sqlite'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import {
  entity,
  Float64,
  featureView,
  fileSource,
  Int64,
  String as StringType,
  UnixTimestamp,
} from '../../src/index.js'
import { startStore } from './store-process.js'
import { at, entityRows, online, repoOf, rowsOf, Workbench } from './workbench.js'

const START = '2024-01-01T00:00:00Z'
const END = '2024-02-01T00:00:00Z'
const KEYS = 6000
const key = entity({ name: 'k', valueType: Int64 })
const NAMES = ['one', 'two', 'three']
const views = NAMES.map((name) =>
  featureView({
    name,
    entities: [key],
    schema: { v: Int64, w: Float64, s: StringType },
    source: fileSource({ name: `${name}_src`, path: `data/${name}.parquet`, timestampField: 't' }),
  }),
)

async function prepared(): Promise<Workbench> {
  const bench = new Workbench('materialization:\n  online_write_batch_size: 500\n')
  for (const [n, name] of NAMES.entries()) {
    await bench.parquet(
      `data/${name}.parquet`,
      `SELECT (i % ${KEYS})::BIGINT AS k, TIMESTAMP '2024-01-01' + to_seconds((hash(i + ${n}) % 2600000)::BIGINT) AS t,
         i::BIGINT AS v, i / 7.0 AS w, 's' || i AS s FROM range(${KEYS * 2}) r(i)`,
    )
  }
  const store = await bench.open()
  await store.apply(repoOf(key, ...views))
  return bench
}

function onlineRows(bench: Workbench): readonly unknown[] {
  const db = new DatabaseSync(join(bench.path, 'data/online.db'), { readOnly: true })
  try {
    return NAMES.map((name) =>
      db
        .prepare(
          `SELECT hex(entity_key) AS k, feature_name, hex(value) AS value, event_ts FROM "demo_${name}" ORDER BY 1, 2`,
        )
        .all(),
    )
  } finally {
    db.close()
  }
}

/** Reads on and on; the first that fails is thrown by `stop`. */
function readOn(store: FeatureStore) {
  let stopped = false
  let reads = 0
  const reading = (async () => {
    while (!stopped) {
      const keys = Array.from({ length: 20 }, (_, n) => (reads * 131 + n * 997) % KEYS)
      await online(store, ['one:v', 'two:w', 'three:s'], { k: keys })
      if (reads++ % 25 === 0) {
        const rows = entityRows({ k: Int64, event_timestamp: UnixTimestamp }, [
          { k: 1n, event_timestamp: at(END) },
        ])
        await rowsOf(await store.getHistoricalFeatures({ entityRows: rows, features: ['one:v'] }))
      }
      await sleep(20)
    }
    return reads
  })()
  reading.catch(() => {})
  return {
    async stop(): Promise<number> {
      stopped = true
      return reading
    },
  }
}

/**
 * Kills materializations at random points, reading all the while; then lets one end.
 * @returns how many of the kills met a run that had begun to write
 */
export async function killRuns(kills: number, random: () => number): Promise<number> {
  const undisturbed = await prepared()
  const bench = await prepared()
  try {
    await (await undisturbed.open()).materialize({ mode: 'range', start: at(START), end: at(END) })
    const reader = await bench.open()
    const reads = readOn(reader)
    let met = 0
    // A kill that comes late meets nothing any more; one of them has to.
    for (let n = 0; n < kills || (met === 0 && n < 4 * kills); n++) met += await killOne(bench, random)
    const last = await startStore('materialize', bench.path, START, END)
    expect(await last.ended).toBe(0)
    expect(await reads.stop()).toBeGreaterThan(0)
    expect(onlineRows(bench)).toEqual(onlineRows(undisturbed))
    const registry = await reader.refreshRegistry()
    for (const name of NAMES) {
      expect(registry.viewState('demo', name).intervals).toEqual([{ start: at(START), end: at(END) }])
    }
    return met
  } finally {
    await bench.close()
    await undisturbed.close()
  }
}

async function killOne(bench: Workbench, random: () => number): Promise<number> {
  const run = await startStore('materialize', bench.path, START, END)
  await run.saidLines(1 + Math.floor(random() * 40))
  await sleep(random() * 20)
  run.child.kill('SIGKILL')
  const code = await run.ended
  const wrote = run.lines().some((line) => line.includes(' rows '))
  // A view is recorded only after its last row is in.
  const registry = await (await bench.open()).refreshRegistry()
  for (const name of NAMES) {
    const recorded = registry.viewState('demo', name).intervals.length > 0
    if (recorded) expect(rowCount(bench, name)).toBe(KEYS * 3)
  }
  return code === null && wrote ? 1 : 0
}

function rowCount(bench: Workbench, name: string): number {
  const db = new DatabaseSync(join(bench.path, 'data/online.db'), { readOnly: true })
  try {
    return (db.prepare(`SELECT count(*) AS n FROM "demo_${name}"`).get() as { n: number }).n
  } finally {
    db.close()
  }
}

/** Applies by several processes at once, each with views of its own. */
export async function applySideBySide(processes: number, applies: number): Promise<void> {
  const bench = new Workbench()
  try {
    mkdirSync(dirname(join(bench.path, 'data/registry.db')), { recursive: true })
    const names = Array.from({ length: processes }, (_, n) => `p${n}`)
    const running = await Promise.all(
      names.map((name) => startStore('apply', bench.path, name, String(applies))),
    )
    for (const { ended, lines } of running) {
      expect(await ended).toBe(0)
      expect(lines()).toHaveLength(applies)
    }
    const registry = await (await bench.open()).registry()
    const expected = names.flatMap((name) => Array.from({ length: applies }, (_, n) => `${name}_${n}`))
    expect(
      registry
        .storedViews('demo')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(expected.sort())
    expect(registry.recordsOf('demo', 'featureViewVersion')).toHaveLength(expected.length)
    expect(existsSync(join(bench.path, 'data/registry.db.lock'))).toBe(false)
  } finally {
    await bench.close()
  }
}

/** Small, seeded, the same everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
