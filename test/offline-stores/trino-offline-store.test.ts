import { afterEach, describe, expect, it } from '@jest/globals'
import { trinoSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { silentLogger } from '../../src/core/logger.js'
import { ArrayOf, Float32, Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { HistoricalQuery, OfflineStore } from '../../src/offline-stores/offline-store.js'
import { type Script, ScriptedTrino } from '../trino/scripted-trino.js'
import { batchOf, once, rowsOf } from './table-maker.js'

const CONTEXT = { project: 'test', repoPath: '', entityKeyVersion: 3 as const, logger: silentLogger }
const SOURCE = trinoSource({ table: 'hive.risk.history', timestampField: 'ts' })
const COLUMNS = [
  ['k', 'bigint'],
  ['ts', 'timestamp(6)'],
  ['v', 'array(bigint)'],
  ['f', 'real'],
] as const

const open: (ScriptedTrino | OfflineStore)[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await ('stop' in one ? one.stop() : one.close())
})

async function storeOver(script: (sql: string) => Script, options: Record<string, unknown> = {}) {
  const trino = await ScriptedTrino.start(script)
  const store = await openStore({ port: trino.port, ...options })
  open.push(store, trino)
  return { trino, store }
}

function openStore(options: Record<string, unknown>): Promise<OfflineStore> {
  const given = {
    host: '127.0.0.1',
    port: 1,
    catalog: 'hive',
    user: 'me',
    connector: { type: 'hive' },
    ...options,
  }
  return openOfflineStore({ type: 'trino', options: given }, CONTEXT)
}

/** Answers questions about the table's columns, and leaves the rest to `rows`. */
const described =
  (rows: (sql: string) => Script) =>
  (sql: string): Script =>
    /LIMIT 0$/.test(sql) ? { columns: COLUMNS } : rows(sql)

const PULL = {
  source: SOURCE,
  timestampColumn: 'ts',
  createdColumn: undefined,
  joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
  features: [
    { column: 'v', name: 'v', type: ArrayOf(Int64) },
    { column: 'f', name: 'f', type: Float32 },
  ],
  start: undefined,
  end: undefined,
  latest: true,
}
const RESULT = [...COLUMNS.filter(([name]) => name !== 'ts'), ['__event_timestamp', 'bigint']] as const

describe('Trino offline store', () => {
  it('loses no digit of a BIGINT, in columns and in lists', async () => {
    const page = '[[9007199254740993,[-9223372036854775808,null,1],0.1,1704888000123456]]'
    const { store } = await storeOver(described(() => ({ columns: RESULT, pages: ['[]', page] })))
    expect(await rowsOf(store.pull(PULL).batches())).toEqual([
      {
        k: 9_007_199_254_740_993n,
        v: [-(2n ** 63n), null, 1n],
        f: Math.fround(0.1),
        __event_timestamp: 1_704_888_000_123_456n,
      },
    ])
  })

  it('asks again when the server is busy or the connection breaks', async () => {
    const { store, trino } = await storeOver(
      described(() => ({ columns: RESULT, pages: ['[[1,null,null,0]]'] })),
    )
    trino.faults.push(503, 'drop', 502)
    expect(await rowsOf(store.pull(PULL).batches())).toHaveLength(1)
    expect(trino.statements).toHaveLength(2)
  })

  it('does not ask again when it is refused, and says by whom', async () => {
    const { store, trino } = await storeOver(described(() => ({})))
    trino.faults.push(401)
    await expect(store.describe(SOURCE)).rejects.toMatchObject({
      code: 'OFFLINE_STORE_FAILED',
      message: expect.stringContaining('refused user "me"'),
    })
    expect(trino.statements).toHaveLength(0)
  })

  it('stops the statement when aborted, and when the reader leaves', async () => {
    const pages = Array.from({ length: 9 }, () => '[[1,null,null,0]]')
    const { store, trino } = await storeOver(described(() => ({ columns: RESULT, pages })))
    const controller = new AbortController()
    const read = async () => {
      for await (const _ of store.pull(PULL).batches(controller.signal)) controller.abort()
    }
    await expect(read()).rejects.toMatchObject({ code: 'ABORTED' })
    for await (const _ of store.pull(PULL).batches()) break
    expect(trino.cancelled).toHaveLength(2)
  })

  it('tells values that do not fit from other failures', async () => {
    const fails = (errorName: string) => async () => {
      const error = { message: 'no', errorName, errorType: 'USER_ERROR' }
      const { store } = await storeOver(described(() => ({ columns: RESULT, pages: ['[]'], error })))
      return rowsOf(store.pull(PULL).batches())
    }
    await expect(fails('INVALID_CAST_ARGUMENT')()).rejects.toMatchObject({ code: 'INVALID_VALUE' })
    await expect(fails('EXCEEDED_MEMORY_LIMIT')()).rejects.toMatchObject({ code: 'OFFLINE_STORE_FAILED' })
    const unknown = { message: 'no such table', errorName: 'TABLE_NOT_FOUND', errorType: 'USER_ERROR' }
    const { store } = await storeOver(() => ({ error: unknown }))
    await expect(store.describe(SOURCE)).rejects.toMatchObject({ code: 'SOURCE_NOT_READABLE' })
  })

  const FIELDS = [field('k', Int64), field('event_timestamp', UnixTimestamp), field('note', StringType)]
  const query = (count: number): HistoricalQuery => {
    const row = { k: 1n, event_timestamp: 1_704_888_000_123_456n, note: "'; DROP TABLE history; --" }
    const rows = Array.from({ length: count }, () => row)
    return {
      entityRows: { kind: 'batches', fields: FIELDS, batches: once(batchOf(FIELDS, rows)) },
      eventTimestampColumn: undefined,
      requiredColumns: [],
      filterByCreatedTimestamp: false,
      views: [
        {
          name: 'fv',
          source: SOURCE,
          timestampColumn: 'ts',
          createdColumn: undefined,
          joinKeys: [{ column: 'k', entityColumn: 'k', type: Int64 }],
          features: [{ column: 'f', output: 'f', type: Float32 }],
          ttlSeconds: 60,
        },
      ],
    }
  }

  it('sends few entity rows in the statement, their text as data, and bounds the times on both sides', async () => {
    const { store, trino } = await storeOver(described(() => ({})))
    await rowsOf(store.getHistoricalFeatures(query(2)).batches())
    expect(trino.statements).toHaveLength(2)
    const join = trino.statements[1]!
    expect(join).toContain("'''; DROP TABLE history; --'")
    expect(join).toContain(`s."ts" >= TIMESTAMP '2024-01-10 11:59:00.123456'`)
    expect(join).toContain(`s."ts" <= TIMESTAMP '2024-01-10 12:00:00.123456'`)
  })

  it('stages many, and drops them whatever happens', async () => {
    const { store, trino } = await storeOver(described(() => ({})))
    await rowsOf(store.getHistoricalFeatures(query(600)).batches())
    const heads = () => trino.statements.map((sql) => sql.split(' ')[0])
    expect(heads()).toEqual(['SELECT', 'CREATE', 'INSERT', 'WITH', 'DROP'])
    expect(trino.statements[2]).toContain("''; DROP TABLE history; --")

    const error = { message: 'no', errorName: 'GENERIC_INTERNAL_ERROR', errorType: 'INTERNAL_ERROR' }
    const failing = await storeOver(described((sql) => (sql.startsWith('INSERT') ? { error } : {})))
    const job = failing.store.getHistoricalFeatures(query(600))
    await expect(rowsOf(job.batches())).rejects.toMatchObject({ code: 'OFFLINE_STORE_FAILED' })
    expect(failing.trino.statements.at(-1)).toMatch(/^DROP TABLE IF EXISTS "hive"."feast"."feast_entity_/)
  })

  it('runs a query for entity rows once, and the job as often as asked', async () => {
    const count = {
      columns: [['a', 'bigint'] as const, ['b', 'bigint'] as const, ['c', 'bigint'] as const],
      pages: ['[[1,0,0]]'],
    }
    const entity = { columns: COLUMNS.slice(0, 2) }
    const { store, trino } = await storeOver((sql) => {
      if (sql.includes('count(*)')) return count
      return /LIMIT 0$/.test(sql) && sql.includes('labels') ? entity : described(() => ({}))(sql)
    })
    const job = store.getHistoricalFeatures({
      ...query(1),
      entityRows: { kind: 'sql', sql: 'SELECT k, ts FROM labels;' },
      eventTimestampColumn: 'ts',
    })
    for (const run of [1, 2]) {
      await rowsOf(job.batches())
      const staged = trino.statements.filter((sql) => sql.startsWith('CREATE TABLE'))
      expect(staged).toHaveLength(run)
      expect(staged.at(-1)).toContain('SELECT k, ts FROM labels\n')
      expect(trino.statements.at(-1)).toMatch(/^DROP TABLE/)
    }
  })

  it('takes the parts of a table name as they are', async () => {
    const { store, trino } = await storeOver(() => ({ columns: COLUMNS }))
    for (const table of ['t', 'risk.t', 'hive.risk.t', 'risk."t; DROP.x"']) {
      await store.describe(trinoSource({ table }))
    }
    expect(trino.statements.map((sql) => sql.slice('SELECT * FROM '.length, -' LIMIT 0'.length))).toEqual([
      '"hive"."feast"."t"',
      '"hive"."risk"."t"',
      '"hive"."risk"."t"',
      '"hive"."risk"."t; DROP.x"',
    ])
  })

  it('says who asks, in UTC, and keeps secrets where they are safe', async () => {
    const { store, trino } = await storeOver(() => ({ columns: COLUMNS }), {
      'x-trino-extra-credential-header': 'secret=1',
    })
    await store.describe(SOURCE)
    expect(trino.headers[0]).toMatchObject({
      'x-trino-user': 'me',
      'x-trino-time-zone': 'UTC',
      'x-trino-catalog': 'hive',
      'x-trino-extra-credential': 'secret=1',
    })
    const refused = (auth: object, more: object = {}) => expect(openStore({ auth, ...more })).rejects
    const basic = { type: 'basic', config: { username: 'u', password: 'p' } }
    await refused(basic).toMatchObject({ message: expect.stringContaining('needs http-scheme: https') })
    await refused({ type: 'kerberos', config: {} }).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('kerberos is not supported'),
    })
    await (await openStore({ auth: basic, 'http-scheme': 'https' })).close()
  })

  it('refuses sources of other stores by name', async () => {
    const { store } = await storeOver(() => ({}))
    const { fileSource } = await import('../../src/core/data-source.js')
    await expect(store.describe(fileSource({ path: 'x.parquet' }))).rejects.toMatchObject({
      code: 'SOURCE_UNSUPPORTED',
      details: { type: 'file source', store: 'Trino' },
    })
  })
})
