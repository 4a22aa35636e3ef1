import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { DatabaseSync } from '@photostructure/sqlite'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import type { Cell } from '../../src/core/cell.js'
import { parseInstant } from '../../src/core/instant.js'
import { silentLogger } from '../../src/core/logger.js'
import type { ValueType } from '../../src/core/value-type.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { createTable } from '../../src/online-stores/sqlite/sqlite-tables.js'
import { onlineStoreContract } from '../contract/online-store.js'
import { readCells } from './read-cells.js'

let folder: string

function open(project = 'demo', options: Record<string, unknown> = {}): Promise<OnlineStore> {
  const block = { type: 'sqlite', options: { path: 'data/online.db', ...options } }
  return openOnlineStore(block, { project, repoPath: folder, entityKeyVersion: 3, logger: silentLogger })
}

function makeFolder(): void {
  folder = mkdtempSync(join(tmpdir(), 'feast-sqlite-'))
}

function removeFolder(): void {
  rmSync(folder, { recursive: true, force: true })
}

onlineStoreContract(
  'SQLite',
  {
    open() {
      makeFolder()
      return open()
    },
    again: () => open(),
    async clean() {
      removeFolder()
    },
  },
  { readsTimesIn: 'seconds' },
)

/** Another process that has the file open, until it is stopped. */
async function holdOpen(file: string): Promise<{ stop(): Promise<void> }> {
  const script = `
    const { DatabaseSync } = require('@photostructure/sqlite')
    const db = new DatabaseSync(process.argv[1])
    db.prepare('SELECT count(*) FROM sqlite_master').all()
    process.stdout.write('open')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', script, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return {
    async stop() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** The rights of files do not bind root. */
async function withoutRights(run: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid!() === 0
  if (isRoot) process.seteuid!(65_534)
  try {
    await run()
  } finally {
    if (isRoot) process.seteuid!(0)
  }
}

interface StateVectors {
  sqlite_ddl: string[]
  steps: {
    name: string
    write: {
      feature_view: string
      rows: {
        join_keys: string[]
        entity_values: string[]
        values_hex: Record<string, string>
        event_timestamp: string
        created: string | null
      }[]
    }
    sqlite_after: Record<string, (string | number | null)[][]>
  }[]
}

const vectors: StateVectors = JSON.parse(
  readFileSync(new URL('../compat/vectors/online_store_state.json', import.meta.url), 'utf8'),
)

const TABLES: OnlineTable[] = [
  { name: 'driver_stats', joinKeys: ['driver_id'], features: ['conv_rate', 'trips', 'name', 'flag', 'tags'] },
  { name: 'dc_stats', joinKeys: ['driver_id', 'customer_id'], features: ['score'] },
  { name: 'global_stats', joinKeys: ['__dummy_id'], features: ['total'] },
]

function entityCell(text: string): [ValueType, Cell] {
  const value = text.slice(text.indexOf('=') + 1)
  return text.startsWith('int64_val') ? ['INT64', BigInt(value)] : ['STRING', value]
}

function encodedRow(row: StateVectors['steps'][number]['write']['rows'][number]) {
  const parts = row.entity_values.map(entityCell)
  const joinKeys = row.join_keys.map((name, i) => ({ name, type: { valueType: parts[i]![0] } }))
  return {
    entityKey: entityKeyEncoder(joinKeys, 3)(parts.map(([, cell]) => cell)),
    values: Object.values(row.values_hex).map((hex) => Buffer.from(hex, 'hex')),
    eventTimestamp: parseInstant(row.event_timestamp, 'vector'),
    createdTimestamp: row.created === null ? null : parseInstant(row.created, 'vector'),
  }
}

describe('SQLite, held to what Feast stored', () => {
  let store: OnlineStore
  beforeEach(async () => {
    makeFolder()
    store = await open()
  })
  afterEach(async () => {
    await store.close()
    removeFolder()
  })

  const path = () => join(folder, 'data/online.db')

  function stateOf(): Record<string, unknown[][]> {
    const db = new DatabaseSync(path())
    const state: Record<string, unknown[][]> = {}
    for (const { name } of TABLES) {
      const select = db.prepare(
        `SELECT hex(entity_key), feature_name, hex(value), value_text, event_ts, created_ts, typeof(event_ts) FROM "demo_${name}" ORDER BY 1, 2`,
      )
      select.setReturnArrays(true)
      state[`demo_${name}`] = select.all().map(([key, feature, value, text, event, created, type]) => {
        expect(type).toBe('integer')
        return [key.toLowerCase(), feature, value.toLowerCase(), text, event, created]
      })
    }
    db.close()
    return state
  }

  async function apply(step: StateVectors['steps'][number]): Promise<void> {
    const { feature_view, rows } = step.write
    const table = TABLES.find(({ name }) => name === feature_view)!
    const features = Object.keys(rows[0]!.values_hex)
    await store.write({ table: { ...table, features }, rows: rows.map(encodedRow) })
  }

  it('makes the same tables', async () => {
    await store.setup(TABLES)
    const db = new DatabaseSync(path())
    const made = db.prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL').all()
    expect(made.map(({ sql }: { sql: string }) => sql).sort()).toEqual([...vectors.sqlite_ddl].sort())
    db.close()
  })

  /** The two writes that Feast lets through and W2 does not: an older row, and one of the same time. */
  const REFUSED = ['2_older', '3_equal']

  it('stores the same bytes, step by step', async () => {
    await store.setup(TABLES)
    let before = stateOf()
    for (const step of vectors.steps) {
      await apply(step)
      const after = stateOf()
      expect([step.name, after]).toEqual([
        step.name,
        REFUSED.includes(step.name) ? before : step.sqlite_after,
      ])
      before = after
    }
    expect(vectors.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(REFUSED))
  })

  it('reads rows that Feast wrote, and a table without value_text after setup', async () => {
    await store.setup(TABLES)
    await store.close()
    const db = new DatabaseSync(path())
    db.exec('ALTER TABLE demo_driver_stats DROP COLUMN value_text')
    const key = entityKeyEncoder([{ name: 'driver_id', type: { valueType: 'INT64' } }], 3)([1n])
    db.prepare(
      'INSERT INTO demo_driver_stats(entity_key, feature_name, value, event_ts) VALUES (?, ?, ?, ?)',
    ).run(key, 'trips', Buffer.from('2005', 'hex'), 1785578400)
    db.close()
    store = await open()
    const shape = { features: [{ view: 'driver_stats', feature: 'trips' }], views: ['driver_stats'] }
    const stored = encodeTimestamp(1_785_578_400_000_000n)
    expect(await readCells(store, shape, [key])).toEqual([[Buffer.from('2005', 'hex'), stored]])
    await store.setup(TABLES)
    const row = { entityKey: key, eventTimestamp: 1_785_578_401_000_000n, createdTimestamp: null }
    const values = [Buffer.from('2006', 'hex')]
    await store.write({ table: { ...TABLES[0]!, features: ['trips'] }, rows: [{ ...row, values }] })
    expect((await readCells(store, shape, [key]))[0]![0]).toEqual(values[0])
  })

  it('keeps the text of numbers, booleans and text as Python writes it', async () => {
    const samples: [ValueType, Cell, string | null][] = [
      ['INT64', -(2n ** 63n), '-9223372036854775808'],
      ['DOUBLE', 1e22, '1e+22'],
      ['DOUBLE', Number.NEGATIVE_INFINITY, '-inf'],
      ['FLOAT', 0.1, '0.10000000149011612'],
      ['BOOL', false, 'False'],
      ['STRING', 'é', 'é'],
      ['UNIX_TIMESTAMP', 0n, null],
      ['JSON', '1', null],
      ['STRING', null, null],
    ]
    const table: OnlineTable = { name: 'v', joinKeys: ['k'], features: samples.map((_, i) => `f${i}`) }
    await store.setup([table])
    const values = samples.map(([valueType, cell]) => encodeValue({ valueType }, cell))
    const key = Buffer.from([1])
    await store.write({
      table,
      rows: [{ entityKey: key, values, eventTimestamp: 0n, createdTimestamp: null }],
    })
    const db = new DatabaseSync(path())
    const texts = db.prepare('SELECT value_text FROM demo_v ORDER BY feature_name').all()
    expect(texts.map(({ value_text }: { value_text: string }) => value_text)).toEqual(
      samples.map(([, , text]) => text),
    )
    db.close()
  })

  it('keeps value_num where Feast does, and forgets a vector that its value outlived', async () => {
    await store.close()
    store = await open('demo', { enable_openai_compatible_store: true, vector_enabled: true })
    const table: OnlineTable = { name: 'v', joinKeys: ['k'], features: ['f'] }
    await store.setup([table])
    const write = (cell: Cell, valueType: ValueType, at: bigint) =>
      store.write({
        table,
        rows: [
          {
            entityKey: Buffer.from([1]),
            values: [encodeValue({ valueType }, cell)],
            eventTimestamp: at,
            createdTimestamp: null,
          },
        ],
      })
    const db = new DatabaseSync(path())
    const stored = () => db.prepare('SELECT value_num, vector_value FROM demo_v').get()
    await write(true, 'BOOL', 1n)
    expect(stored()).toMatchObject({ value_num: 1 })
    db.exec(`UPDATE demo_v SET vector_value = x'00'`)
    await write('5', 'STRING', 2n)
    expect(stored()).toMatchObject({ value_num: null, vector_value: null })
    await write(2.5, 'DOUBLE', 3n)
    expect(stored()).toMatchObject({ value_num: 2.5 })
    db.close()
  })

  it('projects in one file do not see each other', async () => {
    const other = await open('other')
    await store.setup(TABLES)
    await other.setup(TABLES)
    await apply(vectors.steps[0]!)
    const shape = { features: [{ view: 'driver_stats', feature: 'trips' }], views: ['driver_stats'] }
    const key = encodedRow(vectors.steps[0]!.write.rows[0]!).entityKey
    expect(await readCells(other, shape, [key])).toEqual([[null, null]])
    await other.teardown(TABLES)
    expect((await readCells(store, shape, [key]))[0]![1]).not.toBeNull()
    await other.close()
  })

  it('deletes the file with its last table, unless somebody has it open', async () => {
    await store.setup(TABLES)
    const holder = await holdOpen(path())
    await store.teardown(TABLES)
    expect(existsSync(path())).toBe(true)
    await holder.stop()
    await store.teardown(TABLES)
    expect(['', '-wal', '-shm'].map((suffix) => existsSync(path() + suffix))).toEqual([false, false, false])
  })

  it('leaves all rows in the file itself when it is closed', async () => {
    await store.setup(TABLES)
    await apply(vectors.steps[0]!)
    await store.close()
    copyFileSync(path(), `${path()}.copy`)
    const db = new DatabaseSync(`${path()}.copy`)
    expect(db.prepare('SELECT count(*) AS n FROM demo_driver_stats').get()).toMatchObject({ n: 10 })
    db.close()
  })

  it('notices that Feast deleted the file and made a new one', async () => {
    await store.setup(TABLES)
    await apply(vectors.steps[0]!)
    for (const suffix of ['', '-wal', '-shm']) rmSync(path() + suffix, { force: true })
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const shape = { features: [{ view: 'driver_stats', feature: 'trips' }], views: ['driver_stats'] }
    const key = encodedRow(vectors.steps[0]!.write.rows[0]!).entityKey
    expect(await readCells(store, shape, [key])).toEqual([[null, null]])
    await store.setup(TABLES)
    await apply(vectors.steps[0]!)
    expect(stateOf()).toEqual(vectors.steps[0]!.sqlite_after)
  })

  it('waits for the lock of another process, which does not hold up everything else', async () => {
    await store.setup(TABLES)
    const other = new DatabaseSync(path())
    other.exec('BEGIN IMMEDIATE')
    // Nothing ends it while the event loop stands still.
    setTimeout(() => other.exec('COMMIT'), 100)
    await apply(vectors.steps[0]!)
    expect(stateOf()).toEqual(vectors.steps[0]!.sqlite_after)
    other.close()
  })

  it('reads a file that may only be read, as Feast left it', async () => {
    mkdirSync(join(folder, 'data'))
    const file = new DatabaseSync(path())
    createTable(file, 'demo_driver_stats', false)
    file.exec(
      "INSERT INTO demo_driver_stats (entity_key, feature_name, value, event_ts) VALUES (x'01', 'trips', x'2005', 7)",
    )
    file.close()
    const shape = { features: [{ view: 'driver_stats', feature: 'trips' }], views: ['driver_stats'] }
    for (const place of [folder, join(folder, 'data'), path()]) chmodSync(place, 0o555)
    await withoutRights(async () => {
      expect(await readCells(store, shape, [Buffer.from([1])])).toEqual([
        [Buffer.from('2005', 'hex'), Buffer.from('0807', 'hex')],
      ])
      await expect(apply(vectors.steps[0]!)).rejects.toMatchObject({
        code: 'ONLINE_STORE_FAILED',
        message: expect.stringContaining('readonly'),
      })
    })
    for (const place of [folder, join(folder, 'data'), path()]) chmodSync(place, 0o755)
  })

  it('reading makes no file, and nothing is there', async () => {
    const shape = { features: [{ view: 'driver_stats', feature: 'trips' }], views: ['driver_stats'] }
    expect(await readCells(store, shape, [Buffer.from([1])])).toEqual([[null, null]])
    expect(existsSync(path())).toBe(false)
  })

  it('lists its tables for the registry as Feast does', () => {
    expect(store.infra(TABLES.slice(0, 1))).toEqual([
      { type: 'sqliteTable', path: path(), name: 'demo_driver_stats' },
    ])
  })

  it('says what to do when the table or a readable file is missing', async () => {
    await expect(apply(vectors.steps[0]!)).rejects.toMatchObject({
      code: 'ONLINE_STORE_FAILED',
      message: expect.stringContaining('run `feast apply`'),
    })
    await store.close()
    store = await open('demo', { path: '.' })
    await expect(store.setup(TABLES)).rejects.toMatchObject({ code: 'ONLINE_STORE_FAILED' })
  })

  it('refuses unknown stores and keys by name', async () => {
    const context = { project: 'p', repoPath: folder, entityKeyVersion: 3, logger: silentLogger } as const
    await expect(openOnlineStore({ type: 'sqlit', options: {} }, context)).rejects.toMatchObject({
      code: 'BACKEND_UNKNOWN',
      message: expect.stringContaining('Did you mean "sqlite"?'),
    })
    await expect(open('p', { paht: 'x' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})
