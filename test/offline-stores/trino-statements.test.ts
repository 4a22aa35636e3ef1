import { describe, expect, it } from '@jest/globals'
import { athenaSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import {
  ArrayOf,
  Bool,
  Bytes,
  type FeastType,
  Float32,
  Float64,
  Int32,
  Int64,
  MapType,
  StringType,
  Struct,
  UnixTimestamp,
} from '../../src/core/value-type.js'
import type { EntityRows, HistoricalView } from '../../src/offline-stores/offline-store.js'
import { trinoDialect } from '../../src/offline-stores/sql/trino-dialect.js'
import { TrinoJsonRows } from '../../src/offline-stores/sql/trino-json-rows.js'
import { warehouseOfflineStore } from '../../src/offline-stores/sql/warehouse-offline-store.js'
import { Random } from '../compat/random.js'
import { RecordingWarehouse } from './recording-warehouse.js'
import { batchOf, once, rowsOf } from './table-maker.js'
import { trinoFaults } from './trino-lint.js'

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1_000_000)

const KEYS: readonly (readonly [FeastType, readonly string[]])[] = [
  [Int64, ['bigint', 'integer', 'smallint']],
  [Int32, ['integer', 'bigint', 'tinyint']],
  [StringType, ['varchar', 'varchar(10)', 'char(3)', 'uuid']],
  [Bytes, ['varbinary']],
  [UnixTimestamp, ['timestamp(3)', 'timestamp(6) with time zone', 'date']],
]
const FEATURES: readonly (readonly [FeastType, readonly string[]])[] = [
  [Int64, ['bigint', 'integer', 'double', 'decimal(10,2)', 'boolean']],
  [Int32, ['integer', 'bigint', 'real']],
  [Float64, ['double', 'real', 'integer', 'decimal(38,3)']],
  [Float32, ['real', 'double']],
  [StringType, ['varchar', 'varchar(7)', 'integer', 'timestamp(3)', 'json', 'uuid', 'array(varchar)']],
  [Bool, ['boolean', 'tinyint']],
  [Bytes, ['varbinary', 'varchar']],
  [
    UnixTimestamp,
    ['timestamp(3)', 'timestamp(9)', 'timestamp(6) with time zone', 'date', 'varchar', 'bigint'],
  ],
  [ArrayOf(Int64), ['array(bigint)', 'array(integer)']],
  [ArrayOf(UnixTimestamp), ['array(timestamp(3))', 'array(timestamp(6) with time zone)']],
  [ArrayOf(ArrayOf(Int64)), ['array(array(bigint))', 'array(array(integer))']],
  [
    Struct({ a: Int64, b: StringType }),
    ['row("a" bigint, "b" varchar)', 'struct<b:string,a:int>', 'row("b" varchar(3))', 'varchar'],
  ],
  [MapType, ['map(varchar, varchar)', 'map<string,double>', 'varchar', 'map(varchar, varbinary)']],
]
const NAMES = [
  'v',
  'order',
  'select',
  'a b',
  'x"y',
  'CamelCase',
  "it's",
  'v"); DROP',
  '特徴',
  'hit',
  'r',
  'since',
  'e',
]
const TIMES = [
  'timestamp(3)',
  'timestamp(6)',
  'timestamp(9)',
  'timestamp(3) with time zone',
  'date',
  'varchar',
]

interface Made {
  readonly views: readonly HistoricalView[]
  readonly entityRows: EntityRows
}

function randomQuery(random: Random, warehouse: RecordingWarehouse): Made {
  const keys = Array.from({ length: random.pick([0, 1, 1, 2, 3]) }, (_, index) => ({
    name: `key ${index}`,
    shape: random.pick(KEYS),
  }))
  const views = Array.from({ length: 1 + random.int(0, 3) }, (_, index) => {
    const names = [...NAMES].sort(() => random.next() - 0.5)
    const table: Record<string, string> = {}
    const column = (types: readonly string[]) => {
      const name = names.pop()!
      table[name] = random.pick(types)
      return name
    }
    const features = Array.from({ length: 1 + random.int(0, 2) }, () => random.pick(FEATURES))
    const source = athenaSource({ name: `table${index}`, table: `table${index}`, datePartitionColumn: 'dt' })
    const view: HistoricalView = {
      name: `fv${index}`,
      source,
      timestampColumn: column(TIMES),
      createdColumn: random.chance(0.5) ? column(TIMES) : undefined,
      joinKeys: keys.map(({ name, shape: [type, stored] }) => ({
        column: column(stored),
        entityColumn: name,
        type,
      })),
      features: features.map(([type, stored]) => {
        const name = column(stored)
        return { column: name, output: `fv${index}__${name}`, type }
      }),
      ttlSeconds: random.pick([0, 86_400, 0.5]),
    }
    table['dt'] = random.pick(['varchar', 'date'])
    warehouse.tables.set(source.name, table)
    return view
  })
  const fields = [
    ...keys.map(({ name, shape: [type] }) => field(name, type)),
    field('event_timestamp', random.pick([UnixTimestamp, StringType])),
    field("the 'label", random.pick([StringType, Float64, ArrayOf(Int64), UnixTimestamp])),
  ]
  warehouse.tables.set(
    'entity',
    Object.fromEntries(fields.map(({ name, type }) => [name, warehouse.dialect.typeFor(type).text])),
  )
  const kinds: readonly EntityRows[] = [
    { kind: 'batches', fields, batches: once(batchOf(fields, [{ event_timestamp: '2024-01-10' }].slice(1))) },
    { kind: 'batches', fields, batches: once(batchOf(fields, [rowOf(fields), rowOf(fields)])) },
    {
      kind: 'batches',
      fields,
      batches: once(
        batchOf(
          fields,
          Array.from({ length: 600 }, () => rowOf(fields)),
        ),
      ),
    },
    { kind: 'sql', sql: 'SELECT * FROM "labels"' },
    { kind: 'range', start: 0n, end: 1_704_888_000_123_456n },
  ]
  return { views, entityRows: random.pick(kinds) }
}

function rowOf(fields: readonly { readonly name: string; readonly type: FeastType }[]) {
  const cells: Partial<Record<string, unknown>> = {
    STRING: "it's; --",
    INT64: -(2n ** 63n),
    INT32: -5,
    DOUBLE: Number.NEGATIVE_INFINITY,
    BYTES: new Uint8Array([0, 255]),
    UNIX_TIMESTAMP: 1_704_888_000_123_456n,
    INT64_LIST: [1n, null],
  }
  return Object.fromEntries(
    fields.map(({ name, type }) => [
      name,
      name === 'event_timestamp' && type === StringType ? '2024-01-10T12:00:00Z' : cells[type.valueType],
    ]),
  ) as Record<string, never>
}

describe(`what is sent to Trino and Athena (seed ${seed})`, () => {
  it('passes the grammar and the list of functions, and reads each table once', async () => {
    const random = new Random(seed)
    const shapes = process.env.FEAST_LONG ? 600 : 12
    for (let done = 0; done < shapes; done++) {
      const warehouse = new RecordingWarehouse(random.pick([3, 6]))
      const { views, entityRows } = randomQuery(random, warehouse)
      const store = warehouseOfflineStore(warehouse)
      const job = store.getHistoricalFeatures({
        entityRows,
        eventTimestampColumn: undefined,
        views,
        requiredColumns: [],
        filterByCreatedTimestamp: random.chance(0.4),
      })
      await rowsOf(job.batches())
      const join = warehouse.statements.at(-1)
      const isEmpty = join === undefined
      for (const view of views) {
        if (!isEmpty) expect(join.split(`"db"."${view.source.name}"`)).toHaveLength(2)
      }
      await checkPull(warehouse, views[0]!, random)
      for (const sql of [...warehouse.statements, await job.sql()]) {
        expect({ sql, faults: trinoFaults(sql) }).toEqual({ sql, faults: [] })
      }
    }
  }, 600_000)

  async function checkPull(
    warehouse: RecordingWarehouse,
    view: HistoricalView,
    random: Random,
  ): Promise<void> {
    const store = warehouseOfflineStore(warehouse)
    const job = store.pull({
      source: view.source,
      timestampColumn: view.timestampColumn,
      createdColumn: view.createdColumn,
      joinKeys: view.joinKeys.map(({ column, type }) => ({ column, name: column, type })),
      features: view.features.map(({ column, output, type }) => ({ column, name: output, type })),
      start: random.pick([undefined, 0n, 1_704_888_000_123_456n]),
      end: random.pick([undefined, 1_704_888_000_123_456n]),
      latest: random.chance(0.7),
    })
    await rowsOf(job.batches())
    expect(warehouse.statements.at(-1)!.split(`"db"."${view.source.name}"`)).toHaveLength(2)
    await job.skippedRows()
    await job.expectedRows()
  }

  it('stages values of every type by one literal that passes the grammar', () => {
    const dialect = trinoDialect(6)
    const types = [...KEYS, ...FEATURES].map(([type]) => type)
    const nested = [
      ArrayOf(Bytes),
      Struct({ "it's": ArrayOf(UnixTimestamp), b: Bytes }),
      ArrayOf(Struct({ t: UnixTimestamp })),
    ]
    const json = new TrinoJsonRows(
      [...types, ...nested].map((type) => dialect.typeFor(type)),
      dialect,
    )
    const row = json.row([1n, 2, "it's", new Uint8Array([1]), 3n])
    expect(row.startsWith(`[1,2,"it's","AQ==",3,null`)).toBe(true)
    expect(trinoFaults(json.query([row, row]))).toEqual([])
  })

  it('goes in several statements when one would be too long', async () => {
    const warehouse = new RecordingWarehouse(3)
    warehouse.tables.set('t', { k: 'bigint', ts: 'timestamp(3)', v: 'bigint' })
    const source = athenaSource({ name: 't', table: 't' })
    const views = Array.from({ length: 7 }, (_, index) => ({
      name: `fv${index}`,
      source,
      timestampColumn: 'ts',
      createdColumn: undefined,
      joinKeys: [{ column: 'k', entityColumn: 'k', type: Int64 }],
      features: [{ column: 'v', output: `größe ${index}`, type: Int64 }],
      ttlSeconds: 0,
    }))
    const fields = [field('k', Int64), field('event_timestamp', UnixTimestamp)]
    const run = async (maxStatementBytes: number) => {
      warehouse.maxStatementBytes = maxStatementBytes
      warehouse.statements.length = 0
      const entityRows = { kind: 'batches' as const, fields, batches: once(batchOf(fields, [rowOf(fields)])) }
      const job = warehouseOfflineStore(warehouse).getHistoricalFeatures({
        entityRows,
        eventTimestampColumn: undefined,
        views,
        requiredColumns: [],
        filterByCreatedTimestamp: false,
      })
      await rowsOf(job.batches())
      return [...warehouse.statements]
    }
    const [whole] = await run(262_144)
    const parts = await run(3_000)
    expect(parts.length).toBeGreaterThan(1)
    for (const sql of parts) expect(Buffer.byteLength(sql)).toBeLessThanOrEqual(3_000)
    const count = (sql: string) => sql.split('FROM "db"."t"').length - 1
    expect(count(whole!)).toBe(7)
    expect(parts.reduce((sum, sql) => sum + count(sql), 0)).toBe(7)
    await expect(run(500)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  })
})
