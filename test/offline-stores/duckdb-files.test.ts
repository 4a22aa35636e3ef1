import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import * as arrow from 'apache-arrow'
import type { Cell } from '../../src/core/cell.js'
import { athenaSource, type FileSource, fileSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import { thisProcess } from '../../src/core/process-identity.js'
import {
  ArrayOf,
  Bool,
  Decimal,
  type FeastType,
  Float32,
  Float64,
  Int32,
  Int64,
  Json,
  MapType,
  ScalarMap,
  StringType,
  Struct,
  UnixTimestamp,
  Uuid,
} from '../../src/core/value-type.js'
import { openOfflineStore, writeBatches } from '../../src/offline-stores/index.js'
import type { EntityRows, OfflineStore } from '../../src/offline-stores/offline-store.js'
import { batchOf, once, rowsOf, TableMaker } from './table-maker.js'

const T = parseInstant('2024-01-10T12:00:00Z', 'T')

describe('DuckDB offline store: files, types, results', () => {
  let tables: TableMaker
  let store: OfflineStore
  beforeAll(async () => {
    tables = await TableMaker.open()
    store = await open(tables.folder)
  })
  afterAll(async () => {
    await store.close()
    await tables.close()
  })

  function open(repoPath: string, options: Record<string, unknown> = {}): Promise<OfflineStore> {
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    return openOfflineStore(
      { type: 'file', options: { threads: 2, ...options } },
      { project: 'test', repoPath, entityKeyVersion: 3, logger },
    )
  }

  const inFolder = (path: string) => join(tables.folder, path)

  /** Plain DuckDB, beside ours, to make files and to read them. */
  async function duckdb(sql: string): Promise<unknown[][]> {
    const instance = await DuckDBInstance.create()
    const connection = await instance.connect()
    try {
      await connection.run(`SET TimeZone = 'UTC'`)
      return (await connection.runAndReadAll(sql)).getRowsJson()
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  }

  function job(
    source: FileSource,
    entityRows: EntityRows,
    options: { readonly key?: FeastType; readonly type?: FeastType } = {},
  ) {
    return store.getHistoricalFeatures({
      entityRows,
      eventTimestampColumn: undefined,
      requiredColumns: [],
      filterByCreatedTimestamp: false,
      views: [
        {
          name: 'fv',
          source,
          timestampColumn: 'ts',
          createdColumn: undefined,
          joinKeys: [{ column: 'k', entityColumn: 'k', type: options.key ?? Int64 }],
          features: [{ column: 'v', output: 'v', type: options.type ?? Float64 }],
          ttlSeconds: 0,
        },
      ],
    })
  }
  const oneRow = (): EntityRows => {
    const fields = [field('k', Int64), field('event_timestamp', UnixTimestamp)]
    return { kind: 'batches', fields, batches: once(batchOf(fields, [{ k: 1n, event_timestamp: T }])) }
  }
  const valueOf = async (source: FileSource, type: FeastType): Promise<Cell> =>
    (await rowsOf(job(source, oneRow(), { type }).batches()))[0]!.v!

  it('P15 nanoseconds are floored, before 1970 too', async () => {
    const path = inFolder('nanos.parquet')
    await duckdb(`COPY (SELECT * FROM (VALUES (1::BIGINT, make_timestamp_ns(${T}000 + 1), 1.0::DOUBLE),
      (2, make_timestamp_ns(-1), 2.0)) t(k, ts, v)) TO '${path}'`)
    const source = fileSource({ path })
    const at = (k: bigint, event_timestamp: bigint) => ({ k, event_timestamp })
    const fields = [field('k', Int64), field('event_timestamp', UnixTimestamp)]
    const rows = [at(1n, T), at(1n, T - 1n), at(2n, -1n), at(2n, -2n)]
    const entityRows = { kind: 'batches' as const, fields, batches: once(batchOf(fields, rows)) }
    expect((await rowsOf(job(source, entityRows).batches())).map(({ v }) => v)).toEqual([1, null, 2, null])

    const entityPath = inFolder('nano-entities.parquet')
    await duckdb(`COPY (SELECT 2::BIGINT AS k, make_timestamp_ns(-1) AS event_timestamp) TO '${entityPath}'`)
    const joined = await rowsOf(job(source, { kind: 'file', path: entityPath }).batches())
    expect(joined).toEqual([{ k: 2n, event_timestamp: -1n, v: 2 }])
  })

  const TYPES: readonly [sql: string, type: FeastType, cell: Cell][] = [
    ['true', Bool, true],
    ['1::TINYINT', Int32, 1],
    ['1::SMALLINT', Int32, 1],
    ['1::INTEGER', Int32, 1],
    ['1::UTINYINT', Int32, 1],
    ['1::USMALLINT', Int32, 1],
    ['4294967295::UINTEGER', Int64, 4_294_967_295n],
    ['9007199254740993::BIGINT', Int64, 9_007_199_254_740_993n],
    ['1::UBIGINT', Int64, 1n],
    ['1.5::FLOAT', Float32, 1.5],
    ['1.5::DOUBLE', Float64, 1.5],
    ['12.340::DECIMAL(10, 3)', Decimal, '12.340'],
    [`'x'`, StringType, 'x'],
    [`'{"a": 1}'::JSON`, Json, '{"a": 1}'],
    [`'00000000-0000-0000-0000-000000000001'::UUID`, Uuid, '00000000-0000-0000-0000-000000000001'],
    [`'a'::ENUM('a', 'b')`, StringType, 'a'],
    [`'\\x01'::BLOB`, { valueType: 'BYTES' }, new Uint8Array([1])],
    [`DATE '1950-01-01'`, UnixTimestamp, parseInstant('1950-01-01', '')],
    [`TIMESTAMP '1950-01-01 00:00:00.000001'`, UnixTimestamp, parseInstant('1950-01-01', '') + 1n],
    [`TIMESTAMP_NS '2024-01-10 12:00:00.000000999'`, UnixTimestamp, T],
    [`TIMESTAMPTZ '2024-01-10 14:00:00+02'`, UnixTimestamp, T],
    ['[1, NULL, 3]::BIGINT[]', ArrayOf(Int64), [1n, null, 3n]],
    ['[1, 2]::INTEGER[]', ArrayOf(Int32), [1, 2]],
    [`['a', '']`, ArrayOf(StringType), ['a', '']],
    ['[1.5]::DOUBLE[]', ArrayOf(Float64), [1.5]],
    [`[TIMESTAMP '2024-01-10 12:00:00']`, ArrayOf(UnixTimestamp), [T]],
    ['[1.50]::DECIMAL(4, 2)[]', ArrayOf(Decimal), ['1.50']],
    ['[[1], []]::BIGINT[][]', ArrayOf(ArrayOf(Int64)), [[1n], []]],
    [
      `{'a': 1::BIGINT, 'b': TIMESTAMP '2024-01-10 12:00:00'}`,
      Struct({ a: Int64, b: UnixTimestamp }),
      { a: 1n, b: T },
    ],
    [`[{'a': 1::BIGINT}]`, { valueType: 'STRUCT_LIST', fields: { a: Int64 } }, [{ a: 1n }]],
    [`MAP {'x': 1::BIGINT}`, MapType, { x: 1n }],
    [`MAP {1::BIGINT: 'x'}`, ScalarMap, new Map([[1n, 'x']])],
    [`[MAP {'x': 'y'}]`, { valueType: 'MAP_LIST' }, [{ x: 'y' }]],
  ]

  it.each(TYPES)('reads %s', async (sql, type, cell) => {
    const path = inFolder('typed.parquet')
    await duckdb(`COPY (SELECT 1::BIGINT AS k, make_timestamp(${T}) AS ts, ${sql} AS v) TO '${path}'`)
    const source = fileSource({ path })
    expect((await store.describe(source)).find(({ name }) => name === 'v')!.type).toEqual(type)
    expect(await valueOf(source, type)).toEqual(cell)
    expect(await valueOf(source, { valueType: 'INVALID' })).toEqual(cell)
  })

  const CASTS: readonly [sql: string, type: FeastType, cell: Cell][] = [
    ['1::INTEGER', Int64, 1n],
    ['3.0::DOUBLE', Int64, 3n],
    [`'nan'::DOUBLE`, Int64, null],
    ['1::BIGINT', Float64, 1],
    ['1::BIGINT', StringType, '1'],
    ['1704888000::BIGINT', UnixTimestamp, T],
    [`'2024-01-10T14:00:00+02:00'`, UnixTimestamp, T],
    [`{'a': 1}`, Json, '{"a":1}'],
    [`'{"a": "x"}'`, MapType, { a: 'x' }],
    ['[1]::INTEGER[]', ArrayOf(Int64), [1n]],
    ['1.5::DECIMAL(4, 1)', Float64, 1.5],
    ['[0.5, 0.25]::FLOAT[2]', ArrayOf(Float32), [0.5, 0.25]],
  ]

  it.each(CASTS)('reads %s as the declared type', async (sql, type, cell) => {
    const entities = `SELECT 1::BIGINT AS k, make_timestamp(${T}) AS event_timestamp`
    const path = inFolder('cast.parquet')
    await duckdb(`COPY (SELECT 1::BIGINT AS k, make_timestamp(${T}) AS ts, ${sql} AS v) TO '${path}'`)
    const joined = await rowsOf(job(fileSource({ path }), { kind: 'sql', sql: entities }, { type }).batches())
    expect(joined[0]!.v).toEqual(cell)
  })

  it('refuses what cannot be the declared type', async () => {
    const path = inFolder('wrong.parquet')
    await duckdb(`COPY (SELECT 1::BIGINT AS k, make_timestamp(${T}) AS ts, 'x' AS v) TO '${path}'`)
    await expect(job(fileSource({ path }), oneRow(), { type: Int64 }).fields()).rejects.toMatchObject({
      code: 'COLUMN_TYPE_MISMATCH',
      details: { column: 'v', type: 'VARCHAR', expected: 'Int64' },
    })
    await duckdb(`COPY (SELECT 1::BIGINT AS k, make_timestamp(${T}) AS ts, 1.5::DOUBLE AS v) TO '${path}'`)
    await expect(valueOf(fileSource({ path }), Int64)).rejects.toMatchObject({
      code: 'INVALID_VALUE',
      message: expect.stringContaining('"v" is not a whole number: 1.5'),
    })
  })

  it('reads CSV as the declared types say, naive times as UTC', async () => {
    writeFileSync(inFolder('a.csv'), 'k,ts,v\n007,2024-01-10 11:00:00,1\n7,2024-01-10T12:00:00Z,2\n')
    writeFileSync(
      inFolder('e.csv'),
      'k,event_timestamp,label\n007,2024-01-10 12:00:00,x\n7,2024-01-10 12:00:00,y\n',
    )
    const source = fileSource({ path: 'a.csv' })
    const entityRows = { kind: 'file' as const, path: inFolder('e.csv') }
    const joined = await rowsOf(job(source, entityRows, { key: StringType, type: Int64 }).batches())
    expect(joined).toEqual([
      { k: '007', event_timestamp: T, label: 'x', v: 1n },
      { k: '7', event_timestamp: T, label: 'y', v: 2n },
    ])
  })

  it('takes entity rows from Parquet, JSON and SQL, in order', async () => {
    const path = inFolder('many.parquet')
    await duckdb(
      `COPY (SELECT i::BIGINT AS k, make_timestamp(${T}) AS ts, i::DOUBLE AS v FROM range(60000) t(i)) TO '${path}'`,
    )
    const shuffled = `SELECT (i * 7919 % 60000)::BIGINT AS k, make_timestamp(${T}) AS event_timestamp FROM range(60000) t(i)`
    const entityPath = inFolder('entities.parquet')
    await duckdb(`COPY (${shuffled}) TO '${entityPath}' (ROW_GROUP_SIZE 10000)`)
    const source = fileSource({ path: 'many.parquet' })
    for (const entityRows of [
      { kind: 'file' as const, path: entityPath },
      { kind: 'sql' as const, sql: `SELECT * FROM 'entities.parquet' -- the repo's own file\n;` },
    ]) {
      const joined = await rowsOf(job(source, entityRows).batches())
      expect(joined).toHaveLength(60_000)
      const wrong = joined.findIndex(
        ({ k, v }, row) => k !== BigInt((row * 7919) % 60_000) || v !== Number(k),
      )
      expect(wrong).toBe(-1)
    }
    writeFileSync(
      inFolder('e.json'),
      '[{"k": 2, "event_timestamp": "2024-01-10T12:00:00Z"}, {"k": 1, "event_timestamp": "2024-01-10 12:00:00"}]',
    )
    const json = await rowsOf(job(source, { kind: 'file', path: inFolder('e.json') }).batches())
    expect(json.map(({ v }) => v)).toEqual([2, 1])
  })

  it('passes columns of any type through', async () => {
    const sql = `SELECT 1 AS k, make_timestamp(${T}) AS event_timestamp, sum(2::BIGINT) AS total, TIME '10:00' AS at`
    const pending = job(fileSource({ path: 'many.parquet' }), { kind: 'sql', sql })
    expect((await pending.fields()).map(({ type }) => type)).toEqual([
      Int32,
      UnixTimestamp,
      Decimal,
      StringType,
      Float64,
    ])
    expect(await rowsOf(pending.batches())).toEqual([
      { k: 1, event_timestamp: T, total: '2', at: '10:00:00', v: 1 },
    ])
  })

  it('says which input it cannot read, and why', async () => {
    const source = fileSource({ path: 'many.parquet' })
    const failing = (of: FileSource, rows: EntityRows = oneRow()) => job(of, rows).fields()
    await expect(failing(fileSource({ path: 'gone.parquet' }))).rejects.toMatchObject({
      code: 'SOURCE_NOT_READABLE',
      details: { source: 'gone.parquet' },
    })
    writeFileSync(inFolder('broken.parquet'), 'not parquet')
    await expect(failing(fileSource({ path: 'broken.parquet' }))).rejects.toMatchObject({
      code: 'SOURCE_NOT_READABLE',
    })
    mkdirSync(inFolder('empty'))
    await expect(failing(fileSource({ path: 'empty' }))).rejects.toMatchObject({
      code: 'SOURCE_NOT_READABLE',
    })
    for (const far of [
      fileSource({ path: 's3://bucket/a.parquet' }),
      fileSource({ path: 'a', format: 'delta' }),
      athenaSource({ table: 't' }),
    ]) {
      await expect(store.describe(far)).rejects.toMatchObject({ code: 'SOURCE_UNSUPPORTED' })
    }
    await expect(failing(source, { kind: 'file', path: inFolder('gone.csv') })).rejects.toMatchObject({
      code: 'FILE_NOT_READABLE',
    })
    await expect(failing(source, { kind: 'sql', sql: 'SELECT FROM nothing WHERE' })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
    await expect(openOfflineStore({ type: 'duck', options: {} }, {} as never)).rejects.toMatchObject({
      code: 'BACKEND_UNKNOWN',
    })
    await expect(open(tables.folder, { memory: '1GB' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('reads a folder, a glob, and a path that looks like a glob', async () => {
    const columns = [
      { name: 'k', type: Int64 },
      { name: 'ts', type: UnixTimestamp },
      { name: 'v', type: Float64 },
    ]
    for (const [path, v] of [
      ['many/a.parquet', 1],
      ['many/deep/b.parquet', 2],
      ['odd[1]*.parquet', 3],
    ] as const) {
      await tables.file(columns, [{ k: 1n, ts: T - BigInt(9 - v), v }], { path })
    }
    expect(await valueOf(fileSource({ path: 'many' }), Float64)).toBe(2)
    expect(await valueOf(fileSource({ path: 'many/*.parquet' }), Float64)).toBe(1)
    expect(await valueOf(fileSource({ path: 'odd[1]*.parquet' }), Float64)).toBe(3)
    expect(await valueOf(fileSource({ path: `file://${inFolder('many/a.parquet')}` }), Float64)).toBe(1)
  })

  it.each(['parquet', 'csv', 'json', 'arrow'] as const)('persists to %s', async (format) => {
    const path = inFolder('persist.parquet')
    await duckdb(
      `COPY (SELECT 1::BIGINT AS k, make_timestamp(${T}) AS ts, [make_timestamp(${T}), NULL] AS v) TO '${path}'`,
    )
    const out = inFolder(`results/out.${format}`)
    const result = () => job(fileSource({ path }), oneRow(), { type: ArrayOf(UnixTimestamp) })
    expect(await result().persist(out)).toEqual({ rows: 1 })
    await expect(result().persist(out)).rejects.toMatchObject({ code: 'FILE_EXISTS' })
    expect(await result().persist(out, { overwrite: true })).toEqual({ rows: 1 })
    if (format === 'arrow') {
      expect(arrowRows(out)).toEqual([{ k: 1n, event_timestamp: T, v: [T, null] }])
    } else {
      const [row] = await duckdb(`SELECT k, epoch_us(event_timestamp::TIMESTAMPTZ), v::VARCHAR FROM '${out}'`)
      expect(row).toEqual(['1', String(T), expect.stringMatching(/2024-01-10 12:00:00\+00.*NULL|null/)])
    }
    expect(readdirSync(inFolder('results')).filter((name) => name.includes('tmp'))).toEqual([])
  })

  /** Timestamps as the microseconds that the file holds. */
  function arrowRows(path: string): unknown[] {
    const table = arrow.tableFromIPC(readFileSync(path))
    return Array.from({ length: table.numRows }, (_, row) =>
      Object.fromEntries(
        table.schema.fields.map(({ name }, index) => [name, arrowCell(table.getChildAt(index)!, row)]),
      ),
    )
  }

  function arrowCell(vector: arrow.Vector, row: number): unknown {
    const value = vector.get(row)
    if (value === null) return null
    if (arrow.DataType.isTimestamp(vector.type)) return (vector.data[0]!.values as BigInt64Array)[row]
    if (value instanceof arrow.Vector)
      return Array.from({ length: value.length }, (_, at) => arrowCell(value, at))
    return value instanceof arrow.StructRow ? value.toJSON() : value
  }

  const ALL = {
    i: Int64,
    s: StringType,
    b: Bool,
    t: UnixTimestamp,
    l: ArrayOf(Int64),
    n: ArrayOf(ArrayOf(StringType)),
    r: Struct({ a: Int64, b: StringType }),
    y: { valueType: 'BYTES' } as FeastType,
  }
  const ALL_ROWS = [
    {
      i: 2n ** 60n,
      s: 'x,"y',
      b: true,
      t: T + 1n,
      l: [1n, null],
      n: [['a'], []],
      r: { a: 1n, b: null },
      y: new Uint8Array([0, 255]),
    },
    { i: null, s: null, b: null, t: null, l: null, n: null, r: null, y: null },
  ]

  it.each(['parquet', 'arrow', 'csv', 'json'] as const)(
    'writes rows of this process to %s',
    async (format) => {
      const fields = Object.entries(ALL).map(([name, type]) => field(name, type))
      const path = inFolder(`written.${format}`)
      expect(await writeBatches(path, fields, once(batchOf(fields, ALL_ROWS)))).toEqual({ rows: 2 })
      if (format === 'arrow') expect(arrowRows(path)).toEqual(ALL_ROWS)
      if (format === 'parquet') {
        const rows = await duckdb(`SELECT i, s, b, epoch_us(t), l, n, r, y FROM '${path}'`)
        expect(rows).toEqual([
          [
            String(2n ** 60n),
            'x,"y',
            true,
            String(T + 1n),
            ['1', null],
            [['a'], []],
            { a: '1', b: null },
            '\\x00\\xFF',
          ],
          Array(8).fill(null),
        ])
      }
      if (format === 'csv' || format === 'json') {
        const rows = await duckdb(`SELECT i, s, b FROM '${path}'`)
        expect(rows).toEqual([
          [String(2n ** 60n), 'x,"y', true],
          [null, null, null],
        ])
      }
    },
  )

  describe('append', () => {
    const fields = [field('k', Int64), field('ts', UnixTimestamp), field('v', Float64)]
    const add = (source: FileSource, k: bigint, ts = T) =>
      store.write(source, once(batchOf(fields, [{ k, ts, v: Number(k) }])))
    const keysIn = async (pattern: string, options = '') =>
      (await duckdb(`SELECT k FROM read_parquet('${inFolder(pattern)}'${options}) ORDER BY k`)).flat()

    it('to a folder adds a file', async () => {
      mkdirSync(inFolder('folder'))
      const source = fileSource({ path: 'folder' })
      await add(source, 1n)
      await add(source, 2n)
      expect(await keysIn('folder/*.parquet')).toEqual(['1', '2'])
      expect(readdirSync(inFolder('folder'))).toHaveLength(2)
    })

    it('makes the file or the folder that is not there yet', async () => {
      await add(fileSource({ path: 'new/one.parquet' }), 1n)
      await add(fileSource({ path: 'new/many' }), 2n)
      expect(await keysIn('new/**/*.parquet')).toEqual(['1', '2'])
    })

    it('to one file loses nothing when writers meet', async () => {
      const source = fileSource({ path: 'single.parquet' })
      await add(source, 0n)
      await Promise.all(Array.from({ length: 8 }, (_, index) => add(source, BigInt(index + 1))))
      expect(await keysIn('single.parquet')).toEqual(Array.from({ length: 9 }, (_, index) => String(index)))
      expect(readdirSync(tables.folder).filter((name) => /single.+(lock|tmp)/.test(name))).toEqual([])
    })

    it.each([
      ['is gone', JSON.stringify({ ...thisProcess(), pid: 2 ** 22 + 1, token: 'gone' })],
      // As in a container that was started again.
      ['had our number', JSON.stringify({ ...thisProcess(), startTime: '1', token: 'earlier' })],
    ])('takes over the lock of a process that %s', async (_who, lock) => {
      const source = fileSource({ path: 'locked.parquet' })
      await add(source, 1n)
      writeFileSync(inFolder('locked.parquet.lock'), lock)
      await add(source, 2n)
      expect(await keysIn('locked.parquet')).toEqual(expect.arrayContaining(['1', '2']))
      rmSync(inFolder('locked.parquet'))
    })

    it('to CSV leaves the old rows as they are written', async () => {
      writeFileSync(inFolder('old.csv'), 'ts,k,v\n2024-01-10 11:00:00,1,1.50\n')
      await add(fileSource({ path: 'old.csv' }), 2n)
      expect(readFileSync(inFolder('old.csv'), 'utf8').trim().split('\n')).toEqual([
        'ts,k,v',
        '2024-01-10 11:00:00,1,1.50',
        expect.stringMatching(/^2024-01-10 12:00:00(\+00)?,2,2(\.0)?$/),
      ])
    })

    it('to a folder that looks partitioned, but is not said to be, is refused: it would be unreadable', async () => {
      const source = fileSource({ path: 'hive', datePartitionColumn: 'dt', timestampField: 'ts' })
      await add(source, 1n)
      await expect(add(fileSource({ path: 'hive', timestampField: 'ts' }), 2n)).rejects.toMatchObject({
        code: 'SOURCE_NOT_READABLE',
        message: expect.stringContaining('datePartitionColumn'),
      })
      expect(readdirSync(inFolder('hive'))).toEqual(['dt=2024-01-10'])
    })

    it('to a partitioned folder puts rows into the folder of their day', async () => {
      const source = fileSource({ path: 'daily', datePartitionColumn: 'dt', timestampField: 'ts' })
      await add(source, 1n)
      await add(source, 2n, T + 86_400_000_000n)
      expect(readdirSync(inFolder('daily')).sort()).toEqual(['dt=2024-01-10', 'dt=2024-01-11'])
      const pulled = store.pull({
        source,
        timestampColumn: 'ts',
        createdColumn: undefined,
        joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
        features: [],
        start: T,
        end: T,
        latest: true,
      })
      expect(await rowsOf(pulled.batches())).toEqual([{ k: 1n, __event_timestamp: T }])
    })
  })

  it('spills into a folder of its own and removes it on close', async () => {
    const spill = inFolder('spill')
    const own = await open(tables.folder, { temp_directory: spill, memory_limit: '200MB' })
    await own.describe(fileSource({ path: 'many.parquet' }))
    expect(readdirSync(spill)).toHaveLength(1)
    await own.close()
    expect(existsSync(spill) ? readdirSync(spill) : []).toEqual([])
  })
})
