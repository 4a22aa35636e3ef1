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
import type { StreamedStatement, WarehouseSession } from '../sql/sql-warehouse.js'
import type { AthenaQueries, TextRows } from './athena-queries.js'
import { type AthenaStaging, scratchTable } from './athena-staging.js'
import { createExternalTable, dropTable, hiveTypeOf } from './hive-ddl.js'
import { CostLedger } from './query-cost.js'
import { readUnloaded } from './read-unloaded.js'
import { stagedColumns } from './staged-rows.js'
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
  readonly #tables: string[] = []
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
    const { staging, dialect } = this.parts
    const columns = stagedColumns(fields, dialect)
    const location = `${this.#folder}rows${this.#steps++}/`
    const scratch = await mkdtemp(join(tmpdir(), 'feast-entity-'))
    const local = await openLocalEngine()
    try {
      const session = await local.open(this.signal)
      try {
        const stored = columns.map(({ stored }) => stored)
        const loaded = await session.load('given', stored, relabelled(batches, stored))
        const named = loaded.columns.map(({ ref }, index) => `${ref} AS ${stored[index]!.name}`)
        const path = join(scratch, 'rows.parquet')
        await session.copy(`SELECT ${named.join(', ')} FROM ${loaded.sql}`, stored, path, 'parquet')
        await (await staging.objects()).upload(path, `${location}rows.parquet`, this.signal)
      } finally {
        await session.close()
      }
    } finally {
      await local.close()
      await rm(scratch, { recursive: true, force: true })
    }
    const table = this.#newTable()
    const hive = columns.map(({ stored, type }) => ({ name: stored.name, type: hiveTypeOf(type) }))
    await this.#run(createExternalTable(this.parts.scratchDatabase, table, hive, location))
    const values = columns.map(({ value, stored }) => `${value} AS ${stored.name}`)
    return `(SELECT ${values.join(', ')} FROM ${this.#ref(table)}) AS staged`
  }

  async stageQuery(sql: string): Promise<string> {
    const isEnforced = (await this.parts.queries.workgroup()).Configuration?.EnforceWorkGroupConfiguration
    const table = this.#newTable()
    const location = `${this.#folder}rows${this.#steps++}/`
    // A workgroup with a place of its own allows no other for tables.
    const place = isEnforced ? '' : `, external_location = '${location}'`
    await this.#run(`CREATE TABLE ${this.#ref(table)} WITH (format = 'PARQUET'${place}) AS\n${sql}`)
    return this.#ref(table)
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

  /** Never throws: what cannot be removed now, the janitor removes later. */
  async close(): Promise<void> {
    const { queries, staging, catalog, scratchDatabase } = this.parts
    const tidy = async (what: string, work: () => Promise<unknown>) =>
      work().catch((error) => staging.logger.warn({ what, why: messageOf(error) }, 'left behind'))
    for (const table of this.#tables) {
      await tidy(table, async () => {
        // Where an enforcing workgroup put the rows of a query.
        const found = await queries.table(catalog, scratchDatabase, table)
        const location = found?.Parameters?.['location']
        await this.#run(dropTable(scratchDatabase, table), undefined)
        if (location?.startsWith('s3://')) await staging.removeAll(`${location.replace(/\/+$/, '')}/`)
      })
    }
    await tidy(this.#folder, () => staging.removeAll(this.#folder))
  }

  #newTable(): string {
    const table = scratchTable()
    this.#tables.push(table)
    return table
  }

  #ref(table: string): string {
    const { dialect, catalog, scratchDatabase } = this.parts
    return [catalog, scratchDatabase, table].map(dialect.name).join('.')
  }

  #run(sql: string | ((attempt: number) => string), signal: AbortSignal | undefined = this.signal) {
    const run = {
      token: randomUUID(),
      output: `${this.#folder}query/`,
      signal,
      onEnd: (execution: Parameters<CostLedger['add']>[0]) => this.#ledger.add(execution),
    }
    return this.parts.queries.run(run, typeof sql === 'string' ? () => sql : sql)
  }
}

async function* relabelled(
  batches: AsyncIterable<ColumnBatch>,
  fields: readonly Field[],
): AsyncGenerator<ColumnBatch> {
  for await (const batch of batches) yield { ...batch, fields }
}
