import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Cell } from '../../src/core/cell.js'
import { type BatchSource, requestSource, type UnknownSource } from '../../src/core/data-source.js'
import { featureView } from '../../src/core/feature-view.js'
import { type Field, field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import { onDemandFeatureView } from '../../src/core/on-demand-feature-view.js'
import {
  ArrayOf,
  Bool,
  type FeastType,
  Float64,
  Int32,
  Int64,
  MapType,
  StringType,
  Struct,
  UnixTimestamp,
} from '../../src/core/value-type.js'
import { type OnDemandOutputs, onDemandJob } from '../../src/feature-store/on-demand-job.js'
import type {
  HistoricalQuery,
  HistoricalView,
  OfflineStore,
  PullJob,
  PullQuery,
} from '../../src/offline-stores/offline-store.js'
import type { Row } from '../offline-stores/oracle.js'
import { batchOf, once, rowsOf } from '../offline-stores/table-maker.js'

/** A store under test, and a way to give it tables. */
export interface OfflineStoreHarness {
  readonly store: OfflineStore
  /** A source with these rows. `naive` columns are stored without zone. Times are microseconds. */
  table(
    columns: readonly { readonly name: string; readonly type: FeastType; readonly naive?: boolean }[],
    rows: readonly Row[],
    options?: { readonly datePartitionColumn?: string; readonly created?: string },
  ): Promise<BatchSource>
  /** Where the store can keep a result, as a table or a file of that name; there is nothing yet. */
  place(name: string): BatchSource
  /** URI of a folder, ending in `/`, where the store may stage results. */
  readonly staging: string
  close(): Promise<void>
}

const T = parseInstant('2024-01-10T12:00:00Z', 'T')
const SECOND = 1_000_000n
const MINUTE = 60n * SECOND
const HOUR = 60n * MINUTE
const DAY = 24n * HOUR

/** Every offline store does this; scenario names are those of the project's list of adversarial cases. */
export function offlineStoreContract(name: string, open: () => Promise<OfflineStoreHarness>): void {
  describe(`offline store contract: ${name}`, () => {
    let harness: OfflineStoreHarness
    beforeAll(async () => {
      harness = await open()
    })
    afterAll(() => harness.close())

    const K = { name: 'k', type: Int64 }
    const TS = { name: 'ts', type: UnixTimestamp }
    const C = { name: 'c', type: UnixTimestamp }
    const V = { name: 'v', type: Int64 }

    /** A view of key k, feature v, time ts, TTL 1 day; created column c where the rows have one. */
    async function view(rows: readonly Row[], more: Partial<HistoricalView> = {}): Promise<HistoricalView> {
      const created = rows.some((row) => 'c' in row)
      const source = await harness.table([K, TS, ...(created ? [C] : []), V], rows)
      return {
        name: 'fv',
        source,
        timestampColumn: 'ts',
        createdColumn: created ? 'c' : undefined,
        joinKeys: [{ column: 'k', entityColumn: 'k', type: Int64 }],
        features: [{ column: 'v', output: 'v', type: Int64 }],
        ttlSeconds: 86_400,
        ...more,
      }
    }

    const ENTITY: readonly Field[] = [field('k', Int64), field('event_timestamp', UnixTimestamp)]

    async function join(
      views: readonly HistoricalView[],
      rows: readonly Row[],
      more: Partial<HistoricalQuery> & { readonly fields?: readonly Field[] } = {},
    ): Promise<Row[]> {
      const { fields = ENTITY, ...query } = more
      const job = harness.store.getHistoricalFeatures({
        entityRows: { kind: 'batches', fields, batches: once(batchOf(fields, rows)) },
        eventTimestampColumn: undefined,
        views,
        requiredColumns: [],
        filterByCreatedTimestamp: false,
        ...query,
      })
      return rowsOf(job.batches())
    }

    const at = (k: bigint | null, time: bigint | null = T): Row => ({ k, event_timestamp: time })
    const values = (rows: readonly Row[], column = 'v') => rows.map((row) => row[column])

    it('P1 exact tie', async () => {
      const fv = await view([
        { k: 1n, ts: T, v: 1n },
        { k: 1n, ts: T, v: 2n },
      ])
      expect(values(await join([fv], [at(1n)]))).toEqual([2n])
    })

    it('P2 created out of order', async () => {
      const fv = await view([
        { k: 1n, ts: T, c: T + DAY, v: 1n },
        { k: 1n, ts: T, c: T + 3n * DAY, v: 2n },
        { k: 1n, ts: T, c: T + 2n * DAY, v: 3n },
        { k: 1n, ts: T - HOUR, c: T + 9n * DAY, v: 9n },
      ])
      expect(values(await join([fv], [at(1n)]))).toEqual([2n])
    })

    it('P3 NULL created on the newest row', async () => {
      const fv = await view([
        { k: 1n, ts: T - HOUR, c: T, v: 1n },
        { k: 1n, ts: T, c: null, v: 2n },
      ])
      expect(values(await join([fv], [at(1n)]))).toEqual([2n])
      expect(values(await join([fv], [at(1n)], { filterByCreatedTimestamp: true }))).toEqual([1n])
    })

    it('P4 TTL edges', async () => {
      const rows = [
        { k: 1n, ts: T - DAY, v: 1n },
        { k: 2n, ts: T - DAY - 1n, v: 2n },
        { k: 3n, ts: T, v: 3n },
        { k: 4n, ts: T + 1n, v: 4n },
      ]
      expect(values(await join([await view(rows)], [at(1n), at(2n), at(3n), at(4n)]))).toEqual([
        1n,
        null,
        3n,
        null,
      ])
      const forever = await view([{ k: 1n, ts: parseInstant('1994-01-01', 'ts'), v: 5n }], { ttlSeconds: 0 })
      expect(values(await join([forever], [at(1n)]))).toEqual([5n])
    })

    it('P4 TTL edges, where the reach of entity rows is little of the time there is', async () => {
      const epoch = parseInstant('1970-01-01', 'ts')
      const times = [epoch - DAY / 2n, epoch, epoch + DAY - 1n, epoch + 90n * DAY, epoch + 200n * DAY + 1n]
      for (const ttl of [1n, HOUR, DAY, DAY + 1n, 3n * DAY]) {
        const rows = times.flatMap((time, index) => [
          { k: BigInt(index), ts: time - ttl, v: BigInt(index) },
          { k: BigInt(index + 10), ts: time - ttl - 1n, v: 99n },
          { k: BigInt(index), ts: time + 1n, v: 98n },
        ])
        const asked = times.flatMap((time, index) => [at(BigInt(index), time), at(BigInt(index + 10), time)])
        const fv = await view(rows, { ttlSeconds: Number(ttl) / 1e6 })
        expect(values(await join([fv], asked))).toEqual(times.flatMap((_, index) => [BigInt(index), null]))
      }
    })

    it('P5 all candidates outside the window', async () => {
      const fv = await view([
        { k: 1n, ts: T - 2n * DAY, v: 1n },
        { k: 2n, ts: T + HOUR, v: 2n },
      ])
      expect(values(await join([fv], [at(1n), at(2n), at(3n)]))).toEqual([null, null, null])
    })

    it('P6 sub-second TTL', async () => {
      const fv = await view(
        [
          { k: 1n, ts: T - 400_000n, v: 1n },
          { k: 2n, ts: T - 600_000n, v: 2n },
        ],
        { ttlSeconds: 0.5 },
      )
      expect(values(await join([fv], [at(1n), at(2n)]))).toEqual([1n, null])
    })

    it('P7 NULL in the latest row', async () => {
      const fv = await view([
        { k: 1n, ts: T - 2n * HOUR, v: 1n },
        { k: 1n, ts: T - HOUR, v: null },
      ])
      expect(values(await join([fv], [at(1n)]))).toEqual([null])
    })

    it('P8 NULL keys on both sides', async () => {
      const fv = await view([
        { k: 1n, ts: T, v: 1n },
        { k: null, ts: T, v: 9n },
      ])
      expect(await join([fv], [at(1n), at(null)])).toEqual([
        { k: 1n, event_timestamp: T, v: 1n },
        { k: null, event_timestamp: T, v: null },
      ])
    })

    it('P9 duplicate entity rows', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const rows = ['a', 'b', 'b'].map((label) => ({ ...at(1n), label }))
      const joined = await join([fv], rows, { fields: [...ENTITY, field('label', StringType)] })
      expect(joined).toEqual(rows.map((row) => ({ ...row, v: 1n })))
    })

    it('P10 rows that differ in an unrelated key', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 5n }])
      const rows = [7n, 8n].map((customer) => ({ ...at(1n), customer }))
      const joined = await join([fv], rows, { fields: [...ENTITY, field('customer', Int64)] })
      expect(joined).toEqual(rows.map((row) => ({ ...row, v: 5n })))
    })

    async function twoKeys(types: readonly [FeastType, FeastType], rows: readonly Row[]) {
      const source = await harness.table(
        [{ name: 'k1', type: types[0] }, { name: 'k2', type: types[1] }, TS, V],
        rows,
      )
      const joinKeys = ['k1', 'k2'].map((column, index) => ({
        column,
        entityColumn: column,
        type: types[index]!,
      }))
      return { ...(await view([])), source, joinKeys }
    }
    const pair = (types: readonly [FeastType, FeastType]) => [
      field('k1', types[0]),
      field('k2', types[1]),
      field('event_timestamp', UnixTimestamp),
    ]

    it('P11 composite collision', async () => {
      const fv = await twoKeys(
        [Int64, Int64],
        [
          { k1: 1n, k2: 11n, ts: T, v: 111n },
          { k1: 11n, k2: 1n, ts: T, v: 222n },
        ],
      )
      const rows = [
        { k1: 1n, k2: 11n, event_timestamp: T },
        { k1: 11n, k2: 1n, event_timestamp: T },
      ]
      expect(values(await join([fv], rows, { fields: pair([Int64, Int64]) }))).toEqual([111n, 222n])
    })

    it('P12 mixed-type composite', async () => {
      const fv = await twoKeys([StringType, Int64], [{ k1: '1', k2: 1n, ts: T, v: 5n }])
      const good = join([fv], [{ k1: '1', k2: 1, event_timestamp: T }], { fields: pair([StringType, Int32]) })
      expect(values(await good)).toEqual([5n])
      const bad = join([fv], [{ k1: '1', k2: '1', event_timestamp: T }], {
        fields: pair([StringType, StringType]),
      })
      await expect(bad).rejects.toMatchObject({
        code: 'COLUMN_TYPE_MISMATCH',
        details: { column: 'k2', type: 'VARCHAR', expected: 'BIGINT' },
      })
    })

    it('P13 aliases', async () => {
      const fv = await twoKeys(
        [Int64, Int64],
        [
          { k1: 1n, k2: 2n, ts: T, v: 12n },
          { k1: 1n, k2: 3n, ts: T, v: 13n },
        ],
      )
      const partly = {
        ...fv,
        joinKeys: fv.joinKeys.map((key) => (key.column === 'k1' ? { ...key, entityColumn: 'origin' } : key)),
      }
      const fields = [field('origin', Int64), field('k2', Int64), field('event_timestamp', UnixTimestamp)]
      const rows = [2n, 3n, 4n].map((k2) => ({ origin: 1n, k2, event_timestamp: T }))
      expect(values(await join([partly], rows, { fields }))).toEqual([12n, 13n, null])

      const place = await view([
        { k: 1n, ts: T, v: 1n },
        { k: 2n, ts: T, v: 2n },
      ])
      const twice = ['origin', 'destination'].map((alias) => ({
        ...place,
        name: alias,
        joinKeys: [{ ...place.joinKeys[0]!, entityColumn: `${alias}_id` }],
        features: [{ ...place.features[0]!, output: `${alias}__v` }],
      }))
      const trip = { origin_id: 1n, destination_id: 2n, event_timestamp: T }
      const tripFields = [field('origin_id', Int64), field('destination_id', Int64), ENTITY[1]!]
      expect(await join(twice, [trip], { fields: tripFields })).toEqual([
        { ...trip, origin__v: 1n, destination__v: 2n },
      ])
      const short = twice.map((one) => ({ ...one, features: [{ ...one.features[0]!, output: 'v' }] }))
      await expect(join(short, [trip], { fields: tripFields })).rejects.toMatchObject({
        code: 'FEATURE_NAME_COLLISION',
      })
    })

    it('P14 offsets', async () => {
      const source = await harness.table([K, { ...TS, naive: true }, V], [{ k: 1n, ts: T, v: 1n }])
      const fv = { ...(await view([])), source }
      const texts = [
        '2024-01-10T14:00:00+02:00',
        '2024-01-10 07:00:00-05:00',
        '2024-01-10 12:00:00',
        '2024-01-10T12:00:00Z',
      ]
      const joined = await join(
        [fv],
        texts.map((event_timestamp) => ({ k: 1n, event_timestamp })),
        { fields: [field('k', Int64), field('event_timestamp', StringType)] },
      )
      expect(joined).toEqual(texts.map(() => ({ k: 1n, event_timestamp: T, v: 1n })))
    })

    it('P15 precision', async () => {
      const fv = await view([{ k: 1n, ts: T + 123_456n, v: 1n }])
      expect(values(await join([fv], [at(1n, T + 123_455n), at(1n, T + 123_456n)]))).toEqual([null, 1n])
    })

    it('P16 before 1970', async () => {
      const then = parseInstant('1950-01-01', 'ts')
      const fv = await view([{ k: 1n, ts: then, v: 1n }])
      expect(await join([fv], [at(1n, then + DAY / 2n)])).toEqual([
        { k: 1n, event_timestamp: then + DAY / 2n, v: 1n },
      ])
    })

    it('P17 skew', async () => {
      const count = 10_000
      const minutes = Array.from({ length: count }, (_, index) => BigInt(index))
      const fv = await view(
        minutes.map((minute) => ({ k: 1n, ts: T + minute * MINUTE, v: minute })),
        { ttlSeconds: 0 },
      )
      const joined = await join(
        [fv],
        minutes.map((minute) => at(1n, T + minute * MINUTE + MINUTE / 2n)),
      )
      expect(values(joined)).toEqual(minutes)
    })

    it('P18 arrays and nested values', async () => {
      const types = {
        list: ArrayOf(Int64),
        nested: ArrayOf(ArrayOf(Int64)),
        struct: Struct({ a: Int64, b: StringType }),
        map: MapType,
      }
      const columns = Object.entries(types).map(([name, type]) => ({ name, type }))
      const rows: Row[] = [
        {
          k: 1n,
          ts: T,
          list: [1n, null, 3n],
          nested: [[1n], []],
          struct: { a: 1n, b: null },
          map: { x: 'y' },
        },
        { k: 2n, ts: T, list: [], nested: [], struct: { a: null, b: '' }, map: {} },
        { k: 3n, ts: T, list: null, nested: null, struct: null, map: null },
      ]
      const source = await harness.table([K, TS, ...columns], rows)
      const features = columns.map(({ name, type }) => ({ column: name, output: name, type }))
      const joined = await join([{ ...(await view([])), source, features }], [at(1n), at(2n), at(3n)])
      expect(joined).toEqual(rows.map(({ ts, ...row }) => ({ ...row, event_timestamp: ts })))
    })

    it('P19 empties', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const typed = [...ENTITY, field('v', Int64)]
      const nothing = harness.store.getHistoricalFeatures({
        entityRows: { kind: 'batches', fields: ENTITY, batches: once(batchOf(ENTITY, [])) },
        eventTimestampColumn: undefined,
        views: [fv],
        requiredColumns: [],
        filterByCreatedTimestamp: false,
      })
      expect(await nothing.fields()).toEqual(typed)
      expect(await rowsOf(nothing.batches())).toEqual([])
      const empty = await view([])
      expect(await join([empty], [at(1n), at(null)])).toEqual([
        { ...at(1n), v: null },
        { ...at(null), v: null },
      ])
    })

    it('P20 entityless', async () => {
      const rows = [
        { k: null, ts: T - 5n * HOUR, v: 5n },
        { k: null, ts: T - HOUR, v: 6n },
        { k: null, ts: T + HOUR, v: 7n },
      ]
      const g = await view(rows, { joinKeys: [] })
      const times = [T, T, T + 2n * HOUR, T - 4n * HOUR, T - 9n * HOUR]
      const joined = await join(
        [g],
        times.map((time) => ({ event_timestamp: time })),
        { fields: [ENTITY[1]!] },
      )
      expect(joined).toEqual(
        [6n, 6n, 7n, 5n, null].map((v, index) => ({ event_timestamp: times[index]!, v })),
      )
    })

    it('P21 the same name in two views', async () => {
      const a = await view([{ k: 1n, ts: T, v: 1n }], { name: 'a' })
      const b = await view([{ k: 1n, ts: T, v: 2n }], { name: 'b' })
      await expect(join([a, b], [at(1n)])).rejects.toMatchObject({
        code: 'FEATURE_NAME_COLLISION',
        details: { names: ['a:v', 'b:v'] },
      })
      const full = [a, b].map((one) => ({
        ...one,
        features: one.features.map((feature) => ({ ...feature, output: `${one.name}__v` })),
      }))
      expect(await join(full, [at(1n)])).toEqual([{ ...at(1n), a__v: 1n, b__v: 2n }])
      const clash = join([a], [{ ...at(1n), v: 0n }], { fields: [...ENTITY, field('v', Int64)] })
      await expect(clash).rejects.toMatchObject({
        code: 'COLUMN_CLASH',
        details: { column: 'v', feature: 'a:v' },
      })
    })

    it('P22 unicode keys', async () => {
      const keys = ['é', 'e\u0301', '😀', 'é ', '', ' ', '\u0001', '\t', 'É']
      const source = await harness.table(
        [{ name: 'k', type: StringType }, TS, V],
        keys.map((k, index) => ({ k, ts: T, v: BigInt(index) })),
      )
      const fv = {
        ...(await view([])),
        source,
        joinKeys: [{ column: 'k', entityColumn: 'k', type: StringType }],
      }
      const joined = await join(
        [fv],
        keys.map((k) => ({ k, event_timestamp: T })),
        { fields: [field('k', StringType), ENTITY[1]!] },
      )
      expect(values(joined)).toEqual(keys.map((_, index) => BigInt(index)))
    })

    it('P23 hostile identifiers and values', async () => {
      const names = ['order', 'select', 'a b', 'x"y', 'CamelCase', 'pos_y', 'v"); DROP', "it's", '%s']
      const keys = ["'; DROP TABLE x;--", '%s', '"', '\\', '$1']
      const columns = names.map((name) => ({ name, type: Int64 }))
      const rows = keys.map((k, row) => ({
        'k"ey': k,
        'my time': T,
        ...Object.fromEntries(names.map((name, index): [string, Cell] => [name, BigInt(row * 100 + index)])),
      }))
      const source = await harness.table(
        [{ name: 'k"ey', type: StringType }, { name: 'my time', type: UnixTimestamp }, ...columns],
        rows,
      )
      const fv: HistoricalView = {
        name: 'my-fv',
        source,
        timestampColumn: 'my time',
        createdColumn: undefined,
        joinKeys: [{ column: 'k"ey', entityColumn: 'entity"; --', type: StringType }],
        features: names.map((column) => ({ column, output: `my-fv__${column}`, type: Int64 })),
        ttlSeconds: 0,
      }
      const joined = await join(
        [fv],
        keys.map((k) => ({ 'entity"; --': k, event_timestamp: T })),
        { fields: [field('entity"; --', StringType), ENTITY[1]!] },
      )
      expect(joined).toEqual(
        keys.map((k, row) => ({
          'entity"; --': k,
          event_timestamp: T,
          ...Object.fromEntries(names.map((name, index) => [`my-fv__${name}`, BigInt(row * 100 + index)])),
        })),
      )
    })

    it('P24 created cut-off', async () => {
      const fv = await view([
        { k: 1n, ts: T - 2n * HOUR, c: T - HOUR, v: 1n },
        { k: 1n, ts: T - HOUR, c: T + DAY, v: 2n },
        { k: 1n, ts: T - 30n * MINUTE, c: null, v: 3n },
      ])
      const plain = await view([{ k: 1n, ts: T - MINUTE, v: 8n }], {
        name: 'plain',
        features: [{ column: 'v', output: 'plain__v', type: Int64 }],
      })
      expect(await join([fv, plain], [at(1n)], { filterByCreatedTimestamp: true })).toEqual([
        { ...at(1n), v: 1n, plain__v: 8n },
      ])
      expect(values(await join([fv], [at(1n)]))).toEqual([3n])
    })

    it('P25 the same feature twice', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const twice = { ...fv, features: [...fv.features, ...fv.features] }
      await expect(join([twice], [at(1n)])).rejects.toMatchObject({
        code: 'FEATURE_NAME_COLLISION',
        details: { names: ['fv:v', 'fv:v'] },
      })
    })

    it('P26 date range only', async () => {
      const fv = await view([
        { k: 1n, ts: T - 3n * HOUR, v: 3n },
        { k: 1n, ts: T - HOUR, v: 1n },
        { k: 1n, ts: T - 3n * DAY, v: 72n },
        { k: null, ts: T - HOUR, v: 0n },
        { k: 1n, ts: T - HOUR, v: 1n },
      ])
      const ranged = (start: bigint, end: bigint, views = [fv]) =>
        join(views, [], { entityRows: { kind: 'range', start, end } })
      expect(await ranged(T - 2n * HOUR, T)).toEqual([{ k: 1n, event_timestamp: T - HOUR, v: 1n }])
      expect(values(await ranged(T - 3n * HOUR, T - HOUR))).toEqual([3n, 1n])
      const other = await view([{ k: 2n, ts: T, v: 5n }], {
        name: 'other',
        features: [{ column: 'v', output: 'w', type: Int64 }],
      })
      expect(await ranged(T - 2n * HOUR, T, [fv, other])).toEqual([
        { k: 1n, event_timestamp: T - HOUR, v: 1n, w: null },
        { k: 2n, event_timestamp: T, v: null, w: 5n },
      ])
      const otherKey = { ...other, joinKeys: [{ ...other.joinKeys[0]!, entityColumn: 'another' }] }
      await expect(ranged(T - HOUR, T, [fv, otherKey])).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    })

    const PULL: Omit<PullQuery, 'source'> = {
      timestampColumn: 'ts',
      createdColumn: undefined,
      joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
      features: [{ column: 'v', name: 'v', type: Int64 }],
      start: undefined,
      end: undefined,
      latest: true,
    }
    const byKey = (rows: readonly Row[]) =>
      [...rows].sort((a, b) => ((a.k as bigint) < (b.k as bigint) ? -1 : 1))
    let stages = 0
    const staged = async (job: PullJob, files: number) => {
      const prefix = `${harness.staging}${stages++}/`
      const result = await job.stage(prefix, { token: `${name} ${prefix}`.padEnd(32, '.'), files })
      const rows: Row[] = []
      for (const file of result.files) {
        expect(file.uri.startsWith(prefix)).toBe(true)
        rows.push(...(await rowsOf(harness.store.readStaged(file, result.fields))))
      }
      await harness.store.dropStaged(prefix)
      return { rows, ...result, prefix }
    }
    /** By key; streamed and staged, which is the same. */
    const pulled = async (query: Partial<PullQuery> & Pick<PullQuery, 'source'>) => {
      const job = harness.store.pull({ ...PULL, ...query })
      const rows = byKey(await rowsOf(job.batches()))
      expect(byKey((await staged(job, 2)).rows)).toEqual(rows)
      return rows
    }

    it('M1 window edges', async () => {
      const times = [T - 1n, T, T + HOUR, T + HOUR + 1n]
      const source = await harness.table(
        [K, TS, V],
        times.map((ts, index) => ({ k: BigInt(index), ts, v: BigInt(index) })),
      )
      expect(values(await pulled({ source, start: T, end: T + HOUR }))).toEqual([1n, 2n])
      expect(values(await pulled({ source, start: T, end: T + HOUR, latest: false }))).toEqual([1n, 2n])
    })

    it('M2 winner', async () => {
      const rows = Array.from({ length: 6000 }, (_, index) => ({
        k: BigInt(index % 3),
        ts: T - BigInt((index * 7919) % 5) * MINUTE,
        c: T + BigInt((index * 104_729) % 13),
        v: BigInt(index),
      }))
      const source = await harness.table([K, TS, C, V], rows)
      const latest = await pulled({ source, createdColumn: 'c' })
      const fv = { ...(await view([])), source, createdColumn: 'c', ttlSeconds: 0 }
      const joined = await join([fv], [at(0n), at(1n), at(2n)])
      expect(values(latest)).toEqual(values(joined))
      for (const row of latest) {
        const mine = rows.filter(({ k }) => k === row.k)
        const newest = mine.filter(({ ts }) => ts === T)
        const created = newest.reduce((most, { c }) => (c > most ? c : most), 0n)
        const best = newest.filter(({ c }) => c === created).map(({ v }) => v)
        expect(row.v).toBe(best.reduce((most, v) => (v > most ? v : most)))
      }
    })

    it('keeps the sign of zero, in numbers, lists and structs, whatever the ties are ordered by', async () => {
      const types = { number: Float64, list: ArrayOf(Float64), struct: Struct({ a: Float64 }) }
      const columns = Object.entries(types).map(([name, type]) => ({ name, type }))
      const row: Row = { k: 1n, number: -0, list: [-0, 0, null], struct: { a: -0 } }
      const source = await harness.table([K, TS, C, ...columns], [{ ...row, ts: T, c: T }])
      const features = columns.map(({ name, type }) => ({ column: name, name, output: name, type }))
      const latest = await pulled({ source, createdColumn: 'c', features })
      expect(latest).toEqual([{ ...row, __event_timestamp: T, __created_timestamp: T }])
      const joined = await join([{ ...(await view([])), source, createdColumn: 'c', features }], [at(1n)])
      expect(joined).toEqual([{ ...row, event_timestamp: T }])
    })

    it('an exact tie goes to NaN, the greatest of numbers', async () => {
      const number = { name: 'number', type: Float64 }
      const rows = [1, Number.NaN, Number.POSITIVE_INFINITY].map((value) => ({ k: 1n, ts: T, number: value }))
      const source = await harness.table([K, TS, number], rows)
      const features = [{ column: 'number', name: 'number', output: 'number', type: Float64 }]
      expect(values(await pulled({ source, features }), 'number')).toEqual([Number.NaN])
      const joined = await join([{ ...(await view([])), source, features }], [at(1n)])
      expect(values(joined, 'number')).toEqual([Number.NaN])
    })

    it('a pull has room for features named as its own columns are', async () => {
      const names = ['place', 'k0', 'ft', 'n', 'w', 't', 'src']
      const columns = names.map((name) => ({ name, type: Int64 }))
      const row = Object.fromEntries(names.map((name, index) => [name, BigInt(index)]))
      const rows = [T - HOUR, T, T].map((ts) => ({ k: 1n, ts, ...row }))
      const source = await harness.table([K, TS, ...columns], rows)
      const features = names.map((name) => ({ column: name, name, type: Int64 }))
      expect(await pulled({ source, features })).toEqual([{ k: 1n, ...row, __event_timestamp: T }])
    })

    it('M3 newest NULL', async () => {
      const source = await harness.table(
        [K, TS, V],
        [
          { k: 1n, ts: T - HOUR, v: 1n },
          { k: 1n, ts: T, v: null },
        ],
      )
      expect(await pulled({ source })).toEqual([{ k: 1n, v: null, __event_timestamp: T }])
      expect(values(await pulled({ source, start: T - 2n * HOUR, end: T - HOUR }))).toEqual([1n])
    })

    it('M4 bad rows', async () => {
      const source = await harness.table(
        [K, TS, V],
        [
          { k: null, ts: T, v: 1n },
          { k: 1n, ts: null, v: 2n },
          { k: 2n, ts: T, v: 9_007_199_254_740_993n },
          { k: 3n, ts: T, v: null },
          { k: null, ts: T - 9n * DAY, v: 1n },
        ],
      )
      const query = { ...PULL, source, start: T - DAY, end: T }
      expect(values(await pulled(query))).toEqual([9_007_199_254_740_993n, null])
      expect(await harness.store.pull(query).skippedRows()).toBe(2)
    })

    it('M9 partitioned hourly', async () => {
      const day = parseInstant('2024-01-10', 'dt')
      const source = await harness.table(
        [K, TS, V, { name: 'dt', type: StringType }],
        [
          { k: 1n, ts: day + 5n * HOUR + 30n * MINUTE, v: 1n, dt: '2024-01-10' },
          { k: 2n, ts: day + 7n * HOUR, v: 2n, dt: '2024-01-10' },
          { k: 3n, ts: day - HOUR, v: 3n, dt: '2024-01-09' },
        ],
        { datePartitionColumn: 'dt' },
      )
      const window = { source, start: day + 5n * HOUR, end: day + 6n * HOUR }
      expect(values(await pulled(window))).toEqual([1n])
    })

    it('M10 correction of the same event time', async () => {
      const rows = [
        { k: 1n, ts: T, c: T, v: 2n },
        { k: 1n, ts: T, c: T + SECOND, v: 1n },
      ]
      const source = await harness.table([K, TS, C, V], rows)
      expect(await pulled({ source, createdColumn: 'c' })).toEqual([
        { k: 1n, v: 1n, __event_timestamp: T, __created_timestamp: T + SECOND },
      ])
    })

    it('M12 entityless, renamed', async () => {
      const source = await harness.table(
        [TS, { name: 'column_name', type: Float64 }],
        [
          { ts: T, column_name: 1.5 },
          { ts: T - HOUR, column_name: 2.5 },
        ],
      )
      const features = [{ column: 'column_name', name: 'feature_name', type: Float64 }]
      expect(await pulled({ source, joinKeys: [], features })).toEqual([
        { feature_name: 1.5, __event_timestamp: T },
      ])
    })

    it('says what is missing before it reads', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const fields = [field('id', Int64), ENTITY[1]!]
      await expect(join([fv], [], { fields })).rejects.toMatchObject({
        code: 'ENTITY_COLUMN_MISSING',
        details: { columns: ['k'], given: ['id', 'event_timestamp'], view: 'fv' },
      })
      await expect(join([fv], [], { fields: [ENTITY[0]!] })).rejects.toMatchObject({
        code: 'ENTITY_TIME_COLUMN',
      })
      const two = [ENTITY[0]!, field('t1', UnixTimestamp), field('t2', UnixTimestamp)]
      await expect(join([fv], [], { fields: two })).rejects.toMatchObject({ code: 'ENTITY_TIME_COLUMN' })
      const gone = { ...fv, features: [{ column: 'w', output: 'w', type: Int64 }] }
      await expect(join([gone], [at(1n)])).rejects.toMatchObject({
        code: 'SOURCE_COLUMN_MISSING',
        details: { column: 'w', view: 'fv' },
      })
      const required = { requiredColumns: [{ name: 'amount', view: 'od' }] }
      await expect(join([fv], [at(1n)], required)).rejects.toMatchObject({
        code: 'REQUEST_DATA_MISSING',
        details: { names: ['amount'], view: 'od' },
      })
      const text = { ...fv, timestampColumn: 'v' }
      await expect(join([text], [at(1n)])).rejects.toMatchObject({ code: 'COLUMN_TYPE_MISMATCH' })
    })

    it('finds the event time by name, by type, or as told', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const only = [field('k', Int64), field('when', UnixTimestamp)]
      expect(await join([fv], [{ k: 1n, when: T }], { fields: only })).toEqual([{ k: 1n, when: T, v: 1n }])
      const told = [...only, field('other', UnixTimestamp)]
      const row = { k: 1n, when: T, other: T - DAY }
      const query = { fields: told, eventTimestampColumn: 'when' }
      expect(values(await join([fv], [row], query))).toEqual([1n])
    })

    it('describes a source', async () => {
      const source = await harness.table([K, TS, V, { name: 'l', type: ArrayOf(StringType) }], [])
      expect(await harness.store.describe(source)).toEqual([
        field('k', Int64),
        field('ts', UnixTimestamp),
        field('v', Int64),
        field('l', ArrayOf(StringType)),
      ])
    })

    it('appends rows by column name, and refuses other columns', async () => {
      const source = await harness.table([K, TS, V], [{ k: 1n, ts: T, v: 1n }])
      const fields = [field('v', Int64), field('ts', UnixTimestamp), field('k', Int64)]
      const rows = [
        { k: 2n, ts: T, v: 2n },
        { k: 3n, ts: T, v: null },
      ]
      expect(await harness.store.write(source, once(batchOf(fields, rows)))).toEqual({ rows: 2 })
      expect(values(await pulled({ source }))).toEqual([1n, 2n, null])
      const wrong = [field('w', Int64), ...fields.slice(1)]
      await expect(harness.store.write(source, once(batchOf(wrong, [])))).rejects.toMatchObject({
        code: 'SCHEMA_MISMATCH',
        details: { missing: ['v'], extra: ['w'] },
      })
      expect(values(await pulled({ source }))).toEqual([1n, 2n, null])
    })

    it('stages rows in files that other processes read, and leaves nothing', async () => {
      const source = await harness.table([K, TS, V], [{ k: 1n, ts: T, v: 1n }])
      const job = harness.store.pull({ ...PULL, source })
      const { files, fields, prefix } = await staged(job, 1)
      expect(files).toHaveLength(1)
      expect(files[0]!.bytes).toBeGreaterThan(0)
      expect(fields).toEqual(await job.fields())
      await expect(rowsOf(harness.store.readStaged(files[0]!, fields))).rejects.toMatchObject({
        code: 'OBJECT_NOT_FOUND',
      })
      await harness.store.dropStaged(prefix)
      const nothing = harness.store.pull({ ...PULL, source, end: T - DAY })
      expect((await staged(nothing, 3)).files).toEqual([])
    })

    let places = 0
    const newPlace = () => harness.place(`kept_${places++}`)
    /** All rows and columns of what was kept, by key. */
    const kept = async (source: BatchSource) => {
      const columns = (await harness.store.describe(source)).filter(({ name }) => name !== 'event_timestamp')
      const features = columns.map(({ name, type }) => ({ column: name, name, type }))
      const all = { ...PULL, joinKeys: [], features, latest: false, timestampColumn: 'event_timestamp' }
      return byKey(await rowsOf(harness.store.pull({ ...all, source }).batches())).map(
        ({ __event_timestamp, ...row }) => ({ ...row, event_timestamp: __event_timestamp }),
      )
    }
    const historical = (views: readonly HistoricalView[], rows: readonly Row[], fields = ENTITY) =>
      harness.store.getHistoricalFeatures({
        entityRows: { kind: 'batches', fields, batches: once(batchOf(fields, rows)) },
        eventTimestampColumn: undefined,
        views,
        requiredColumns: [],
        filterByCreatedTimestamp: false,
      })

    it('keeps a result where it can be read as a source, to the microsecond', async () => {
      const types = { v: Int64, f: Float64, s: StringType, at: UnixTimestamp, times: ArrayOf(UnixTimestamp) }
      const columns = Object.entries(types).map(([name, type]) => ({ name, type }))
      const rows: Row[] = [
        { k: 1n, ts: T + 123_456n, v: 2n ** 60n, f: -0, s: "it's", at: T + 1n, times: [T + 1n, null] },
        { k: 2n, ts: T, v: null, f: 1.5, s: '', at: null, times: [] },
      ]
      const source = await harness.table([K, TS, ...columns], rows)
      const features = columns.map(({ name, type }) => ({ column: name, output: name, type }))
      const fv = { ...(await view([])), source, features }
      const asked = [at(1n, T + 123_456n), at(2n, T + HOUR), at(3n)]
      const place = newPlace()
      expect(await historical([fv], asked).persist(place)).toEqual({ rows: 3 })
      const expected = await rowsOf(historical([fv], asked).batches())
      expect(expected.map(({ times }) => times)).toEqual([[T + 1n, null], [], null])
      expect(await kept(place)).toEqual(expected)
      // As the source of a view, too.
      const again = { ...fv, source: place, timestampColumn: 'event_timestamp' }
      expect(values(await join([again], [at(1n, T + 123_456n), at(1n, T + 123_455n)]))).toEqual([
        2n ** 60n,
        null,
      ])
    })

    it('does not replace what it kept, unless told; then with other rows and columns', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const place = newPlace()
      await historical([fv], [at(1n)]).persist(place)
      await expect(historical([fv], [at(2n)]).persist(place)).rejects.toMatchObject({
        code: expect.stringMatching(/^(TABLE|FILE)_EXISTS$/),
      })
      expect(await kept(place)).toEqual([{ ...at(1n), v: 1n }])
      const fields = [...ENTITY, field('label', StringType)]
      const labelled = [{ ...at(1n), label: 'a' }]
      expect(await historical([fv], labelled, fields).persist(place, { overwrite: true })).toEqual({
        rows: 1,
      })
      expect(await kept(place)).toEqual([{ ...at(1n), label: 'a', v: 1n }])
      const broken = { ...fv, features: [{ column: 'gone', output: 'gone', type: Int64 }] }
      await expect(historical([broken], [at(1n)]).persist(place, { overwrite: true })).rejects.toMatchObject({
        code: 'SOURCE_COLUMN_MISSING',
      })
      expect(await kept(place)).toEqual([{ ...at(1n), label: 'a', v: 1n }])
    })

    it('keeps a pull, a result without rows, and rows that passed through this process', async () => {
      const source = await harness.table([K, TS, V], [{ k: 1n, ts: T, v: 1n }])
      const pulledRows = newPlace()
      expect(await harness.store.pull({ ...PULL, source }).persist(pulledRows)).toEqual({ rows: 1 })
      const stored = await harness.store.describe(pulledRows)
      expect(stored.map(({ name }) => name)).toEqual(['k', 'v', '__event_timestamp'])
      const nothing = newPlace()
      expect(await historical([await view([])], []).persist(nothing)).toEqual({ rows: 0 })
      expect(await kept(nothing)).toEqual([])
      const given = newPlace()
      const rows = [at(1n), at(2n, T + 1n)]
      expect(await harness.store.save(given, ENTITY, once(batchOf(ENTITY, rows)))).toEqual({ rows: 2 })
      expect(await kept(given)).toEqual(rows)
    })

    it('keeps nothing when aborted, or where it keeps nothing', async () => {
      const fv = await view([{ k: 1n, ts: T, v: 1n }])
      const place = newPlace()
      const aborted = historical([fv], [at(1n)]).persist(place, { signal: AbortSignal.abort() })
      await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
      await expect(harness.store.describe(place)).rejects.toMatchObject({ code: 'SOURCE_NOT_READABLE' })
      const elsewhere = {
        ...place,
        kind: 'unknownSource',
        type: 'x',
        bytes: new Uint8Array(),
      } as UnknownSource
      await expect(historical([fv], [at(1n)]).persist(elsewhere)).rejects.toMatchObject({
        code: 'SOURCE_UNSUPPORTED',
      })
    })

    it('on demand features are computed over its rows, and kept with them', async () => {
      const fv = await view([
        { k: 1n, ts: T - HOUR, v: 1n },
        { k: 2n, ts: T, v: null },
      ])
      const request = requestSource({ name: 'asked', schema: { extra: Int64 } })
      const stored = featureView({ name: 'fv', entities: [], schema: { v: Int64 }, source: fv.source })
      const sum = onDemandFeatureView({
        name: 'sum',
        sources: [stored, request],
        schema: { total: Int64, at_all: Bool },
        transform: ({ v, extra }) => ({ total: v === null ? null : v + extra!, at_all: v !== null }),
      })
      const steps: readonly OnDemandOutputs[] = [
        {
          view: sum,
          inputs: [
            { name: 'v', column: 'v', type: Int64 },
            { name: 'extra', column: 'extra', type: Int64 },
          ],
          outputs: sum.features.map((feature) => ({ feature, column: feature.name })),
        },
      ]
      const fields = [...ENTITY, field('extra', Int64)]
      const rows = [1n, 2n, 3n].map((k) => ({ ...at(k), extra: 10n * k }))
      const job = () => onDemandJob(historical([fv], rows, fields), harness.store, steps, new Map())
      const expected = [
        { ...rows[0], v: 1n, total: 11n, at_all: true },
        { ...rows[1], v: null, total: null, at_all: false },
        { ...rows[2], v: null, total: null, at_all: false },
      ]
      expect(await rowsOf(job().batches())).toEqual(expected)
      const place = newPlace()
      expect(await job().persist(place)).toEqual({ rows: 3 })
      expect(await kept(place)).toEqual(expected)
      const python = {
        ...sum,
        transformation: { language: 'python', mode: 'pandas', text: 'def f(df): …' },
      } as const
      expect(() =>
        onDemandJob(
          historical([fv], rows, fields),
          harness.store,
          [{ ...steps[0]!, view: python }],
          new Map(),
        ),
      ).toThrow(expect.objectContaining({ code: 'PYTHON_TRANSFORMATION' }))
    })

    it('stops when aborted', async () => {
      const rows = Array.from({ length: 20_000 }, (_, index) => ({ k: BigInt(index), ts: T, v: 1n }))
      const source = await harness.table([K, TS, V], rows)
      const controller = new AbortController()
      const read = async () => {
        for await (const _ of harness.store.pull({ ...PULL, source }).batches(controller.signal)) {
          controller.abort()
        }
      }
      await expect(read()).rejects.toMatchObject({ code: 'ABORTED' })
      const before = AbortSignal.abort()
      await expect(rowsOf(harness.store.pull({ ...PULL, source }).batches(before))).rejects.toMatchObject({
        code: 'ABORTED',
      })
      await expect(
        harness.store.pull({ ...PULL, source }).stage(`${harness.staging}aborted/`, {
          token: `${name} aborted`.padEnd(32, '.'),
          signal: before,
        }),
      ).rejects.toMatchObject({ code: 'ABORTED' })
      expect(await pulled({ source })).toHaveLength(20_000)
    })
  })
}
