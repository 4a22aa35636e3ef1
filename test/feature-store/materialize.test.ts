import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { editViewState } from '../../src/codec/definitions/view-state.js'
import type { Logger } from '../../src/core/logger.js'
import { silentLogger } from '../../src/core/logger.js'
import { UnixTimestamp } from '../../src/core/value-type.js'
import type { FeatureStore, MaterializeProgress } from '../../src/feature-store/feature-store.js'
import { MaterializationLeases } from '../../src/feature-store/materialization-leases.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import {
  entity,
  Float64,
  featureView,
  fileSource,
  Int64,
  pushSource,
  String as StringType,
} from '../../src/index.js'
import { openObjectStore } from '../../src/object-stores/index.js'
import { objectsBelow } from '../../src/registry/companion-objects.js'
import { until } from '../until.js'
import { at, entityRows, errorOf, online, repoOf, rowsOf, Workbench } from './workbench.js'

const benches: Workbench[] = []
function bench(yaml?: string): Workbench {
  const made = new Workbench(yaml)
  benches.push(made)
  return made
}
afterEach(async () => {
  for (const made of benches.splice(0)) await made.close()
})

const T = '2024-01-10 12:00:00'
const key = entity({ name: 'k', valueType: Int64 })
const source = fileSource({
  name: 'src',
  path: 'data/src.parquet',
  timestampField: 't',
  createdTimestampColumn: 'c',
})
const view = featureView({ name: 'fv', entities: [key], schema: { v: Int64 }, source })

interface Row {
  readonly k: number | null
  readonly t: string | null
  readonly v: number | string | null
  readonly c?: string | null
}

function sql(rows: readonly Row[]): string {
  const time = (text: string | null | undefined) => (text ? `TIMESTAMP '${text}'` : 'NULL::TIMESTAMP')
  return rows
    .map(({ k, t, v, c }) => `SELECT ${k}::BIGINT AS k, ${time(t)} AS t, ${v}::BIGINT AS v, ${time(c)} AS c`)
    .join(' UNION ALL ')
}

async function prepared(rows: readonly Row[], yaml?: string): Promise<{ b: Workbench; store: FeatureStore }> {
  const b = bench(yaml)
  await b.parquet('data/src.parquet', sql(rows))
  const store = await b.open()
  await store.apply(repoOf(key, view))
  return { b, store }
}

async function values(store: FeatureStore, ...keys: number[]): Promise<unknown> {
  return (await online(store, ['fv:v'], { k: keys })).v
}

async function intervals(store: FeatureStore, name = 'fv') {
  return (await store.refreshRegistry()).viewState('demo', name).intervals
}

const hours = (n: number) => BigInt(n) * 3_600_000_000n
const NOON = at('2024-01-10T12:00:00Z')

describe('materialize', () => {
  it('M1 window edges: both ends are in, a microsecond beyond is not', async () => {
    const { store } = await prepared([
      { k: 1, t: '2024-01-10 10:59:59.999999', v: 1 },
      { k: 2, t: '2024-01-10 11:00:00', v: 2 },
      { k: 3, t: T, v: 3 },
      { k: 4, t: '2024-01-10 12:00:00.000001', v: 4 },
    ])
    const { views } = await store.materialize({ mode: 'range', start: NOON - hours(1), end: NOON })
    expect(views).toMatchObject([{ view: 'fv', outcome: 'done', rows: 2, skipped: 0 }])
    expect(await values(store, 1, 2, 3, 4)).toEqual([null, 2n, 3n, null])
    expect(await intervals(store)).toEqual([{ start: NOON - hours(1), end: NOON }])
  })

  it('M2 winner: the greatest (t, c) per key, as the point-in-time join at the end', async () => {
    const b = bench()
    await b.parquet(
      'data/src.parquet',
      `SELECT (i % 20)::BIGINT AS k, TIMESTAMP '${T}' - to_minutes((hash(i) % 7)::BIGINT) AS t, i::BIGINT AS v,
         TIMESTAMP '${T}' + to_seconds((hash(i * 31) % 50)::BIGINT) AS c
       FROM range(40000) r(i) ORDER BY hash(i * 17)`,
    )
    const store = await b.open()
    await store.apply(repoOf(key, view))
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    const keys = Array.from({ length: 20 }, (_, k) => k)
    const joined = await rowsOf(
      await store.getHistoricalFeatures({
        entityRows: entityRows(
          { k: Int64, event_timestamp: UnixTimestamp },
          keys.map((k) => ({ k: BigInt(k), event_timestamp: NOON })),
        ),
        features: ['fv:v'],
      }),
    )
    expect(await values(store, ...keys)).toEqual(joined.map(({ v }) => v))
  })

  it('M3 newest NULL: it replaces an older value, in one run and across incremental runs', async () => {
    const { b, store } = await prepared([{ k: 1, t: '2024-01-10 10:00:00', v: 1 }])
    await store.materialize({ mode: 'range', start: 0n, end: NOON - hours(1) })
    expect(await values(store, 1)).toEqual([1n])
    await b.parquet(
      'data/src.parquet',
      sql([
        { k: 1, t: '2024-01-10 10:00:00', v: 1 },
        { k: 1, t: '2024-01-10 11:30:00', v: null },
      ]),
    )
    await store.materialize({ mode: 'incremental', end: NOON })
    await store.materialize({ mode: 'incremental', end: NOON + hours(1) })
    expect(await values(store, 1)).toEqual([null])
  })

  it('M4 bad rows: null keys and null times are left out and counted, large integers stay exact', async () => {
    const { store } = await prepared([
      { k: null, t: T, v: 1 },
      { k: 2, t: null, v: 2 },
      { k: 3, t: T, v: '9007199254740993' },
      { k: 4, t: T, v: null },
    ])
    const { views } = await store.materialize({ mode: 'range', start: 0n, end: NOON })
    expect(views).toMatchObject([{ outcome: 'done', rows: 2, skipped: 2 }])
    expect(views[0]!.notices).toContainEqual(expect.stringMatching(/2 rows left out/))
    expect(await values(store, 2, 3, 4)).toEqual([null, 9007199254740993n, null])
  })

  it('M5 incremental start: now - ttl, else 52 weeks and a notice, else --since, then the greatest end', async () => {
    const now = BigInt(Date.now()) * 1000n
    const close = (micros: bigint) => micros >= now && micros < now + 60_000_000n
    const b = bench()
    await b.parquet('data/src.parquet', sql([{ k: 1, t: T, v: 1 }]))
    const store = await b.open()
    const daily = featureView({ name: 'daily', entities: [key], ttl: '1d', schema: { v: Int64 }, source })
    const other = featureView({ name: 'other', entities: [key], schema: { v: Int64 }, source })
    await store.apply(repoOf(key, view, daily, other))
    const first = await store.materialize({ mode: 'incremental', views: ['daily', 'fv'] })
    const [ofDaily, ofView] = first.views
    expect(close(ofDaily!.start + hours(24))).toBe(true)
    expect(ofDaily!.notices).toEqual([])
    expect(close(ofView!.start + hours(24) * 364n)).toBe(true)
    expect(ofView!.notices).toEqual([expect.stringMatching(/starting 52 weeks back.*--since/)])
    const since = await store.materialize({ mode: 'incremental', views: ['other'], since: at('2024-01-01') })
    expect(since.views).toMatchObject([{ start: at('2024-01-01'), rows: 1 }])
    const [recorded] = await intervals(store, 'daily')
    await store.materialize({
      mode: 'range',
      start: at('2023-01-01'),
      end: at('2023-02-01'),
      views: ['daily'],
    })
    const second = await store.materialize({ mode: 'incremental', views: ['daily'] })
    expect(second.views[0]!.start).toBe(recorded!.end)
  })

  it('M6 late data: not picked up incrementally, but by an explicit run, and with a lookback', async () => {
    const { b, store } = await prepared([{ k: 1, t: '2024-01-10 11:00:00', v: 1 }])
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    const late: Row = { k: 2, t: '2024-01-10 11:30:00', v: 2 }
    await b.parquet('data/src.parquet', sql([{ k: 1, t: '2024-01-10 11:00:00', v: 1 }, late]))
    await store.materialize({ mode: 'incremental', end: NOON + hours(1) })
    expect(await values(store, 2)).toEqual([null])
    await store.materialize({ mode: 'incremental', end: NOON + hours(2), lookbackSeconds: 2 * 3600 })
    expect(await values(store, 2)).toEqual([2n])
    expect(await intervals(store)).toEqual([{ start: 0n, end: NOON + hours(2) }])
  })

  it('M7 inverted and future: an inverted window records nothing, a future end is clamped', async () => {
    const { store } = await prepared([{ k: 1, t: T, v: 1 }])
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    const inverted = await store.materialize({ mode: 'incremental', end: NOON - hours(1) })
    expect(inverted.views).toMatchObject([{ outcome: 'nothing to do', rows: 0 }])
    expect(await intervals(store)).toEqual([{ start: 0n, end: NOON }])
    const clamped = await store.materialize({ mode: 'range', start: 0n, end: at('2099-01-01') })
    expect(clamped.views[0]!.end).toBeLessThanOrEqual(BigInt(Date.now()) * 1000n)
    expect(clamped.views[0]!.notices).toEqual([expect.stringMatching(/in the future; ending now/)])
    const ahead = await store.materialize({
      mode: 'range',
      start: 0n,
      end: at('2099-01-01'),
      allowFuture: true,
    })
    expect(ahead.views[0]!.end).toBe(at('2099-01-01'))
    expect((await errorOf(store.materialize({ mode: 'range', start: 2n, end: 1n }))).code).toBe(
      'INVALID_REQUEST',
    )
    expect((await errorOf(store.materialize({ mode: 'range', end: 1n }))).code).toBe('INVALID_REQUEST')
  })

  it('M8 partial failure: the views around a failing one are done and recorded', async () => {
    const b = bench()
    await b.parquet('data/src.parquet', sql([{ k: 1, t: T, v: 1 }]))
    const gone = fileSource({ name: 'gone', path: 'data/gone.parquet', timestampField: 't' })
    const views = [
      featureView({ name: 'a', entities: [key], schema: { v: Int64 }, source }),
      featureView({ name: 'b', entities: [key], schema: { v: Int64 }, source: gone }),
      featureView({ name: 'c', entities: [key], schema: { v: Int64 }, source }),
    ]
    const store = await b.open()
    await store.apply(repoOf(key, ...views))
    const events: MaterializeProgress[] = []
    const report = await store.materialize({
      mode: 'range',
      start: 0n,
      end: NOON,
      onProgress: (event) => events.push(event),
    })
    expect(report.views).toMatchObject([
      { view: 'a', outcome: 'done', rows: 1 },
      { view: 'b', outcome: 'failed', error: expect.stringMatching(/gone/) },
      { view: 'c', outcome: 'done', rows: 1 },
    ])
    expect(
      await Promise.all(['a', 'b', 'c'].map(async (name) => (await intervals(store, name)).length)),
    ).toEqual([1, 0, 1])
    const phases = (name: string) => events.filter((event) => event.view === name).map(({ phase }) => phase)
    expect(phases('a')).toEqual(['start', 'rows', 'done'])
    expect(phases('b')).toEqual(['start', 'failed'])
  })

  it('M10 correction with the same event time: the row that is there stays (W1, W2)', async () => {
    const { b, store } = await prepared([{ k: 1, t: T, v: 1, c: '2024-01-10 12:00:01' }])
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    await b.parquet('data/src.parquet', sql([{ k: 1, t: T, v: 2, c: '2024-01-10 12:00:02' }]))
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    expect(await values(store, 1)).toEqual([1n])
  })

  it('M11 reads during a run: online and historical reads succeed, whatever the view’s state', async () => {
    const b = bench()
    await b.parquet(
      'data/src.parquet',
      `SELECT i::BIGINT AS k, TIMESTAMP '${T}' AS t, i::BIGINT AS v, NULL::TIMESTAMP AS c FROM range(30000) r(i)`,
    )
    const store = await b.open()
    await store.apply(repoOf(key, view))
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    await setMaterializing(store)
    let done = false
    const run = store.materialize({ mode: 'range', start: 0n, end: NOON }).finally(() => {
      done = true
    })
    let reads = 0
    do {
      expect(await values(store, 1, 29_999)).toEqual([1n, 29_999n])
      const request = {
        entityRows: entityRows({ k: Int64, event_timestamp: UnixTimestamp }, [
          { k: 5n, event_timestamp: NOON },
        ]),
        features: ['fv:v'],
      }
      expect(await rowsOf(await store.getHistoricalFeatures(request))).toMatchObject([{ v: 5n }])
      reads++
    } while (!done)
    expect(reads).toBeGreaterThan(0)
    expect((await run).views).toMatchObject([{ outcome: 'done', rows: 30_000 }])
    expect((await store.registry()).viewState('demo', 'fv').lifecycle).toBe('AVAILABLE_ONLINE')
  })

  it('M12 a view without entity, and a push source with field mapping', async () => {
    const b = bench()
    await b.parquet('data/g.parquet', `SELECT TIMESTAMP '${T}' AS t, 7::BIGINT AS n`)
    await b.parquet('data/p.parquet', `SELECT 'x' AS uid, TIMESTAMP '${T}' AS ts, 1.5::DOUBLE AS raw`)
    const global = featureView({
      name: 'global',
      schema: { n: Int64 },
      source: fileSource({ path: 'data/g.parquet', timestampField: 't' }),
    })
    const mapped = fileSource({
      name: 'mapped',
      path: 'data/p.parquet',
      timestampField: 'event_timestamp',
      fieldMapping: { raw: 'amount', ts: 'event_timestamp', uid: 'user_id' },
    })
    const pushed = pushSource({ name: 'push', batchSource: mapped })
    const user = entity({ name: 'user', joinKey: 'user_id', valueType: StringType })
    const users = featureView({
      name: 'users',
      entities: [user],
      schema: { amount: Float64 },
      source: pushed,
    })
    const store = await b.open()
    await store.apply(repoOf(user, global, users))
    const { views } = await store.materialize({ mode: 'range', start: 0n, end: NOON })
    expect(views).toMatchObject([
      { view: 'global', outcome: 'done', rows: 1 },
      { view: 'users', outcome: 'done', rows: 1 },
    ])
    expect(await online(store, ['global:n', 'users:amount'], { user_id: ['x'] })).toMatchObject({
      n: [7n],
      amount: [1.5],
    })
  })

  it('M13 overlap: of two runners of one view one works, the other says who does', async () => {
    const b = bench()
    await b.parquet(
      'data/src.parquet',
      `SELECT i::BIGINT AS k, TIMESTAMP '${T}' AS t, i::BIGINT AS v, NULL::TIMESTAMP AS c FROM range(20000) r(i)`,
    )
    const [one, other] = [await b.open(), await b.open()]
    await one.apply(repoOf(key, view))
    const reports = await Promise.all(
      [one, other].map((store) => store.materialize({ mode: 'range', start: 0n, end: NOON })),
    )
    const outcomes = reports.flatMap(({ views }) => views).sort((a, c) => a.outcome.localeCompare(c.outcome))
    expect(outcomes).toMatchObject([
      {
        outcome: 'already running',
        rows: 0,
        notices: [expect.stringMatching(`process ${process.pid} on .* is materializing it`)],
      },
      { outcome: 'done', rows: 20_000 },
    ])
    expect(await intervals(one)).toHaveLength(1)
    expect(readdirSync(join(b.path, 'data/registry.db.leases/demo'))).toEqual([])
  })

  it.each(['статистика_водителей_за_последний_час_и_день', '漢'.repeat(50), 'a"b\'c.d/é =%20'])(
    'takes a view whatever its name: %s',
    async (name) => {
      const { store } = await prepared([{ k: 1, t: T, v: 7 }])
      await store.apply(repoOf(key, featureView({ name, entities: [key], schema: { v: Int64 }, source })))
      const request = { mode: 'range', start: 0n, end: NOON, views: [name] } as const
      expect((await store.materialize(request)).views).toMatchObject([{ outcome: 'done', rows: 1 }])
      const { run } = await store.planMaterialization(request)
      expect((await store.materializationStatus(run)).views).toMatchObject([{ view: name, state: 'loading' }])
      expect(await store.loadMaterialization({ run })).toMatchObject({ rows: 1, failures: [] })
      expect((await store.commitMaterialization({ run })).views).toMatchObject([{ view: name, rows: 1 }])
      expect((await online(store, [`${name}:v`], { k: [1] })).v).toEqual([7n])
    },
  )

  it('stops when it is told to, recording nothing; the next run does it all', async () => {
    const b = bench()
    await b.parquet(
      'data/src.parquet',
      `SELECT i::BIGINT AS k, TIMESTAMP '${T}' AS t, i::BIGINT AS v, NULL::TIMESTAMP AS c FROM range(100000) r(i)`,
    )
    const store = await b.open()
    await store.apply(repoOf(key, view))
    const stop = new AbortController()
    const report = await store.materialize({
      mode: 'range',
      start: 0n,
      end: NOON,
      signal: stop.signal,
      onProgress: ({ phase }) => phase === 'rows' && stop.abort(),
    })
    expect(report.views).toMatchObject([
      { outcome: 'failed', error: expect.stringMatching(/stopped before it was done/) },
    ])
    expect(await intervals(store)).toEqual([])
    expect((await store.materialize({ mode: 'range', start: 0n, end: NOON })).views).toMatchObject([
      { outcome: 'done', rows: 100_000 },
    ])
  })

  it('loses no interval of views that run side by side, in this and another store', async () => {
    const b = bench()
    await b.parquet('data/src.parquet', sql([{ k: 1, t: T, v: 1 }]))
    const views = Array.from({ length: 12 }, (_, n) =>
      featureView({ name: `v${n}`, entities: [key], schema: { v: Int64 }, source }),
    )
    const [one, other] = [await b.open(), await b.open()]
    await one.apply(repoOf(key, ...views))
    const names = views.map(({ name }) => name)
    await Promise.all([
      one.materialize({ mode: 'range', start: 0n, end: NOON, views: names.slice(0, 6), concurrency: 6 }),
      other.materialize({ mode: 'range', start: 0n, end: NOON, views: names.slice(6), concurrency: 6 }),
    ])
    for (const name of names) expect(await intervals(one, name)).toEqual([{ start: 0n, end: NOON }])
  })

  it('stamps rows with now and reads all of history when event timestamps are disabled', async () => {
    const { store } = await prepared([{ k: 1, t: '1995-01-10 10:00:00', v: 1 }])
    const before = BigInt(Date.now()) * 1000n
    await store.materialize({ mode: 'range', disableEventTimestamp: true })
    const { columns } = await (await store.serving()).getOnlineFeatures({
      features: ['fv:v'],
      entities: { k: [1] },
    })
    const [time] = columns.find(({ name }) => name === 'v')!.eventTimestamps
    expect(time).toBeGreaterThanOrEqual(before - 1_000_000n)
  })

  it('writes a version into its own table where online versioning is on', async () => {
    const b = bench()
    const yaml = join(b.path, 'feature_store.yaml')
    writeFileSync(
      yaml,
      `project: demo\nprovider: local\nregistry:\n  path: data/registry.db\n  enable_online_feature_view_versioning: true\nonline_store:\n  type: sqlite\n  path: data/online.db\noffline_store:\n  type: duckdb\nentity_key_serialization_version: 3\n`,
    )
    await b.parquet('data/src.parquet', sql([{ k: 1, t: T, v: 1 }]))
    const store = await b.open()
    await store.apply(repoOf(key, view))
    await store.materialize({ mode: 'range', start: 0n, end: NOON })
    const wider = featureView({
      name: 'fv',
      entities: [key],
      schema: { v: Int64, w: Int64 },
      source: fileSource({ name: 'wide', path: 'data/wide.parquet', timestampField: 't' }),
    })
    await b.parquet(
      'data/wide.parquet',
      `SELECT 1::BIGINT AS k, TIMESTAMP '${T}' AS t, 10::BIGINT AS v, 20::BIGINT AS w`,
    )
    await store.apply(repoOf(key, wider))
    expect(await values(store, 1)).toEqual([null])
    await store.materialize({ mode: 'range', start: 0n, end: NOON, views: ['fv'], version: 'v1' })
    expect(await online(store, ['fv:v', 'fv:w'], { k: [1] })).toMatchObject({ v: [10n], w: [20n] })
    expect(await online(store, ['fv@v0:v'], { k: [1] })).toMatchObject({ v: [1n] })
    expect((await errorOf(store.materialize({ mode: 'incremental', version: 'v1' }))).message).toMatch(
      /name exactly one/,
    )
  })

  it.each([
    ['FEATURE_VIEW_NOT_FOUND', 'fw', {}],
    ['VIEW_NOT_ONLINE', 'fv', { online: false }],
  ])('refuses to begin: %s', async (code, name, options) => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(key, { ...view, ...options }))
    expect((await errorOf(store.materialize({ mode: 'incremental', views: [name] }))).code).toBe(code)
  })

  it('says that rows kept offline only have nowhere to go', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(key, { ...view, online: false, offline: true }))
    const { views } = await store.materialize({ mode: 'incremental', views: ['fv'] })
    expect(views).toMatchObject([
      {
        outcome: 'nothing to do',
        notices: expect.arrayContaining([expect.stringMatching(/in its batch source already/)]),
      },
    ])
    expect(await intervals(store)).toEqual([])
  })
})

describe('a registry made by Python Feast', () => {
  it('leaves out, and says so, on demand views that Python computes when it materializes', async () => {
    const { file } = JSON.parse(
      readFileSync(new URL('../compat/vectors/registry-all-kinds.json', import.meta.url), 'utf8'),
    ) as { file: string }
    const b = bench()
    mkdirSync(join(b.path, 'data'))
    writeFileSync(join(b.path, 'data/registry.db'), Buffer.from(file, 'hex'))
    const { config } = await b.open()
    const store = openFeatureStore({ ...config, project: 'p' })
    const { views } = await store.materialize({ mode: 'incremental' })
    expect(views.find((one) => one.view === 'od_write')).toMatchObject({
      outcome: 'nothing to do',
      notices: ['left out: its function is Python; materialize it with Python Feast'],
    })
    const named = await errorOf(store.materialize({ mode: 'incremental', views: ['od_write'] }))
    expect(named.code).toBe('VIEW_NOT_ONLINE')
    await store.close()
  })
})

async function setMaterializing(store: FeatureStore): Promise<void> {
  const registry = await store.refreshRegistry()
  const record = registry.record({ kind: 'featureView', project: 'demo', name: 'fv' })!
  const bytes = editViewState('featureView', record.bytes, { now: 0n, lifecycle: 'MATERIALIZING' })
  const { openRegistryStore } = await import('../../src/registry/index.js')
  const { config } = store
  const files = await openRegistryStore(config.registry, {
    project: config.project,
    repoPath: config.repoPath,
    entityKeyVersion: 3,
    logger: silentLogger,
  })
  await files.write([{ put: { ...record, bytes } }], registry.version)
  await files.close()
  await store.refreshRegistry()
}

describe('leases', () => {
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_, message = '') => warnings.push(message) }

  async function leasesIn(b: Workbench, ttlMs: number): Promise<MaterializationLeases> {
    const registry = join(b.path, 'registry.db')
    return new MaterializationLeases({
      objects: objectsBelow(await openObjectStore(registry, 'registry'), `${registry}.`),
      project: 'a/b c',
      logger,
      ttlMs,
    })
  }

  it('one holder at a time; released, it is free at once', async () => {
    const b = bench()
    const leases = await leasesIn(b, 60_000)
    const lease = await leases.acquire('v:1')
    expect(typeof lease).toBe('object')
    expect(await leases.acquire('v:1')).toMatch(`process ${process.pid} on`)
    expect(typeof (await leases.acquire('v:2'))).toBe('object')
    if (typeof lease === 'object') await lease.release()
    expect(typeof (await leases.acquire('v:1'))).toBe('object')
  })

  it('of many at once one gets it, also from a dead process', async () => {
    const b = bench()
    const leases = await leasesIn(b, 60_000)
    const first = await leases.acquire('v')
    expect(typeof first).toBe('object')
    const file = join(b.path, 'registry.db.leases/a%2Fb%20c/v.json')
    const text = JSON.parse(readFileSync(file, 'utf8'))
    // The second one had the number that this process has now.
    for (const dead of [{ pid: 2 ** 22 + 1 }, { startTime: '1' }]) {
      writeFileSync(file, JSON.stringify({ ...text, ...dead }))
      const outcomes = await Promise.all(Array.from({ length: 8 }, () => leases.acquire('v')))
      expect(outcomes.filter((outcome) => typeof outcome === 'object')).toHaveLength(1)
    }
  })

  it('of another machine holds until it has expired, whatever runs here under its number', async () => {
    const b = bench()
    const leases = await leasesIn(b, 60_000)
    const lease = await leases.acquire('v')
    if (typeof lease !== 'object') throw new Error(lease)
    const file = join(b.path, 'registry.db.leases/a%2Fb%20c/v.json')
    const text = JSON.parse(readFileSync(file, 'utf8'))
    await lease.release()
    const elsewhere = { ...text, host: 'elsewhere', place: 'elsewhere', pid: 2 ** 22 + 1 }
    writeFileSync(file, JSON.stringify(elsewhere))
    expect(await leases.acquire('v')).toMatch('on elsewhere')
    writeFileSync(file, JSON.stringify({ ...elsewhere, expiresAt: Date.now() - 1 }))
    expect(typeof (await leases.acquire('v'))).toBe('object')
  })

  it('that somebody else took unnoticed is not given back for them', async () => {
    const b = bench()
    const leases = await leasesIn(b, 60_000)
    const lease = await leases.acquire('v')
    if (typeof lease !== 'object') throw new Error(lease)
    const file = join(b.path, 'registry.db.leases/a%2Fb%20c/v.json')
    const others = readFileSync(file, 'utf8').replace(/"id":"[^"]*"/, '"id":"another"')
    writeFileSync(file, others)
    await lease.release()
    expect(readFileSync(file, 'utf8')).toBe(others)
  })

  it('is kept alive while its holder works, and lost when somebody else takes it', async () => {
    const b = bench()
    const leases = await leasesIn(b, 1500)
    const lease = await leases.acquire('v')
    if (typeof lease !== 'object') throw new Error(lease)
    const file = join(b.path, 'registry.db.leases/a%2Fb%20c/v.json')
    const expiresAt = () => JSON.parse(readFileSync(file, 'utf8')).expiresAt
    const first = expiresAt()
    await until(() => expiresAt() > first, 'a longer life')
    expect(await leases.acquire('v')).toMatch(/process/)
    writeFileSync(file, '{}')
    const taken = await leases.acquire('v')
    expect(typeof taken).toBe('object')
    await new Promise<void>((resolve) => {
      if (lease.lost.aborted) resolve()
      else lease.lost.addEventListener('abort', () => resolve())
    })
    expect(warnings).toContain('the lease of a materialization was lost; stopping it')
    await lease.release()
    expect(existsSync(file)).toBe(true)
    if (typeof taken === 'object') await taken.release()
  })
})
