import { afterEach, describe, expect, it } from '@jest/globals'
import type { AthenaSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import { Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import { AthenaBench } from './athena-bench.js'
import { batchOf, once, rowsOf } from './table-maker.js'

const T = parseInstant('2024-01-10T12:00:00Z', 'T')
const DAY = 86_400_000_000n
const COLUMNS = [
  { name: 'k', type: Int64 },
  { name: 'ts', type: UnixTimestamp },
  { name: 'v', type: Int64 },
  { name: 'dt', type: StringType },
]
const STORED = [{ k: 1n, ts: T, v: 1n, dt: '2024-01-10' }]
const FIELDS = [field('k', Int64), field('ts', UnixTimestamp), field('v', Int64)]
const WITH_KEY = [...FIELDS, field('dt', StringType)]

describe('rows added to tables of Parquet files', () => {
  const opened: AthenaBench[] = []
  afterEach(async () => {
    for (const bench of opened.splice(0)) await bench.close()
  })

  async function open(): Promise<AthenaBench> {
    const bench = await new AthenaBench().open()
    opened.push(bench)
    return bench
  }

  async function all(bench: AthenaBench, source: AthenaSource, start?: bigint, end?: bigint) {
    const job = bench.store.pull({
      source,
      timestampColumn: 'ts',
      createdColumn: undefined,
      joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
      features: [{ column: 'v', name: 'v', type: Int64 }],
      start,
      end,
      latest: false,
    })
    const rows = await rowsOf(job.batches())
    return rows.map(({ k, v }) => `${k}:${v}`).sort()
  }

  it('a table without partitions', async () => {
    const bench = await open()
    const source = await bench.table(COLUMNS.slice(0, 3), STORED)
    const rows = [
      { k: 2n, ts: T, v: null },
      { k: 3n, ts: T + DAY, v: 3n },
    ]
    expect(await bench.store.write(source, once(batchOf(FIELDS, rows)))).toEqual({ rows: 2 })
    expect(await all(bench, source)).toEqual(['1:1', '2:null', '3:3'])
    expect(bench.leftovers()).toEqual([])
  })

  it('each row into the partition of its event time; new partitions are registered', async () => {
    const bench = await open()
    const source = await bench.table(COLUMNS, STORED, {
      partition: 'dt',
      source: { datePartitions: { dt: 'yyyy-MM-dd' } },
    })
    const rows = [
      { k: 2n, ts: T + 1n, v: 2n },
      { k: 3n, ts: T + DAY, v: 3n },
      { k: 4n, ts: T + 3n * DAY, v: 4n },
    ]
    expect(await bench.store.write(source, once(batchOf(FIELDS, rows)))).toEqual({ rows: 3 })
    expect(await all(bench, source, T, T + 4n * DAY)).toEqual(['1:1', '2:2', '3:3', '4:4'])
    expect(await all(bench, source, T + DAY, T + 2n * DAY)).toEqual(['3:3'])
    expect(bench.objects('s3://lake/t0/dt=2024-01-13')).toHaveLength(1)
    expect(bench.leftovers()).toEqual([])
  })

  it('partitions that the table projects are registered nowhere', async () => {
    const bench = await open()
    const source = await bench.table(COLUMNS, STORED, {
      partition: 'dt',
      source: { datePartitions: { dt: 'yyyy-MM-dd' } },
      properties: {
        'projection.enabled': 'true',
        'projection.dt.type': 'date',
        'projection.dt.format': 'yyyy-MM-dd',
        'projection.dt.range': '2024-01-01,NOW',
      },
    })
    const before = bench.athena.executions.length
    const rows = [{ k: 2n, ts: T + DAY, v: 2n }]
    expect(await bench.store.write(source, once(batchOf(FIELDS, rows)))).toEqual({ rows: 1 })
    expect(bench.athena.executions.slice(before)).toEqual([])
    expect(await all(bench, source, T, T + 2n * DAY)).toEqual(['1:1', '2:2'])
  })

  it('a partition key that is null is no reason to lose the row', async () => {
    const bench = await open()
    const source = await bench.table(COLUMNS, STORED, { partition: 'dt' })
    const rows = [
      { k: 2n, ts: T, v: 2n, dt: null },
      { k: 3n, ts: T, v: 3n, dt: "it's/so" },
    ]
    expect(await bench.store.write(source, once(batchOf(WITH_KEY, rows)))).toEqual({ rows: 2 })
    expect(await all(bench, source)).toEqual(['1:1', '2:2', '3:3'])
    expect(bench.objects('s3://lake/t0/dt=it%27s%2Fso')).toHaveLength(1)
  })
})
