import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { DigestSource, RegistryDatabase, Row, Transaction } from './registry-database.js'

/** How long locks of others are waited for, all attempts together. */
const PATIENCE_MS = 20_000
/** Shorter than PostgreSQL's own `deadlock_timeout` (1 s): of two that wait for each other it is us who give way. */
const LOCK_TIMEOUT_MS = 500
/** For so long Python Feast is also kept from reading what is about to change. */
const EXCLUSIVE_MS = 2000
const STATEMENT_TIMEOUT_MS = 30_000
/** A process that stands still with locks in its hands loses them. */
const IDLE_TIMEOUT_MS = 10_000

export interface PostgresOptions {
  readonly location: string
  readonly connection: pg.PoolConfig
  /** Try without TLS where the server has none. */
  readonly plainOtherwise: boolean
  readonly maxConnections: number
}

export class PostgresDatabase implements RegistryDatabase {
  readonly location: string
  readonly bytesType = 'BYTEA'
  readonly #options: PostgresOptions
  #pool: pg.Pool | undefined

  constructor(options: PostgresOptions) {
    this.location = options.location
    this.#options = options
  }

  async stamp(): Promise<undefined> {}

  read<Result>(run: (transaction: Transaction) => Promise<Result>): Promise<Result> {
    const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${limits(STATEMENT_TIMEOUT_MS)}`
    return this.#guarded('REGISTRY_UNREADABLE', () => this.#transaction(begin, run))
  }

  write<Result>(
    tables: readonly string[],
    changed: ReadonlySet<string>,
    run: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    return this.#guarded('REGISTRY_WRITE_FAILED', async () => {
      const start = Date.now()
      for (;;) {
        const shut = Date.now() - start < EXCLUSIVE_MS ? changed : new Set<string>()
        try {
          const begin = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ${limits(LOCK_TIMEOUT_MS)}`
          return await this.#transaction(begin, async (transaction) => {
            await lock(transaction, tables, shut)
            return run(transaction)
          })
        } catch (error) {
          if (!isInTheWay(error) || Date.now() - start >= PATIENCE_MS) throw error
          await sleep(10 + 90 * Math.random())
        }
      }
    })
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.end()
  }

  async #transaction<Result>(
    begin: string,
    run: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    const client = await this.#connect()
    // A connection that breaks between two statements says so by this event as well as by failing the next.
    const ignore = () => {}
    client.on('error', ignore)
    let ended = false
    try {
      await client.query(begin)
      const result = await run(new PostgresTransaction(client))
      await client.query('COMMIT').catch((error) => {
        throw isLost(error) ? new CommitUnknown(messageOf(error), { cause: error }) : error
      })
      ended = true
      return result
    } catch (error) {
      // What was refused can be rolled back; a connection that gave no answer is not asked again.
      ended =
        !isLost(error) &&
        (await client.query('ROLLBACK').then(
          () => true,
          () => false,
        ))
      throw error
    } finally {
      client.off('error', ignore)
      client.release(!ended)
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    const { connection, plainOtherwise } = this.#options
    this.#pool ??= this.#newPool(connection)
    try {
      return await this.#pool.connect().catch((error) => {
        if (!plainOtherwise || !/does not support SSL/i.test(messageOf(error))) throw error
        this.#pool = this.#newPool({ ...connection, ssl: false })
        return this.#pool.connect()
      })
    } catch (error) {
      throw feastError('REGISTRY_UNAVAILABLE', { path: this.location, why: messageOf(error) }, error)
    }
  }

  #newPool(connection: pg.PoolConfig): pg.Pool {
    const pool = new pg.Pool({
      connectionTimeoutMillis: 10_000,
      // Where the network swallows everything, the server's own limits are not heard.
      query_timeout: 2 * STATEMENT_TIMEOUT_MS,
      idleTimeoutMillis: 10_000,
      allowExitOnIdle: true,
      keepAlive: true,
      application_name: 'feast-node',
      ...connection,
      max: this.#options.maxConnections,
    })
    // Of a connection that breaks while nobody uses it; the next caller gets another.
    pool.on('error', () => {})
    return pool
  }

  async #guarded<Result>(
    code: 'REGISTRY_UNREADABLE' | 'REGISTRY_WRITE_FAILED',
    run: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await run()
    } catch (error) {
      if (isFeastError(error)) throw error
      const [path, why] = [this.location, messageOf(error)]
      if (isInTheWay(error)) {
        throw feastError('REGISTRY_LOCKED', { path, holder: 'a transaction that does not end' }, error)
      }
      if (error instanceof CommitUnknown) throw feastError('REGISTRY_WRITE_UNKNOWN', { path, why }, error)
      if (isLost(error)) throw feastError('REGISTRY_UNAVAILABLE', { path, why }, error)
      throw feastError(code, { path, why }, error)
    }
  }
}

class PostgresTransaction implements Transaction {
  readonly #client: pg.PoolClient

  constructor(client: pg.PoolClient) {
    this.#client = client
  }

  async query(sql: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    let n = 0
    const text = sql.replaceAll('?', () => `$${++n}`)
    const { rows } = await this.#client.query<Row>(text, parameters.map(asParameter))
    return rows
  }

  async tables(names: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await this.#client.query<{ readonly name: string }>(
      `SELECT relname AS name FROM pg_class
       WHERE relkind IN ('r', 'p') AND relname = ANY($1) AND pg_table_is_visible(oid)`,
      [names],
    )
    return new Set(rows.map(({ name }) => name))
  }

  async digest(sources: readonly DigestSource[]): Promise<string | undefined> {
    if (sources.length === 0) return undefined
    const lines = sources.map(({ table, columns, blobs, where }) => {
      const hashes = blobs.map((blob) => `encode(sha256(${blob}), 'hex')`)
      const parts = [`'${table}'`, ...columns, ...hashes]
      const line = `sha256(convert_to(ROW(${parts.join(', ')})::text, 'UTF8'))`
      return `SELECT ${line} AS line FROM ${table}${where ? ` WHERE ${where}` : ''}`
    })
    const [row] = await this.query(
      `SELECT encode(sha256(string_agg(line, '' ORDER BY line)), 'hex') AS digest
       FROM (${lines.join(' UNION ALL ')}) AS lines`,
    )
    return (row!['digest'] as string | null) ?? undefined
  }
}

/** The connection went away when the change may have been committed already. */
class CommitUnknown extends Error {}

function limits(lockTimeoutMs: number): string {
  return [
    `SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${IDLE_TIMEOUT_MS}`,
    `SET LOCAL lock_timeout = ${lockTimeoutMs}`,
  ].join('; ')
}

/**
 * Keeps every other writer out until the end of the transaction. Python Feast reads a row and then writes it, in one
 * transaction without a lock: a change in between would be lost. So from tables that change it is kept out as a
 * reader too, unless a reader that does not end (a dump) stands in the way.
 */
async function lock(
  transaction: Transaction,
  tables: readonly string[],
  shut: ReadonlySet<string>,
): Promise<void> {
  // Somebody may make tables meanwhile.
  for (let locked = 0; ; ) {
    const present = await transaction.tables(tables)
    if (present.size === locked) return
    const statements = tables
      .filter((table) => present.has(table))
      .map((table) => `LOCK TABLE ${table} IN ${shut.has(table) ? 'ACCESS' : 'SHARE ROW'} EXCLUSIVE MODE`)
    await transaction.query(statements.join('; '))
    locked = present.size
  }
}

function asParameter(value: unknown): unknown {
  return value instanceof Uint8Array && !Buffer.isBuffer(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : value
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? '')
}

/** Lock not had in time, deadlock, serialization failure; a table made, or row added with it, by somebody else first. */
function isInTheWay(error: unknown): boolean {
  return ['55P03', '40P01', '40001', '42P07', '23505'].includes(codeOf(error))
}

/** The server, the network or a limit of theirs ended it: nothing that is wrong with what was asked. */
function isLost(error: unknown): boolean {
  if (error instanceof CommitUnknown) return true
  if (error instanceof pg.DatabaseError) return /^(?:08|25P03|53|57)/.test(codeOf(error))
  return /^E[A-Z]+$/.test(codeOf(error)) || /terminated|timeout|not queryable/i.test(messageOf(error))
}
