import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync, type DatabaseSyncInstance, type StatementSyncInstance } from '@photostructure/sqlite'
import { encodeTimestampParts } from '../../codec/timestamp.js'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import { rowOfCells } from '../online-row.js'
import type {
  InfraObject,
  OnlineReader,
  OnlineRow,
  OnlineStore,
  OnlineTable,
  OnlineWriteBatch,
  ReadShape,
} from '../online-store.js'
import {
  addColumns,
  columnsByTable,
  columnsOf,
  createTable,
  missingColumns,
  quoted,
  readSql,
  tableName,
} from './sqlite-tables.js'
import { dropSubseconds, SqliteWriter, SUBSECOND_TABLE } from './sqlite-writer.js'

export interface SqliteOnlineStoreOptions {
  readonly path: string
  readonly project: string
  readonly hasVectors: boolean
  readonly hasNumbers: boolean
}

/** How long a lock of another process is waited for. */
const PATIENCE_MS = 10_000
/** How much of each look at it blocks this process, which answers nobody meanwhile. */
const BUSY_TIMEOUT_MS = 25
/** Cells of one transaction: some 25 ms, so that neither other writers nor this process's requests wait long. */
const TRANSACTION_CELLS = 10_000
const STATEMENTS = 200
/** How often the file is looked for under its name: Feast's teardown deletes it while we have it open. */
const MOVED_CHECK_MS = 1000

/** Feast's SQLite tables. One connection; calls are short and run one after another. */
export class SqliteOnlineStore implements OnlineStore {
  readonly #options: SqliteOnlineStoreOptions
  #db: DatabaseSyncInstance | undefined
  #inode = 0
  #lookAgainAt = 0
  #closed = false
  readonly #readers = new Map<string, StatementSyncInstance>()
  readonly #writers = new Map<string, SqliteWriter>()

  constructor(options: SqliteOnlineStoreOptions) {
    this.#options = options
  }

  prepareRead(shape: ReadShape): OnlineReader {
    const plan = shape.views.map((view, index) => this.#viewPlan(shape, view, shape.features.length + index))
    const cells = shape.features.length + shape.views.length
    return { read: (keys) => this.#untilFree(() => this.#read(plan, cells, keys)) }
  }

  async write({ table, rows }: OnlineWriteBatch): Promise<void> {
    if (table.features.length === 0) return
    const rowsPerTransaction = Math.max(1, Math.floor(TRANSACTION_CELLS / table.features.length))
    for (let start = 0; start < rows.length; start += rowsPerTransaction) {
      if (start > 0) await nextTick()
      await this.#untilFree(() => {
        const db = this.#open()
        const writer = this.#writer(db, table)
        inTransaction(db, () =>
          writer.writeRows(rows, start, Math.min(rows.length, start + rowsPerTransaction)),
        )
      })
    }
  }

  async setup(tables: readonly OnlineTable[]): Promise<void> {
    if (tables.length === 0) return
    await this.#untilFree(() => {
      const db = this.#open()
      const { hasNumbers } = this.#options
      const present = columnsByTable(db)
      const wanting = tables
        .map((table) => this.#tableName(table.name))
        .map((name) => ({ name, missing: missingColumns(present.get(name) ?? new Set(), hasNumbers) }))
        .filter(({ missing }) => missing.length > 0)
      if (wanting.length === 0) return
      inTransaction(db, () => {
        for (const { name, missing } of wanting) {
          if (present.has(name)) addColumns(db, name, missing)
          createTable(db, name, hasNumbers)
        }
      })
      this.#forgetStatements()
    })
  }

  async teardown(tables: readonly OnlineTable[]): Promise<void> {
    await this.#untilFree(() => {
      if (!existsSync(this.#options.path)) return
      const db = this.#open()
      this.#forgetStatements()
      inTransaction(db, () => {
        for (const table of tables) {
          const name = this.#tableName(table.name)
          db.exec(`DROP TABLE IF EXISTS ${quoted(name)}`)
          dropSubseconds(db, name)
        }
      })
      this.#removeWhenEmpty(db)
    })
  }

  infra(tables: readonly OnlineTable[]): readonly InfraObject[] {
    return tables.map((table) => ({
      type: 'sqliteTable',
      path: this.#options.path,
      name: this.#tableName(table.name),
    }))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#disconnect()
  }

  #tableName(view: string): string {
    return tableName(this.#options.project, view)
  }

  #viewPlan({ features }: ReadShape, view: string, timestampCell: number): ViewPlan {
    const cellsOf = new Map<string, number[]>()
    features.forEach((feature, cell) => {
      if (feature.view !== view) return
      const cells = cellsOf.get(feature.feature)
      if (cells) cells.push(cell)
      else cellsOf.set(feature.feature, [cell])
    })
    const table = this.#tableName(view)
    return { table, sql: readSql(table, [...cellsOf.keys()]), cellsOf, timestampCell }
  }

  #read(plan: readonly ViewPlan[], cells: number, keys: readonly Buffer[]): readonly OnlineRow[] {
    const rows = keys.map(() => new Array<Uint8Array | null>(cells).fill(null))
    const db = keys.length === 0 ? undefined : this.#openExisting()
    if (!db) return rows.map(rowOfCells)
    // One transaction: all views and rows are of the same moment.
    db.exec('BEGIN')
    try {
      for (const view of plan) {
        const statement = this.#reader(db, view)
        if (statement) for (let i = 0; i < keys.length; i++) readRow(statement, view, keys[i]!, rows[i]!)
      }
    } finally {
      db.exec('COMMIT')
    }
    return rows.map(rowOfCells)
  }

  /** undefined: there is no such table (yet), so no rows either. */
  #reader(db: DatabaseSyncInstance, { sql, table }: ViewPlan): StatementSyncInstance | undefined {
    const known = this.#readers.get(sql)
    if (known) return known
    if (columnsOf(db, table).length === 0) return undefined
    const statement = db.prepare(sql)
    statement.setReturnArrays(true)
    return remember(this.#readers, sql, statement)
  }

  #writer(db: DatabaseSyncInstance, table: OnlineTable): SqliteWriter {
    const name = this.#tableName(table.name)
    const shape = JSON.stringify([name, table.features])
    const known = this.#writers.get(shape)
    if (known) return known
    if (columnsOf(db, name).length === 0) {
      throw this.#failed(`there is no table "${name}"; run \`feast apply\` first`)
    }
    return remember(this.#writers, shape, new SqliteWriter(db, name, table.features, this.#options))
  }

  #openExisting(): DatabaseSyncInstance | undefined {
    const connected = this.#connected()
    if (connected) return connected
    return existsSync(this.#options.path) ? this.#open() : undefined
  }

  #open(): DatabaseSyncInstance {
    if (this.#closed) throw this.#failed('it was closed')
    const connected = this.#connected()
    if (connected) return connected
    mkdirSync(dirname(this.#options.path), { recursive: true })
    const db = new DatabaseSync(this.#options.path, { timeout: BUSY_TIMEOUT_MS })
    try {
      useWriteAheadLog(db)
    } catch (error) {
      db.close()
      throw error
    }
    this.#db = db
    this.#inode = statSync(this.#options.path).ino
    this.#lookAgainAt = Date.now() + MOVED_CHECK_MS
    return db
  }

  /** The connection, unless the file it stands on is no longer the one of that name. */
  #connected(): DatabaseSyncInstance | undefined {
    const now = Date.now()
    if (this.#db && now >= this.#lookAgainAt) {
      this.#lookAgainAt = now + MOVED_CHECK_MS
      const inode = statSync(this.#options.path, { throwIfNoEntry: false })?.ino
      if (inode !== this.#inode) this.#disconnect()
    }
    return this.#db
  }

  /** Feast's teardown deletes the file. So do we, unless tables are left in it or somebody has it open. */
  #removeWhenEmpty(db: DatabaseSyncInstance): void {
    const left = db
      .prepare(`SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name <> ?`)
      .get(SUBSECOND_TABLE)
    if (left.n > 0) return
    db.exec(`DROP TABLE IF EXISTS ${SUBSECOND_TABLE}`)
    if (!leaveWriteAheadLog(db)) return
    this.#disconnect()
    for (const suffix of ['', '-journal', '-wal', '-shm'])
      rmSync(this.#options.path + suffix, { force: true })
  }

  #forgetStatements(): void {
    this.#readers.clear()
    this.#writers.clear()
  }

  #disconnect(): void {
    this.#forgetStatements()
    if (!this.#db) return
    moveLogIntoFile(this.#db)
    this.#db.close()
    this.#db = undefined
  }

  #failed(why: string, cause?: unknown): Error {
    return feastError('ONLINE_STORE_FAILED', { store: this.#options.path, why }, cause)
  }

  async #untilFree<T>(run: () => T): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      try {
        return this.#guarded(run)
      } catch (error) {
        if (!isFeastError(error, 'ONLINE_STORE_UNAVAILABLE') || Date.now() >= deadline) throw error
        await sleep(5 + 20 * Math.random())
      }
    }
  }

  #guarded<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      if (isFeastError(error)) throw error
      // Statements may stand on a schema that is gone.
      this.#forgetStatements()
      const why = messageOf(error)
      if (!/locked|busy/i.test(why)) throw this.#failed(why, error)
      throw feastError('ONLINE_STORE_UNAVAILABLE', { store: this.#options.path, why }, error)
    }
  }
}

interface ViewPlan {
  readonly table: string
  readonly sql: string
  /** Feature name → cells of the row. */
  readonly cellsOf: ReadonlyMap<string, readonly number[]>
  readonly timestampCell: number
}

type FoundRow = readonly [string | null, Uint8Array | null, number | null]

function readRow(
  statement: StatementSyncInstance,
  view: ViewPlan,
  key: Buffer,
  row: (Uint8Array | null)[],
): void {
  for (const [feature, value, newest] of statement.all(key) as FoundRow[]) {
    if (feature === null) {
      if (newest === null) return
      row[view.timestampCell] = encodeTimestampParts(newest, 0)
    } else if (value !== null) {
      for (const place of view.cellsOf.get(feature)!) row[place] = value
    }
  }
}

/**
 * Readers and the writer then never wait for each other. Where the file system cannot do it, the file may only be
 * read, or somebody keeps it busy, the journal that is there does too, only slower.
 */
function useWriteAheadLog(db: DatabaseSyncInstance): void {
  try {
    db.exec('PRAGMA journal_mode = WAL')
  } catch (error) {
    if (!/locked|busy|readonly/i.test(messageOf(error))) throw error
  }
  // A commit is on disk before a materialization is recorded as done.
  db.exec('PRAGMA synchronous = FULL')
}

/**
 * SQLite does so itself when the last connection closes, but statements keep a connection of this library open
 * until they are collected as garbage. A copy of the file alone is then complete.
 */
function moveLogIntoFile(db: DatabaseSyncInstance): void {
  try {
    db.exec('PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)')
  } catch {
    // Somebody is reading; the log stays beside the file, which is as good.
  }
}

/** False when another connection has the file open. */
function leaveWriteAheadLog(db: DatabaseSyncInstance): boolean {
  try {
    db.exec('PRAGMA busy_timeout = 0')
    return db.prepare('PRAGMA journal_mode = DELETE').get().journal_mode === 'delete'
  } catch {
    return false
  } finally {
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  }
}

function inTransaction(db: DatabaseSyncInstance, run: () => void): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    run()
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

function remember<T>(cache: Map<string, T>, key: string, made: T): T {
  if (cache.size >= STATEMENTS) cache.clear()
  cache.set(key, made)
  return made
}
