import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { fieldHash } from '../../src/codec/field-hash.js'
import { encodeRegistryFile } from '../../src/codec/registry-file.js'
import type { RecordKind } from '../../src/core/definition.js'
import { feastError } from '../../src/core/errors.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import {
  entity,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int32,
  Int64,
  onDemandFeatureView,
  pick,
  project,
  pushSource,
  requestSource,
  String as StringType,
  UnixTimestamp,
} from '../../src/index.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'
import { at, batchOf, errorOf, online, repoOf, Workbench } from './workbench.js'

const benches: Workbench[] = []
function bench(yaml?: string): Workbench {
  const made = new Workbench(yaml)
  benches.push(made)
  return made
}
afterEach(async () => {
  jest.restoreAllMocks()
  for (const made of benches.splice(0)) await made.close()
})

const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
const source = fileSource({
  name: 'stats_source',
  path: 'data/stats.parquet',
  timestampField: 'event_timestamp',
  createdTimestampColumn: 'created',
})
const stats = featureView({
  name: 'stats',
  entities: [driver],
  ttl: '1d',
  schema: { conv_rate: Float64, trips: Int64 },
  source,
})
const ranking = featureService({ name: 'ranking', features: [pick(stats, 'trips')] })

const STATS_SQL = `SELECT 1::BIGINT AS driver_id, 0.5::DOUBLE AS conv_rate, 7::BIGINT AS trips,
  TIMESTAMP '2026-01-01 00:00:00' AS event_timestamp, TIMESTAMP '2026-01-01 00:00:00' AS created`

/** Makes a record of the registry file one that cannot be decoded. */
async function damage(store: FeatureStore, file: string, kind: RecordKind, name: string): Promise<void> {
  const record = (await store.refreshRegistry()).record({ kind, project: 'demo', name })!
  const put = { ...record, bytes: Buffer.concat([record.bytes, Buffer.from([0x0a, 0x7f])]) }
  writeFileSync(file, encodeRegistryFile(readFileSync(file), [{ put }], { versionId: name, now: 1n }))
}

const STATS_ROW = {
  driver_id: Int64,
  conv_rate: Float64,
  trips: Int64,
  event_timestamp: UnixTimestamp,
  created: UnixTimestamp,
}

describe('apply', () => {
  it('mends a record that cannot be decoded', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats, ranking))
    const file = join(b.path, 'data/registry.db')
    await damage(store, file, 'entity', 'driver')
    await damage(store, file, 'featureView', 'stats')
    await damage(store, file, 'featureService', 'ranking')
    expect((await store.refreshRegistry()).broken()).toHaveLength(3)
    const done = await store.apply(repoOf(driver, stats, ranking))
    expect(
      done.changes.map(({ action, kind, name, fields }) => [action, kind, name, fields[0]?.field]),
    ).toEqual([
      ['update', 'entity', 'driver', 'record'],
      ['update', 'featureView', 'stats', 'record'],
      ['update', 'featureService', 'ranking', 'record'],
    ])
    expect((await store.refreshRegistry()).broken()).toEqual([])
  })

  it('creates what the repo defines, writes nothing the second time (R6)', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    const done = await store.apply(repoOf(driver, stats, ranking))
    expect(done.changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`)).toEqual([
      'create project demo',
      'create dataSource stats_source',
      'create entity driver',
      'create featureView stats',
      'create featureService ranking',
    ])
    expect(done.infra).toEqual([{ action: 'create', table: 'demo_stats' }])
    expect(done.warnings).toEqual([])
    const before = readFileSync(join(b.path, 'data/registry.db'))
    const again = await (await b.open()).apply(repoOf(driver, stats, ranking))
    expect(again.changes).toEqual([])
    expect(again.infra).toEqual([])
    expect(readFileSync(join(b.path, 'data/registry.db'))).toEqual(before)
  })

  it('makes room for rows again where the online file is gone', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const repo = repoOf(driver, stats)
    await (await b.open()).apply(repo)
    rmSync(join(b.path, 'data/online.db'))
    const store = await b.open()
    const row = { driver_id: 1n, conv_rate: 0.5, trips: 7n, event_timestamp: at('2026-01-01'), created: null }
    const write = () => store.writeToOnlineStore('stats', batchOf(STATS_ROW, [row]))
    expect((await errorOf(write())).message).toContain('run `feast apply` first')
    await store.apply(repo)
    expect(await write()).toEqual({ rows: 1, skipped: 0 })
  })

  it('plan changes nothing, anywhere (R5)', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    const planned = await store.plan(repoOf(driver, stats, ranking))
    expect(planned.changes).toHaveLength(5)
    expect(existsSync(join(b.path, 'data/registry.db'))).toBe(false)
    expect(existsSync(join(b.path, 'data/online.db'))).toBe(false)
  })

  it('tells what differs in an update', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    const changed = featureView({
      name: 'stats',
      entities: [driver],
      ttl: '2d',
      schema: { conv_rate: Float64, trips: Int64 },
      source,
    })
    const { changes } = await store.apply(repoOf(driver, changed))
    expect(changes).toEqual([
      {
        action: 'update',
        kind: 'featureView',
        name: 'stats',
        fields: [{ field: 'ttl', from: '1d', to: '2d' }],
      },
    ])
    expect((await store.registry()).view('demo', 'stats')).toMatchObject({ ttlSeconds: 172_800 })
  })

  it('deletes only with prune, and says what it would delete (R4)', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats, ranking))
    await store.materialize({ mode: 'range', start: 0n, end: BigInt(Date.now()) * 1000n })
    expect(await online(store, ['stats:trips'], { driver_id: [1] })).toMatchObject({ trips: [7n] })
    const kept = await store.apply(repoOf(driver))
    expect(kept.changes).toEqual([])
    expect(kept.orphans.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'dataSource stats_source',
      'featureView stats',
      'featureService ranking',
    ])
    expect(await online(store, ['stats:trips'], { driver_id: [1] })).toMatchObject({ trips: [7n] })
    const pruned = await store.apply(repoOf(driver), { prune: true })
    expect(pruned.changes.map(({ action, name }) => `${action} ${name}`)).toEqual([
      'delete stats_source',
      'delete stats',
      'delete ranking',
    ])
    expect(pruned.infra).toEqual([{ action: 'delete', table: 'demo_stats' }])
    const registry = await store.registry()
    expect(registry.storedViews('demo')).toEqual([])
    expect(registry.recordsOf('demo', 'featureViewVersion')).toEqual([])
    await store.apply(repoOf(driver, stats))
    expect(await online(store, ['stats:trips'], { driver_id: [1] })).toMatchObject({ trips: [null] })
  })

  it('keeps intervals and history when a view changes, and starts a new version for a new feature', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    await store.materialize({ mode: 'range', start: 0n, end: 1_767_312_000_000_000n })
    const fewer = featureView({
      name: 'stats',
      entities: [driver],
      ttl: '1d',
      schema: { trips: Int64 },
      source,
    })
    await store.apply(repoOf(driver, fewer))
    const registry = await store.registry()
    expect(registry.viewState('demo', 'stats')).toMatchObject({
      versionNumber: 1,
      intervals: [{ start: 0n, end: 1_767_312_000_000_000n }],
    })
    expect(registry.viewAtVersion('demo', 'stats', 0).features.map(({ name }) => name)).toEqual([
      'conv_rate',
      'trips',
    ])
  })

  it('leaves the active definition alone with noPromote', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    const fewer = featureView({
      name: 'stats',
      entities: [driver],
      ttl: '1d',
      schema: { trips: Int64 },
      source,
    })
    await store.apply(repoOf(driver, fewer), { noPromote: true })
    const registry = await store.registry()
    expect(registry.view('demo', 'stats').features).toHaveLength(2)
    expect(registry.viewAtVersion('demo', 'stats', 1).features).toHaveLength(1)
  })

  it('takes sources and batch sources that only views name', async () => {
    const b = bench()
    const store = await b.open()
    const pushed = pushSource({ name: 'stats_push', batchSource: source })
    await store.apply(
      repoOf(
        driver,
        featureView({ name: 'stats', entities: [driver], schema: { trips: Int64 }, source: pushed }),
      ),
    )
    expect(
      (await store.registry())
        .dataSources('demo')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['stats_push', 'stats_source'])
  })

  it('uses the project’s description from the repo, or from the configuration', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(project({ name: 'demo', description: 'wallet' }), driver))
    expect((await store.registry()).list('demo', 'project')).toMatchObject([
      { name: 'demo', description: 'wallet' },
    ])
  })

  it('refuses a change that meets somebody else’s of the same object, and loses nothing of others', async () => {
    const b = bench()
    const [one, other] = [await b.open(), await b.open()]
    await one.apply(repoOf(driver, stats))
    await other.registry()
    const rival = featureView({ name: 'rival', entities: [driver], schema: { a: Int64 }, source })
    await Promise.all([one.apply(repoOf(driver, stats, rival)), other.apply(repoOf(driver, stats, ranking))])
    const registry = await one.refreshRegistry()
    expect(
      registry
        .storedViews('demo')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['rival', 'stats'])
    expect(registry.featureServices('demo').map(({ name }) => name)).toEqual(['ranking'])
    const views = ['3d', '4d'].map((ttl) =>
      featureView({
        name: 'stats',
        entities: [driver],
        ttl,
        schema: { conv_rate: Float64, trips: Int64 },
        source,
      }),
    )
    const outcomes = await Promise.allSettled([
      one.apply(repoOf(driver, views[0]!)),
      other.apply(repoOf(driver, views[1]!)),
    ])
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    for (const { reason } of refused) expect(reason.code).toBe('REGISTRY_CONFLICT')
    const { ttlSeconds } = (await one.refreshRegistry())
      .storedViews('demo')
      .find(({ name }) => name === 'stats')!
    expect([259_200, 345_600]).toContain(ttlSeconds)
  })

  it('gives up where others never stop being faster', async () => {
    const store = await bench().open()
    await store.apply(repoOf(driver))
    const start = Date.now()
    const conflict = feastError('REGISTRY_CONFLICT', { path: 'registry.db' })
    const writes = jest.spyOn(FileRegistryStore.prototype, 'write').mockRejectedValue(conflict)
    jest.spyOn(Date, 'now').mockImplementation(() => start + 10_000 * writes.mock.calls.length)
    expect((await errorOf(store.apply(repoOf(driver, stats)))).code).toBe('REGISTRY_CONFLICT')
    expect(writes.mock.calls.length).toBeGreaterThan(1)
  })
})

describe('inference', () => {
  it('finds timestamp field, key type and features, and says so', async () => {
    const b = bench()
    await b.parquet(
      'data/raw.parquet',
      `SELECT 'a' AS user_id, 1::INTEGER AS n, 2.5::DOUBLE AS raw_amount, 'x' AS "__internal", 7::BIGINT AS "n__",
         TIMESTAMP '2026-01-01' AS ts, TIMESTAMP '2026-01-02' AS made`,
    )
    const user = entity({ name: 'user', joinKey: 'user_id' })
    const raw = fileSource({
      name: 'raw',
      path: 'data/raw.parquet',
      createdTimestampColumn: 'made',
      fieldMapping: { raw_amount: 'amount' },
    })
    const store = await b.open()
    const done = await store.apply(
      repoOf(user, featureView({ name: 'users', entities: [user], source: raw })),
    )
    expect(done.inferred).toEqual([
      'Data source "raw": timestampField "ts"',
      'Feature view "users": join key user_id: String',
      'Feature view "users": n: Int32, amount: Float64, n__: Int64',
    ])
    const view = (await store.registry()).view('demo', 'users')
    expect(view).toMatchObject({
      entityColumns: [{ name: 'user_id', type: StringType }],
      batchSource: { timestampField: 'ts' },
    })
    expect(view.features).toMatchObject([
      { name: 'n', type: Int32 },
      { name: 'amount', type: Float64 },
      { name: 'n__', type: Int64 },
    ])
    expect(
      (await store.apply(repoOf(user, featureView({ name: 'users', entities: [user], source: raw }))))
        .changes,
    ).toEqual([])
  })

  it.each([
    [
      'two timestamp columns',
      `TIMESTAMP '2026-01-01' AS a, TIMESTAMP '2026-01-01' AS b`,
      /several columns are timestamps \(a, b\)\. Set timestampField/,
    ],
    ['no timestamp column', `1 AS a`, /none of its columns is a timestamp/],
  ])('refuses %s', async (_, columns, message) => {
    const b = bench()
    await b.parquet('data/raw.parquet', `SELECT 1::BIGINT AS driver_id, ${columns}`)
    const view = featureView({
      name: 'v',
      entities: [driver],
      schema: { a: Int64 },
      source: fileSource({ path: 'data/raw.parquet' }),
    })
    const error = await errorOf((await b.open()).apply(repoOf(driver, view)))
    expect(error.code).toBe('INFERENCE_FAILED')
    expect(error.message).toMatch(message)
  })

  it('needs the source where something is left open, and names both', async () => {
    const b = bench()
    const view = featureView({
      name: 'v',
      entities: [driver],
      source: fileSource({ path: 'data/none.parquet', timestampField: 't' }),
    })
    const error = await errorOf((await b.open()).apply(repoOf(driver, view)))
    expect(error.code).toBe('INFERENCE_FAILED')
    expect(error.message).toMatch(/^Feature view "v": its schema has to be inferred, but: .*none\.parquet/)
  })

  it('joins an entity given by name through the repo or the registry', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver))
    await store.apply(
      repoOf(
        featureView({ name: 'v', entities: ['driver'], schema: { driver_id: Int64, a: Int64 }, source }),
      ),
      { skipSourceValidation: true },
    )
    expect((await store.registry()).view('demo', 'v')).toMatchObject({
      entityColumns: [{ name: 'driver_id' }],
      features: [{ name: 'a' }],
    })
  })
})

/** Two features of two views whose Redis fields have the same 32-bit name. */
function collidingFeatures(view: string, other: string): [string, string] {
  const seen = new Map<number, string>()
  for (let n = 0; ; n++) {
    seen.set(fieldHash(view, `f${n}`), `f${n}`)
    const found = seen.get(fieldHash(other, `f${n}`))
    if (found !== undefined) return [found, `f${n}`]
  }
}

describe('mistakes name what, where and how to mend', () => {
  const view = (name: string, schema = { a: Int64 }) =>
    featureView({ name, entities: [driver], schema, source })

  it.each([
    [
      'INVALID_DEFINITION',
      [driver, view('a:b')],
      /features\.ts \(a:b\): Feature view "a:b": its name contains ":".*without/,
    ],
    ['INVALID_DEFINITION', [driver, view('a@b')], /its name contains "@"/],
    ['INVALID_DEFINITION', [driver, view('')], /it has no name/],
    [
      'INVALID_DEFINITION',
      [entity({ name: '__dummy', joinKey: 'k', valueType: Int64 })],
      /Entity "__dummy": its name stands for no entity/,
    ],
    [
      'CONFLICTING_NAMES',
      [driver, view('Stats'), view('stats')],
      /"stats".*a feature view in features\.ts \(Stats\).*features\.ts \(stats\).*unique/,
    ],
    [
      'INVALID_DEFINITION',
      [driver, view('v'), fileSource({ name: 'STATS_SOURCE', path: 'other.parquet' })],
      /Data source "stats_source": there are two different ones of that name, in features\.ts \(v\) and features\.ts \(STATS_SOURCE\)\. Give one/i,
    ],
    [
      'INVALID_DEFINITION',
      [
        driver,
        entity({ name: 'taxi', joinKey: 'driver_id' }),
        featureView({
          name: 'v',
          entities: ['driver', 'taxi'],
          schema: { driver_id: Int64, a: Int64 },
          source,
        }),
      ],
      /two of its entities have the join key "driver_id"/,
    ],
    [
      'INVALID_DEFINITION',
      [view('v')],
      /its entity "driver" is neither in the feature repo nor in the registry\. Export/,
    ],
    [
      'INVALID_DEFINITION',
      [
        driver,
        featureView({ name: 'v', entities: [driver], schema: { driver_id: StringType, a: Int64 }, source }),
      ],
      /"driver_id" is String, but entity "driver" says Int64/,
    ],
    [
      'INVALID_DEFINITION',
      [
        driver,
        featureView({
          name: 'v',
          entities: [driver],
          schema: { raw: Int64 },
          source: fileSource({ path: 'm.parquet', timestampField: 't', fieldMapping: { raw: 'nice' } }),
        }),
      ],
      /"raw" is mapped to "nice".*Use "nice"/,
    ],
    [
      'INVALID_DEFINITION',
      [driver, view('v'), featureService({ name: 's', features: [pick(view('w'), 'a')] })],
      /Feature service "s": it refers to feature view "w".*Did you mean "v"\?.*Export/,
    ],
    [
      'INVALID_DEFINITION',
      [
        driver,
        view('v'),
        featureService({ name: 's', features: [pick(view('v', { b: Int64 } as never), 'b' as never)] }),
      ],
      /Feature service "s": it picks "b", which is not a feature of "v"/,
    ],
    [
      'INVALID_DEFINITION',
      [
        driver,
        onDemandFeatureView({ name: 'od', sources: [], schema: { x: Int64 }, transform: () => ({ x: 1n }) }),
      ],
      /On demand feature view "od": it has no sources/,
    ],
    ['INVALID_DEFINITION', [driver, project({ name: 'other' })], /Project "other": .*says project: demo/],
    ['INVALID_DEFINITION', [project({ name: 'demo' }), project({ name: 'demo' })], /both define a project/],
    [
      'INVALID_DEFINITION',
      [
        entity({ name: 'k', valueType: Float64 }),
        featureView({ name: 'v', entities: ['k'], schema: { k: Float64, a: Int64 }, source }),
      ],
      /join key "k" is Float64/,
    ],
    [
      'INVALID_DEFINITION',
      [driver, featureView({ name: 'v', entities: [driver], schema: { a: Int64 }, source, version: 'two' })],
      /its version is "two"/,
    ],
    [
      'INVALID_DEFINITION',
      [
        driver,
        featureView({ name: 'v', entities: [driver], schema: { a: Int64 }, source, version: 'v4294967297' }),
      ],
      /its version is "v4294967297"/,
    ],
  ] as const)('%s %#', async (code, definitions, message) => {
    const b = bench()
    const error = await errorOf(
      (await b.open()).apply(repoOf(...definitions), { skipSourceValidation: true }),
    )
    expect({ code: error.code, message: error.message }).toEqual({
      code,
      message: expect.stringMatching(message),
    })
    expect(existsSync(join(b.path, 'data/registry.db'))).toBe(false)
  })

  it('reports several at once', async () => {
    const b = bench()
    const error = await errorOf((await b.open()).apply(repoOf(driver, view('a:b'), view('c@d'))))
    expect(error.code).toBe('INVALID_DEFINITIONS')
    expect(error.message).toMatch(/2 mistakes.*\n- .*a:b.*\n- .*c@d/)
  })

  it('refuses colliding Redis fields of views with the same join keys, only those (R7)', async () => {
    const [a, c] = collidingFeatures('v', 'w')
    const store = await bench().open()
    const other = entity({ name: 'rider', valueType: Int64 })
    const views = (rider: typeof driver) => [
      featureView({ name: 'v', entities: [driver], schema: { [a]: Int64 }, source }),
      featureView({ name: 'w', entities: [rider], schema: { [c]: Int64 }, source }),
    ]
    const options = { skipSourceValidation: true }
    await store.plan(repoOf(driver, other, ...views(other)), options)
    const error = await errorOf(store.apply(repoOf(driver, ...views(driver)), options))
    expect(error.code).toBe('FIELD_HASH_COLLISION')
    expect(error.message).toContain(`v:${a}`)
    expect(error.message).toContain(`w:${c}`)
    await store.apply(repoOf(driver, views(driver)[0]!), options)
    expect((await errorOf(store.apply(repoOf(driver, views(driver)[1]!), options))).code).toBe(
      'FIELD_HASH_COLLISION',
    )
  })

  it('refuses a view whose name another kind of view has in the registry', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    const request = requestSource({ name: 'r', schema: { n: Int64 } })
    const od = onDemandFeatureView({
      name: 'stats',
      sources: [request],
      schema: { x: Int64 },
      transform: ({ n }) => ({ x: n }),
    })
    const error = await errorOf(store.apply(repoOf(driver, od)))
    expect(error.code).toBe('CONFLICTING_NAMES')
    expect(error.message).toMatch(/feast delete stats/)
  })
})

describe('sources', () => {
  it('warns of a source that is not there yet', async () => {
    const b = bench()
    const { warnings } = await (await b.open()).apply(repoOf(driver, stats))
    expect(warnings).toEqual([
      expect.stringMatching(
        /Data source "stats_source" cannot be read: .*stats\.parquet.*"stats" was not checked/,
      ),
    ])
  })

  it('refuses columns that are missing or of another kind, unless told not to look', async () => {
    const b = bench()
    await b.parquet(
      'data/stats.parquet',
      `SELECT 'x' AS driver_id, 1.5::DOUBLE AS conv_rat, 7 AS trips, 'now' AS event_timestamp, TIMESTAMP '2026-01-01' AS created`,
    )
    const store = await b.open()
    const error = await errorOf(store.apply(repoOf(driver, stats)))
    expect(error.code).toBe('INVALID_DEFINITIONS')
    expect(error.message.split('\n').slice(1)).toEqual([
      expect.stringMatching(
        /Column "event_timestamp" of data source "stats_source" is String, but a timestamp is needed/,
      ),
      expect.stringMatching(
        /Column "driver_id" of data source "stats_source" is String, but Int64 is needed/,
      ),
      expect.stringMatching(
        /has no column "conv_rate", which feature view "stats" needs\. Did you mean "conv_rat"\?/,
      ),
    ])
    await store.apply(repoOf(driver, stats), { skipSourceValidation: true })
  })
})

describe('teardown and delete', () => {
  it('removes the project’s rows and records, and the registry with its last project; twice is fine', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    await store.teardown()
    expect(existsSync(join(b.path, 'data/registry.db'))).toBe(false)
    await store.teardown()
    expect((await errorOf(store.registry())).code).toBe('REGISTRY_NOT_FOUND')
    await store.apply(repoOf(driver, stats))
    expect((await store.registry()).storedViews('demo')).toHaveLength(1)
  })

  it('leaves other projects alone', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    const other = openFeatureStore({ ...store.config, project: 'second' })
    await other.apply(repoOf(driver, stats))
    await store.teardown()
    const registry = await other.refreshRegistry()
    expect(registry.projects).toEqual(['second'])
    expect(registry.storedViews('second')).toHaveLength(1)
    await other.close()
  })

  it('leaves the registry to a project that comes into it at the last moment', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    const other = openFeatureStore({ ...store.config, project: 'second' })
    const { destroy } = FileRegistryStore.prototype
    jest.spyOn(FileRegistryStore.prototype, 'destroy').mockImplementation(async function (
      this: FileRegistryStore,
      version,
    ) {
      await other.apply(repoOf(driver))
      return destroy.call(this, version)
    })
    await store.teardown()
    expect((await other.refreshRegistry()).projects).toEqual(['second'])
    await other.close()
  })

  it('refuses a protected project', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(
      repoOf(project({ name: 'demo', tags: { 'feast.dev/protected-project': 'true' } }), driver),
    )
    expect((await errorOf(store.teardown())).message).toMatch(/protected/)
  })

  it('deletes the first object of a name, a view with its history and rows', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats, ranking))
    expect(await store.deleteObject('stats')).toEqual({ kind: 'featureView', project: 'demo', name: 'stats' })
    expect(await store.deleteObject('stats')).toBeUndefined()
    const registry = await store.registry()
    expect(registry.storedViews('demo')).toEqual([])
    expect(registry.recordsOf('demo', 'featureViewVersion')).toEqual([])
    expect(registry.entities('demo').map(({ name }) => name)).toContain('driver')
  })
})

describe('a view that cannot be decoded', () => {
  it.each([
    ['prune', (store: FeatureStore) => store.apply(repoOf(driver), { prune: true })],
    ['delete', (store: FeatureStore) => store.deleteObject('stats')],
    ['teardown', (store: FeatureStore) => store.teardown()],
  ])('goes with %s, and its table too', async (_verb, run) => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    await damage(store, join(b.path, 'data/registry.db'), 'featureView', 'stats')
    await run(store)
    expect(existsSync(join(b.path, 'data/online.db'))).toBe(false)
    await store.apply(repoOf(driver))
    expect((await store.refreshRegistry()).records.map(({ kind }) => kind)).not.toContain('featureView')
  })
})

describe('state of a view', () => {
  it('follows Feast’s transitions', async () => {
    const b = bench()
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    for (const state of ['CREATED', 'generated', 'MATERIALIZING', 'AVAILABLE_ONLINE'])
      await store.setViewState('stats', state)
    expect((await store.registry()).viewState('demo', 'stats').lifecycle).toBe('AVAILABLE_ONLINE')
    expect((await errorOf(store.setViewState('stats', 'CREATED'))).message).toBe(
      'Invalid state transition: AVAILABLE_ONLINE -> CREATED. Allowed transitions from AVAILABLE_ONLINE: MATERIALIZING.',
    )
    expect((await errorOf(store.setViewState('stats', 'LOST'))).message).toMatch(
      /"LOST" is not a state; the states are/,
    )
    expect((await errorOf(store.setViewState('stat', 'CREATED'))).code).toBe('FEATURE_VIEW_NOT_FOUND')
  })

  it('a disabled view is neither read nor materialized, until it is enabled', async () => {
    const b = bench()
    await b.parquet('data/stats.parquet', STATS_SQL)
    const store = await b.open()
    await store.apply(repoOf(driver, stats))
    await store.setViewEnabled('stats', false)
    expect((await errorOf(online(store, ['stats:trips'], { driver_id: [1] }))).code).toBe('VIEW_DISABLED')
    expect((await errorOf(store.materialize({ mode: 'incremental', views: ['stats'] }))).code).toBe(
      'VIEW_DISABLED',
    )
    expect((await store.materialize({ mode: 'incremental' })).views).toEqual([])
    await store.setViewEnabled('stats', true)
    expect((await store.materialize({ mode: 'incremental' })).views).toHaveLength(1)
  })
})
