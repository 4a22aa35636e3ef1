import type { QueryExecution, TableMetadata } from '@aws-sdk/client-athena'
import type { ColumnBatch } from '../../core/cell.js'
import { type AthenaSource, type BatchSource, datePartitionsOf } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import type { SourceScan, StagedResult, StageOptions } from '../offline-store.js'
import type { TimeBounds } from '../sql/sql-dialect.js'
import type { SqlRelation } from '../sql/sql-engine.js'
import type { SqlColumn, SqlType } from '../sql/sql-type.js'
import type { SqlWarehouse } from '../sql/sql-warehouse.js'
import { parseTrinoType } from '../sql/trino-types.js'
import { athenaDialect } from './athena-dialect.js'
import { type AthenaParts, AthenaSession } from './athena-session.js'
import { AthenaTables } from './athena-tables.js'
import { partitionScan } from './partition-scan.js'
import { CostLedger } from './query-cost.js'
import { unloadedNames, unloadStatement } from './unload-statement.js'

/** UTF-8 bytes; no account can have it raised. What a statement is wrapped into is left room for. */
const MAX_STATEMENT_BYTES = 262_144 - 16_384

/** Athena as a warehouse: tables of the Glue catalog, results unloaded to S3. */
export class AthenaWarehouse implements SqlWarehouse {
  readonly name = 'Athena'
  readonly dialect = athenaDialect
  readonly maxStatementBytes = MAX_STATEMENT_BYTES
  readonly stagingLocation: string
  readonly keptTables: AthenaTables
  readonly #queries = new Map<string, Promise<SqlRelation>>()

  constructor(
    private readonly parts: AthenaParts,
    private readonly database: string,
    readonly maxScanBytes: number | undefined,
    private readonly appendRows: (
      source: AthenaSource,
      table: TableMetadata,
      batches: AsyncIterable<ColumnBatch>,
    ) => Promise<{ readonly rows: number }>,
  ) {
    this.stagingLocation = parts.staging.root
    this.keptTables = new AthenaTables(parts, database)
  }

  async sourceRelation(source: BatchSource): Promise<SqlRelation> {
    const athena = this.#own(source)
    if (athena.query !== '') return this.#query(athena.query, (why) => unreadable(source, why))
    const table = await this.#table(athena)
    // The catalog tells the types of a view as Hive has them, which knows no precision of times.
    if (table.TableType === 'VIRTUAL_VIEW') {
      // Another view may take its place: what is known of it holds for these columns.
      const version = JSON.stringify(table.Columns)
      return this.#query(`SELECT * FROM ${this.#ref(athena)}`, (why) => unreadable(source, why), version)
    }
    return { sql: this.#ref(athena), columns: this.#columns(table), isColumnar: true }
  }

  queryRelation(sql: string): Promise<SqlRelation> {
    return this.#query(sql, (why) =>
      feastError('INVALID_REQUEST', { message: `The entity rows' SQL: ${why}` }),
    )
  }

  async open(signal?: AbortSignal): Promise<AthenaSession> {
    return new AthenaSession(this.parts, signal)
  }

  /** The files' folder bears the token: what another one left is in another. */
  async unload(
    sql: string,
    fields: readonly Field[],
    prefix: string,
    { token, signal }: StageOptions,
  ): Promise<Omit<StagedResult, 'fields' | 'skipped'>> {
    const { queries, staging, pricePerTb } = this.parts
    const ledger = new CostLedger(pricePerTb)
    const folder = (attempt: number) => `${prefix}rows-${token.replace(/\W/g, '_')}-${attempt}/`
    let attempts = 0
    const execution = await queries.run(
      { token, signal, output: `${prefix}query/`, onEnd: (ended: QueryExecution) => ledger.add(ended) },
      (attempt) => {
        attempts = attempt
        return unloadStatement(sql, fields, folder(attempt), this.dialect)
      },
    )
    const manifest = execution.Statistics?.DataManifestLocation
    const uris = manifest === undefined ? [] : await staging.lines(manifest)
    const sizes = new Map<string, number>()
    for await (const { uri, bytes } of (await staging.objects()).list(folder(attempts))) sizes.set(uri, bytes)
    return { files: uris.map((uri) => ({ uri, bytes: sizes.get(uri) ?? 0 })), cost: ledger.total }
  }

  unloadedNames(fields: readonly Field[]): readonly string[] {
    return unloadedNames(fields)
  }

  /** Of a table by the sizes of the objects in its partitions; of a query or a view nothing is known. */
  async scanOf(source: BatchSource, bounds: TimeBounds): Promise<SourceScan> {
    const athena = this.#own(source)
    const table = athena.query === '' ? await this.#table(athena) : undefined
    if (table === undefined || table.TableType === 'VIRTUAL_VIEW')
      return { source: source.name, partitions: undefined, bytes: undefined }
    const scan = await partitionScan(
      table,
      datePartitionsOf(athena),
      bounds,
      await this.parts.staging.objects(),
    )
    return { source: source.name, ...scan }
  }

  async append(source: BatchSource, batches: AsyncIterable<ColumnBatch>): Promise<{ readonly rows: number }> {
    const athena = this.#own(source)
    if (athena.query !== '') throw unreadable(source, 'rows can be added to a table, not to a query')
    return this.appendRows(athena, await this.#table(athena), batches)
  }

  async close(): Promise<void> {
    await this.parts.queries.close()
    await this.parts.staging.close()
  }

  /** The source's own catalog and database, else the store's, whatever is asked (B12). */
  #own(source: BatchSource): AthenaSource {
    if (source.kind !== 'athenaSource') {
      const type = source.kind === 'unknownSource' ? source.type : source.kind.replace('Source', ' source')
      throw feastError('SOURCE_UNSUPPORTED', { source: source.name, type, store: this.name })
    }
    const { dataSource, database } = source
    return {
      ...source,
      dataSource: dataSource || this.parts.catalog,
      database: database || this.database,
    }
  }

  async #table(source: AthenaSource): Promise<TableMetadata> {
    const { dataSource, database, table } = source
    const found = await this.parts.queries.table(dataSource, database, table)
    if (found) return found
    throw unreadable(source, `there is no table ${dataSource}.${database}.${table}`)
  }

  #ref({ dataSource, database, table }: AthenaSource): string {
    return [dataSource, database, table].map(this.dialect.name).join('.')
  }

  /** Partition keys are columns like others. */
  #columns(table: TableMetadata): readonly SqlColumn[] {
    const isIceberg = table.Parameters?.['table_type']?.toUpperCase() === 'ICEBERG'
    return [...(table.Columns ?? []), ...(table.PartitionKeys ?? [])].map(({ Name: name, Type: type }) => ({
      name: name!,
      ref: this.dialect.name(name!),
      type: storedType(type ?? '', isIceberg),
    }))
  }

  /** A query's columns without running it: it is asked for no rows, and then for the types of none. */
  #query(sql: string, problem: (why: string) => Error, version = ''): Promise<SqlRelation> {
    const text = sql.trim().replace(/;\s*$/, '')
    const key = `${text}\n${version}`
    const known = this.#queries.get(key)
    if (known) return known
    const found = this.#probe(text).catch((error) => {
      throw error?.code === 'QUERY_REFUSED' || error?.code === 'OFFLINE_TABLE_NOT_FOUND'
        ? problem(error.message)
        : error
    })
    this.#queries.set(key, found)
    found.catch(() => this.#queries.delete(key))
    return found
  }

  async #probe(text: string): Promise<SqlRelation> {
    const relation = `(\n${text}\n)`
    const session = await this.open()
    try {
      const { columns } = await session.texts(`SELECT * FROM ${relation} AS q LIMIT 0`)
      const names = columns.map(({ Name }) => Name!)
      const refs = names.map((_, index) => `c${index}`)
      const typed = `SELECT ${refs.map((ref) => `typeof(${ref}) AS ${ref}`).join(', ')}`
      const none = `SELECT * FROM ${relation} AS q (${refs.join(', ')}) LIMIT 0`
      const { rows } = await session.texts(
        `${typed} FROM (VALUES 1) AS one (n) LEFT JOIN (\n${none}\n) AS p ON true`,
      )
      return {
        sql: relation,
        columns: names.map((name, index) => ({
          name,
          ref: this.dialect.name(name),
          type: parseTrinoType(rows[0]![index]!),
        })),
      }
    } finally {
      await session.close()
    }
  }
}

/** Of the catalog, which writes `timestamp` whatever its digits: three in Hive tables, six in Iceberg. */
function storedType(text: string, isIceberg: boolean): SqlType {
  return parseTrinoType(isIceberg ? text.replace(/\btimestamp\b(?!\s*\()/gi, 'timestamp(6)') : text)
}

function unreadable({ name }: BatchSource, why: string) {
  return feastError('SOURCE_NOT_READABLE', { source: name, why })
}
