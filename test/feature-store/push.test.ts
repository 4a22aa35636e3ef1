import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import {
  entity,
  Float64,
  featureView,
  fileSource,
  Int64,
  pushSource,
  String as StringType,
  streamFeatureView,
  UnixTimestamp,
} from '../../src/index.js'
import { at, batchOf, entityRows, errorOf, online, repoOf, rowsOf, runSql, Workbench } from './workbench.js'

const NOON = at('2024-01-10T12:00:00Z')
const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
const history = fileSource({
  name: 'history',
  path: 'data/history.parquet',
  timestampField: 'event_timestamp',
  fieldMapping: { raw: 'amount', ts: 'event_timestamp' },
})
const pushed = pushSource({ name: 'payments', batchSource: history })
const amounts = featureView({
  name: 'amounts',
  entities: [user],
  schema: { amount: Float64 },
  source: pushed,
})
const kinds = streamFeatureView({
  name: 'kinds',
  entities: [user],
  schema: { kind: StringType },
  source: pushed,
})

let bench: Workbench
let store: FeatureStore
beforeEach(async () => {
  bench = new Workbench()
  await bench.parquet(
    'data/history.parquet',
    `SELECT 1::BIGINT AS user_id, 1.0::DOUBLE AS raw, 'old' AS kind, TIMESTAMP '2024-01-01 00:00:00' AS ts`,
  )
  store = await bench.open()
  await store.apply(repoOf(user, amounts, kinds))
})
afterEach(() => bench.close())

const MAPPED = { user_id: Int64, amount: Float64, kind: StringType, event_timestamp: UnixTimestamp }
const RAW = { user_id: Int64, raw: Float64, kind: StringType, ts: UnixTimestamp }
const stored = () =>
  runSql(`SELECT user_id, raw, kind FROM '${join(bench.path, 'data/history.parquet')}' ORDER BY user_id, ts`)

describe('push', () => {
  it.each([
    ['mapped names', MAPPED, { user_id: 2n, amount: 9.5, kind: 'new', event_timestamp: NOON }],
    ['the source’s names', RAW, { user_id: 2n, raw: 9.5, kind: 'new', ts: NOON }],
  ])('brings rows under %s to every view and once to their history (B20)', async (_, schema, row) => {
    await store.push({ pushSource: 'payments', rows: batchOf(schema, [row]), to: 'online_and_offline' })
    expect(await online(store, ['amounts:amount', 'kinds:kind'], { user_id: [2] })).toMatchObject({
      amount: [9.5],
      kind: ['new'],
    })
    expect(await stored()).toEqual([
      { user_id: '1', raw: 1, kind: 'old' },
      { user_id: '2', raw: 9.5, kind: 'new' },
    ])
    const given = entityRows({ user_id: Int64, event_timestamp: UnixTimestamp }, [
      { user_id: 2n, event_timestamp: NOON },
    ])
    expect(
      await rowsOf(await store.getHistoricalFeatures({ entityRows: given, features: ['amounts:amount'] })),
    ).toMatchObject([{ amount: 9.5 }])
  })

  it('goes where it is told', async () => {
    const rows = batchOf(MAPPED, [{ user_id: 3n, amount: 1, kind: 'k', event_timestamp: NOON }])
    await store.push({ pushSource: 'payments', rows, to: 'online' })
    expect(await stored()).toHaveLength(1)
    const more = batchOf(MAPPED, [{ user_id: 4n, amount: 1, kind: 'k', event_timestamp: NOON }])
    await store.push({ pushSource: 'payments', rows: more, to: 'offline' })
    expect(await stored()).toHaveLength(2)
    expect(await online(store, ['amounts:amount'], { user_id: [3, 4] })).toMatchObject({ amount: [1, null] })
  })

  it('reads times and numbers given as text', async () => {
    const rows = batchOf({ ...MAPPED, user_id: StringType, event_timestamp: StringType }, [
      { user_id: '5', amount: 2, kind: 'k', event_timestamp: '2024-01-10T14:00:00+02:00' },
    ])
    await store.push({ pushSource: 'payments', rows, to: 'online' })
    expect(await online(store, ['amounts:amount'], { user_id: [5] })).toMatchObject({ amount: [2] })
    await store.push({ pushSource: 'payments', rows, to: 'offline' })
    expect(
      await runSql(
        `SELECT epoch_us(ts) AS us FROM '${join(bench.path, 'data/history.parquet')}' WHERE user_id = 5`,
      ),
    ).toEqual([{ us: String(NOON) }])
  })

  it('never lets an older row win', async () => {
    for (const [amount, hour] of [
      [2, 12n],
      [1, 11n],
    ] as const) {
      const row = { user_id: 6n, amount, kind: 'k', event_timestamp: hour * 3_600_000_000n }
      await store.push({ pushSource: 'payments', rows: batchOf(MAPPED, [row]), to: 'online' })
    }
    expect(await online(store, ['amounts:amount'], { user_id: [6] })).toMatchObject({ amount: [2] })
  })

  it('writes nothing anywhere when one of the views cannot take the rows', async () => {
    const rows = batchOf({ user_id: Int64, amount: Float64, event_timestamp: UnixTimestamp }, [
      { user_id: 7n, amount: 1, event_timestamp: NOON },
    ])
    for (const to of ['online', 'offline', 'online_and_offline'] as const) {
      const error = await errorOf(store.push({ pushSource: 'payments', rows, to }))
      expect(error.code).toBe('SCHEMA_MISMATCH')
      expect(error.message).toMatch(/missing "kind"/)
    }
    expect(await online(store, ['amounts:amount'], { user_id: [7] })).toMatchObject({ amount: [null] })
    expect(await stored()).toHaveLength(1)
  })

  it('names the nearest push source', async () => {
    const error = await errorOf(
      store.push({ pushSource: 'payment', rows: batchOf(MAPPED, []), to: 'online' }),
    )
    expect(error.code).toBe('PUSH_SOURCE_NOT_FOUND')
    expect(error.message).toMatch(/Did you mean "payments"/)
  })
})

describe('write to one view', () => {
  it('counts rows written and rows left out (W3)', async () => {
    const rows = batchOf(MAPPED, [
      { user_id: 8n, amount: 1, event_timestamp: NOON },
      { user_id: null, amount: 1, event_timestamp: NOON },
      { user_id: 9n, amount: 1, event_timestamp: null },
    ])
    expect(await store.writeToOnlineStore('amounts', rows)).toEqual({ rows: 1, skipped: 2 })
    expect(await online(store, ['amounts:amount'], { user_id: [8, 9] })).toMatchObject({ amount: [1, null] })
  })

  it('writes nothing when no row has a value, all rows when one has (as Feast)', async () => {
    const row = (user_id: bigint, amount: number | null) => ({ user_id, amount, event_timestamp: NOON })
    expect(await store.writeToOnlineStore('amounts', batchOf(MAPPED, [row(1n, null)]))).toEqual({
      rows: 0,
      skipped: 0,
    })
    expect(await store.writeToOnlineStore('amounts', batchOf(MAPPED, [row(1n, null), row(2n, 1)]))).toEqual({
      rows: 2,
      skipped: 0,
    })
    expect(await store.writeToOnlineStore('amounts', batchOf(MAPPED, []))).toEqual({ rows: 0, skipped: 0 })
  })

  it('appends to the batch source, whose columns must all be there and no others', async () => {
    const rows = batchOf(RAW, [{ user_id: 2n, raw: 2, kind: 'x', ts: NOON }])
    expect(await store.writeToOfflineStore('kinds', rows)).toEqual({ rows: 1 })
    expect(await stored()).toHaveLength(2)
    const error = await errorOf(store.writeToOfflineStore('kinds', batchOf({ ...RAW, more: Int64 }, [])))
    expect(error.message).toMatch(/not known there "more"/)
  })

  it('refuses an unknown view', async () => {
    expect((await errorOf(store.writeToOnlineStore('amount', batchOf(MAPPED, [])))).code).toBe(
      'FEATURE_VIEW_NOT_FOUND',
    )
  })
})
