import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite'
import type { EncodedRow } from '../../codec/rows.js'
import { floorSeconds } from '../../codec/timestamp.js'
import { valuePythonText } from '../../codec/value-json.js'
import { quoted, upsertSql } from './sqlite-tables.js'

/**
 * Feast's event_ts holds whole seconds, so which of two rows of one second is newer would be lost. The exact
 * times of rows with a fraction of a second stand in this table, which Feast does not know and does not mind.
 * An entry counts only while event_ts still shows its second.
 */
export const SUBSECOND_TABLE = 'feast_node_subsecond'

/** Writes rows of one table and set of features. Transactions are the caller's. */
export class SqliteWriter {
  readonly #db: DatabaseSyncInstance
  readonly #table: string
  readonly #featureCount: number
  readonly #hasNumbers: boolean
  readonly #newest: StatementSyncInstance
  readonly #upsert: StatementSyncInstance
  readonly #subsecondsExist: StatementSyncInstance
  #subseconds: Subseconds | undefined

  constructor(
    db: DatabaseSyncInstance,
    table: string,
    features: readonly string[],
    options: { readonly hasNumbers: boolean; readonly hasVectors: boolean },
  ) {
    this.#db = db
    this.#table = table
    this.#featureCount = features.length
    this.#hasNumbers = options.hasNumbers
    this.#newest = db.prepare(`SELECT max(event_ts) FROM ${quoted(table)} WHERE entity_key = ?`)
    this.#newest.setReturnArrays(true)
    this.#upsert = db.prepare(upsertSql(table, features, options))
    this.#subsecondsExist = db.prepare(`SELECT 1 FROM sqlite_master WHERE name = '${SUBSECOND_TABLE}'`)
  }

  /** Newest event time wins, row by row: a row that is older or of the same time changes nothing. */
  writeRows(rows: readonly EncodedRow[], start: number, end: number): void {
    this.#subseconds = this.#subsecondsExist.get() ? this.#openSubseconds() : undefined
    for (let i = start; i < end; i++) this.#writeRow(rows[i]!)
  }

  #writeRow({ entityKey, values, eventTimestamp, createdTimestamp }: EncodedRow): void {
    const seconds = floorSeconds(eventTimestamp)
    const fraction = eventTimestamp - seconds * 1_000_000n
    const stored = this.#newest.get(entityKey)[0] as number | null
    if (stored !== null) {
      if (seconds < stored) return
      if (seconds === BigInt(stored) && fraction <= this.#storedFraction(entityKey, seconds)) return
    }
    const created = createdTimestamp === null ? null : Number(floorSeconds(createdTimestamp))
    this.#upsert.run(...this.#parameters(entityKey, Number(seconds), created, values))
    if (fraction !== 0n) this.#keepFraction(entityKey, eventTimestamp)
  }

  #parameters(
    entityKey: Buffer,
    seconds: number,
    created: number | null,
    values: readonly Buffer[],
  ): unknown[] {
    const parameters: unknown[] = [entityKey, seconds, created]
    for (let i = 0; i < this.#featureCount; i++) {
      const text = valuePythonText(values[i]!)
      parameters.push(values[i], text)
      if (this.#hasNumbers) parameters.push(numberOf(values[i]!, text))
    }
    return parameters
  }

  #storedFraction(entityKey: Buffer, seconds: bigint): bigint {
    const found = this.#subseconds?.find.get(this.#table, entityKey)?.[0] as number | undefined
    if (found === undefined) return 0n
    const fraction = BigInt(found) - seconds * 1_000_000n
    return fraction >= 0n && fraction < 1_000_000n ? fraction : 0n
  }

  #keepFraction(entityKey: Buffer, micros: bigint): void {
    if (!this.#subseconds) {
      this.#db.exec(
        `CREATE TABLE IF NOT EXISTS ${SUBSECOND_TABLE} (table_name TEXT, entity_key BLOB, event_us INTEGER, PRIMARY KEY(table_name, entity_key)) WITHOUT ROWID`,
      )
      this.#subseconds = this.#openSubseconds()
    }
    this.#subseconds.keep.run(this.#table, entityKey, micros)
  }

  #openSubseconds(): Subseconds {
    if (this.#subseconds) return this.#subseconds
    const find = this.#db.prepare(
      `SELECT event_us FROM ${SUBSECOND_TABLE} WHERE table_name = ? AND entity_key = ?`,
    )
    find.setReturnArrays(true)
    const keep = this.#db.prepare(
      `INSERT INTO ${SUBSECOND_TABLE} VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET event_us = excluded.event_us`,
    )
    return { find, keep }
  }
}

interface Subseconds {
  readonly find: StatementSyncInstance
  readonly keep: StatementSyncInstance
}

export function dropSubseconds(db: DatabaseSyncInstance, table: string): void {
  const exists = db.prepare(`SELECT 1 FROM sqlite_master WHERE name = '${SUBSECOND_TABLE}'`).get()
  if (exists) db.prepare(`DELETE FROM ${SUBSECOND_TABLE} WHERE table_name = ?`).run(table)
}

/** Feast's value_num: numbers and booleans, not text that looks like one. */
function numberOf(value: Buffer, text: string | null): number | null {
  if (text === null || value[0] === 0x12) return null
  return text === 'True' ? 1 : text === 'False' ? 0 : Number(text.replace('inf', 'Infinity'))
}
