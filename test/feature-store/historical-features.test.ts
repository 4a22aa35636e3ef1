import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Cell } from '../../src/core/cell.js'
import type { FeatureStore, HistoricalRequest } from '../../src/feature-store/feature-store.js'
import {
  entity,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int64,
  mapJoinKeys,
  onDemandFeatureView,
  pick,
  rename,
  requestSource,
  String as StringType,
  UnixTimestamp,
} from '../../src/index.js'
import { at, entityRows, errorOf, repoOf, rowsOf, runSql, Workbench } from './workbench.js'

const T = '2024-01-10 12:00:00'
const NOON = at('2024-01-10T12:00:00Z')

const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
const place = entity({ name: 'place', joinKey: 'place_id', valueType: StringType })
const wallet = featureView({
  name: 'wallet',
  entities: [user],
  ttl: '1d',
  schema: { balance: Float64, trips: Int64 },
  source: fileSource({
    name: 'wallet_src',
    path: 'data/wallet.parquet',
    timestampField: 'event_timestamp',
    createdTimestampColumn: 'made',
    fieldMapping: { raw_balance: 'balance', ts: 'event_timestamp', uid: 'user_id', c: 'made' },
  }),
})
const places = featureView({
  name: 'places',
  entities: [place],
  schema: { heat: Int64 },
  source: fileSource({ name: 'places_src', path: 'data/places.parquet', timestampField: 't' }),
})
const rates = featureView({
  name: 'rates',
  schema: { rate: Float64 },
  source: fileSource({ name: 'rates_src', path: 'data/rates.parquet', timestampField: 't' }),
})
const request = requestSource({ name: 'payment', schema: { amount: Float64 } })
const risk = onDemandFeatureView({
  name: 'risk',
  sources: [pick(wallet, 'balance'), request],
  schema: { share: Float64, known: Int64 },
  transform: ({ balance, amount }) => ({
    share: balance === null || amount === null ? null : amount / balance,
    known: balance === null ? 0n : 1n,
  }),
})
const service = featureService({
  name: 'routes',
  features: [
    mapJoinKeys(rename(places, 'origin'), { place_id: 'from_place' }),
    mapJoinKeys(rename(places, 'destination'), { place_id: 'to_place' }),
    pick(wallet, 'trips'),
  ],
})

let bench: Workbench
let store: FeatureStore
beforeEach(async () => {
  bench = new Workbench()
  await bench.parquet(
    'data/wallet.parquet',
    `SELECT * FROM (VALUES
       (1::BIGINT, 100.0::DOUBLE, 7::BIGINT, TIMESTAMP '2024-01-10 11:00:00', TIMESTAMP '2024-01-10 11:00:00'),
       (1::BIGINT, 200.0::DOUBLE, 8::BIGINT, TIMESTAMP '2024-01-10 13:00:00', TIMESTAMP '2024-01-10 13:00:00'),
       (2::BIGINT, 50.0::DOUBLE, NULL, TIMESTAMP '2024-01-08 11:00:00', TIMESTAMP '2024-01-10 11:00:00'))
       r(uid, raw_balance, trips, ts, c)`,
  )
  await bench.parquet(
    'data/places.parquet',
    `SELECT * FROM (VALUES ('x', 1::BIGINT, TIMESTAMP '${T}'), ('y', 2::BIGINT, TIMESTAMP '${T}')) r(place_id, heat, t)`,
  )
  await bench.parquet('data/rates.parquet', `SELECT 1.5::DOUBLE AS rate, TIMESTAMP '${T}' AS t`)
  const repo = repoOf(user, place, wallet, places, rates, risk, service)
  store = await bench.open({ repo })
  await store.apply(repo)
})
afterEach(() => bench.close())

const KEYS = { user_id: Int64, event_timestamp: UnixTimestamp }
const rows = (...keys: (bigint | null)[]) => keys.map((user_id) => ({ user_id, event_timestamp: NOON }))

async function join_(request: HistoricalRequest): Promise<Record<string, Cell>[]> {
  return rowsOf(await store.getHistoricalFeatures(request))
}

describe('getHistoricalFeatures', () => {
  it('joins mapped columns as of the entity rows, ttl and order kept (R12)', async () => {
    const found = await join_({
      entityRows: entityRows(KEYS, rows(2n, 1n, null, 3n)),
      features: ['wallet:trips', 'wallet:balance'],
    })
    expect(found.map(({ user_id, trips, balance }) => [user_id, trips, balance])).toEqual([
      [2n, null, null],
      [1n, 7n, 100],
      [null, null, null],
      [3n, null, null],
    ])
  })

  it('reads a service: aliases, join key maps, projections', async () => {
    const given = entityRows(
      { from_place: StringType, to_place: StringType, user_id: Int64, event_timestamp: UnixTimestamp },
      [{ from_place: 'x', to_place: 'y', user_id: 1n, event_timestamp: NOON }],
    )
    const job = await store.getHistoricalFeatures({
      entityRows: given,
      featureService: 'routes',
      fullFeatureNames: true,
    })
    expect((await job.fields()).map(({ name }) => name)).toEqual([
      'from_place',
      'to_place',
      'user_id',
      'event_timestamp',
      'origin__heat',
      'destination__heat',
      'wallet__trips',
    ])
    expect(await rowsOf(job)).toMatchObject([{ origin__heat: 1n, destination__heat: 2n, wallet__trips: 7n }])
    const clash = await errorOf(join_({ entityRows: given, featureService: 'routes' }))
    expect(clash.code).toBe('FEATURE_NAME_COLLISION')
    expect(clash.message).toContain('heat (origin:heat, destination:heat)')
  })

  it('joins a view without entity to every row', async () => {
    expect(
      await join_({ entityRows: entityRows(KEYS, rows(1n, 9n)), features: ['rates:rate'] }),
    ).toMatchObject([{ rate: 1.5 }, { rate: 1.5 }])
  })

  it('computes on demand features, their inputs staying in the result (J2, R14)', async () => {
    const given = () =>
      entityRows({ ...KEYS, amount: Int64 }, [
        { user_id: 1n, event_timestamp: NOON, amount: 25n },
        { user_id: 2n, event_timestamp: NOON, amount: 5n },
      ])
    const job = await store.getHistoricalFeatures({
      entityRows: given(),
      features: ['risk:share', 'wallet:trips'],
    })
    expect((await job.fields()).map(({ name }) => name)).toEqual([
      'user_id',
      'event_timestamp',
      'amount',
      'trips',
      'balance',
      'share',
    ])
    expect(await rowsOf(job)).toMatchObject([
      { amount: 25n, trips: 7n, balance: 100, share: 0.25 },
      { amount: 5n, trips: null, balance: null, share: null },
    ])
    const full = await join_({
      entityRows: given(),
      features: ['risk:share', 'risk:known'],
      fullFeatureNames: true,
    })
    expect(full).toMatchObject([
      { wallet__balance: 100, risk__share: 0.25, risk__known: 1n },
      { wallet__balance: null, risk__share: null, risk__known: 0n },
    ])
  })

  it('writes on demand results to a file', async () => {
    const given = entityRows({ ...KEYS, amount: Float64 }, [
      { user_id: 1n, event_timestamp: NOON, amount: 50 },
    ])
    const job = await store.getHistoricalFeatures({ entityRows: given, features: ['risk:share'] })
    const path = join(bench.path, 'training.parquet')
    expect(await job.persist(path)).toEqual({ rows: 1 })
    expect(existsSync(path)).toBe(true)
    expect(await runSql(`SELECT share, balance FROM '${path}'`)).toEqual([{ share: 0.5, balance: 100 }])
    expect((await errorOf(job.persist(path))).code).toBe('FILE_EXISTS')
  })

  it('takes a range instead of entity rows (J3)', async () => {
    const range = { kind: 'range' as const, start: at('2024-01-10'), end: at('2024-01-11') }
    const found = await join_({ entityRows: range, features: ['wallet:balance'] })
    expect(found.map(({ balance }) => balance).sort()).toEqual([100, 200])
    const mixed = await errorOf(join_({ entityRows: range, features: ['wallet:balance', 'places:heat'] }))
    expect(mixed.message).toMatch(/"wallet" is looked up by user_id, "places" by place_id/)
    expect(
      (await errorOf(join_({ entityRows: { ...range, end: 0n }, features: ['wallet:trips'] }))).code,
    ).toBe('INVALID_REQUEST')
  })

  it('counts only rows that had been created by then, when asked (R8)', async () => {
    const late = { user_id: 2n, event_timestamp: at('2024-01-08T12:00:00Z') }
    const ask = (filterByCreatedTimestamp: boolean) =>
      join_({ entityRows: entityRows(KEYS, [late]), features: ['wallet:balance'], filterByCreatedTimestamp })
    expect(await ask(false)).toMatchObject([{ balance: 50 }])
    expect(await ask(true)).toMatchObject([{ balance: null }])
  })

  it.each([
    ['NO_FEATURES', { features: [] }],
    ['INVALID_REQUEST', { features: ['wallet:trips'], featureService: 'routes' }],
    ['INVALID_FEATURE_REF', { features: ['wallet'] }],
    ['FEATURE_VIEW_NOT_FOUND', { features: ['walet:trips'] }],
    ['FEATURE_NOT_FOUND', { features: ['wallet:trip'] }],
    ['FEATURE_SERVICE_NOT_FOUND', { featureService: 'route' }],
    ['FEATURE_NAME_COLLISION', { features: ['wallet:trips', 'wallet:trips'] }],
    ['VERSIONED_READ_DISABLED', { features: ['wallet@v1:trips'] }],
    ['REQUEST_DATA_MISSING', { features: ['risk:share'] }],
    ['ENTITY_COLUMN_MISSING', { features: ['places:heat'] }],
  ])('%s', async (code, asked) => {
    expect((await errorOf(join_({ entityRows: entityRows(KEYS, rows(1n)), ...asked }))).code).toBe(code)
  })

  it('refuses entity columns named like a feature, stored or on demand', async () => {
    const given = (name: string) =>
      entityRows({ ...KEYS, amount: Float64, [name]: Int64 }, [
        { user_id: 1n, event_timestamp: NOON, amount: 1, [name]: 1n },
      ])
    expect((await errorOf(join_({ entityRows: given('trips'), features: ['wallet:trips'] }))).code).toBe(
      'COLUMN_CLASH',
    )
    expect((await errorOf(join_({ entityRows: given('share'), features: ['risk:share'] }))).code).toBe(
      'COLUMN_CLASH',
    )
  })

  it('says which view has no function here, and serves the others', async () => {
    const stranger = await bench.open()
    const given = () =>
      entityRows({ ...KEYS, amount: Float64 }, [{ user_id: 1n, event_timestamp: NOON, amount: 1 }])
    const error = await errorOf(
      stranger.getHistoricalFeatures({ entityRows: given(), features: ['risk:share'] }),
    )
    expect(error.code).toBe('TRANSFORMATION_UNAVAILABLE')
    expect(
      await rowsOf(await stranger.getHistoricalFeatures({ entityRows: given(), features: ['wallet:trips'] })),
    ).toMatchObject([{ trips: 7n }])
  })
})

describe('earlier versions', () => {
  it('are joined by `view@vN` where versioning is on, under the view’s name', async () => {
    const versioned = new Workbench()
    try {
      await versioned.parquet(
        'data/places.parquet',
        `SELECT 'x' AS place_id, 1::BIGINT AS heat, 2::BIGINT AS cold, TIMESTAMP '${T}' AS t`,
      )
      const opened = await versioned.open()
      const { openFeatureStore } = await import('../../src/feature-store/open.js')
      const withVersions = openFeatureStore({
        ...opened.config,
        registry: { ...opened.config.registry, versioning: true },
      })
      await withVersions.apply(repoOf(place, places))
      const colder = featureView({
        ...places,
        entities: [place],
        ttl: 0,
        schema: { cold: Int64 },
        source: places.batchSource!,
      })
      await withVersions.apply(repoOf(place, colder))
      const given = () =>
        entityRows({ place_id: StringType, event_timestamp: UnixTimestamp }, [
          { place_id: 'x', event_timestamp: NOON },
        ])
      const ask = (ref: string) =>
        withVersions
          .getHistoricalFeatures({ entityRows: given(), features: [ref], fullFeatureNames: true })
          .then(rowsOf)
      expect(await ask('places@v0:heat')).toMatchObject([{ places__heat: 1n }])
      expect(await ask('places@latest:cold')).toMatchObject([{ places__cold: 2n }])
      expect((await errorOf(ask('places:heat'))).code).toBe('FEATURE_NOT_FOUND')
      expect((await errorOf(ask('places@v7:heat'))).code).toBe('VIEW_VERSION_NOT_FOUND')
      await withVersions.close()
    } finally {
      await versioned.close()
    }
  })
})
