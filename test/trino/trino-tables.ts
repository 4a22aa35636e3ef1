import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TrinoSource, trinoSource } from '../../src/core/data-source.js'
import { silentLogger } from '../../src/core/logger.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { OfflineStore } from '../../src/offline-stores/offline-store.js'
import { quoted, textLiteral, trinoTypeFor } from '../../src/offline-stores/sql/trino-types.js'
import { TrinoClient } from '../../src/offline-stores/trino/trino-client.js'
import type { Row } from '../offline-stores/oracle.js'
import { type TableColumn, TableMaker } from '../offline-stores/table-maker.js'
import type { TrinoServer } from './trino-server.js'

const SCHEMA = 'feast_test'

/** Tables of a Trino server, made of Parquet files that another engine wrote. */
export class TrinoTables {
  #count = 0

  private constructor(
    private readonly server: TrinoServer,
    readonly files: TableMaker,
    readonly client: TrinoClient,
  ) {}

  static async open(server: TrinoServer): Promise<TrinoTables> {
    const client = new TrinoClient({
      url: server.url,
      user: 'test',
      catalog: 'hive',
      schema: SCHEMA,
      source: 'test',
      headers: {},
      tls: {},
    })
    const folder = await mkdtemp(join(server.warehouse, 'tables-'))
    const tables = new TrinoTables(server, await TableMaker.open(folder), client)
    await tables.run(`CREATE SCHEMA IF NOT EXISTS hive.${SCHEMA}`)
    return tables
  }

  openStore(): Promise<OfflineStore> {
    const options = {
      host: '127.0.0.1',
      port: this.server.port,
      catalog: 'hive',
      user: 'test',
      dataset: SCHEMA,
      connector: { type: 'hive', file_format: 'parquet' },
    }
    const context = {
      project: 'test',
      repoPath: this.server.folder,
      entityKeyVersion: 3 as const,
      logger: silentLogger,
    }
    return openOfflineStore({ type: 'trino', options }, context)
  }

  async run(sql: string): Promise<readonly (readonly unknown[])[]> {
    const found: (readonly unknown[])[] = []
    for await (const { rows } of this.client.run(sql)) found.push(...rows)
    return found
  }

  /** @param files the rows, file by file */
  async table(
    columns: readonly TableColumn[],
    files: readonly (readonly Row[])[],
    partition = '',
  ): Promise<TrinoSource> {
    const table = `t${randomUUID().replaceAll('-', '')}`
    this.#count++
    const folder = `table${this.#count}`
    const kept = columns.filter(({ name }) => name !== partition).map(storable)
    for (const [index, rows] of files.entries()) {
      for (const value of new Set(rows.map((row) => row[partition] as string | undefined))) {
        const inside = partition === '' ? folder : `${folder}/${partition}=${value}`
        const part = rows.filter((row) => partition === '' || row[partition] === value)
        await this.files.file(kept, part, { path: `${inside}/${index}.parquet` })
      }
      if (rows.length === 0) await this.files.file(kept, rows, { path: `${folder}/${index}.parquet` })
    }
    const types = [...kept, ...columns.filter(({ name }) => name === partition)]
    const list = types.map(
      ({ name, type, storedAs }) => `${quoted(name)} ${STORED[storedAs ?? ''] ?? trinoTypeFor(type, 6).text}`,
    )
    const partitioned = partition === '' ? '' : `, partitioned_by = ARRAY[${textLiteral(partition)}]`
    await this.run(
      `CREATE TABLE hive.${SCHEMA}.${table} (${list.join(', ')}) WITH (external_location = 'local:///${basename(this.files.folder)}/${folder}', format = 'PARQUET'${partitioned})`,
    )
    if (partition !== '')
      await this.run(`CALL hive.system.sync_partition_metadata('${SCHEMA}', '${table}', 'FULL')`)
    return trinoSource({
      table: `hive.${SCHEMA}.${table}`,
      timestampField: 'ts',
      datePartitionColumn: partition,
    })
  }

  get staging(): string {
    return `${this.files.folder}/staged/`
  }

  async close(): Promise<void> {
    this.client.close()
    await this.files.close()
  }
}

/** Trino has no unsigned integers. */
function storable(column: TableColumn): TableColumn {
  return column.storedAs === 'UBIGINT' ? { ...column, storedAs: 'BIGINT' } : column
}

/** What Trino calls the types that a test table is stored as. */
const STORED: Readonly<Record<string, string>> = {
  SMALLINT: 'SMALLINT',
  BIGINT: 'BIGINT',
  TIMESTAMP: 'TIMESTAMP(6)',
}
