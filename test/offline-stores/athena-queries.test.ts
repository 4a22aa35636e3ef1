import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { athenaClient } from '../../src/offline-stores/athena/athena-client.js'
import { AthenaQueries, type AthenaQueriesOptions } from '../../src/offline-stores/athena/athena-queries.js'
import { CostLedger } from '../../src/offline-stores/athena/query-cost.js'
import { EmulatedAthena, type EmulatedAthenaOptions } from '../aws-emulator/athena/athena.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { until } from '../until.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

const OUTPUT = 's3://bucket/results/'
const answer = (type: string, message: string, status = 400) => ({
  answer: { status, body: JSON.stringify({ __type: type, message }) },
})

describe('queries of Athena', () => {
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  async function open(
    emulated: Partial<EmulatedAthenaOptions> = {},
    options: Partial<AthenaQueriesOptions> = {},
  ) {
    const folder = mkdtempSync(join(tmpdir(), 'athena-queries-'))
    const athena = new EmulatedAthena({
      pathOf: (uri) => join(folder, uri.slice(5)),
      databases: ['feast'],
      workgroups: { feast: {} },
      checkGrammar: false,
      ...emulated,
    })
    const emulator = await new AwsEmulator([athena]).start()
    const queries = new AthenaQueries(() => athenaClient('us-east-1', emulator.settings), {
      workgroup: 'feast',
      catalog: 'AwsDataCatalog',
      database: 'feast',
      timeoutMs: 20_000,
      patienceMs: 20_000,
      maxScanBytes: undefined,
      ...options,
    })
    closing.push(async () => {
      await queries.close()
      await emulator.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const run = (sql: string, token = sql, signal?: AbortSignal) =>
      queries.run({ output: OUTPUT, token, signal }, () => sql)
    return { athena, emulator, queries, run, folder }
  }

  it('one execution per token: after a lost answer, and for another process', async () => {
    const { athena, emulator, run } = await open()
    emulator.fail({ match: /StartQueryExecution/, what: 'drop', times: 3 })
    emulator.fail({ match: /GetQueryExecution/, what: answer('InternalServerException', 'try again', 500) })
    const first = await run('SELECT 1 AS one', 'a run')
    const again = await run('SELECT 1 AS one', 'a run')
    expect(again.QueryExecutionId).toBe(first.QueryExecutionId)
    expect(athena.timesRun(/one/)).toBe(1)
    expect((await run('SELECT 1 AS one', 'another run')).QueryExecutionId).not.toBe(first.QueryExecutionId)
  })

  it('waits for room: too many calls, too many queries', async () => {
    const { athena, run } = await open({
      maxActive: 2,
      runningMs: 120,
      callRates: {
        StartQueryExecution: { perSecond: 20, burst: 3 },
        GetQueryExecution: { perSecond: 5, burst: 1 },
        BatchGetQueryExecution: { perSecond: 5, burst: 1 },
      },
    })
    const all = Array.from({ length: 6 }, (_, index) => `SELECT ${index} AS n`)
    const done = await Promise.all(all.map((sql) => run(sql)))
    expect(done.map(({ Status }) => Status!.State)).toEqual(all.map(() => 'SUCCEEDED'))
    expect(athena.executions).toHaveLength(6)
  })

  it('gives up on a service that stays busy, in the time it was given', async () => {
    const { emulator, run } = await open({}, { patienceMs: 300 })
    emulator.fail({ match: /Start/, what: answer('TooManyRequestsException', 'full'), times: 1000 })
    await expect(run('SELECT 1')).rejects.toMatchObject({ code: 'OFFLINE_STORE_UNAVAILABLE', retry: true })
  })

  it('runs again what Athena calls worth another try, and nothing else', async () => {
    const { athena, queries, run } = await open()
    athena.failQuery({
      match: /twice/,
      times: 2,
      reason: 'GENERIC_INTERNAL_ERROR: lost a worker',
      retryable: true,
    })
    const seen: string[] = []
    const ended: string[] = []
    await queries.run(
      { output: OUTPUT, token: 't', onEnd: ({ Status }) => void ended.push(Status!.State!) },
      (attempt) => {
        seen.push(`SELECT ${attempt} AS twice`)
        return seen.at(-1)!
      },
    )
    expect(seen).toEqual(['SELECT 0 AS twice', 'SELECT 1 AS twice', 'SELECT 2 AS twice'])
    expect(ended).toEqual(['FAILED', 'FAILED', 'SUCCEEDED'])
    athena.failQuery({ match: /once/, reason: 'GENERIC_INTERNAL_ERROR: the plan is broken' })
    await expect(run('SELECT 1 AS once')).rejects.toMatchObject({ code: 'OFFLINE_STORE_FAILED' })
    expect(athena.timesRun(/once/)).toBe(1)
  })

  it('says what is wrong by its code, with the query and the reason', async () => {
    const { emulator, run } = await open()
    await expect(run('SELECT a FROM gone')).rejects.toMatchObject({
      code: 'OFFLINE_TABLE_NOT_FOUND',
      message: expect.stringMatching(/[0-9a-f-]{36}.*'awsdatacatalog\.feast\.gone' does not exist/),
    })
    await expect(run('SELECT nothing')).rejects.toMatchObject({ code: 'QUERY_REFUSED' })
    await expect(run('VACUUM t')).rejects.toMatchObject({ code: 'QUERY_REFUSED' })
    await expect(run(`SELECT '${'x'.repeat(262_144)}'`)).rejects.toThrow('262144')
    emulator.fail({ match: /Start/, what: answer('AccessDeniedException', 'no athena:StartQueryExecution') })
    await expect(run('SELECT 1')).rejects.toMatchObject({ code: 'OFFLINE_STORE_DENIED' })
  })

  it('stops the query when aborted, and when its time is over', async () => {
    const { athena, run } = await open({ runningMs: 30_000 })
    const controller = new AbortController()
    const running = run('SELECT 1 AS aborted', 'a', controller.signal)
    await until(() => athena.executions[0]?.state === 'RUNNING')
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' })
    expect(athena.executions[0]!.state).toBe('CANCELLED')
    await expect(run('SELECT 1', 'x', AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
    expect(athena.executions).toHaveLength(1)
    const hasty = await open({ runningMs: 30_000 }, { timeoutMs: 700 })
    await expect(hasty.run('SELECT 1 AS late')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(hasty.athena.executions[0]!.state).toBe('CANCELLED')
  })

  it('reads all pages of a result, without the header, null apart from empty', async () => {
    const { queries, run } = await open()
    const { QueryExecutionId: id } = await run(
      `SELECT n, CASE WHEN n = 1 THEN '' END AS t FROM (SELECT 1 AS one) CROSS JOIN UNNEST(sequence(1, 2500)) AS x (n) ORDER BY n`,
    )
    const { columns, rows } = await queries.rows(id!)
    expect(columns.map(({ Name }) => Name)).toEqual(['n', 't'])
    expect(rows).toHaveLength(2500)
    expect(rows.slice(0, 2)).toEqual([
      ['1', ''],
      ['2', null],
    ])
  })
})

describe('the cost of queries', () => {
  const query = (id: string, bytes: number, more: object = {}) => ({
    QueryExecutionId: id,
    StatementType: 'DML' as const,
    Status: { State: 'SUCCEEDED' as const },
    Statistics: { DataScannedInBytes: bytes, TotalExecutionTimeInMillis: 5 },
    ...more,
  })

  it('whole megabytes, at least ten; data definitions and failures are free; each query counts once', () => {
    const ledger = new CostLedger(5)
    ledger.add(query('a', 2 ** 40))
    ledger.add(query('a', 2 ** 40))
    ledger.add(query('b', 1))
    ledger.add(query('c', 0))
    ledger.add(query('d', 2 ** 40, { StatementType: 'DDL' }))
    ledger.add(query('e', 2 ** 40, { Status: { State: 'FAILED' } }))
    expect(ledger.total.queryIds).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(ledger.total.price).toBeCloseTo(5 + (5 * 10) / 2 ** 20, 10)
    expect(ledger.total.scannedBytes).toBe(3 * 2 ** 40 + 1)
    expect(ledger.total.elapsedMs).toBe(25)
  })
})
