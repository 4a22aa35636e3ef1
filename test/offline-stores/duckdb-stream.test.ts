import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { fileSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { Int64, StringType } from '../../src/core/value-type.js'
import { DuckDBEngine } from '../../src/offline-stores/duckdb/duckdb-engine.js'
import { sqlOfflineStore } from '../../src/offline-stores/sql/sql-offline-store.js'
import { TableMaker } from './table-maker.js'

const ROWS = 400_000
/** Of many chunks, after those that a stream has at hand when it begins. */
const LATE = 300_000

describe('a stream that fails half-way', () => {
  let tables: TableMaker
  let engine: DuckDBEngine

  beforeAll(async () => {
    tables = await TableMaker.open()
    engine = new DuckDBEngine({ threads: 2 }, tables.folder)
  })
  afterAll(async () => {
    await engine.close()
    await tables.close()
  })

  async function count(sql: string, signal?: AbortSignal, onRows?: (rows: number) => void): Promise<number> {
    const session = await engine.open(signal)
    let rows = 0
    try {
      for await (const batch of session.stream(sql, [field('f', StringType)])) {
        rows += batch.rowCount
        onRows?.(rows)
      }
    } finally {
      await session.close()
    }
    return rows
  }

  async function parquet(name: string, value: string): Promise<string> {
    const path = join(tables.folder, `${name}.parquet`)
    const instance = await DuckDBInstance.create()
    const connection = await instance.connect()
    const rows = `SELECT i AS k, make_timestamptz(1700000000000000 + i) AS ts, ${value} AS f FROM range(${ROWS}) t(i)`
    await connection.run(`COPY (${rows}) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 20480)`)
    connection.closeSync()
    instance.closeSync()
    return path
  }

  const pullOf = (path: string, latest: boolean) =>
    sqlOfflineStore(engine, {}).pull({
      source: fileSource({ path, timestampField: 'ts' }),
      timestampColumn: 'ts',
      createdColumn: undefined,
      joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
      features: [{ column: 'f', name: 'f', type: Int64 }],
      start: undefined,
      end: undefined,
      latest,
    })

  async function drain(batches: AsyncIterable<{ readonly rowCount: number }>): Promise<number> {
    let rows = 0
    for await (const { rowCount } of batches) rows += rowCount
    return rows
  }

  it('gives all rows where nothing fails', async () => {
    expect(await count(`SELECT i::VARCHAR FROM range(${ROWS}) t(i)`)).toBe(ROWS)
    expect(await drain(pullOf(await parquet('whole', 'i::DOUBLE'), true).batches())).toBe(ROWS)
  })

  it('says why', async () => {
    const late = (value: string) =>
      `SELECT CASE WHEN i = ${LATE} THEN ${value} ELSE i::VARCHAR END FROM range(${ROWS}) t(i)`
    await expect(count(late(`error('boom')`))).rejects.toMatchObject({
      code: 'INVALID_VALUE',
      message: expect.stringContaining('boom'),
    })
    await expect(count(`SELECT s::INTEGER FROM (${late(`'x'`)}) AS t(s)`)).rejects.toMatchObject({
      code: 'INVALID_VALUE',
      message: expect.stringContaining(`'x'`),
    })
  })

  it.each([true, false])('a value that does not fit, far into a file (latest %p)', async (latest) => {
    const path = await parquet('fraction', `CASE WHEN i = ${LATE} THEN 0.5 ELSE i END::DOUBLE`)
    await expect(drain(pullOf(path, latest).batches())).rejects.toMatchObject({
      code: 'INVALID_VALUE',
      message: expect.stringContaining('is not a whole number'),
    })
    const target = join(tables.folder, 'kept.arrow')
    await expect(pullOf(path, latest).persist(target)).rejects.toMatchObject({ code: 'INVALID_VALUE' })
    expect(existsSync(target)).toBe(false)
  })

  it('a file that is broken far into it', async () => {
    const path = await parquet('broken', 'hash(i) % 1000000')
    const bytes = readFileSync(path)
    const at = Math.floor((bytes.length * LATE) / ROWS)
    writeFileSync(path, bytes.fill(0xff, at, at + 20_000))
    await expect(drain(pullOf(path, false).batches())).rejects.toMatchObject({
      message: expect.stringContaining('broken.parquet'),
    })
  })

  it('a request that is aborted half-way', async () => {
    const abort = new AbortController()
    const counted = count(`SELECT i::VARCHAR FROM range(100000000) t(i)`, abort.signal, (rows) => {
      if (rows > 20_000) abort.abort()
    })
    await expect(counted).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
