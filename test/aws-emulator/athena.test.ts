import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import {
  AthenaClient,
  BatchGetQueryExecutionCommand,
  GetDatabaseCommand,
  GetQueryExecutionCommand,
  GetQueryResultsCommand,
  type GetQueryResultsCommandOutput,
  GetTableMetadataCommand,
  GetWorkGroupCommand,
  ListQueryExecutionsCommand,
  ListTableMetadataCommand,
  type QueryExecution,
  StartQueryExecutionCommand,
  type StartQueryExecutionCommandInput,
  StopQueryExecutionCommand,
} from '@aws-sdk/client-athena'
import { afterEach, describe, expect, it } from '@jest/globals'
import { Float64, Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import { TableMaker } from '../offline-stores/table-maker.js'
import { until } from '../until.js'
import { EmulatedAthena, type EmulatedAthenaOptions } from './athena/athena.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from './emulator.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

/** One Athena over one folder, with a table `rides` of two days. */
class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'athena-'))
  readonly athena: EmulatedAthena
  readonly emulator: AwsEmulator
  client!: AthenaClient

  constructor(options: Partial<EmulatedAthenaOptions> = {}) {
    this.athena = new EmulatedAthena({
      pathOf: (uri) => this.path(uri),
      databases: ['feast', 'other'],
      workgroups: { feast: { outputLocation: 's3://bucket/results/' }, bare: {} },
      ...options,
    })
    this.emulator = new AwsEmulator([this.athena])
  }

  path(uri: string): string {
    return join(this.folder, uri.slice('s3://'.length))
  }

  async open(): Promise<this> {
    await this.emulator.start()
    this.client = new AthenaClient({ region: 'us-east-1', endpoint: this.emulator.endpoint, maxAttempts: 1 })
    return this
  }

  async close(): Promise<void> {
    this.client.destroy()
    await this.emulator.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async start(sql: string, more: Partial<StartQueryExecutionCommandInput> = {}): Promise<string> {
    const context = { Catalog: 'AwsDataCatalog', Database: 'feast' }
    const input = { QueryString: sql, WorkGroup: 'feast', QueryExecutionContext: context, ...more }
    return (await this.client.send(new StartQueryExecutionCommand(input))).QueryExecutionId!
  }

  async get(id: string): Promise<QueryExecution> {
    return (await this.client.send(new GetQueryExecutionCommand({ QueryExecutionId: id }))).QueryExecution!
  }

  async run(sql: string, more: Partial<StartQueryExecutionCommandInput> = {}): Promise<QueryExecution> {
    const id = await this.start(sql, more)
    for (;;) {
      const execution = await this.get(id)
      if (!['QUEUED', 'RUNNING'].includes(execution.Status!.State!)) return execution
      await new Promise((wake) => setTimeout(wake, 15))
    }
  }

  results(id: string, more: object = {}): Promise<GetQueryResultsCommandOutput> {
    return this.client.send(new GetQueryResultsCommand({ QueryExecutionId: id, ...more }))
  }

  async cells(sql: string): Promise<(string | null)[][]> {
    const execution = await this.run(sql)
    expect(execution.Status!.StateChangeReason).toBeUndefined()
    const { ResultSet } = await this.results(execution.QueryExecutionId!)
    return ResultSet!.Rows!.map(({ Data }) => Data!.map(({ VarCharValue }) => VarCharValue ?? null))
  }
}

const T = 1_704_888_000_000_000n
const columns = [
  { name: 'k', type: Int64 },
  { name: 'v', type: Float64 },
  { name: 's', type: StringType },
  { name: 'ts', type: UnixTimestamp, storedAs: 'TIMESTAMP_MS' },
]
const rows = [1n, 2n, 3n].map((k) => ({
  k,
  v: Number(k) / 2,
  s: k === 3n ? null : `it's ${k}`,
  ts: T + k * 1000n,
}))

const DDL = `CREATE EXTERNAL TABLE IF NOT EXISTS \`feast\`.\`rides\` (\`k\` bigint, \`v\` double, \`s\` string, \`ts\` timestamp)
PARTITIONED BY (\`dt\` string) STORED AS PARQUET LOCATION 's3://bucket/rides/'
TBLPROPERTIES ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',
 'projection.dt.range' = '2024-01-01,NOW', 'storage.location.template' = 's3://bucket/rides/\${dt}/')`

async function rides(bench: Bench): Promise<void> {
  const maker = await TableMaker.open()
  for (const day of ['2024-01-10', '2024-01-11', '2023-12-31']) {
    await maker.file(columns, rows, {
      path: relative(maker.folder, join(bench.folder, 'bucket/rides', day, 'a.parquet')),
    })
  }
  await maker.close()
  expect((await bench.run(DDL)).Status!.StateChangeReason).toBeUndefined()
}

describe('the emulated Athena', () => {
  let opened: Bench[] = []
  const bench = async (options: Partial<EmulatedAthenaOptions> = {}) => {
    const one = await new Bench(options).open()
    opened.push(one)
    return one
  }
  afterEach(async () => {
    for (const one of opened) await one.close()
    opened = []
  })

  it('gives a header and texts in pages that only their own token continues', async () => {
    const athena = await bench()
    await rides(athena)
    expect(await athena.cells(`SELECT k, v, s, ts FROM rides WHERE dt = '2024-01-10' ORDER BY k`)).toEqual([
      ['k', 'v', 's', 'ts'],
      ['1', '0.5', "it's 1", '2024-01-10 12:00:00.001'],
      ['2', '1.0', "it's 2", '2024-01-10 12:00:00.002'],
      ['3', '1.5', null, '2024-01-10 12:00:00.003'],
    ])
    const many = (
      await athena.run('SELECT n FROM (SELECT 1 AS one) CROSS JOIN UNNEST(sequence(1, 2500)) AS t (n)')
    ).QueryExecutionId!
    const first = await athena.results(many)
    expect(first.ResultSet!.Rows).toHaveLength(1000)
    expect(first.ResultSet!.ResultSetMetadata!.ColumnInfo![0]).toMatchObject({ Name: 'n', Type: 'bigint' })
    const second = await athena.results(many, { NextToken: first.NextToken })
    const third = await athena.results(many, { NextToken: second.NextToken })
    expect(third.ResultSet!.Rows).toHaveLength(501)
    expect(third.NextToken).toBeUndefined()
    const other = (await athena.run('SELECT 1 AS one')).QueryExecutionId!
    await expect(athena.results(other, { NextToken: first.NextToken })).rejects.toThrow('pagination token')
    await expect(athena.results(many, { MaxResults: 1001 })).rejects.toThrow('1000')
  })

  it('knows its tables, workgroups and executions', async () => {
    const athena = await bench()
    await rides(athena)
    const { client } = athena
    const table = { CatalogName: 'AwsDataCatalog', DatabaseName: 'feast', TableName: 'rides' }
    const { TableMetadata } = await client.send(new GetTableMetadataCommand(table))
    expect(TableMetadata).toMatchObject({
      Columns: [{ Name: 'k', Type: 'bigint' }, { Type: 'double' }, { Type: 'string' }, { Type: 'timestamp' }],
      PartitionKeys: [{ Name: 'dt', Type: 'string' }],
      Parameters: { location: 's3://bucket/rides', 'projection.enabled': 'true' },
    })
    await expect(
      client.send(new GetTableMetadataCommand({ ...table, TableName: 'gone' })),
    ).rejects.toMatchObject({
      name: 'MetadataException',
    })
    const list = new ListTableMetadataCommand({
      CatalogName: 'AwsDataCatalog',
      DatabaseName: 'feast',
      Expression: '^ri',
    })
    expect((await client.send(list)).TableMetadataList).toHaveLength(1)
    await client.send(new GetDatabaseCommand({ CatalogName: 'AwsDataCatalog', DatabaseName: 'other' }))
    const group = await client.send(new GetWorkGroupCommand({ WorkGroup: 'feast' }))
    expect(group.WorkGroup!.Configuration).toMatchObject({
      EnforceWorkGroupConfiguration: false,
      ResultConfiguration: { OutputLocation: 's3://bucket/results/' },
    })
    await expect(athena.start('SELECT 1', { WorkGroup: 'gone' })).rejects.toThrow(
      'WorkGroup gone is not found',
    )
    await expect(athena.start('SELECT 1', { WorkGroup: 'bare' })).rejects.toThrow('No output location')
    const own = { ResultConfiguration: { OutputLocation: 's3://bucket/mine/' } }
    const mine = await athena.run('SELECT 1 AS one', { WorkGroup: 'bare', ...own })
    expect(mine.ResultConfiguration!.OutputLocation).toBe(`s3://bucket/mine/${mine.QueryExecutionId}.csv`)
    const ids = (await client.send(new ListQueryExecutionsCommand({ WorkGroup: 'bare' }))).QueryExecutionIds
    expect(ids).toEqual([mine.QueryExecutionId])
    expect(athena.athena.timesRun(/SELECT 1 AS one/)).toBe(1)
    expect(await athena.cells('SHOW TABLES')).toEqual([['rides']])
    expect((await athena.cells('DESCRIBE rides'))[4]![0]).toMatch(/^dt +\tstring/)
  })

  it('goes from QUEUED to RUNNING, back, and on, and stops when told', async () => {
    const athena = await bench({ queuedMs: 120, runningMs: 120, requeue: true })
    let id = ''
    /** What is looked at too seldom, on a machine that is busy, is not seen in every state. */
    const seenStates = async () => {
      const seen: string[] = []
      id = await athena.start('SELECT 1 AS one')
      while (seen.at(-1) !== 'SUCCEEDED') {
        const { QueryExecutions } = await athena.client.send(
          new BatchGetQueryExecutionCommand({ QueryExecutionIds: [id] }),
        )
        const state = QueryExecutions![0]!.Status!.State!
        if (state !== seen.at(-1)) seen.push(state)
        await new Promise((wake) => setTimeout(wake, 35))
      }
      return seen.join(' ')
    }
    await until(async () => / ?RUNNING QUEUED RUNNING SUCCEEDED$/.test(await seenStates()), 'all states')
    const long = await athena.start('SELECT count(*) AS n FROM UNNEST(sequence(1, 1000)) AS a (x)')
    await athena.client.send(new StopQueryExecutionCommand({ QueryExecutionId: long }))
    await athena.client.send(new StopQueryExecutionCommand({ QueryExecutionId: id }))
    await until(async () => (await athena.get(long)).Status!.State === 'CANCELLED')
    expect((await athena.get(id)).Status!.State).toBe('SUCCEEDED')
    await expect(athena.results(long)).rejects.toThrow('Final query state: CANCELLED')
  })

  it('starts one execution per token, and refuses the token for another', async () => {
    const athena = await bench()
    const token = { ClientRequestToken: 'a'.repeat(32) }
    athena.emulator.fail({ match: /StartQueryExecution/, what: 'drop' })
    await expect(athena.start('SELECT 1 AS one', token)).rejects.toThrow()
    const ids = await Promise.all([1, 2, 3].map(() => athena.start('SELECT 1 AS one', token)))
    expect(new Set(ids)).toEqual(new Set([athena.athena.executions[0]!.id]))
    expect(athena.athena.timesRun(/one/)).toBe(1)
    await expect(athena.start('SELECT 2 AS two', token)).rejects.toThrow('Idempotent parameters do not match')
    await expect(athena.start('SELECT 1', { ClientRequestToken: 'short' })).rejects.toThrow('32')
  })

  it('has limits: of the statement, of queries at once, of calls a second', async () => {
    const athena = await bench({
      maxActive: 2,
      runningMs: 30_000,
      checkGrammar: false,
      callRates: { GetQueryExecution: { perSecond: 0.001, burst: 2 } },
    })
    const head = "SELECT '"
    const full = `${head}${'ü'.repeat((262_144 - head.length - 6) / 2)}' AS x`
    expect(Buffer.byteLength(full)).toBe(262_144)
    await expect(athena.start(`${full} `)).rejects.toThrow('262144')
    const id = await athena.start(full)
    await athena.start('SELECT 1')
    await expect(athena.start('SELECT 2')).rejects.toMatchObject({
      name: 'TooManyRequestsException',
      Reason: 'CONCURRENT_QUERY_LIMIT_EXCEEDED',
    })
    await athena.get(id)
    await athena.get(id)
    await expect(athena.get(id)).rejects.toMatchObject({ name: 'ThrottlingException' })
  })

  it('unloads into several files that its manifest lists, into an empty prefix alone, and nothing for no rows', async () => {
    const athena = await bench()
    await rides(athena)
    const unload = (where: string, to: string) =>
      `UNLOAD (SELECT k, ts FROM rides WHERE ${where}) TO 's3://bucket/out/${to}/' WITH (format = 'PARQUET', compression = 'SNAPPY')`
    const done = await athena.run(unload(`dt = '2024-01-10'`, 'a'))
    expect(done.Status!.State).toBe('SUCCEEDED')
    const manifest = readFileSync(athena.path(done.Statistics!.DataManifestLocation!), 'utf8')
      .trim()
      .split('\n')
    expect(manifest).toHaveLength(3)
    expect(manifest.every((uri) => uri.startsWith('s3://bucket/out/a/'))).toBe(true)
    expect(readdirSync(athena.path('s3://bucket/out/a/'))).toHaveLength(3)
    const again = await athena.run(unload(`dt = '2024-01-10'`, 'a'))
    expect(again.Status).toMatchObject({
      State: 'FAILED',
      StateChangeReason: expect.stringContaining('HIVE_PATH_ALREADY_EXISTS'),
    })
    const none = await athena.run(unload('k > 99', 'b'))
    expect(none.Status!.State).toBe('SUCCEEDED')
    expect(readFileSync(athena.path(none.Statistics!.DataManifestLocation!), 'utf8')).toBe('')
    expect(readdirSync(athena.path('s3://bucket/out/b/'))).toEqual([])
    const zoned = await athena.run(
      `UNLOAD (SELECT current_timestamp AS t) TO 's3://bucket/out/c/' WITH (format = 'PARQUET')`,
    )
    expect(zoned.Status!.StateChangeReason).toContain('NOT_SUPPORTED')
  })

  it('fails after it has run, when told, and leaves what it wrote', async () => {
    const athena = await bench()
    athena.athena.failQuery({
      match: /UNLOAD/,
      reason: 'GENERIC_INTERNAL_ERROR: a worker was lost',
      retryable: true,
    })
    const sql = `UNLOAD (SELECT 1 AS one) TO 's3://bucket/out/' WITH (format = 'PARQUET')`
    const failed = await athena.run(sql)
    expect(failed.Status).toMatchObject({
      State: 'FAILED',
      AthenaError: {
        ErrorCategory: 1,
        Retryable: true,
        ErrorMessage: expect.stringContaining('a worker was lost'),
      },
    })
    expect(failed.Statistics!.EngineExecutionTimeInMillis).toBeDefined()
    expect(readdirSync(athena.path('s3://bucket/out/'))).toHaveLength(1)
    expect((await athena.run(sql)).Status!.StateChangeReason).toContain('HIVE_PATH_ALREADY_EXISTS')
  })

  it('charges the columns read, of the partitions that are left', async () => {
    const athena = await bench()
    await rides(athena)
    const scanned = async (sql: string) => (await athena.run(sql)).Statistics!.DataScannedInBytes!
    const day = await scanned(`SELECT k FROM rides WHERE dt = '2024-01-10'`)
    expect(day).toBeGreaterThan(0)
    expect(await scanned('SELECT k FROM rides')).toBe(2 * day)
    expect(await scanned(`SELECT k FROM rides WHERE dt BETWEEN '2024-01-11' AND '2024-01-30'`)).toBe(day)
    expect(await scanned(`SELECT k FROM rides WHERE dt = '2023-12-31'`)).toBe(0)
    const filtered = await scanned(`SELECT k FROM rides WHERE dt = '2024-01-10' AND v > 0.1`)
    expect(filtered).toBeGreaterThan(day)
    expect(await scanned(`SELECT k, v, s, ts FROM rides WHERE dt = '2024-01-10'`)).toBeGreaterThan(filtered)
  })

  it('keeps partitions of the catalog where no projection is declared', async () => {
    const athena = await bench()
    await rides(athena)
    await athena.run(
      `CREATE EXTERNAL TABLE plain (\`k\` bigint) PARTITIONED BY (\`dt\` string) STORED AS PARQUET LOCATION 's3://bucket/rides/'`,
    )
    expect(await athena.cells('SELECT count(*) AS n FROM plain')).toEqual([['n'], ['0']])
    await athena.run(
      `ALTER TABLE plain ADD IF NOT EXISTS PARTITION (dt = '2023-12-31') LOCATION 's3://bucket/rides/2023-12-31/'`,
    )
    expect(await athena.cells('SELECT count(*) AS n, max(dt) AS dt FROM plain')).toEqual([
      ['n', 'dt'],
      ['3', '2023-12-31'],
    ])
    expect(await athena.cells('SHOW PARTITIONS plain')).toEqual([['dt=2023-12-31']])
    await athena.run('DROP TABLE IF EXISTS `plain`')
    const gone = await athena.run('SELECT k FROM plain')
    expect(gone.Status!.StateChangeReason).toBe(
      "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.feast.plain' does not exist",
    )
  })

  it('makes tables of queries, and adds rows to them', async () => {
    const athena = await bench()
    const made = await athena.run(
      `CREATE TABLE "feast"."made" WITH (format = 'PARQUET', external_location = 's3://bucket/made/') AS SELECT 1 AS a, ARRAY['x'] AS l`,
    )
    expect(made.Status).toMatchObject({ State: 'SUCCEEDED' })
    expect((await athena.run(`INSERT INTO made SELECT 2, ARRAY['y']`)).Status).toMatchObject({
      State: 'SUCCEEDED',
    })
    expect(await athena.cells('SELECT a, l FROM made ORDER BY a')).toEqual([
      ['a', 'l'],
      ['1', '[x]'],
      ['2', '[y]'],
    ])
    expect((await athena.run('CREATE TABLE made AS SELECT 1 AS a')).Status!.StateChangeReason).toContain(
      'TABLE_ALREADY_EXISTS',
    )
  })

  it('takes times to the millisecond alone in tables that are not Iceberg', async () => {
    const athena = await bench()
    const maker = await TableMaker.open()
    const fine = columns.map(({ name, type }) => ({ name, type }))
    await maker.file(fine, rows, {
      path: relative(maker.folder, join(athena.folder, 'bucket/fine/a.parquet')),
    })
    await maker.close()
    const ddl = (name: string, more: string) =>
      `CREATE EXTERNAL TABLE ${name} (k bigint, ts timestamp) STORED AS PARQUET LOCATION 's3://bucket/fine/' ${more}`
    await athena.run(ddl('hive', ''))
    await athena.run(ddl('ice', `TBLPROPERTIES ('table_type' = 'ICEBERG')`))
    expect((await athena.run('SELECT ts FROM hive')).Status!.StateChangeReason).toContain(
      'SERIALIZATION_ERROR',
    )
    expect((await athena.run('SELECT k FROM hive')).Status!.State).toBe('SUCCEEDED')
    expect((await athena.cells('SELECT ts FROM ice ORDER BY k'))[1]).toEqual(['2024-01-10 12:00:00.001000'])
  })

  it('speaks Trino and nothing else', async () => {
    const athena = await bench()
    const refused = [
      'SELECT a::int FROM t',
      'SELECT a FROM t QUALIFY x = 1',
      'SELECT a FROM `t`',
      'VACUUM t',
      "SELECT interval '1 day'",
    ]
    for (const sql of refused) {
      await expect(athena.start(sql)).rejects.toMatchObject({
        name: 'InvalidRequestException',
        AthenaErrorCode: 'MALFORMED_QUERY',
      })
    }
    expect(athena.athena.executions).toEqual([])
    expect(
      await athena.cells(
        `SELECT typeof(a) AS t FROM (SELECT CAST(ROW(1, ARRAY['x']) AS row(n bigint, l array(varchar))) AS a)`,
      ),
    ).toEqual([['t'], ['row("n" bigint, "l" array(varchar))']])
  })

  it('stops a query over the workgroup limit, and keeps an enforced location', async () => {
    const athena = await bench({
      workgroups: { feast: { outputLocation: 's3://bucket/forced/', enforce: true, bytesScannedCutoff: 1 } },
    })
    await rides(athena)
    const cut = await athena.run('SELECT k FROM rides')
    expect(cut.Status).toMatchObject({
      State: 'CANCELLED',
      StateChangeReason: expect.stringContaining('scanned limit'),
    })
    const own = await athena.run('SELECT 1 AS one', {
      ResultConfiguration: { OutputLocation: 's3://bucket/mine/' },
    })
    expect(own.ResultConfiguration!.OutputLocation).toMatch(/^s3:\/\/bucket\/forced\//)
    await expect(
      athena.start(`CREATE TABLE x WITH (external_location = 's3://bucket/x/') AS SELECT 1 AS a`),
    ).rejects.toThrow('enforces')
  })
})
