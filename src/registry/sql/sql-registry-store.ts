import type { RegistryChange } from '../../core/definition.js'
import { feastError } from '../../core/errors.js'
import type { CompanionObjects } from '../companion-objects.js'
import type { RegistryContents, RegistryStore } from '../registry-store.js'
import { readRecords, tableOf, writeChanges, writeMarker } from './record-rows.js'
import type { RegistryDatabase, Transaction } from './registry-database.js'
import { createStatements, DIGEST_SOURCES, TABLES } from './registry-tables.js'

/** Feast's words: make tables that are missing, insist that none is, or trust that none is. */
export type SchemaMode = 'auto' | 'verify' | 'skip'

export interface SqlRegistryOptions {
  readonly database: RegistryDatabase
  /** Where to read until something was written or written by others first; may lag behind. */
  readonly replica?: RegistryDatabase
  readonly companions: CompanionObjects
  readonly schemaMode: SchemaMode
  /** Whose infra objects are that say nothing of their project. */
  readonly project: string
}

/**
 * Feast's registry tables. Python Feast changes them at any time and counts no versions, so the version is a digest
 * of all that records are made of, taken under a lock when it decides whether to write.
 */
export class SqlRegistryStore implements RegistryStore {
  readonly location: string
  readonly companions: CompanionObjects
  readonly #options: SqlRegistryOptions
  #reading: RegistryDatabase
  /** The version that was found at a stamp, or later. */
  #seen: { readonly stamp: string | undefined; readonly version: string | undefined } = {
    stamp: undefined,
    version: undefined,
  }

  constructor(options: SqlRegistryOptions) {
    const { database, replica, companions } = options
    this.location = database.location
    this.companions = companions
    this.#options = options
    this.#reading = replica ?? database
  }

  read(): Promise<RegistryContents> {
    return this.#reading.read(async (transaction) => {
      const tables = await this.#tables(transaction)
      const version = await versionOf(transaction, tables)
      if (version === undefined) throw feastError('REGISTRY_NOT_FOUND', { path: this.location })
      return { version, records: await readRecords(transaction, tables) }
    })
  }

  async changedSince(version: string): Promise<boolean> {
    const stamp = await this.#reading.stamp()
    if (stamp === undefined || stamp !== this.#seen.stamp) {
      const now = await this.#reading.read(async (transaction) =>
        versionOf(transaction, await this.#tables(transaction)),
      )
      this.#seen = { stamp, version: now }
    }
    return this.#seen.version !== version
  }

  write(changes: readonly RegistryChange[], ifVersion: string | undefined): Promise<string> {
    const { database, project } = this.#options
    // What follows must not be read from a replica that has not heard of it.
    this.#reading = database
    const changed = new Set(changes.map((change) => tableOf('put' in change ? change.put : change.remove)))
    return database.write(TABLES, changed, async (transaction) => {
      const tables = await this.#tables(transaction)
      if ((await versionOf(transaction, tables)) !== ifVersion) {
        throw feastError('REGISTRY_CONFLICT', { path: this.location })
      }
      await this.#createMissing(transaction, tables)
      await writeMarker(transaction)
      await writeChanges(transaction, changes, project)
      return (await versionOf(transaction, new Set(TABLES)))!
    })
  }

  async destroy(ifVersion: string): Promise<void> {
    const { database } = this.#options
    this.#reading = database
    await database.write(TABLES, new Set(TABLES), async (transaction) => {
      const tables = await transaction.tables(TABLES)
      const version = await versionOf(transaction, tables)
      if (version !== undefined && version !== ifVersion) {
        throw feastError('REGISTRY_CONFLICT', { path: this.location })
      }
      for (const table of tables) await transaction.query(`DELETE FROM ${table}`)
    })
  }

  async close(): Promise<void> {
    await this.#options.database.close()
    await this.#options.replica?.close()
  }

  /** Those of Feast's tables that are there. @throws REGISTRY_UNREADABLE with `verify`, when any is not */
  async #tables(transaction: Transaction): Promise<ReadonlySet<string>> {
    const tables = await transaction.tables(TABLES)
    const missing = TABLES.filter((table) => !tables.has(table))
    if (this.#options.schemaMode === 'verify' && missing.length > 0) {
      throw feastError('REGISTRY_TABLES_MISSING', { path: this.location, tables: missing })
    }
    return tables
  }

  async #createMissing(transaction: Transaction, tables: ReadonlySet<string>): Promise<void> {
    if (this.#options.schemaMode !== 'auto') return
    for (const table of TABLES.filter((one) => !tables.has(one))) {
      const statements = createStatements(table, this.#options.database.bytesType)
      for (const statement of statements) await transaction.query(statement)
    }
  }
}

/** undefined when no registry is there. */
function versionOf(transaction: Transaction, tables: ReadonlySet<string>): Promise<string | undefined> {
  return transaction.digest(DIGEST_SOURCES.filter(({ table }) => tables.has(table)))
}
