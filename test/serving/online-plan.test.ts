import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  entity,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int64,
  onDemandFeatureView,
  pick,
  rename,
  String as Text,
} from 'feast-node'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import type { Definition } from '../../src/core/definition.js'
import type { Schema } from '../../src/core/field.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { onlineTable } from '../../src/feature-store/online-table.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import { planOnline } from '../../src/serving/online-plan.js'

const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
const shop = entity({ name: 'shop', joinKey: 'shop_id', valueType: Text })
const source = fileSource({ name: 'rows', path: 'rows.parquet', timestampField: 'event_timestamp' })

function balance(schema: Schema) {
  return featureView({ name: 'balance', entities: [user], schema, source })
}
const spend = featureView({
  name: 'spend',
  entities: [user],
  schema: { total: Float64, count: Int64 },
  source,
})
const visits = featureView({ name: 'visits', entities: [shop, user], schema: { visits: Int64 }, source })
const globals = featureView({ name: 'globals', schema: { rate: Float64 }, source })
const ratio = onDemandFeatureView({
  name: 'ratio',
  sources: [pick(spend, 'total', 'count')],
  schema: { mean: Float64 },
  transform: ({ total, count }) => ({ mean: total === null || !count ? null : total / Number(count) }),
})
const model = featureService({ name: 'model', features: [rename(pick(spend, 'total'), 'spending'), ratio] })

let folder: string
let store: FeatureStore

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-plan-'))
  const yaml = [
    'project: wallet',
    'registry: { path: registry.db, enable_online_feature_view_versioning: true }',
    'provider: local',
    'online_store: { type: sqlite, path: online.db }',
  ]
  writeFileSync(join(folder, 'feature_store.yaml'), yaml.join('\n'))
  store = openFeatureStore(await loadRepoConfig({ chdir: folder }), {
    loadFeatureRepo: async () => repo({ amount: Float64 }),
  })
  await apply({ amount: Float64 })
})
afterAll(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

function repo(schema: Schema) {
  const definitions: Definition[] = [
    user,
    shop,
    source,
    balance(schema),
    spend,
    visits,
    globals,
    ratio,
    model,
  ]
  return { definitions: definitions.map((definition) => ({ definition, file: 'repo.ts', exportName: 'x' })) }
}

async function apply(schema: Schema) {
  await store.apply(repo(schema), { skipSourceValidation: true })
  await store.refreshRegistry()
}

async function plan(features: readonly string[], options: { service?: string; full?: boolean } = {}) {
  const shape = { features, featureService: options.service, fullFeatureNames: options.full ?? false }
  return planOnline(shape, {
    project: 'wallet',
    registry: await store.registry(),
    onlineStore: await store.onlineStore(),
    versioning: true,
    entityKeyVersion: 3,
    transformations: new Map([['ratio', () => ({ mean: 0 })]]),
  })
}

describe('plans', () => {
  it('read all views with the same keys together, each feature once', async () => {
    const { groups, outputs } = await plan(['spend:total', 'balance:amount', 'visits:visits', 'globals:rate'])
    expect(groups.map(({ keys }) => keys.map(({ column }) => column))).toEqual([
      ['user_id'],
      ['shop_id', 'user_id'],
      [],
    ])
    expect(groups[0]!.views.map(({ table }) => table)).toEqual(['spend', 'balance'])
    expect(outputs.map((output) => output.kind === 'stored' && output.cell)).toMatchObject([
      { group: 0, cell: 0, view: 0 },
      { group: 0, cell: 1, view: 1 },
      { group: 1, cell: 0, view: 0 },
      { group: 2, cell: 0, view: 0 },
    ])
  })

  it('read what on demand views need, without showing it', async () => {
    const { groups, outputs, onDemand } = await plan(['ratio:mean', 'spend:count'])
    expect(groups[0]!.features.map(({ feature }) => feature)).toEqual(['total', 'count'])
    expect(outputs.map(({ name }) => name)).toEqual(['mean', 'count'])
    expect(onDemand[0]!.inputs.map(({ name }) => name)).toEqual(['total', 'count'])
  })

  it('name outputs of services by their aliases', async () => {
    const { outputs } = await plan([], { service: 'model', full: true })
    expect(outputs.map(({ name }) => name)).toEqual(['spending__total', 'ratio__mean'])
  })

  it('refuse names that would be there twice, all of them', async () => {
    const names = ['spend:total', 'spend@latest:total', 'spend:count', 'spend:count']
    await expect(plan(names, { full: true })).rejects.toMatchObject({
      code: 'FEATURE_NAME_COLLISION',
      details: { names: ['spend__total', 'spend__count'] },
    })
  })

  it('refuse a reference with a NUL, which would blur the names of plans', async () => {
    await expect(plan(['spend:total\0spend:count'])).rejects.toMatchObject({ code: 'INVALID_FEATURE_REF' })
  })
})

describe('versions of a view', () => {
  it('have tables of their own, and are read by name beside the current one', async () => {
    await writeRow(1, [1.5])
    await apply({ amount: Float64, limit: Float64 })
    await writeRow(2, [2.5, 100])

    const serving = await store.serving()
    const { columns } = await serving.getOnlineFeatures({
      features: ['balance@v0:amount', 'balance@V1:amount', 'balance:amount', 'balance:limit'],
      entities: { user_id: [1, 2] },
      fullFeatureNames: true,
    })
    expect(columns.slice(1).map(({ name, values }) => [name, values])).toEqual([
      ['balance@v0__amount', [1.5, null]],
      ['balance@v1__amount', [null, 2.5]],
      ['balance__amount', [null, 2.5]],
      ['balance__limit', [null, 100]],
    ])
    await expect(plan(['balance@v0:limit'])).rejects.toMatchObject({ code: 'FEATURE_NOT_FOUND' })
    await expect(plan(['balance@v7:amount'])).rejects.toMatchObject({ code: 'VIEW_VERSION_NOT_FOUND' })
  })

  it('never gate a read by the view being materialized, only by its being disabled (R8)', async () => {
    const serving = await store.serving()
    const request = { features: ['spend:total'], entities: { user_id: [1] } }
    await expect(serving.getOnlineFeatures(request)).resolves.toBeDefined()
    await store.setViewEnabled('spend', false)
    await store.refreshRegistry()
    await expect(serving.getOnlineFeatures(request)).rejects.toMatchObject({ code: 'VIEW_DISABLED' })
    await store.setViewEnabled('spend', true)
    await store.refreshRegistry()
    await expect(serving.getOnlineFeatures(request)).resolves.toBeDefined()
  })
})

/** Writes to the view as it is now. */
async function writeRow(userId: number, values: readonly number[]): Promise<void> {
  const registry = await store.registry()
  const view = registry.storedViews('wallet').find(({ name }) => name === 'balance')!
  const { versionNumber } = registry.viewState('wallet', 'balance')
  await (await store.onlineStore()).setup([onlineTable(view, versionNumber, true)])
  const features = view.features.map((field, index) => ({ field, cells: [values[index]!] }))
  await store.writeToOnlineStore('balance', {
    fields: [
      { name: 'user_id', type: Int64, description: '', tags: {} },
      { name: 'event_timestamp', type: { valueType: 'UNIX_TIMESTAMP' }, description: '', tags: {} },
      ...features.map(({ field }) => field),
    ],
    columns: [[BigInt(userId)], [1785888000_000_000n], ...features.map(({ cells }) => cells)],
    rowCount: 1,
  })
}
