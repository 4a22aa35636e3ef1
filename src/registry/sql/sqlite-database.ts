import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { DigestSource, RegistryDatabase, Row, Transaction } from './registry-database.js'

/** How long a lock of somebody else is waited for. */
const PATIENCE_MS = 20_000
/** How much of that blocks this process. */
const BUSY_TIMEOUT_MS = 10

/** A SQLite file: one connection, one transaction after another. The journal mode stays as it is found. */
export class SqliteDatabase implements RegistryDatabase {
  readonly location: string
  readonly bytesType = 'BLOB'
  readonly #path: string
  #db: DatabaseSyncInstance | undefined
  #inode = 0
  /** Changes of this connection; SQLite counts those of others. */
  #writes = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(path: string, location: string) {
    this.#path = path
    this.location = location
  }

  stamp(): Promise<string | undefined> {
    return this.#next('REGISTRY_UNREADABLE', async () => {
      const version = await this.#untilFree(() => this.#existing()?.prepare('PRAGMA data_version').get())
      if (version === undefined) return undefined
      return `${this.#inode} ${this.#writes} ${version.data_version}`
    })
  }

  read<Result>(run: (transaction: Transaction) => Promise<Result>): Promise<Result> {
    const attempt = async () => {
      const db = this.#existing()
      if (!db) return run(NO_TABLES)
      db.exec('BEGIN')
      try {
        return await run(new SqliteTransaction(db))
      } finally {
        if (db.isTransaction) db.exec('ROLLBACK')
      }
    }
    return this.#next('REGISTRY_UNREADABLE', () => this.#untilFree(attempt))
  }

  write<Result>(
    _tables: readonly string[],
    _changed: ReadonlySet<string>,
    run: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    return this.#next('REGISTRY_WRITE_FAILED', async () => {
      const db = await this.#untilFree(() => {
        const opened = this.#open()
        opened.exec('BEGIN IMMEDIATE')
        return opened
      })
      try {
        const result = await run(new SqliteTransaction(db))
        // In the way now are only readers, who soon leave.
        await this.#untilFree(() => db.exec('COMMIT'))
        this.#writes++
        return result
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    })
  }

  async close(): Promise<void> {
    await this.#last
    this.#db?.close()
    this.#db = undefined
  }

  /** One after another: a connection has one transaction. */
  #next<Result>(code: 'REGISTRY_UNREADABLE' | 'REGISTRY_WRITE_FAILED', run: () => Promise<Result>) {
    const result = this.#last.then(async () => {
      try {
        return await run()
      } catch (error) {
        if (isFeastError(error)) throw error
        const [path, why] = [this.location, messageOf(error)]
        if (isBusy(error)) throw feastError('REGISTRY_LOCKED', { path, holder: 'another process' }, error)
        throw feastError(code, { path, why }, error)
      }
    })
    this.#last = result.catch(() => {})
    return result
  }

  async #untilFree<Result>(run: () => Result | Promise<Result>): Promise<Result> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      try {
        return await run()
      } catch (error) {
        if (!isBusy(error) || Date.now() >= deadline) throw error
        await sleep(5 + 20 * Math.random())
      }
    }
  }

  /** A registry is not made by looking for it. */
  #existing(): DatabaseSyncInstance | undefined {
    return existsSync(this.#path) ? this.#open() : undefined
  }

  /** Anew when the file is no longer the one that was opened. */
  #open(): DatabaseSyncInstance {
    const inode = statSync(this.#path, { throwIfNoEntry: false })?.ino
    if (this.#db && inode === this.#inode) return this.#db
    this.#db?.close()
    this.#db = undefined
    mkdirSync(dirname(this.#path), { recursive: true })
    const db = new DatabaseSync(this.#path, { timeout: BUSY_TIMEOUT_MS })
    try {
      // Locked while somebody undoes what a killed writer had begun.
      db.exec('PRAGMA synchronous = FULL')
    } catch (error) {
      db.close()
      throw error
    }
    this.#inode = statSync(this.#path).ino
    this.#db = db
    return db
  }
}

class SqliteTransaction implements Transaction {
  readonly #db: DatabaseSyncInstance

  constructor(db: DatabaseSyncInstance) {
    this.#db = db
  }

  async query(sql: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    return this.#db.prepare(sql).all(...parameters) as Row[]
  }

  async tables(names: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.query("SELECT name FROM sqlite_master WHERE type = 'table'")
    const present = new Set(rows.map(({ name }) => name))
    return new Set(names.filter((name) => present.has(name)))
  }

  async digest(sources: readonly DigestSource[]): Promise<string | undefined> {
    const lines: string[] = []
    for (const { table, columns, blobs, where } of sources) {
      const selected = [...columns, ...blobs].join(', ')
      const statement = this.#db.prepare(`SELECT ${selected} FROM ${table}${where ? ` WHERE ${where}` : ''}`)
      for (const row of statement.iterate() as Iterable<Row>) {
        const hashes = blobs.map((blob) => sha256(row[blob] as Uint8Array))
        lines.push(JSON.stringify([table, ...columns.map((column) => row[column]), ...hashes]))
      }
    }
    return lines.length === 0 ? undefined : sha256(lines.sort().join('\n'))
  }
}

/** Where there is no file. */
const NO_TABLES: Transaction = {
  query: async () => [],
  tables: async () => new Set(),
  digest: async () => undefined,
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function isBusy(error: unknown): boolean {
  return /database (?:table )?is locked|SQLITE_BUSY/i.test(messageOf(error))
}
