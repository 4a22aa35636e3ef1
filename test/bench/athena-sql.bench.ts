import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { trinoSource } from '../../src/core/data-source.js'
import { isFeastError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/logger.js'
import { Float64, Int32, Int64 } from '../../src/core/value-type.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { HistoricalQuery, OfflineStore } from '../../src/offline-stores/offline-store.js'
import { TrinoClient, TrinoError } from '../../src/offline-stores/trino/trino-client.js'
import { TrinoServer } from '../trino/trino-server.js'
import { BenchReport, median } from './bench-report.js'
import { feastAthenaQuery } from './feast-athena-query.js'

/**
 * The SQL sent to Athena and Trino against the SQL that Feast's Athena store sends, on a real Trino, over the same
 * tables: seconds, and what each reads by Trino's own statistics. `--quick` is small; data is made up, from fixed seeds.
 */
const quick = process.argv.includes('--quick')
const REPEATS = quick ? 1 : 3
/** After so many times ours the rival is stopped, and that is its time. */
const RIVAL_PATIENCE = 12
const RIVAL_LIMIT_SECONDS = 900
/** What takes longer is run once. */
const ONCE_SECONDS = 60
const DAY_SECONDS = 86_400
const SPAN_SECONDS = 42 * DAY_SECONDS
const START_SECONDS = 1_704_067_200

const FEATURES = [
  ['f1', Float64],
  ['f2', Float64],
  ['f3', Float64],
  ['f4', Int64],
  ['f5', Int32],
] as const
const HISTORY =
  'driver_id BIGINT, event_timestamp TIMESTAMP(6), created TIMESTAMP(6), f1 DOUBLE, f2 DOUBLE, f3 DOUBLE, f4 BIGINT, f5 INTEGER'
const LABELS = 'driver_id BIGINT, event_timestamp TIMESTAMP(6), label BIGINT'

interface Size {
  readonly history: number
  readonly entities: number
  readonly keys: number
  readonly views: number
}

async function main(): Promise<void> {
  const report = new BenchReport('athena-sql')
  const server = await TrinoServer.start({ memoryMB: 3000 })
  try {
    const bench = new Bench(server, report)
    await bench.prepare()
    const sizes: readonly Size[] = quick
      ? [{ history: 20_000, entities: 2_000, keys: 20, views: 3 }]
      : [
          { history: 1_000_000, entities: 100_000, keys: 1_000, views: 3 },
          { history: 10_000_000, entities: 100_000, keys: 10_000, views: 3 },
        ]
    for (const size of sizes) await bench.run(size)
    await bench.close()
  } finally {
    await server.stop()
  }
}

/** What a run took and read. */
interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly bytes: number
  /** Of feature tables: a table that a statement reads twice counts two. */
  readonly reads: number
  /** False: it was stopped, or ran out of memory. */
  readonly ended: boolean
}

class Bench {
  private store!: OfflineStore
  private readonly client: TrinoClient
  /** Of the run before, to compare with. */
  private previous: { readonly history: number; readonly seconds: number } | undefined

  constructor(
    private readonly server: TrinoServer,
    private readonly report: BenchReport,
  ) {
    this.client = new TrinoClient({
      url: server.url,
      user: 'bench',
      catalog: 'hive',
      schema: 'bench',
      source: 'rival',
      headers: {},
      tls: {},
    })
  }

  async prepare(): Promise<void> {
    await this.statement('CREATE SCHEMA IF NOT EXISTS hive.bench')
    const options = {
      host: '127.0.0.1',
      port: this.server.port,
      catalog: 'hive',
      user: 'bench',
      dataset: 'bench',
      source: 'ours',
      connector: { type: 'hive', file_format: 'parquet' },
    }
    this.store = await openOfflineStore(
      { type: 'trino', options },
      { project: 'bench', repoPath: '', entityKeyVersion: 3, logger: silentLogger },
    )
  }

  async close(): Promise<void> {
    await this.store.close()
    this.client.close()
  }

  async run(size: Size): Promise<void> {
    const { history, entities, views } = size
    const tables = await this.makeTables(size)
    const what = `${label(history)} history x ${label(entities)} entity rows x ${views} views`
    for (const days of [1, 7]) {
      const ttlSeconds = days * DAY_SECONDS
      const ours: Cost[] = []
      const rival: Cost[] = []
      const isEnough = (costs: readonly Cost[]) =>
        costs.some(({ ended, seconds }) => !ended || seconds > ONCE_SECONDS)
      for (let round = 0; round < REPEATS; round++) {
        if (!isEnough(ours))
          ours.push(await this.measured('ours', () => this.joinOurs(tables, views, ttlSeconds)))
        if (isEnough(rival)) continue
        const limit = Math.min(
          RIVAL_LIMIT_SECONDS,
          RIVAL_PATIENCE * median(ours.map(({ seconds }) => seconds)),
        )
        rival.push(await this.measured('rival', () => this.joinAsFeast(tables, views, ttlSeconds, limit)))
      }
      const stopped = rival.some(({ ended }) => !ended)
      this.report.row({
        name: `${what}, ttl ${days} d`,
        unit: 's',
        ours: ours.map(({ seconds }) => seconds),
        rival: rival.map(({ seconds }) => seconds),
        rivalName: `Feast's Athena SQL on the same Trino${stopped ? ', which did not finish' : ''}`,
        target: 10,
      })
      this.report.row({
        name: '  of which computing, by its own account',
        unit: 's',
        ours: ours.map(({ cpuSeconds }) => cpuSeconds),
        rival: rival.map(({ cpuSeconds }) => cpuSeconds),
        rivalName: stopped ? 'until it ended' : 'the same',
      })
      this.report.row({
        name: '  read from the tables',
        unit: 'MB',
        ours: ours.map(({ bytes }) => bytes / 1e6),
        rival: rival.map(({ bytes }) => bytes / 1e6),
        rivalName: stopped ? 'until it ended' : 'the same',
        target: 2,
      })
      const seconds = median(ours.map((cost) => cost.seconds))
      this.report.measured(`${what}, ttl ${days} d: reads of a feature table`, {
        ours: median(ours.map(({ reads }) => reads)) / views,
        rival: median(rival.map(({ reads }) => reads)) / views,
      })
      if (days === 1 && this.previous) {
        this.report.measured('growth', {
          history: history / this.previous.history,
          seconds: seconds / this.previous.seconds,
        })
      }
      if (days === 1) this.previous = { history, seconds }
    }
    rmSync(join(this.server.warehouse, tables), { recursive: true })
  }

  /** @returns the prefix of their names */
  private async makeTables({ history, entities, keys, views }: Size): Promise<string> {
    const prefix = `h${history}`
    const write = async (name: string, columns: string, select: string) => {
      const folder = join(this.server.warehouse, prefix, name)
      mkdirSync(folder, { recursive: true })
      await runSql(`COPY (${select}) TO '${folder}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)`)
      const location = `local:///${prefix}/${name}`
      await this.statement(`DROP TABLE IF EXISTS hive.bench.${prefix}_${name}`)
      await this.statement(
        `CREATE TABLE hive.bench.${prefix}_${name} (${columns}) WITH (external_location = '${location}', format = 'PARQUET')`,
      )
    }
    const time = (seed: number) =>
      `make_timestamp(${START_SECONDS}000000 + (hash(i * 7 + ${seed}) % ${SPAN_SECONDS})::BIGINT * 1000000)`
    for (let view = 0; view < views; view++) {
      await write(
        `view${view}`,
        HISTORY,
        `SELECT (hash(i * 3 + ${view}) % ${keys})::BIGINT AS driver_id, ${time(view)} AS event_timestamp,
          ${time(view)} + INTERVAL 1 MINUTE AS created, (hash(i * 11) % 1000000) / 1e3 AS f1,
          (hash(i * 13) % 1000000) / 1e3 AS f2, (hash(i * 17) % 1000000) / 1e3 AS f3,
          (hash(i * 19) % 1000000)::BIGINT AS f4, (hash(i * 23) % 1000)::INTEGER AS f5 FROM range(${history}) t(i)`,
      )
    }
    await write(
      'labels',
      LABELS,
      `SELECT (hash(i * 5) % ${keys})::BIGINT AS driver_id, ${time(1000)} AS event_timestamp, i AS label FROM range(${entities}) t(i)`,
    )
    return prefix
  }

  private async joinOurs(tables: string, views: number, ttlSeconds: number): Promise<number> {
    const query: HistoricalQuery = {
      entityRows: { kind: 'sql', sql: `SELECT * FROM hive.bench.${tables}_labels` },
      eventTimestampColumn: undefined,
      requiredColumns: [],
      filterByCreatedTimestamp: false,
      views: Array.from({ length: views }, (_, view) => ({
        name: `view${view}`,
        source: trinoSource({ table: `hive.bench.${tables}_view${view}` }),
        timestampColumn: 'event_timestamp',
        createdColumn: 'created',
        joinKeys: [{ column: 'driver_id', entityColumn: 'driver_id', type: Int64 }],
        features: FEATURES.map(([column, type]) => ({ column, output: `view${view}__${column}`, type })),
        ttlSeconds,
      })),
    }
    let count = 0
    for await (const { rowCount } of this.store.getHistoricalFeatures(query).batches()) count += rowCount
    return count
  }

  private async joinAsFeast(
    tables: string,
    views: number,
    ttlSeconds: number,
    limitSeconds: number,
  ): Promise<number> {
    const literal = (second: number) =>
      `TIMESTAMP '${new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ')}'`
    const sql = feastAthenaQuery({
      entityRows: `hive.bench.${tables}_labels`,
      entityColumns: ['driver_id', 'event_timestamp', 'label'],
      keys: ['driver_id'],
      views: Array.from({ length: views }, (_, view) => ({
        name: `view${view}`,
        history: `hive.bench.${tables}_view${view}`,
        features: FEATURES.map(([name]) => name),
        ttlSeconds,
      })),
      from: literal(START_SECONDS),
      to: literal(START_SECONDS + SPAN_SECONDS),
    })
    return this.statement(sql, AbortSignal.timeout(Math.ceil(limitSeconds * 1000)))
  }

  /** @returns how many rows it gave */
  private async statement(sql: string, signal?: AbortSignal): Promise<number> {
    let count = 0
    for await (const { rows } of this.client.run(sql, signal)) count += rows.length
    return count
  }

  /** Trino's own figures of all statements that ran meanwhile. */
  private async measured(source: string, join: () => Promise<number>): Promise<Cost> {
    const before = new Set((await this.queries()).map(({ queryId }) => queryId))
    const start = performance.now()
    const ended = await join().then(
      (rows) => rows > 0,
      (error) => {
        if (isFeastError(error, 'ABORTED')) return false
        if (source === 'rival' && error instanceof TrinoError) return false
        throw error
      },
    )
    const seconds = (performance.now() - start) / 1000
    const mine = (await this.queries()).filter(
      (query) => query.session.source === source && !before.has(query.queryId),
    )
    const infos = await Promise.all(mine.map(({ queryId }) => this.infoOf(queryId)))
    const inputs = infos.flatMap((info) => info.inputs)
    return {
      seconds,
      cpuSeconds: infos.reduce((sum, { queryStats }) => sum + secondsOf(queryStats.totalCpuTime), 0),
      ended,
      bytes: infos.reduce(
        (sum, { queryStats }) => sum + Number.parseFloat(queryStats.physicalInputDataSize),
        0,
      ),
      reads: inputs.filter(({ table }) => /_view\d+$/.test(table)).length,
    }
  }

  private async queries() {
    return (await this.get('/v1/query')) as readonly {
      readonly queryId: string
      readonly session: { readonly source?: string }
    }[]
  }

  private async infoOf(queryId: string) {
    return (await this.get(`/v1/query/${queryId}`)) as {
      readonly queryStats: { readonly physicalInputDataSize: string; readonly totalCpuTime: string }
      readonly inputs: readonly { readonly table: string }[]
    }
  }

  private async get(path: string): Promise<unknown> {
    const answer = await fetch(`${this.server.url}${path}`, { headers: { 'X-Trino-User': 'bench' } })
    return answer.json()
  }
}

async function runSql(sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '2GB' })
  const connection = await instance.connect()
  await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
}

/** `2.89s`, `1.26m` */
function secondsOf(duration: string): number {
  const [, number = '0', unit = 's'] = /^([\d.]+)(\w+)$/.exec(duration) ?? []
  return Number(number) * UNITS[unit]!
}

function label(count: number): string {
  return count >= 1_000_000 ? `${count / 1_000_000} M` : `${count / 1000} k`
}

await main()
