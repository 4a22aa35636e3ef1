import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseTrinoType, quoted, textLiteral } from '../../src/offline-stores/sql/trino-types.js'
import { type Json, parseTrinoJson } from '../../src/offline-stores/trino/trino-json.js'
import { AthenaFault } from '../aws-emulator/athena/athena-fault.js'
import { type GlueCatalog, type GlueTable, tablesNamed } from '../aws-emulator/athena/glue-catalog.js'
import {
  type EngineQuery,
  type QueryEngine,
  type ResultColumn,
  refuseUnwritable,
  type SelectedRows,
  type WriteTarget,
  type WrittenRows,
} from '../aws-emulator/athena/query-engine.js'
import { ATHENA_CATALOG, type TrinoServer } from './trino-server.js'

/** Where results are written before they are moved to where they belong. */
const SCRATCH = 'written'

interface Answer {
  readonly columns: readonly ResultColumn[]
  readonly rows: readonly (readonly Json[])[]
  /** Read from files, as Trino counts them. */
  readonly bytes: number
}

/**
 * Queries of the emulated Athena on a real Trino: tables and views that a query names are made known to it as they are
 * in the catalog at that moment. The emulated S3 must lie in the server's warehouse.
 */
export class TrinoQueryEngine implements QueryEngine {
  readonly #known = new Map<string, GlueTable>()
  #refreshing: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly catalog: GlueCatalog,
    private readonly server: TrinoServer,
  ) {}

  async select(query: EngineQuery): Promise<SelectedRows> {
    await this.#refresh(query.sql)
    const { columns, rows, bytes } = await this.#run(query.sql, query)
    query.onScan(bytes)
    return { columns, rows: rows.map((row) => row.map(textOf)) }
  }

  async write(
    query: EngineQuery,
    folder: string,
    prefix: string,
    { names, isIceberg: isFine }: WriteTarget = { isIceberg: false },
  ): Promise<WrittenRows> {
    await this.#refresh(query.sql)
    const sql = names ? `SELECT * FROM (\n${query.sql}\n) AS q (${names.map(quoted).join(', ')})` : query.sql
    const { columns } = await this.#run(`SELECT * FROM (\n${sql}\n) LIMIT 0`, query)
    for (const column of columns) refuseUnwritable(column, isFine)
    const id = randomUUID().replaceAll('-', '')
    const table = [ATHENA_CATALOG, SCRATCH, `w${id}`].map(quoted).join('.')
    const written = join(this.server.warehouse, SCRATCH, id)
    await this.#run(`CREATE SCHEMA IF NOT EXISTS ${ATHENA_CATALOG}.${SCRATCH}`, query)
    try {
      const place = `external_location = ${textLiteral(this.#uri(written))}, format = 'PARQUET'`
      const made = await this.#run(`CREATE TABLE ${table} WITH (${place}) AS\n${sql}`, query)
      query.onScan(made.bytes)
      const rowCount = Number(made.rows[0]?.[0] ?? 0)
      const files = rowCount === 0 ? [] : moved(written, folder, prefix)
      return { columns, rowCount, files }
    } catch (error) {
      // Without rows nothing is written, and Trino misses the place.
      if (!/External table location does not exist/.test(String(error))) throw error
      return { columns, rowCount: 0, files: [] }
    } finally {
      await this.#run(`DROP TABLE IF EXISTS ${table}`, { database: SCRATCH })
      rmSync(written, { recursive: true, force: true })
    }
  }

  async close(): Promise<void> {
    for (const database of this.catalog.databases)
      for (const table of this.catalog.tables(database)) await this.#forget(table)
  }

  /** One at a time: two would make the same table. */
  #refresh(sql: string): Promise<void> {
    const refreshed = this.#refreshing.then(async () => {
      for (const table of tablesNamed(this.catalog, sql)) await this.#makeKnown(table)
    })
    this.#refreshing = refreshed.catch(() => undefined)
    return refreshed
  }

  async #makeKnown(table: GlueTable): Promise<void> {
    const ref = refOf(table)
    const known = this.#known.get(ref)
    if (known !== table) {
      if (known) await this.#forget(known)
      await this.#run(`CREATE SCHEMA IF NOT EXISTS ${ATHENA_CATALOG}.${quoted(table.database)}`, table)
      await this.#run(table.view === undefined ? this.#definition(table) : viewOf(table), table)
      this.#known.set(ref, table)
    }
    if (table.partitionKeys.length > 0) {
      const names = [table.database, table.name, 'FULL'].map(textLiteral).join(', ')
      await this.#run(`CALL ${ATHENA_CATALOG}.system.sync_partition_metadata(${names})`, table)
    }
  }

  async #forget(table: GlueTable): Promise<void> {
    const kind = table.view === undefined ? 'TABLE' : 'VIEW'
    if (this.#known.delete(refOf(table))) await this.#run(`DROP ${kind} IF EXISTS ${refOf(table)}`, table)
  }

  /** Partition keys come last. All times have six digits, whether the table is of Hive or of Iceberg. */
  #definition(table: GlueTable): string {
    const path = this.catalog.pathOf(table.location)
    mkdirSync(path, { recursive: true })
    const columns = [...table.columns, ...table.partitionKeys].map(({ name, type }) => {
      const { text } = parseTrinoType(type)
      return `${quoted(name)} ${text.replaceAll('TIMESTAMP(3)', 'TIMESTAMP(6)')}`
    })
    const keys = table.partitionKeys.map(({ name }) => textLiteral(name))
    const options = [
      `external_location = ${textLiteral(this.#uri(path))}`,
      `format = 'PARQUET'`,
      ...(keys.length > 0 ? [`partitioned_by = ARRAY[${keys.join(', ')}]`] : []),
    ]
    return `CREATE TABLE ${refOf(table)} (${columns.join(', ')}) WITH (${options.join(', ')})`
  }

  #uri(path: string): string {
    return `local:///${relative(this.server.warehouse, path)}`
  }

  /** @throws AthenaFault with what Trino says */
  async #run(
    sql: string,
    { database, signal }: Pick<EngineQuery, 'database'> & { readonly signal?: AbortSignal },
  ): Promise<Answer> {
    const headers = {
      'X-Trino-User': 'athena',
      'X-Trino-Catalog': ATHENA_CATALOG,
      'X-Trino-Schema': database.toLowerCase(),
      'X-Trino-Time-Zone': 'UTC',
      'X-Trino-Client-Capabilities': 'PARAMETRIC_DATETIME',
    }
    const rows: (readonly Json[])[] = []
    let columns: readonly ResultColumn[] = []
    let page = await ask(`${this.server.url}/v1/statement`, { method: 'POST', headers, body: sql })
    for (;;) {
      if (page.error)
        throw new AthenaFault(
          `${page.error.errorName}: ${page.error.message}`,
          page.error.errorType === 'USER_ERROR' ? 2 : 1,
        )
      columns = page.columns ?? columns
      rows.push(...(page.data ?? []))
      if (page.nextUri === undefined) return { columns, rows, bytes: page.stats.physicalInputBytes ?? 0 }
      if (signal?.aborted) {
        await fetch(page.nextUri, { method: 'DELETE', headers })
        throw signal.reason
      }
      page = await ask(page.nextUri, { headers })
    }
  }
}

interface Page {
  readonly nextUri?: string
  readonly columns?: readonly ResultColumn[]
  readonly data?: readonly (readonly Json[])[]
  readonly stats: { readonly physicalInputBytes?: number }
  readonly error?: { readonly message: string; readonly errorName: string; readonly errorType: string }
}

async function ask(url: string, init: RequestInit): Promise<Page> {
  const answer = await fetch(url, init)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`Trino answered ${answer.status}: ${text.slice(0, 300)}`)
  return parseTrinoJson(text) as unknown as Page
}

function refOf({ database, name }: GlueTable): string {
  return [ATHENA_CATALOG, database.toLowerCase(), name].map(quoted).join('.')
}

function viewOf(table: GlueTable): string {
  return `CREATE OR REPLACE VIEW ${refOf(table)} AS\n${table.view}`
}

/** Files of a folder, moved into another under names of ours. */
function moved(from: string, to: string, prefix: string): readonly string[] {
  mkdirSync(to, { recursive: true })
  return readdirSync(from)
    .filter((name) => !/^[._]/.test(name) && existsSync(join(from, name)))
    .map((name, index) => {
      const target = `${prefix}_${index}.parquet`
      renameSync(join(from, name), join(to, target))
      return target
    })
}

function textOf(value: Json): string | null {
  if (value === null) return null
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
