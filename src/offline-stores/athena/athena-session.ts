import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ColumnBatch } from '../../core/cell.js'
import { messageOf } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import { openLocalEngine } from '../index.js'
import type { QueryCost } from '../offline-store.js'
import type { SqlDialect } from '../sql/sql-dialect.js'
import type { StreamedStatement, TablePlace, WarehouseSession } from '../sql/sql-warehouse.js'
import { type StagedColumn, stagedBatches, stagedColumns } from '../sql/staged-columns.js'
import type { AthenaQueries, TextRows } from './athena-queries.js'
import { type AthenaStaging, scratchTable } from './athena-staging.js'
import { createExternalTable, dropTable, hiveTypeOf } from './hive-ddl.js'
import { CostLedger } from './query-cost.js'
import { readUnloaded } from './read-unloaded.js'
import { tableLocation } from './table-location.js'
import { unloadStatement } from './unload-statement.js'

export interface AthenaParts {
  readonly queries: AthenaQueries
  readonly staging: AthenaStaging
  readonly dialect: SqlDialect
  readonly catalog: string
  /** Where scratch tables are made. */
  readonly scratchDatabase: string
  readonly pricePerTb: number
}

/** One request: its folder, its tables, what it has cost. */
export class AthenaSession implements WarehouseSession {
  readonly #folder: string
  readonly #tables: TablePlace[] = []
  readonly #ledger: CostLedger
  #steps = 0

  constructor(
    private readonly parts: AthenaParts,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#folder = parts.staging.newRequest()
    this.#ledger = new CostLedger(parts.pricePerTb)
  }

  get cost(): QueryCost {
    return this.#ledger.total
  }

  async stageRows(fields: readonly Field[], batches: AsyncIterable<ColumnBatch>): Promise<string> {
    const columns = stagedColumns(fields, this.parts.dialect)
    const table = this.#newTable()
    await this.#makeTable(table, `${this.#folder}rows${this.#steps++}/`, columns, batches)
    const values = columns.map(({ value, stored }) => `${value} AS ${stored.name}`)
    return `(SELECT ${values.join(', ')} FROM ${this.#ref(table)}) AS staged`
  }

  async stageQuery(sql: string): Promise<string> {
    const table = this.#newTable()
    const folder = `${this.#folder}rows${this.#steps++}/`
    await this.#run(await this.#tableOf(this.#ref(table), sql, () => folder))
    return this.#ref(table)
  }

  async keepQuery(table: TablePlace, sql: string): Promise<number> {
    const folder = await this.#begin(table)
    const make = await this.#tableOf(this.#ref(table), sql, (attempt) => `${folder}rows${attempt}/`)
    const { QueryExecutionId: id } = await this.#run(make)
    const written = await this.parts.queries.written(id!, this.signal)
    return written ?? Number((await this.numbers(`SELECT count(*) FROM ${this.#ref(table)}`))[0])
  }

  async keepRows(
    table: TablePlace,
    columns: readonly StagedColumn[],
    batches: AsyncIterable<ColumnBatch>,
  ): Promise<number> {
    return this.#makeTable(table, `${await this.#begin(table)}rows/`, columns, batches)
  }

  /** An object tells of the table before it is there, so that whatever happens it can be found. */
  async #begin(table: TablePlace): Promise<string> {
    const folder = this.parts.staging.kept(table)
    await (await this.parts.staging.objects()).write(`${folder}begun`, Buffer.alloc(0), undefined)
    return folder
  }

  /** The statement that makes a table of a query. */
  async #tableOf(ref: string, sql: string, folder: (attempt: number) => string) {
    const isEnforced = (await this.parts.queries.workgroup()).Configuration?.EnforceWorkGroupConfiguration
    return (attempt: number) => {
      // A workgroup with a place of its own allows no other for tables.
      const place = isEnforced ? '' : `, external_location = '${folder(attempt)}'`
      return `CREATE TABLE ${ref} WITH (format = 'PARQUET'${place}) AS\n${sql}`
    }
  }

  /** An external table over a file of these rows. @returns how many there are */
  async #makeTable(
    { schema, name }: TablePlace,
    location: string,
    columns: readonly StagedColumn[],
    batches: AsyncIterable<ColumnBatch>,
  ): Promise<number> {
    const scratch = await mkdtemp(join(tmpdir(), 'feast-rows-'))
    const local = await openLocalEngine()
    let rows = 0
    try {
      const session = await local.open(this.signal)
      try {
        const stored = columns.map((column) => column.stored)
        const loaded = await session.load('given', stored, stagedBatches(batches, columns))
        const named = loaded.columns.map(({ ref }, index) => `${ref} AS "${stored[index]!.name}"`)
        const path = join(scratch, 'rows.parquet')
        const select = `SELECT ${named.join(', ')} FROM ${loaded.sql}`
        rows = (await session.copy(select, stored, path, 'parquet')).rows
        await (await this.parts.staging.objects()).upload(path, `${location}rows.parquet`, this.signal)
      } finally {
        await session.close()
      }
    } finally {
      await local.close()
      await rm(scratch, { recursive: true, force: true })
    }
    const hive = columns.map(({ stored, type }) => ({ name: stored.name, type: hiveTypeOf(type) }))
    await this.#run(createExternalTable(schema, name, hive, location))
    return rows
  }

  async execute(sql: string): Promise<void> {
    await this.#run(sql)
  }

  /** A small result. */
  async texts(sql: string): Promise<TextRows> {
    const { QueryExecutionId: id } = await this.#run(sql)
    return this.parts.queries.rows(id!, this.signal)
  }

  async numbers(sql: string): Promise<readonly (bigint | null)[]> {
    const { rows } = await this.texts(sql)
    return rows[0]!.map((cell) => (cell === null ? null : BigInt(cell)))
  }

  async *stream({ sql, fields, orderBy }: StreamedStatement): AsyncGenerator<ColumnBatch> {
    const step = this.#steps++
    const to = (attempt: number) => `${this.#folder}out${step}-${attempt}/`
    const execution = await this.#run((attempt) =>
      unloadStatement(sql, fields, to(attempt), this.parts.dialect),
    )
    const manifest = execution.Statistics?.DataManifestLocation
    const files = manifest === undefined ? [] : await this.parts.staging.lines(manifest)
    const position = orderBy === undefined ? undefined : fields.findIndex(({ name }) => name === orderBy)
    const objects = await this.parts.staging.objects()
    yield* readUnloaded({ files, fields, orderBy: position, objects, signal: this.signal })
  }

  /** Drops a table, and its rows wherever an enforcing workgroup has put them; not even an aborted request leaves it. */
  async drop({ schema, name }: TablePlace): Promise<void> {
    const { queries, staging, catalog } = this.parts
    const found = await queries.table(catalog, schema, name)
    await this.#runAnyway(dropTable(schema, name))
    const location = found && tableLocation(found)
    if (location !== undefined) await staging.removeAll(location)
  }

  /** Never throws: what cannot be removed now, the janitor removes later. */
  async close(): Promise<void> {
    const { staging } = this.parts
    const tidy = (what: string, work: () => Promise<unknown>) =>
      work().catch((error) => staging.logger.warn({ what, why: messageOf(error) }, 'left behind'))
    for (const table of this.#tables) await tidy(table.name, () => this.drop(table))
    await tidy(this.#folder, () => staging.removeAll(this.#folder))
  }

  #newTable(): TablePlace {
    const table = { schema: this.parts.scratchDatabase, name: scratchTable() }
    this.#tables.push(table)
    return table
  }

  #ref({ schema, name }: TablePlace): string {
    return [this.parts.catalog, schema, name].map(this.parts.dialect.name).join('.')
  }

  #run(sql: string | ((attempt: number) => string)) {
    return this.#runUntil(this.signal, typeof sql === 'string' ? () => sql : sql)
  }

  #runAnyway(sql: string) {
    return this.#runUntil(undefined, () => sql)
  }

  #runUntil(signal: AbortSignal | undefined, sql: (attempt: number) => string) {
    const run = {
      token: randomUUID(),
      output: `${this.#folder}query/`,
      signal,
      onEnd: (execution: Parameters<CostLedger['add']>[0]) => this.#ledger.add(execution),
    }
    return this.parts.queries.run(run, sql)
  }
}
