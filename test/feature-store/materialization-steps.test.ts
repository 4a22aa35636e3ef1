import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { FeatureStore, MaterializeRequest, PlanRequest } from '../../src/feature-store/feature-store.js'
import { entity, featureView, fileSource, Int64 } from '../../src/index.js'
import type { PullQuery, StagedFile } from '../../src/offline-stores/offline-store.js'
import { at, errorOf, online, repoOf, Workbench } from './workbench.js'

const RANGE = {
  mode: 'range',
  start: at('2024-01-01T00:00:00Z'),
  end: at('2024-01-31T00:00:00Z'),
} as const satisfies MaterializeRequest
const KEYS = 1000
const key = entity({ name: 'k', valueType: Int64 })
const viewOf = (name: string, more: Record<string, typeof Int64> = {}) =>
  featureView({
    name,
    entities: [key],
    schema: { v: Int64, ...more },
    source: fileSource({ name: `${name}_src`, path: `data/${name}.parquet`, timestampField: 't' }),
  })

const benches: Workbench[] = []
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close()
})

async function prepared(names: readonly string[] = ['one'], yaml = ''): Promise<Workbench> {
  const bench = new Workbench(yaml)
  benches.push(bench)
  for (const name of names) {
    await bench.parquet(
      `data/${name}.parquet`,
      `SELECT (i % ${KEYS})::BIGINT AS k, TIMESTAMP '2024-01-02' + to_minutes(i::BIGINT) AS t, i::BIGINT AS v, 7::BIGINT AS w FROM range(${2 * KEYS}) r(i)`,
    )
  }
  await (await bench.open()).apply(repoOf(key, ...names.map((name) => viewOf(name))))
  return bench
}

async function expectOnline(store: FeatureStore, view = 'one'): Promise<void> {
  const keys = [0, 1, 499, 999]
  const { v } = await online(store, [`${view}:v`], { k: keys })
  expect(v).toEqual(keys.map((k) => BigInt(KEYS + k)))
}

async function intervalsOf(store: FeatureStore, view = 'one') {
  return (await store.refreshRegistry()).viewState('demo', view).intervals
}

function filesBelow(bench: Workbench, folder: string): readonly string[] {
  const path = join(bench.path, folder)
  if (!existsSync(path)) return []
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

function expectNothingLeft(bench: Workbench): void {
  const folders = ['leases', ...['steps', 'open', 'plans'].map((name) => `runs/demo/${name}`)]
  const left = ['.feast', 'staging', ...folders.map((name) => `data/registry.db.${name}`)]
  expect(left.flatMap((folder) => filesBelow(bench, folder))).toEqual([])
}

/** A store whose queries are staged as if they were paid for; tells which it was asked for. @param rowsTold of each file, whatever is in it */
async function paying(
  bench: Workbench,
  rowsTold?: number,
): Promise<{ readonly store: FeatureStore; readonly queries: string[] }> {
  const store = await bench.open()
  const offline = await store.offlineStore()
  const queries: string[] = []
  const pull = offline.pull.bind(offline)
  Object.assign(offline, {
    stagingLocation: join(bench.path, 'staging'),
    pull: (query: PullQuery) => {
      const job = pull(query)
      const stage = job.stage.bind(job)
      job.stage = async (prefix, options) => {
        queries.push(query.source.name)
        const staged = await stage(prefix, { ...options, files: 4 })
        const told = (file: StagedFile) => (rowsTold === undefined ? file : { ...file, rows: rowsTold })
        return { ...staged, files: staged.files.map(told) }
      }
      return job
    },
  })
  return { store, queries }
}

describe('plan, load, commit', () => {
  it('of four shards side by side gives what one command gives, and leaves nothing', async () => {
    const bench = await prepared(['one', 'two'])
    const stores = await Promise.all([1, 2, 3, 4].map(() => bench.open()))
    const [store] = stores as [FeatureStore, ...FeatureStore[]]
    const plan = await store.planMaterialization({ ...RANGE, shards: 4 })
    expect(plan).toMatchObject({ shards: 4, views: [{ outcome: 'done' }, { outcome: 'done' }] })
    expect(plan.files).toHaveLength(8)
    expect(plan.files.reduce((sum, { rows }) => sum + rows!, 0)).toBe(2 * KEYS)
    for (const { rows } of plan.files) expect(rows).toBeGreaterThan(KEYS / 8)
    const loads = await Promise.all(
      stores.map((each, number) => each.loadMaterialization({ run: plan.run, shard: { number, of: 4 } })),
    )
    expect(loads.map(({ files }) => files)).toEqual(loads.map(() => ({ loaded: 2, before: 0, failed: 0 })))
    expect(await intervalsOf(store)).toEqual([])
    const { views } = await store.commitMaterialization({ run: plan.run })
    expect(views).toMatchObject([
      { view: 'one', outcome: 'done', rows: KEYS },
      { view: 'two', outcome: 'done', rows: KEYS },
    ])
    await expectOnline(store)
    await expectOnline(store, 'two')
    expect(await intervalsOf(store, 'two')).toEqual([{ start: RANGE.start, end: RANGE.end }])
    expectNothingLeft(bench)
  })

  it('there are as many shards as the size asks for, up to the most and to the files', async () => {
    const bench = await prepared()
    const { store } = await paying(bench, 4_000_000)
    const shards = async (request: Partial<PlanRequest>) => {
      const plan = await store.planMaterialization({ ...RANGE, ...request })
      await store.abandonMaterialization(plan.run)
      return plan.shards
    }
    expect(await shards({})).toBe(4)
    expect(await shards({ maxShards: 3 })).toBe(3)
    expect(await shards({ maxShards: 3, shards: 4 })).toBe(4)
    expect(await shards({ maxShards: 100 })).toBe(4)
  })

  it('each step again does nothing twice', async () => {
    const bench = await prepared()
    const store = await bench.open()
    const plan = await store.planMaterialization({ ...RANGE, shards: 2 })
    const again = await (await bench.open()).planMaterialization({ ...RANGE, shards: 2 })
    expect(again.run).toBe(plan.run)
    expect(again.files).toEqual(plan.files)
    await store.loadMaterialization({ run: plan.run })
    const second = await store.loadMaterialization({ run: plan.run })
    expect(second).toMatchObject({ rows: 0, files: { loaded: 0, before: 2, failed: 0 } })
    await store.commitMaterialization({ run: plan.run })
    const registry = await store.refreshRegistry()
    expect(await store.commitMaterialization({ run: plan.run })).toEqual({ views: [] })
    expect((await store.refreshRegistry()).version).toBe(registry.version)
    expect(await store.loadMaterialization({ run: plan.run })).toMatchObject({
      files: { loaded: 0, before: 0 },
    })
  })

  it('commit refuses while a file is not loaded, and says what is missing', async () => {
    const bench = await prepared()
    const store = await bench.open()
    const { run } = await store.planMaterialization({ ...RANGE, shards: 3, run: 'nightly-1' })
    expect(run).toBe('nightly-1')
    await store.loadMaterialization({ run, shard: { number: 1, of: 3 } })
    const error = await errorOf(store.commitMaterialization({ run }))
    expect(error).toMatchObject({ code: 'MATERIALIZATION_INCOMPLETE' })
    expect(error.message).toContain('"one" lacks 2 of 3 files')
    expect(await intervalsOf(store)).toEqual([])
    await store.loadMaterialization({ run })
    await store.commitMaterialization({ run })
    expect(await intervalsOf(store)).toHaveLength(1)
  })

  it('holds its views until it is committed or abandoned; another run is told', async () => {
    const bench = await prepared()
    const store = await bench.open()
    const { run } = await store.planMaterialization(RANGE)
    const told = { outcome: 'already running', notices: [expect.stringContaining(`run ${run}, planned`)] }
    const other = { ...RANGE, end: at('2024-01-30T00:00:00Z') }
    expect((await store.planMaterialization(other)).views).toMatchObject([told])
    expect((await store.materialize(RANGE)).views).toMatchObject([told])
    await store.abandonMaterialization(run)
    expect(await errorOf(store.loadMaterialization({ run }))).toMatchObject({
      code: 'MATERIALIZATION_NOT_FOUND',
    })
    expect((await store.materialize(RANGE)).views).toMatchObject([{ outcome: 'done', rows: KEYS }])
  })

  it('a plan that nobody went on with expires; then another run takes its views and it can only be abandoned', async () => {
    const bench = await prepared()
    const store = await bench.open()
    const { run } = await store.planMaterialization(RANGE)
    const lease = join(bench.path, 'data/registry.db.leases/demo/one.json')
    writeFileSync(
      lease,
      JSON.stringify({ ...JSON.parse(readFileSync(lease, 'utf8')), expiresAt: Date.now() - 1 }),
    )
    const other = await store.planMaterialization({ ...RANGE, end: at('2024-01-30T00:00:00Z') })
    expect(other.views).toMatchObject([{ outcome: 'done' }])
    const { failures } = await store.loadMaterialization({ run })
    expect(failures).toMatchObject([{ view: 'one', error: expect.stringContaining('does not hold') }])
    expect(await errorOf(store.commitMaterialization({ run }))).toMatchObject({
      code: 'MATERIALIZATION_INCOMPLETE',
    })
    await store.abandonMaterialization(run)
    await store.loadMaterialization({ run: other.run })
    await store.commitMaterialization({ run: other.run })
    expect(await intervalsOf(store)).toHaveLength(1)
  })

  it('refuses to load rows of a view that was changed since', async () => {
    const bench = await prepared()
    const store = await bench.open()
    const { run } = await store.planMaterialization(RANGE)
    await store.apply(repoOf(key, viewOf('one', { w: Int64 })))
    const { failures } = await store.loadMaterialization({ run })
    expect(failures).toMatchObject([{ error: expect.stringContaining('was changed since') }])
    expect(await intervalsOf(store)).toEqual([])
  })

  it('goes on with the other views when one cannot be queried, and queries that one again', async () => {
    const bench = await prepared(['one', 'two'])
    const store = await bench.open()
    const missing = join(bench.path, 'data/two.parquet')
    const bytes = readFileSync(missing)
    rmSync(missing)
    const plan = await store.planMaterialization({ ...RANGE, run: 'r' })
    expect(plan.views).toMatchObject([{ outcome: 'done' }, { view: 'two', outcome: 'failed' }])
    await store.loadMaterialization({ run: 'r' })
    writeFileSync(missing, bytes)
    expect((await store.planMaterialization({ ...RANGE, run: 'r' })).files).toHaveLength(2)
    expect(await store.loadMaterialization({ run: 'r' })).toMatchObject({ files: { loaded: 1, before: 1 } })
    expect((await store.commitMaterialization({ run: 'r' })).views).toHaveLength(2)
    await expectOnline(store, 'two')
    expectNothingLeft(bench)
  })

  it('with nothing to do has no shards, and can be committed all the same', async () => {
    const bench = await prepared()
    const store = await bench.open()
    await store.materialize(RANGE)
    const plan = await store.planMaterialization({ mode: 'incremental', end: RANGE.end })
    expect(plan).toMatchObject({ shards: 0, files: [], views: [{ outcome: 'nothing to do' }] })
    expect(await store.commitMaterialization({ run: plan.run })).toEqual({ views: [] })
  })

  it.each([
    ['../escape', /not an id/],
    ['', /not an id/],
  ])('refuses the id %j', async (run, message) => {
    const store = await (await prepared()).open()
    expect((await errorOf(store.planMaterialization({ ...RANGE, run }))).message).toMatch(message)
  })
})

describe('a run over a store that charges for queries', () => {
  it('that failed while it loaded goes on at the file it was in, and does not query again', async () => {
    const bench = await prepared(['one', 'two'])
    const first = await paying(bench)
    const onlineStore = await first.store.onlineStore()
    const write = onlineStore.write.bind(onlineStore)
    let writes = 0
    onlineStore.write = async (batch) => {
      if (batch.table.name === 'two' && ++writes === 3) throw new Error('no more today')
      return write(batch)
    }
    const { views } = await first.store.materialize(RANGE)
    expect(views).toMatchObject([{ outcome: 'done' }, { outcome: 'failed', error: 'no more today' }])
    const [status] = await first.store.materializations()
    expect(status).toMatchObject({
      state: 'failed',
      views: [
        { view: 'one', state: 'recorded', rows: KEYS },
        {
          view: 'two',
          state: 'failed',
          files: { loaded: 2, total: 4 },
          failures: [{ error: 'no more today' }],
        },
      ],
    })
    const second = await paying(bench)
    const rerun = await second.store.materialize(RANGE)
    const byName = [...rerun.views].sort((a, b) => (a.view < b.view ? -1 : 1))
    expect(byName).toMatchObject([
      { outcome: 'nothing to do', notices: [expect.stringContaining('recorded already by run')] },
      { outcome: 'done', rows: KEYS },
    ])
    expect([...first.queries, ...second.queries].sort()).toEqual(['one_src', 'two_src'])
    await expectOnline(second.store, 'two')
    expectNothingLeft(bench)
  })

  it('whose staged rows are gone queries again', async () => {
    const bench = await prepared()
    const first = await paying(bench)
    const onlineStore = await first.store.onlineStore()
    onlineStore.write = () => Promise.reject(new Error('no'))
    await first.store.materialize(RANGE)
    for (const file of filesBelow(bench, 'staging')) rmSync(file)
    const second = await paying(bench)
    expect((await second.store.materialize(RANGE)).views).toMatchObject([{ outcome: 'done', rows: KEYS }])
    expect(second.queries).toEqual(['one_src'])
    expectNothingLeft(bench)
  })

  it('that asks for something else does not use what is staged', async () => {
    const bench = await prepared()
    const first = await paying(bench)
    const onlineStore = await first.store.onlineStore()
    onlineStore.write = () => Promise.reject(new Error('no'))
    await first.store.materialize(RANGE)
    const second = await paying(bench)
    await second.store.apply(repoOf(key, viewOf('one', { w: Int64 })))
    expect((await second.store.materialize(RANGE)).views).toMatchObject([{ outcome: 'done' }])
    expect(second.queries).toEqual(['one_src'])
    expect(await online(second.store, ['one:w'], { k: [1] })).toMatchObject({ w: [7n] })
    expectNothingLeft(bench)
  })

  it('that nobody goes on with is swept away by a later run', async () => {
    const bench = await prepared(['one', 'two'])
    const first = await paying(bench)
    const onlineStore = await first.store.onlineStore()
    onlineStore.write = () => Promise.reject(new Error('no'))
    await first.store.materialize({ ...RANGE, views: ['one'] })
    expect(filesBelow(bench, 'staging').length).toBeGreaterThan(0)
    const long = new Date(Date.now() - 25 * 3_600_000)
    for (const file of filesBelow(bench, 'data/registry.db.runs')) utimesSync(file, long, long)
    const second = await paying(bench)
    await second.store.materialize({ ...RANGE, views: ['two'] })
    expectNothingLeft(bench)
    expect((await second.store.materializations()).map(({ state }) => state).sort()).toEqual([
      'abandoned',
      'committed',
    ])
  })
})

describe('status', () => {
  it('tells how far a run is, and keeps what came of it', async () => {
    const bench = await prepared()
    const store = await bench.open()
    const { run, files } = await store.planMaterialization({ ...RANGE, shards: 2 })
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    expect(await store.materializationStatus(run)).toMatchObject({
      state: 'planned',
      request: 'materialize 2024-01-01T00:00:00Z 2024-01-31T00:00:00Z',
      views: [
        {
          view: 'one',
          state: 'loading',
          rows: 0,
          totalRows: KEYS,
          files: { loaded: 0, total: 2 },
          bytes: { loaded: 0, total: bytes },
        },
      ],
    })
    await store.loadMaterialization({ run, shard: { number: 0, of: 2 } })
    const [half] = (await store.materializationStatus(run)).views
    expect(half).toMatchObject({ state: 'loading', rows: files[0]!.rows, files: { loaded: 1, total: 2 } })
    expect(half!.rowsPerSecond).toBeGreaterThan(0)
    expect(half!.secondsLeft).toBeGreaterThan(0)
    await store.loadMaterialization({ run })
    expect((await store.materializationStatus(run)).views).toMatchObject([{ state: 'loaded', rows: KEYS }])
    await store.commitMaterialization({ run })
    await store.materialize(RANGE)
    const runs = await store.materializations()
    expect(runs).toMatchObject([
      { state: 'committed', views: [{ state: 'recorded', rows: KEYS }] },
      { run, state: 'committed', views: [{ state: 'recorded', rows: KEYS, files: { loaded: 2, total: 2 } }] },
    ])
    expect(await errorOf(store.materializationStatus('nothing'))).toMatchObject({
      code: 'MATERIALIZATION_NOT_FOUND',
    })
  })

  it('of a run that failed says why', async () => {
    const bench = await prepared()
    const store = await bench.open()
    rmSync(join(bench.path, 'data/one.parquet'))
    await store.materialize(RANGE)
    const [run] = await store.materializations()
    expect(run).toMatchObject({
      state: 'failed',
      views: [{ state: 'failed', failures: [{ error: expect.stringContaining('there is no file') }] }],
    })
  })
})

it('late data is read by materialization.lookback of the configuration, unless told otherwise', async () => {
  const bench = await prepared(['one'], 'materialization:\n  lookback: 2d\n')
  const store = await bench.open()
  await store.materialize(RANGE)
  const request = { mode: 'incremental', end: at('2024-02-01T00:00:00Z') } as const
  const { views } = await store.materialize(request)
  expect(views).toMatchObject([{ start: at('2024-01-29T00:00:00Z'), outcome: 'done' }])
  const none = await store.materialize({ ...request, end: at('2024-02-02T00:00:00Z'), lookbackSeconds: 0 })
  expect(none.views).toMatchObject([{ start: at('2024-02-01T00:00:00Z') }])
})
