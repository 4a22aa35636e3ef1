import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import { athenaSource, type BatchSource } from '../../src/core/data-source.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import {
  entity,
  featureService,
  featureView,
  fileSource,
  Int32,
  Int64,
  onDemandFeatureView,
  requestSource,
  String as StringType,
  UnixTimestamp,
} from '../../src/index.js'
import { AthenaBench } from '../offline-stores/athena-bench.js'
import { rowsOf } from '../offline-stores/table-maker.js'
import { at, errorOf, repoOf, Workbench } from './workbench.js'

const T = at('2024-01-10T12:00:00Z')
const key = entity({ name: 'k', valueType: Int64 })
const served = featureView({
  name: 'served',
  entities: [key],
  schema: { v: Int64, w: StringType },
  source: fileSource({ path: 'rows.parquet', timestampField: 't' }),
})
const asked = requestSource({ name: 'asked', schema: { amount: Int64 } })
const share = onDemandFeatureView({
  name: 'share',
  sources: [served, asked],
  schema: { part: Int64 },
  transform: () => ({ part: null }),
})
const service = (destination?: BatchSource) =>
  featureService({
    name: 'model',
    features: [served, share],
    ...(destination && { logging: { destination } }),
  })

const COLUMNS = {
  k: Int64,
  served__v: Int64,
  served__v__timestamp: UnixTimestamp,
  served__v__status: Int32,
  served__w: StringType,
  served__w__timestamp: UnixTimestamp,
  served__w__status: Int32,
  amount: Int64,
  share__part: Int64,
  share__part__timestamp: UnixTimestamp,
  share__part__status: Int32,
  __log_timestamp: UnixTimestamp,
}
const rowAt = (time: bigint) => ({
  k: 1n,
  served__v: 5n,
  served__v__timestamp: T,
  served__v__status: 2,
  served__w: null,
  served__w__timestamp: T,
  served__w__status: 3,
  amount: 7n,
  share__part: null,
  share__part__timestamp: T,
  share__part__status: 3,
  __log_timestamp: time,
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function workbench(yaml = ''): Promise<Workbench> {
  const bench = new Workbench(yaml)
  closing.push(() => bench.close())
  return bench
}

describe('logged features', () => {
  it('are read from files by the day, as Feast’s servers write them', async () => {
    const bench = await workbench()
    const repo = repoOf(
      key,
      served,
      share,
      service(fileSource({ path: 'logs', datePartitionColumn: '__log_date' })),
    )
    const store = await bench.open({ repo })
    await store.apply(repo, { skipSourceValidation: true })
    for (const day of ['2024-01-10', '2024-01-11']) {
      await bench.parquet(
        `logs/__log_date=${day}/rows.parquet`,
        `SELECT 1::BIGINT AS k, 5::BIGINT AS served__v, TIMESTAMPTZ '2024-01-10 12:00:00Z' AS served__v__timestamp, 2::INTEGER AS served__v__status,
          NULL::VARCHAR AS served__w, TIMESTAMPTZ '2024-01-10 12:00:00Z' AS served__w__timestamp, 3::INTEGER AS served__w__status, 7::BIGINT AS amount,
          NULL::BIGINT AS share__part, TIMESTAMPTZ '2024-01-10 12:00:00Z' AS share__part__timestamp, 3::INTEGER AS share__part__status,
          TIMESTAMPTZ '${day} 12:00:00.000001Z' AS __log_timestamp, 'r${day}' AS __request_id`,
      )
    }
    const job = await store.getLoggedFeatures({ featureService: 'model', end: T + 1n })
    expect((await job.fields()).map(({ name }) => name)).toEqual([
      ...Object.keys(COLUMNS),
      '__log_date',
      '__request_id',
    ])
    const [row, ...more] = await rowsOf(job.batches())
    expect(more).toEqual([])
    expect(row).toEqual({
      ...rowAt(T + 1n),
      __log_date: expect.anything(),
      __request_id: 'r2024-01-10',
    })
    const out = join(bench.path, 'out.parquet')
    const all = await store.getLoggedFeatures({ featureService: 'model' })
    expect(await all.persist(out)).toEqual({ rows: 2 })
  })

  it('are read from a table of Athena', async () => {
    const athena = await new AthenaBench({ checkGrammar: false }).open()
    closing.push(() => athena.close())
    const columns = Object.entries({ ...COLUMNS, __log_date: StringType, __request_id: StringType })
    const logged = [T, T + 1_000n].map((time) => ({
      ...rowAt(time),
      __log_date: '2024-01-10',
      __request_id: 'r',
    }))
    await athena.table(
      columns.map(([name, type]) => ({ name, type })),
      logged,
      { name: 'model_logs' },
    )
    const bench = await workbench()
    const { settings } = athena.emulator
    const block = Object.entries(athena.block).map(([name, value]) => `  ${name}: ${value}\n`)
    writeFileSync(
      join(bench.path, 'feature_store.yaml'),
      `project: demo\nregistry: data/registry.db\nonline_store: null\noffline_store:\n  type: athena\n${block.join('')}aws: {region: us-east-1, endpoint: "${settings.endpoint}", path_style: true}\n`,
    )
    const repo = repoOf(key, served, share, service(athenaSource({ table: 'model_logs' })))
    const config = await loadRepoConfig({ chdir: bench.path, env: {} })
    const store = openFeatureStore(config, { loadFeatureRepo: async () => repo })
    closing.unshift(() => store.close())
    await store.apply(repo, { skipSourceValidation: true })
    const job = await store.getLoggedFeatures({ featureService: 'model', start: T + 1n })
    expect(await rowsOf(job.batches())).toEqual(logged.slice(1))
    expect(job.cost!()!.scannedBytes).toBeGreaterThan(0)
    const kept = athenaSource({ table: 'kept_logs', timestampField: '__log_timestamp' })
    expect(await (await store.getLoggedFeatures({ featureService: 'model' })).persist(kept)).toEqual({
      rows: 2,
    })
  })

  it('are nowhere for a service that logs nowhere, and unreadable in another warehouse', async () => {
    const bench = await workbench()
    const repo = repoOf(key, served, share, service())
    const store = await bench.open({ repo })
    await store.apply(repo, { skipSourceValidation: true })
    const nowhere = await errorOf(store.getLoggedFeatures({ featureService: 'model' }))
    expect(nowhere).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('logging') })
    expect(() => service(athenaSource({ table: 't', database: 'elsewhere' }))).toThrow(/no plain table/)
    const moved = repoOf(key, served, share, service(athenaSource({ table: 'logs' })))
    await store.apply(moved, { skipSourceValidation: true })
    const job = await store.getLoggedFeatures({ featureService: 'model' })
    expect(await errorOf(job.fields())).toMatchObject({ code: 'SOURCE_UNSUPPORTED' })
  })
})
