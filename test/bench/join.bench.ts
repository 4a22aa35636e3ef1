import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { fileSource } from '../../src/core/data-source.js'
import { Float64, Int32, Int64 } from '../../src/core/value-type.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { HistoricalQuery, OfflineStore } from '../../src/offline-stores/offline-store.js'
import { BenchReport, median, takeTurns } from './bench-report.js'
import { feastAthenaQuery } from './feast-athena-query.js'

/**
 * The point-in-time join and the latest row per key: peak memory, and time against the SQL of Feast's Athena store,
 * Feast's default local store, and the best plain DuckDB query. Data is made up, from a fixed seed, and removed.
 */
const quick = process.argv.includes('--quick')
const REPEATS = quick ? 1 : 5
const DAY_SECONDS = 86_400
const YEAR_SECONDS = 365 * DAY_SECONDS

const FEATURES = [
  ['f1', Float64],
  ['f2', Float64],
  ['f3', Float64],
  ['f4', Int64],
  ['f5', Int32],
] as const

async function openStore(folder: string): Promise<OfflineStore> {
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  return openOfflineStore(
    { type: 'duckdb', options: {} },
    { project: 'bench', repoPath: folder, entityKeyVersion: 3, logger },
  )
}

/** With DuckDB started, as in a process that has been running for a while. */
async function openWarmStore(folder: string, source: string): Promise<OfflineStore> {
  const store = await openStore(folder)
  await store.describe(fileSource({ path: source }))
  return store
}

/** Rows of `keys` keys at random seconds of `spanSeconds`, the same for the same `seed`. */
interface TableShape {
  readonly rows: number
  readonly keys: number
  readonly spanSeconds: number
  readonly seed: number
}

const TIME = (seed: number, span: number) =>
  `make_timestamp(1704067200000000 + (hash(i * 7 + ${seed}) % ${span})::BIGINT * 1000000)`

async function makeHistory(path: string, { rows, keys, spanSeconds, seed }: TableShape): Promise<void> {
  await runSql(`COPY (SELECT (hash(i * 3 + ${seed}) % ${keys})::BIGINT AS driver_id,
    ${TIME(seed, spanSeconds)} AS event_timestamp, ${TIME(seed, spanSeconds)} + INTERVAL 1 MINUTE AS created,
    (hash(i * 11) % 1000000) / 1e3 AS f1, (hash(i * 13) % 1000000) / 1e3 AS f2, (hash(i * 17) % 1000000) / 1e3 AS f3,
    (hash(i * 19) % 1000000)::BIGINT AS f4, (hash(i * 23) % 1000)::INTEGER AS f5
    FROM range(${rows}) t(i)) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`)
}

async function makeEntityRows(path: string, { rows, keys, spanSeconds, seed }: TableShape): Promise<void> {
  await runSql(`COPY (SELECT (hash(i * 5 + ${seed}) % ${keys})::BIGINT AS driver_id,
    ${TIME(seed + 1000, spanSeconds)} AS event_timestamp, i AS label FROM range(${rows}) t(i))
    TO '${path}' (FORMAT parquet)`)
}

async function runSql(sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '2GB' })
  const connection = await instance.connect()
  await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
}

function query(entityPath: string, sources: readonly string[], ttlSeconds: number): HistoricalQuery {
  return {
    entityRows: { kind: 'file', path: entityPath },
    eventTimestampColumn: undefined,
    requiredColumns: [],
    filterByCreatedTimestamp: false,
    views: sources.map((path, index) => ({
      name: `view${index}`,
      source: fileSource({ path }),
      timestampColumn: 'event_timestamp',
      createdColumn: 'created',
      joinKeys: [{ column: 'driver_id', entityColumn: 'driver_id', type: Int64 }],
      features: FEATURES.map(([column, type]) => ({ column, output: `view${index}__${column}`, type })),
      ttlSeconds,
    })),
  }
}

/** In a process of its own, so that its peak is this join's alone. */
async function joinOnce(folder: string, entityPath: string, out: string): Promise<void> {
  const store = await openStore(folder)
  const sources = ['large0.parquet', 'large1.parquet', 'large2.parquet']
  const job = store.getHistoricalFeatures(query(entityPath, sources, 30 * DAY_SECONDS))
  const start = performance.now()
  const { rows } = await job.persist(out, { overwrite: true })
  const taken = (performance.now() - start) / 1000
  await store.close()
  console.log(JSON.stringify({ rows, seconds: taken, peakMB: process.resourceUsage().maxRSS / 1024 }))
}

const MEMORY_LIMIT_MB = 1536

async function benchMemory(report: BenchReport, folder: string): Promise<void> {
  const rows = quick ? 200_000 : 10_000_000
  const keys = quick ? 2_000 : 100_000
  const shape = { rows, keys, spanSeconds: YEAR_SECONDS }
  for (const seed of [0, 1, 2]) await makeHistory(join(folder, `large${seed}.parquet`), { ...shape, seed })
  for (const entities of quick ? [2_000, 20_000] : [100_000, 1_000_000]) {
    const entityPath = join(folder, `entities${entities}.parquet`)
    await makeEntityRows(entityPath, { ...shape, rows: entities, seed: 7 })
    const args = [fileURLToPath(import.meta.url), '--child', folder, entityPath, join(folder, 'out.parquet')]
    const runs = Array.from({ length: quick ? 1 : 3 }, () => {
      const child = spawnSync(process.execPath, args, { encoding: 'utf8' })
      if (child.status !== 0) throw new Error(child.stderr)
      return JSON.parse(child.stdout) as { rows: number; seconds: number; peakMB: number }
    })
    if (runs.some((run) => run.rows !== entities)) throw new Error('a join lost rows')
    report.row({
      name: `peak memory, 3 views x ${label(rows)} rows, ${label(entities)} entity rows`,
      unit: 'MB',
      ours: runs.map(({ peakMB }) => peakMB),
      rival: [MEMORY_LIMIT_MB],
      rivalName: 'limit of 1.5 GB',
    })
    report.note(`took ${runs.map((run) => run.seconds.toFixed(1)).join(', ')} s`)
  }
  for (const seed of [0, 1, 2]) rmSync(join(folder, `large${seed}.parquet`))
}

function label(count: number): string {
  return count >= 1_000_000 ? `${count / 1_000_000} M` : `${count / 1000} k`
}

/** Hourly statistics of drivers, as in Feast's own example, joined to as many rows of labels. */
async function benchFeastSql(report: BenchReport, folder: string): Promise<void> {
  const rows = quick ? 20_000 : 1_000_000
  const entities = quick ? 2_000 : 100_000
  const shape = { rows, keys: quick ? 20 : 1_000, spanSeconds: 42 * DAY_SECONDS }
  const history = join(folder, 'history.parquet')
  const entityPath = join(folder, 'labels.parquet')
  await makeHistory(history, { ...shape, seed: 3 })
  await makeEntityRows(entityPath, { ...shape, rows: entities, seed: 4 })
  const store = await openWarmStore(folder, 'history.parquet')
  const out = join(folder, 'out.parquet')
  const plain = await PlainDuckDB.open(folder)
  for (const days of [1, 7]) {
    const ttlSeconds = days * DAY_SECONDS
    const historical = query(entityPath, ['history.parquet'], ttlSeconds)
    const rivalQuery = feastAthenaQuery({
      entityRows: `'${entityPath}'`,
      entityColumns: ['driver_id', 'event_timestamp', 'label'],
      keys: ['driver_id'],
      views: [
        { name: 'view', history: `'${history}'`, features: FEATURES.map(([name]) => name), ttlSeconds },
      ],
      from: `(SELECT min(event_timestamp) FROM '${entityPath}')`,
      to: `(SELECT max(event_timestamp) FROM '${entityPath}')`,
    })
    const rounds = quick || days > 1 ? 1 : REPEATS
    const { ours, rival } = await takeTurns(rounds, {
      ours: () => store.getHistoricalFeatures(historical).persist(out, { overwrite: true }),
      rival: () => plain.run(`COPY (${rivalQuery}) TO '${out}' (FORMAT parquet)`),
    })
    report.row({
      name: `join, ${label(rows)} history x ${label(entities)} entity rows, ttl ${days} d`,
      unit: 's',
      ours,
      rival,
      rivalName: "Feast's Athena SQL on DuckDB",
    })
  }
  plain.close()
  await store.close()
}

/** DuckDB as it comes, with four times the memory that ours takes and room to spill. */
class PlainDuckDB {
  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
  ) {}

  static async open(folder: string): Promise<PlainDuckDB> {
    const spill = join(folder, 'spill')
    mkdirSync(spill, { recursive: true })
    const options = { temp_directory: spill, memory_limit: '4GB' }
    const instance = await DuckDBInstance.create(':memory:', options)
    return new PlainDuckDB(instance, await instance.connect())
  }

  async run(sql: string): Promise<void> {
    await this.connection.run(sql)
  }

  close(): void {
    this.connection.closeSync()
    this.instance.closeSync()
  }
}

async function benchFeastLocal(report: BenchReport, folder: string): Promise<void> {
  const rows = quick ? 20_000 : 1_000_000
  const entities = quick ? 1_000 : 10_000
  const name = `join, ${label(rows)} history x ${label(entities)} entity rows, Feast's default store`
  const python = process.env.FEAST_PYTHON
  if (!python) return report.skipped(name, 'FEAST_PYTHON names no Python with feast')
  const shape = { rows, keys: 1_000, spanSeconds: 42 * DAY_SECONDS }
  const history = join(folder, 'local.parquet')
  const entityPath = join(folder, 'local-labels.parquet')
  await makeHistory(history, { ...shape, seed: 5 })
  await makeEntityRows(entityPath, { ...shape, rows: entities, seed: 6 })
  const script = join(dirname(fileURLToPath(import.meta.url)), '../../../test/bench/feast_local_store.py')
  const store = await openWarmStore(folder, 'local.parquet')
  const historical = query(entityPath, ['local.parquet'], DAY_SECONDS)
  const ours = () =>
    takeTurns(REPEATS, { ours: () => drain(store.getHistoricalFeatures(historical).batches()) })
  const before = await ours()
  const child = spawnSync(python, [script, history, entityPath, String(DAY_SECONDS), '1'], {
    encoding: 'utf8',
    cwd: folder,
  })
  if (child.status === 0) {
    report.row({
      name,
      unit: 's',
      ours: [...before.ours, ...(await ours()).ours],
      rival: JSON.parse(child.stdout.trim().split('\n').at(-1)!) as number[],
      rivalName: 'Python Feast, type: dask',
    })
  } else {
    report.skipped(name, child.stderr.trim().split('\n').at(-1) ?? 'it failed')
  }
  await store.close()
}

async function drain(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of batches);
}

async function benchLatest(report: BenchReport, folder: string): Promise<void> {
  const rows = quick ? 100_000 : 10_000_000
  const keys = quick ? 10_000 : 1_000_000
  await makeHistory(join(folder, 'latest.parquet'), { rows, keys, spanSeconds: YEAR_SECONDS, seed: 8 })
  const store = await openWarmStore(folder, 'latest.parquet')
  const out = join(folder, 'out.parquet')
  const pull = store.pull({
    source: fileSource({ path: 'latest.parquet' }),
    timestampColumn: 'event_timestamp',
    createdColumn: 'created',
    joinKeys: [{ column: 'driver_id', name: 'driver_id', type: Int64 }],
    features: FEATURES.map(([column, type]) => ({ column, name: column, type })),
    start: undefined,
    end: undefined,
    latest: true,
  })
  const plain = await PlainDuckDB.open(folder)
  const contestants: Record<string, () => Promise<unknown>> = {
    ours: () => pull.persist(out, { overwrite: true }),
  }
  for (const [name, sql] of Object.entries(latestQueries(join(folder, 'latest.parquet')))) {
    contestants[name] = () => plain.run(`COPY (${sql}) TO '${out}' (FORMAT parquet)`)
  }
  const { ours = [], ...others } = await takeTurns(quick ? 1 : 3, contestants)
  plain.close()
  await store.close()
  const [best, rival] = Object.entries(others).sort(([, a], [, b]) => median(a) - median(b))[0]!
  report.row({
    name: `latest row per key, ${label(rows)} rows, ${label(keys)} keys`,
    unit: 's',
    ours,
    rival,
    rivalName: `plain DuckDB, best of ${Object.keys(others).length}: ${best}`,
  })
}

/** What one would write by hand; the aggregate and the semi join break no ties and so do less. */
function latestQueries(path: string): Readonly<Record<string, string>> {
  const columns = ['event_timestamp', 'created', ...FEATURES.map(([name]) => name)]
  const maxima = columns.map((column) => `arg_max_null(${column}, event_timestamp) AS ${column}`)
  return {
    window: `SELECT * FROM '${path}' QUALIFY row_number() OVER (PARTITION BY driver_id ORDER BY event_timestamp DESC, created DESC) = 1`,
    'arg_max per column': `SELECT driver_id, ${maxima.join(', ')} FROM '${path}' GROUP BY driver_id`,
    'semi join on row number': `SELECT * EXCLUDE (file_row_number) FROM read_parquet('${path}', file_row_number = true) WHERE file_row_number IN (SELECT arg_max(file_row_number, event_timestamp) FROM read_parquet('${path}', file_row_number = true) GROUP BY driver_id)`,
  }
}

async function main(): Promise<void> {
  const [folderGiven, entityPath, out] = process.argv.slice(process.argv.indexOf('--child') + 1)
  if (process.argv.includes('--child')) return joinOnce(folderGiven!, entityPath!, out!)
  const folder = mkdtempSync(join(tmpdir(), 'feast-bench-'))
  try {
    const report = new BenchReport('join')
    await benchFeastSql(report, folder)
    await benchFeastLocal(report, folder)
    await benchLatest(report, folder)
    await benchMemory(report, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await main()
