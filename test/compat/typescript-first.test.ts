import { copyFileSync, cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Definition, RecordKind } from '../../src/core/definition.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import type { Registry } from '../../src/registry/registry.js'
import { temporaryFolder } from '../temporary-folder.js'
import { Comparison } from './differences.js'
import * as fixture from './fixture.js'
import { DRIVERS, FixtureData } from './fixture-data.js'
import { compareHistorical, HISTORICAL_REQUESTS } from './historical.js'
import { openOurs, repoOf } from './our-feast.js'
import { seededRandom } from './random.js'
import { describeWithRealFeast, PYTHON_FIXTURE } from './real-feast.js'
import { comparableRegistry, type RegistryMessage } from './registry-messages.js'
import { sqliteRows } from './sqlite-rows.js'

const KINDS: readonly RecordKind[] = [
  'project',
  'entity',
  'dataSource',
  'featureView',
  'streamFeatureView',
  'onDemandFeatureView',
  'featureService',
]

describeWithRealFeast('made by us: real Feast lists, reads, joins, re-applies and materializes', (feast) => {
  const data = new FixtureData(seededRandom('made by us'))
  let repo: string
  let store: FeatureStore
  const definitions = repoOf(fixture, 'fixture.ts')

  beforeAll(async () => {
    repo = temporaryFolder('compat-typescript-first')
    await data.makeRepo(repo, feast())
    rmSync(join(repo, 'definitions.py'))
    store = await openOurs(repo, definitions)
    await store.apply(definitions)
    const report = await store.materialize({
      mode: 'range',
      start: data.at(-48),
      end: data.at(240),
      views: VIEWS,
    })
    expect(report.views.filter(({ outcome }) => outcome !== 'done')).toEqual([])
  }, 180_000)
  afterAll(() => store?.close())

  const VIEWS = ['driver_stats', 'pair_stats', 'global_stats', 'loc_stats', 'inferred_stats']

  function everyDefinition(registry: Registry): Record<string, Definition> {
    return Object.fromEntries(
      KINDS.flatMap((kind) =>
        registry.list('demo', kind).map((definition) => [`${kind} ${definition.name}`, definition] as const),
      ),
    )
  }

  it('loads and encodes every object again', async () => {
    const theirs = await feast().call<Record<string, Record<string, object>>>('list', { repo })
    const names = Object.values(theirs).flatMap((objects) => Object.keys(objects))
    for (const { definition } of definitions.definitions) expect(names).toContain(definition.name)
  })

  it('describes every object on its command line', async () => {
    const groups = {
      entities: 'driver',
      'feature-views': 'driver_stats',
      'data-sources': 'driver_push',
      'feature-services': 'service',
      'on-demand-feature-views': 'trips_plus_typescript_only',
      'stream-feature-views': 'stream_stats',
    }
    for (const [group, name] of Object.entries(groups)) {
      const list = await feast().call<{ exit: number; output: string }>('feast', {
        repo,
        args: [group, 'list'],
      })
      expect(list).toMatchObject({ exit: 0, output: expect.stringContaining(name) })
      const described = await feast().call<{ exit: number; output: string }>('feast', {
        repo,
        args: [group, 'describe', name],
      })
      expect(described).toMatchObject({ exit: 0, output: expect.stringContaining(name) })
    }
  })

  it('is the registry that Python makes of the same definitions', async () => {
    const pythonRepo = temporaryFolder('compat-typescript-first-python')
    await data.makeRepo(pythonRepo, feast())
    await feast().call('apply', { repo: pythonRepo })
    const [theirs, ours] = await Promise.all(
      [pythonRepo, repo].map(async (folder) =>
        comparableRegistry(
          await feast().call<RegistryMessage>('registry', { path: join(folder, 'data/registry.db') }),
        ),
      ),
    )
    const comparison = new Comparison('registry')
    for (const kind of Object.keys(theirs!)) {
      for (const name of new Set([...Object.keys(theirs![kind]!), ...Object.keys(ours![kind]!)])) {
        if (/_(python|typescript)_only$|^label_/.test(name)) continue
        compareDeep(comparison, `${kind} ${name}`, theirs![kind]![name], ours![kind]![name])
      }
    }
    comparison.finish()
  })

  it('gives Python the values that we serve', async () => {
    const serving = await store.serving()
    for (const [view, key, keys] of [
      ['driver_stats', 'driver_id', [...DRIVERS, 9999]],
      ['loc_stats', 'location_id', [1, 2, 3, 4]],
      ['inferred_stats', 'shop_id', ['s1', 's2', 's3']],
    ] as const) {
      const registry = await store.registry()
      const stored = registry.storedViews('demo').find(({ name }) => name === view)!
      const features = stored.features.map(({ name }) => `${view}:${name}`)
      const theirs = await feast().call<Record<string, { values: string[]; times: string[] }>>('online', {
        repo,
        features,
        entities: { [key]: keys },
      })
      const ours = await serving.getOnlineFeatures({ features, entities: { [key]: keys } })
      for (const { name, values, eventTimestamps } of ours.columns) {
        if (name === key) continue
        expect([name, values.map((cell) => cell === null)]).toEqual([
          name,
          theirs[name]!.values.map((bytes) => bytes === ''),
        ])
        expect([name, eventTimestamps.map(String)]).toEqual([name, theirs[name]!.times])
      }
    }
  })

  it('lets Python join historically, with our results', async () => {
    const comparison = new Comparison('historical')
    for (const request of HISTORICAL_REQUESTS)
      await compareHistorical(comparison, feast(), store, repo, data, request)
    comparison.check()
  })

  it('survives Python applying and materializing on top', async () => {
    const before = everyDefinition(await store.refreshRegistry())
    const kept = Object.keys(before).filter((key) => !/typescript_only/.test(key))
    await feast().call('reapply', { repo, names: kept.map((key) => key.split(' ')[1]) })
    await feast().call('materialize_incremental', { repo, end: String(data.at(241)), views: ['loc_stats'] })
    const after = await store.refreshRegistry()
    expect(after.broken()).toEqual([])
    expect(everyDefinition(after)).toEqual(before)
    expect(after.viewState('demo', 'loc_stats').intervals.length).toBeGreaterThan(1)
  })

  it('keeps the TypeScript of an on demand view that Python writes again', async () => {
    const name = 'trips_plus_typescript_only'
    const before = (await store.refreshRegistry()).view('demo', name)
    for (const verb of ['disable', 'enable']) {
      const { exit, output } = await feast().call<{ exit: number; output: string }>('feast', {
        repo,
        args: ['feature-views', verb, name],
      })
      expect({ exit, output }).toMatchObject({ exit: 0 })
    }
    const after = (await store.refreshRegistry()).view('demo', name)
    expect(after).toEqual(before)
    expect(after).toMatchObject({ transformation: { language: 'typescript' } })
  })

  it('survives a full `feast apply` of the same definitions in Python', async () => {
    const copy = temporaryFolder('compat-typescript-first-apply')
    cpSync(repo, copy, { recursive: true })
    copyFileSync(join(PYTHON_FIXTURE, 'definitions.py'), join(copy, 'definitions_of_copy.py'))
    const rows = sqliteRows(join(copy, 'data/online.db'))
    const { exit, output } = await feast().call<{ exit: number; output: string }>('feast', {
      repo: copy,
      args: ['apply'],
    })
    expect({ exit, output }).toMatchObject({ exit: 0 })
    const ours = await openOurs(copy)
    try {
      const registry = await ours.registry()
      expect(registry.broken()).toEqual([])
      expect(registry.viewState('demo', 'driver_stats').intervals.length).toBeGreaterThan(0)
    } finally {
      await ours.close()
    }
    expect(sqliteRows(join(copy, 'data/online.db'))['demo_driver_stats']).toEqual(rows['demo_driver_stats'])
  })
})

/** Compares leaf by leaf, so that a difference names its place. */
function compareDeep(comparison: Comparison, where: string, theirs: unknown, ours: unknown): void {
  if (!isObject(theirs) || !isObject(ours)) {
    comparison.same(where, theirs, ours)
    return
  }
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    compareDeep(comparison, `${where}.${key}`, theirs[key], ours[key])
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
