import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import { encodeTimestamp, timestampMicros } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { seededRandom } from '../compat/random.js'
import { cellsOf, readCells } from '../online-stores/read-cells.js'

export interface OnlineStoreFixture {
  /** A store of a project that nobody else uses, empty. */
  open(): Promise<OnlineStore>
  /** The same data seen by another connection. */
  again(): Promise<OnlineStore>
  clean(): Promise<void>
}

export interface ContractOptions {
  readonly skip?: readonly { readonly test: string; readonly reason: string }[]
  /** Digits of an event time that a read gives back. The comparison of times is exact in any case. */
  readonly readsTimesIn?: 'micros' | 'seconds'
}

const STATS: OnlineTable = { name: 'stats', joinKeys: ['user_id'], features: ['a', 'b'] }
const OTHER: OnlineTable = { name: 'other', joinKeys: ['user_id'], features: ['a'] }
const T0 = 1_785_578_400_000_000n
const SECOND = 1_000_000n

const keyOf = entityKeyEncoder([{ name: 'user_id', type: { valueType: 'INT64' } }], 3)
const key = (id: number) => keyOf([BigInt(id)])
const int = (value: number | null) =>
  encodeValue({ valueType: 'INT64' }, value === null ? null : BigInt(value))

/** What every online store must do, whatever it is made of. */
export function onlineStoreContract(
  name: string,
  fixture: OnlineStoreFixture,
  { skip = [], readsTimesIn = 'micros' }: ContractOptions = {},
): void {
  describe(`${name}: online store contract`, () => {
    let store: OnlineStore

    beforeEach(async () => {
      store = await fixture.open()
      await store.setup([STATS, OTHER])
    })
    afterEach(async () => {
      await store.close()
      await fixture.clean()
    })

    function test(what: string, run: () => Promise<void>): void {
      const skipped = skip.find((entry) => entry.test === what)
      if (skipped) it.skip(`${what} (${skipped.reason})`, run)
      else it(what, run)
    }

    async function write(id: number, values: (number | null)[], at: bigint, table = STATS): Promise<void> {
      const row = { entityKey: key(id), values: values.map(int), eventTimestamp: at, createdTimestamp: null }
      await store.write({ table, rows: [row] })
    }

    async function read(
      ids: readonly number[],
      features: readonly (readonly [string, string])[] = [
        ['stats', 'a'],
        ['stats', 'b'],
      ],
      from: OnlineStore = store,
    ) {
      const views = [...new Set(features.map(([view]) => view))]
      const shape = { features: features.map(([view, feature]) => ({ view, feature })), views }
      const rows = await readCells(from, shape, ids.map(key))
      return rows.map((row) => ({
        values: row.slice(0, features.length).map((cell) => cell?.toString('hex') ?? null),
        times: row.slice(features.length).map((cell) => (cell === null ? null : timestampMicros(cell))),
      }))
    }

    const hex = (value: number | null) => int(value).toString('hex')
    const shown = (time: bigint) =>
      readsTimesIn === 'micros' ? time : time - (((time % SECOND) + SECOND) % SECOND)

    test('reads back what was written, nulls as empty cells', async () => {
      await write(1, [5, null], T0)
      expect(await read([1])).toEqual([{ values: [hex(5), ''], times: [T0] }])
    })

    test('an unknown key is nulls, and so is a view that has no row', async () => {
      await write(1, [5, 6], T0)
      const found = await read(
        [1, 2],
        [
          ['stats', 'a'],
          ['other', 'a'],
        ],
      )
      expect(found).toEqual([
        { values: [hex(5), null], times: [T0, null] },
        { values: [null, null], times: [null, null] },
      ])
    })

    test('a feature that was never written is null, its row is there', async () => {
      await write(1, [5], T0, { ...STATS, features: ['a'] })
      expect(await read([1])).toEqual([{ values: [hex(5), null], times: [T0] }])
    })

    test('rows come in the order of the keys, repeats included', async () => {
      for (let id = 0; id < 5; id++) await write(id, [id, -id], T0)
      const found = await read([3, 0, 3, 99, 1, 3])
      expect(found.map(({ values }) => values[0])).toEqual([hex(3), hex(0), hex(3), null, hex(1), hex(3)])
    })

    test('no keys are no rows; many keys are as many', async () => {
      expect(await read([])).toEqual([])
      const ids = Array.from({ length: 3000 }, (_, id) => id)
      const rows = ids.map((id) => ({
        entityKey: key(id),
        values: [int(id), int(null)],
        eventTimestamp: T0,
        createdTimestamp: null,
      }))
      await store.write({ table: STATS, rows })
      const found = await read(ids)
      expect(found.map(({ values }) => values[0])).toEqual(ids.map(hex))
    })

    test('two views in one shape, and a feature asked for twice', async () => {
      await write(1, [5, 6], T0)
      await write(1, [7], T0 + SECOND, OTHER)
      const features = [
        ['other', 'a'],
        ['stats', 'b'],
        ['stats', 'a'],
        ['stats', 'b'],
      ] as const
      expect(await read([1], features)).toEqual([
        { values: [hex(7), hex(6), hex(5), hex(6)], times: [T0 + SECOND, T0] },
      ])
    })

    test('a shape of views without features gives times alone', async () => {
      await write(1, [5, 6], T0)
      const rows = await readCells(store, { features: [], views: ['stats'] }, [key(1), key(2)])
      expect(rows).toEqual([[encodeTimestamp(T0)], [null]])
    })

    test('a newer row wins over the store', async () => {
      await write(1, [1, 1], T0)
      await write(1, [2, null], T0 + SECOND)
      expect(await read([1])).toEqual([{ values: [hex(2), ''], times: [T0 + SECOND] }])
    })

    test('an older or equal row never overwrites', async () => {
      await write(1, [1, 1], T0)
      await write(1, [2, 2], T0)
      await write(1, [3, 3], T0 - SECOND)
      await write(1, [4, 4], T0 - 1n)
      expect(await read([1])).toEqual([{ values: [hex(1), hex(1)], times: [T0] }])
    })

    test('times are compared to the microsecond, by every connection', async () => {
      const other = await fixture.again()
      const order = [T0 + 5n, T0 + 7n, T0 + 6n, T0, T0 + 7n, T0 + 999_999n, T0 + 999_998n]
      for (const [value, at] of order.entries()) {
        const row = {
          entityKey: key(1),
          values: [int(value), int(0)],
          eventTimestamp: at,
          createdTimestamp: null,
        }
        await (value % 2 ? other : store).write({ table: STATS, rows: [row] })
      }
      const expected = [{ values: [hex(5), hex(0)], times: [shown(T0 + 999_999n)] }]
      expect(await read([1])).toEqual(expected)
      expect(await read([1], undefined, other)).toEqual(expected)
      await other.close()
    })

    test('before 1970 as well', async () => {
      await write(1, [1, 1], -SECOND - 1n)
      await write(1, [2, 2], -SECOND - 2n)
      expect((await read([1]))[0]!.values[0]).toBe(hex(1))
      await write(1, [3, 3], -SECOND)
      expect(await read([1])).toEqual([{ values: [hex(3), hex(3)], times: [-SECOND] }])
    })

    test('the newest row of a batch wins, whatever its place', async () => {
      const rows = [2n, 5n, 1n, 5n, 3n].map((offset, value) => ({
        entityKey: key(1),
        values: [int(value), int(value)],
        eventTimestamp: T0 + offset * SECOND,
        createdTimestamp: null,
      }))
      await store.write({ table: STATS, rows })
      expect(await read([1])).toEqual([{ values: [hex(1), hex(1)], times: [T0 + 5n * SECOND] }])
    })

    test('a partial write leaves other features alone', async () => {
      await write(1, [1, 2], T0)
      await write(1, [9], T0 + SECOND, { ...STATS, features: ['b'] })
      expect(await read([1])).toEqual([{ values: [hex(1), hex(9)], times: [T0 + SECOND] }])
      await write(1, [8], T0, { ...STATS, features: ['a'] })
      expect((await read([1]))[0]!.values).toEqual([hex(1), hex(9)])
    })

    test('concurrent writers end with the newest row', async () => {
      const other = await fixture.again()
      const random = seededRandom(`${name} concurrent writers`)
      const writes = Array.from({ length: 60 }, (_, value) => ({
        value,
        at: T0 + BigInt(random.int(0, 3_000_000)),
      }))
      await Promise.all(
        writes.map(({ value, at }, index) =>
          (index % 2 ? other : store).write({
            table: STATS,
            rows: [
              { entityKey: key(1), values: [int(value), int(0)], eventTimestamp: at, createdTimestamp: null },
            ],
          }),
        ),
      )
      const newest = writes.reduce((best, next) => (next.at > best.at ? next : best))
      expect(await read([1])).toEqual([{ values: [hex(newest.value), hex(0)], times: [shown(newest.at)] }])
      await other.close()
    })

    test('names and values may hold anything', async () => {
      const table: OnlineTable = {
        name: `we"ird'v;--`,
        joinKeys: ['user_id'],
        features: [`f'"x`, 'ü\u{1F600}', 'a b'],
      }
      await store.setup([table])
      const values = ['', 'a\0b', `'"\u{1F600}`].map((text) => encodeValue({ valueType: 'STRING' }, text))
      const rows = [{ entityKey: key(1), values, eventTimestamp: T0, createdTimestamp: T0 }]
      await store.write({ table, rows })
      const features = table.features.map((feature) => ({ view: table.name, feature }))
      const found = await readCells(store, { features, views: [table.name] }, [key(1)])
      expect(found).toEqual([[...values, encodeTimestamp(T0)]])
    })

    test('many features', async () => {
      const features = Array.from({ length: 700 }, (_, i) => `feature_${i}`)
      const table: OnlineTable = { name: 'wide', joinKeys: ['user_id'], features }
      await store.setup([table])
      const values = features.map((_, i) => int(i))
      await store.write({
        table,
        rows: [{ entityKey: key(1), values, eventTimestamp: T0, createdTimestamp: null }],
      })
      const shape = { features: features.map((feature) => ({ view: 'wide', feature })), views: ['wide'] }
      expect(await readCells(store, shape, [key(1)])).toEqual([[...values, encodeTimestamp(T0)]])
    })

    test('setup twice is setup once, and keeps rows', async () => {
      await write(1, [1, 1], T0)
      await store.setup([STATS, OTHER])
      expect((await read([1]))[0]!.values[0]).toBe(hex(1))
    })

    test('teardown takes its view alone, twice is fine, and setup starts anew', async () => {
      await write(1, [1, 1], T0 + 5n)
      await write(1, [2], T0, OTHER)
      await store.teardown([STATS])
      await store.teardown([STATS])
      expect((await read([1], [['other', 'a']]))[0]!.values).toEqual([hex(2)])
      await store.setup([STATS])
      expect(await read([1])).toEqual([{ values: [null, null], times: [null] }])
      await write(1, [7, 7], T0)
      expect((await read([1]))[0]!.values[0]).toBe(hex(7))
    })

    test('a reader made before a teardown still works afterwards', async () => {
      const reader = store.prepareRead({ features: [{ view: 'stats', feature: 'a' }], views: ['stats'] })
      const read = async () => cellsOf((await reader.read([key(1)]))[0]!, 2)
      await write(1, [1, 1], T0)
      expect(await read()).toEqual([int(1), encodeTimestamp(T0)])
      await store.teardown([STATS])
      expect(await read()).toEqual([null, null])
      await store.setup([STATS])
      await write(1, [2, 2], T0)
      expect(await read()).toEqual([int(2), encodeTimestamp(T0)])
    })

    test('random writes leave what a model of the rules says', async () => {
      const random = seededRandom(`${name} model`)
      const model = new Map<number, { a: number | null; b: number | null; at: bigint }>()
      for (let round = 0; round < 150; round++) {
        const rows = random.times(random.int(1, 8), () => ({
          id: random.int(0, 5),
          a: random.chance(0.2) ? null : random.int(-9, 9),
          b: random.chance(0.2) ? null : random.int(-9, 9),
          at: T0 + BigInt(random.int(-3, 3)) * 400_000n,
        }))
        await store.write({
          table: STATS,
          rows: rows.map(({ id, a, b, at }) => ({
            entityKey: key(id),
            values: [int(a), int(b)],
            eventTimestamp: at,
            createdTimestamp: random.chance(0.5) ? at : null,
          })),
        })
        for (const { id, a, b, at } of rows) {
          const old = model.get(id)
          if (!old || at > old.at) model.set(id, { a, b, at })
        }
      }
      const ids = [...model.keys()]
      expect(await read(ids)).toEqual(
        ids.map((id) => {
          const { a, b, at } = model.get(id)!
          return { values: [hex(a), hex(b)], times: [shown(at)] }
        }),
      )
    })
  })
}
