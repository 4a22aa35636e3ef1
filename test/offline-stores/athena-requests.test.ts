import { existsSync } from 'node:fs'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { AthenaSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import { Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import type {
  EntityRows,
  HistoricalView,
  PullQuery,
  StagedFile,
} from '../../src/offline-stores/offline-store.js'
import type { EmulatedAthenaOptions } from '../aws-emulator/athena/athena.js'
import { until } from '../until.js'
import { AthenaBench } from './athena-bench.js'
import { batchOf, once, rowsOf } from './table-maker.js'

const T = parseInstant('2024-01-10T12:00:00Z', 'T')
const HOUR = 3_600_000_000n
const DAY = 24n * HOUR
const COLUMNS = [
  { name: 'k', type: Int64 },
  { name: 'ts', type: UnixTimestamp },
  { name: 'v', type: Int64 },
]
const ENTITY = [field('k', Int64), field('event_timestamp', UnixTimestamp)]

const pullOf = (source: AthenaSource): PullQuery => ({
  source,
  timestampColumn: 'ts',
  createdColumn: undefined,
  joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
  features: [{ column: 'v', name: 'v', type: Int64 }],
  start: undefined,
  end: undefined,
  latest: true,
})

const viewOf = (source: AthenaSource): HistoricalView => ({
  name: 'fv',
  source,
  timestampColumn: 'ts',
  createdColumn: undefined,
  joinKeys: [{ column: 'k', entityColumn: 'k', type: Int64 }],
  features: [{ column: 'v', output: 'v', type: Int64 }],
  ttlSeconds: 86_400,
})

describe('requests to Athena', () => {
  const opened: AthenaBench[] = []
  afterEach(async () => {
    for (const bench of opened.splice(0)) await bench.close()
  })

  async function open(
    emulated: Partial<EmulatedAthenaOptions> = {},
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<AthenaBench> {
    const bench = await new AthenaBench({ checkGrammar: false, ...emulated }).open(options)
    opened.push(bench)
    return bench
  }

  const table = (bench: AthenaBench, count = 3) =>
    bench.table(
      COLUMNS,
      Array.from({ length: count }, (_, k) => ({ k: BigInt(k), ts: T, v: BigInt(k * 10) })),
    )

  const joinOf = (bench: AthenaBench, source: AthenaSource, entityRows: EntityRows) =>
    bench.store.getHistoricalFeatures({
      entityRows,
      eventTimestampColumn: undefined,
      views: [viewOf(source)],
      requiredColumns: [],
      filterByCreatedTimestamp: false,
    })

  const given = (count: number): EntityRows => {
    const rows = Array.from({ length: count }, (_, k) => ({ k: BigInt(k), event_timestamp: T + HOUR }))
    return { kind: 'batches', fields: ENTITY, batches: once(batchOf(ENTITY, rows)) }
  }

  it('many entity rows are a table for as long as the request lasts, and come back in their order', async () => {
    const bench = await open()
    const job = joinOf(bench, await table(bench, 2000), given(3000))
    const rows = await rowsOf(job.batches())
    expect(rows.map(({ k }) => k)).toEqual(Array.from({ length: 3000 }, (_, k) => BigInt(k)))
    expect(rows[1999]!.v).toBe(19_990n)
    expect(rows[2000]!.v).toBeNull()
    expect(bench.athena.timesRun(/CREATE EXTERNAL TABLE/)).toBe(1)
    expect(bench.athena.timesRun(/UNLOAD/)).toBe(1)
    expect(bench.leftovers()).toEqual([])
    expect(job.cost!()!.scannedBytes).toBeGreaterThan(0)
    expect(job.cost!()!.price).toBeGreaterThan(0)
  })

  it('SQL of the user runs once', async () => {
    const bench = await open()
    const source = await table(bench)
    const sql = `SELECT k, ts AS event_timestamp FROM ${source.table} WHERE 'users own' <> ''`
    const rows = await rowsOf(joinOf(bench, source, { kind: 'sql', sql }).batches())
    expect(rows.map(({ v }) => v).sort()).toEqual([0n, 10n, 20n])
    const runs = bench.athena.executions.filter(
      (execution) => execution.sql.includes('users own') && !/LIMIT 0/.test(execution.sql),
    )
    expect(runs).toHaveLength(1)
    expect(bench.leftovers()).toEqual([])
    const bad = joinOf(bench, source, { kind: 'sql', sql: 'SELECT nothing FROM nowhere' })
    await expect(bad.fields()).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  })

  it('leaves nothing after failures, and pays for no query twice', async () => {
    const bench = await open()
    const source = await table(bench)
    bench.emulator.fail({ match: /StartQueryExecution/, what: 'drop', times: 2 })
    bench.emulator.fail({ match: /S3\.GetObject/, what: { answer: { status: 503 } } })
    const rows = await rowsOf(joinOf(bench, source, given(600)).batches())
    expect(rows.slice(0, 3).map(({ v }) => v)).toEqual([0n, 10n, 20n])
    expect(bench.athena.timesRun(/UNLOAD/)).toBe(1)
    expect(bench.leftovers()).toEqual([])
    bench.athena.failQuery({ match: /UNLOAD/, reason: 'GENERIC_INTERNAL_ERROR: broken for good' })
    await expect(rowsOf(joinOf(bench, source, given(600)).batches())).rejects.toMatchObject({
      code: 'OFFLINE_STORE_FAILED',
    })
    expect(bench.leftovers()).toEqual([])
    bench.athena.failQuery({
      match: /UNLOAD/,
      reason: 'GENERIC_INTERNAL_ERROR: a worker was lost',
      retryable: true,
    })
    expect(await rowsOf(joinOf(bench, source, given(3)).batches())).toHaveLength(3)
    expect(bench.leftovers()).toEqual([])
  })

  it('stops its query when aborted, and leaves nothing', async () => {
    const bench = await open({ runningMs: 30_000 })
    const source = await table(bench)
    const controller = new AbortController()
    const running = rowsOf(bench.store.pull(pullOf(source)).batches(controller.signal))
    await until(() => bench.athena.executions.at(-1)?.state === 'RUNNING')
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' })
    expect(bench.athena.executions.at(-1)!.state).toBe('CANCELLED')
    expect(bench.leftovers()).toEqual([])
  })

  it('drops the tables of a request that was aborted', async () => {
    const bench = await open({ runningMs: (sql) => (sql.startsWith('UNLOAD') ? 30_000 : 0) })
    const controller = new AbortController()
    const running = rowsOf(joinOf(bench, await table(bench), given(600)).batches(controller.signal))
    await until(() => {
      const last = bench.athena.executions.at(-1)
      return last?.state === 'RUNNING' && last.sql.startsWith('UNLOAD')
    }, 'the UNLOAD')
    expect(bench.athena.catalog.tables('scratch')).toHaveLength(1)
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' })
    expect(bench.leftovers()).toEqual([])
  })

  it('a staged pull is the same run for another process', async () => {
    const bench = await open()
    const source = await table(bench)
    const token = 'a materialization of today, chunk 1'
    const prefix = 's3://staging/feast/test/runs/1/'
    bench.emulator.fail({ match: /StartQueryExecution/, what: 'drop' })
    const first = await bench.store.pull(pullOf(source)).stage(prefix, { token })
    const other = await bench.another()
    const second = await other.pull(pullOf(source)).stage(prefix, { token })
    expect(second.files).toEqual(first.files)
    expect(bench.athena.timesRun(/UNLOAD/)).toBe(1)
    const rows = []
    for (const file of second.files) rows.push(...(await rowsOf(other.readStaged(file, second.fields))))
    expect(rows.map(({ v }) => v).sort()).toEqual([0n, 10n, 20n])
    expect(second.cost!.scannedBytes).toBeGreaterThan(0)
    await other.dropStaged(prefix)
    await other.close()
    expect(bench.leftovers()).toEqual([])
  })

  it('a staged file is fetched while the one before it is read, and again if that failed', async () => {
    const bench = await open()
    const columns = [{ name: 'c0', type: Int64 }]
    const fields = [field('v', Int64)]
    const files: StagedFile[] = []
    for (const v of [0n, 1n, 2n]) {
      const uri = `s3://staging/staged/${v}.parquet`
      await bench.file(columns, [{ c0: v }], uri)
      files.push({ uri, bytes: 0 })
    }
    const answer = { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' }
    bench.emulator.fail({ match: /GetObject .*2\.parquet/, what: { answer } })
    const gets = () =>
      bench.emulator.calls.filter((call) => call.includes('GetObject')).map((call) => call.slice(-9))
    const read: unknown[] = []
    for (const [index, file] of files.entries()) {
      for await (const { columns: cells } of bench.store.readStaged(file, fields, {
        next: files[index + 1],
      })) {
        await until(() => index === 2 || gets().length >= index + 2, 'the fetch of the next file')
        read.push(...cells[0]!)
      }
    }
    expect(read).toEqual([0n, 1n, 2n])
    expect(gets()).toEqual(['0.parquet', '1.parquet', '2.parquet', '2.parquet'])
  })

  const days = ['2024-01-08', '2024-01-09', '2024-01-10', '2024-01-11', '2024-01-12']
  const dated = (bench: AthenaBench, more: object = {}) =>
    bench.table(
      [...COLUMNS, { name: 'dt', type: StringType }],
      days.flatMap((dt, day) =>
        Array.from({ length: 100 }, (_, k) => ({
          k: BigInt(k),
          ts: parseInstant(dt, 'dt') + HOUR * 5n + HOUR / 2n,
          v: BigInt(day),
          dt,
        })),
      ),
      { partition: 'dt', source: { datePartitions: { dt: 'yyyy-MM-dd' } }, ...more },
    )

  it('M9: an hour of one day is found, and only days beside it are read', async () => {
    const bench = await open()
    const source = await dated(bench)
    const day = parseInstant('2024-01-10', 'day')
    const pull = { ...pullOf(source), start: day + 5n * HOUR, end: day + 6n * HOUR }
    const job = bench.store.pull(pull)
    expect((await rowsOf(job.batches())).map(({ v }) => v)).toEqual(Array(100).fill(2n))
    const all = bench.store.pull(pullOf(source))
    await rowsOf(all.batches())
    expect(job.cost!()!.scannedBytes).toBeGreaterThan(0)
    expect(job.cost!()!.scannedBytes / all.cost!()!.scannedBytes).toBeCloseTo(3 / 5, 1)
    const shown = await job.dryRun!()
    expect(shown.sources).toEqual([
      {
        source: source.name,
        partitions: days.slice(1, 4).map((dt) => `dt=${dt}`),
        bytes: expect.any(Number),
      },
    ])
    expect(shown.statements[0]).toContain(`s."dt" >= '2024-01-09' AND s."dt" <= '2024-01-11'`)
  })

  it('reads no more than it may: refused where the sizes are known, stopped where they are not', async () => {
    const bench = await open({}, { max_scan_bytes: 1000 })
    const source = await dated(bench)
    const before = bench.athena.executions.length
    await expect(rowsOf(bench.store.pull(pullOf(source)).batches())).rejects.toMatchObject({
      code: 'SCAN_LIMIT_EXCEEDED',
      message: expect.stringContaining('max_scan_bytes is 1000'),
    })
    expect(bench.athena.executions).toHaveLength(before)
    const isLong = (sql: string) => (sql.startsWith('CREATE TABLE') ? 30_000 : 0)
    const wide = await new AthenaBench({ checkGrammar: false, runningMs: isLong }).open({
      max_scan_bytes: 10,
    })
    opened.push(wide)
    const { table: name } = await dated(wide)
    const job = wide.store.getHistoricalFeatures({
      entityRows: { kind: 'sql', sql: `SELECT k, ts AS event_timestamp FROM ${name}` },
      eventTimestampColumn: undefined,
      views: [],
      requiredColumns: [],
      filterByCreatedTimestamp: false,
    })
    await expect(rowsOf(job.batches())).rejects.toMatchObject({ code: 'SCAN_LIMIT_EXCEEDED' })
    expect(wide.athena.executions.find(({ sql }) => sql.startsWith('CREATE TABLE'))!.state).toBe('CANCELLED')
  })

  it('adds rows to the partitions of their days, which the table then knows', async () => {
    const bench = await open()
    const source = { ...(await dated(bench)), timestampField: 'ts' }
    const fields = COLUMNS.map(({ name, type }) => field(name, type))
    const rows = [T, T + 30n * DAY].map((ts, index) => ({ k: 1000n + BigInt(index), ts, v: 7n }))
    expect(await bench.store.write(source, once(batchOf(fields, rows)))).toEqual({ rows: 2 })
    const pull = { ...pullOf(source), start: T + 29n * DAY, end: T + 31n * DAY }
    expect(await rowsOf(bench.store.pull(pull).batches())).toEqual([
      { k: 1001n, v: 7n, __event_timestamp: T + 30n * DAY },
    ])
    expect(bench.objects('s3://lake/t0/dt=2024-02-09/')).toHaveLength(1)
  })

  it('tables and folders of requests that died long ago are removed, younger ones are not', async () => {
    const bench = await open()
    const old = `${(Date.now() - 25 * 3_600_000).toString(36)}_0123456789abcdef`
    const young = `${Date.now().toString(36)}_0123456789abcdef`
    for (const stamp of [old, young]) {
      const location = `s3://staging/feast/test/requests/${stamp}/rows0/`
      await bench.file(COLUMNS, [{ k: 1n, ts: T, v: 1n }], `${location}rows.parquet`)
      bench.athena.catalog.create({
        database: 'scratch',
        name: `feast_tmp_${stamp}`,
        columns: [{ name: 'k', type: 'bigint' }],
        partitionKeys: [],
        location,
        properties: {},
      })
    }
    const cleaned = await bench.store.clean!()
    expect(cleaned.tables).toEqual([`feast_tmp_${old}`])
    expect(bench.athena.catalog.tables('scratch').map(({ name }) => name)).toEqual([`feast_tmp_${young}`])
    expect(existsSync(bench.s3.pathOf(`s3://staging/feast/test/requests/${old}/rows0/rows.parquet`))).toBe(
      false,
    )
    expect(existsSync(bench.s3.pathOf(`s3://staging/feast/test/requests/${young}/rows0/rows.parquet`))).toBe(
      true,
    )
    expect(await bench.store.clean!()).toEqual({ tables: [], folders: [] })
  })
})
