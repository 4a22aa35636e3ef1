import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { trinoMistakes } from '../../trino-grammar.js'
import type { EmulatedAnswer, EmulatedRequest, EmulatedService } from '../emulator.js'
import { AthenaFault } from './athena-fault.js'
import { DuckDBQueryEngine, isEmptyFolder } from './duckdb-query-engine.js'
import { GlueCatalog, type GlueTable, isIceberg, withSlash } from './glue-catalog.js'
import type { TableName } from './hive-ddl.js'
import type { QueryEngine, ResultColumn, WriteTarget } from './query-engine.js'
import { parseStatement, type Statement } from './statement.js'

export interface EmulatedAthenaOptions {
  /** Where `s3://bucket/key` is on this machine. */
  readonly pathOf: (uri: string) => string
  readonly databases?: readonly string[]
  readonly workgroups?: Readonly<Record<string, Workgroup>>
  /** Time that a query waits, and that it, or some, runs at least. */
  readonly queuedMs?: number
  readonly runningMs?: number | ((sql: string) => number)
  /** RUNNING goes back to QUEUED once. */
  readonly requeue?: boolean
  /** Queries waiting or running at the same time. */
  readonly maxActive?: number
  /** Calls per second, and how many may come at once; default: those of an account. */
  readonly callRates?: Readonly<Record<string, CallRate>>
  readonly filesPerResult?: number
  /** Statements are held against Trino's grammar, unless told. */
  readonly checkGrammar?: boolean
  /** What runs the queries; DuckDB unless told. */
  readonly engine?: (catalog: GlueCatalog) => QueryEngine
}

export interface Workgroup {
  readonly outputLocation?: string
  /** Its location counts, whatever the caller says. */
  readonly enforce?: boolean
  readonly bytesScannedCutoff?: number
}

export interface CallRate {
  readonly perSecond: number
  readonly burst: number
}

const CALL_RATES: Readonly<Record<string, CallRate>> = {
  StartQueryExecution: { perSecond: 20, burst: 80 },
  StopQueryExecution: { perSecond: 20, burst: 80 },
  GetQueryExecution: { perSecond: 100, burst: 200 },
  BatchGetQueryExecution: { perSecond: 20, burst: 40 },
  GetQueryResults: { perSecond: 100, burst: 200 },
}

export const MAX_STATEMENT_BYTES = 262_144
const PAGE_ROWS = 1000

type State = 'QUEUED' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED'

/** One execution, for tests to look at. */
export interface Execution {
  readonly id: string
  readonly sql: string
  readonly workgroup: string
  readonly database: string
  state: State
  reason: string | undefined
  fault: AthenaFault | undefined
  /** When it came, began to run, and ended: milliseconds since 1970. */
  readonly submittedAt: number
  startedAt: number | undefined
  endedAt: number | undefined
  /** Folder of its result files. */
  readonly output: string
  outputFile: string
  manifest: string | undefined
  scannedBytes: number
  /** Rows that it wrote. */
  written: number
  columns: readonly ResultColumn[]
  rows: readonly (readonly (string | null)[])[]
  readonly stop: AbortController
}

/** A query that ends FAILED, after it has run unless told, as often as told. */
export interface QueryFailure {
  readonly match: RegExp
  readonly times?: number
  readonly reason: string
  readonly category?: number
  readonly retryable?: boolean
  /** It fails before it has done anything. */
  readonly early?: boolean
}

type Input = Readonly<Record<string, unknown>>

/** Athena over the catalog and the folder of an emulated S3. */
export class EmulatedAthena implements EmulatedService {
  readonly name = 'athena'
  readonly catalog: GlueCatalog
  /** In the order they came. */
  readonly executions: Execution[] = []
  readonly #engine: QueryEngine
  readonly #tokens = new Map<string, { readonly request: string; readonly id: string }>()
  readonly #failures: (QueryFailure & { done: number })[] = []
  readonly #buckets = new Map<string, { tokens: number; at: number }>()
  readonly #running = new Set<Promise<void>>()

  constructor(readonly options: EmulatedAthenaOptions) {
    this.catalog = new GlueCatalog(options.databases ?? ['default'], (uri) => this.#pathOf(uri))
    this.#engine =
      options.engine?.(this.catalog) ?? new DuckDBQueryEngine(this.catalog, options.filesPerResult ?? 3)
  }

  #pathOf(uri: string): string {
    return this.options.pathOf(uri.replace(/\/+$/, ''))
  }

  /** How many executions there were of statements that match. */
  timesRun(match: RegExp): number {
    return this.executions.filter(({ sql }) => match.test(sql)).length
  }

  failQuery(failure: QueryFailure): void {
    this.#failures.push({ ...failure, done: 0 })
  }

  matches({ target }: EmulatedRequest): boolean {
    return target.startsWith('AmazonAthena.')
  }

  async close(): Promise<void> {
    for (const { stop } of this.executions) stop.abort()
    await Promise.all(this.#running)
    await this.#engine.close()
  }

  async handle(request: EmulatedRequest): Promise<EmulatedAnswer> {
    const operation = request.target.slice('AmazonAthena.'.length)
    try {
      const run = this.#operations[operation]
      if (!run) throw new Refusal('UnknownOperationException', `${operation} is not emulated`)
      this.#countCall(operation)
      return json(200, await run(JSON.parse(request.body.toString('utf8') || '{}') as Input))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return json(400, { __type: error.type, message: error.message, Message: error.message, ...error.more })
    }
  }

  #countCall(operation: string): void {
    const rate = this.options.callRates?.[operation] ?? CALL_RATES[operation]
    if (!rate) return
    const now = Date.now()
    const bucket = this.#buckets.get(operation) ?? { tokens: rate.burst, at: now }
    bucket.tokens = Math.min(rate.burst, bucket.tokens + ((now - bucket.at) / 1000) * rate.perSecond)
    bucket.at = now
    this.#buckets.set(operation, bucket)
    if (bucket.tokens < 1) throw new Refusal('ThrottlingException', 'Rate exceeded')
    bucket.tokens--
  }

  readonly #operations: Readonly<Record<string, (input: Input) => unknown>> = {
    StartQueryExecution: (input) => this.#start(input),
    StopQueryExecution: (input) => this.#stop(this.#find(input['QueryExecutionId'])),
    GetQueryExecution: (input) => ({ QueryExecution: described(this.#find(input['QueryExecutionId'])) }),
    BatchGetQueryExecution: (input) => this.#batchGet(input),
    ListQueryExecutions: (input) => this.#list(input),
    GetQueryResults: (input) => this.#results(input),
    GetWorkGroup: ({ WorkGroup }) => this.#describeWorkgroup(String(WorkGroup)),
    GetDatabase: ({ DatabaseName }) => {
      this.#needDatabase(String(DatabaseName))
      return { Database: { Name: DatabaseName } }
    },
    GetTableMetadata: ({ DatabaseName, TableName: name, CatalogName }) => {
      this.#needCatalog(CatalogName)
      const table = this.catalog.find(String(DatabaseName), String(name))
      if (!table) throw new Refusal('MetadataException', `EntityNotFoundException: Table ${name} not found.`)
      return { TableMetadata: tableMetadata(table) }
    },
    ListTableMetadata: (input) => this.#listTables(input),
  }

  #find(id: unknown): Execution {
    const found = this.executions.find((execution) => execution.id === id)
    if (!found) throw invalid(`QueryExecution ${id} was not found`)
    return found
  }

  async #start(input: Input): Promise<unknown> {
    const token = input['ClientRequestToken'] as string | undefined
    const request = JSON.stringify({ ...input, ClientRequestToken: undefined })
    if (token !== undefined && (token.length < 32 || token.length > 128))
      throw invalid('ClientRequestToken must have length between 32 and 128')
    const sql = String(input['QueryString'] ?? '')
    if (Buffer.byteLength(sql) > MAX_STATEMENT_BYTES)
      throw invalid(`Query string has exceeded the allowed length of ${MAX_STATEMENT_BYTES} bytes`)
    const context = (input['QueryExecutionContext'] ?? {}) as Input
    this.#needCatalog(context['Catalog'] ?? 'AwsDataCatalog')
    const workgroupName = String(input['WorkGroup'] ?? 'primary')
    const workgroup = this.#workgroup(workgroupName)
    const output = this.#outputOf(input, workgroup)
    const statement = await this.#parse(sql, workgroup)
    const known = token === undefined ? undefined : this.#tokens.get(token)
    if (known) {
      if (known.request !== request) throw invalid('Idempotent parameters do not match')
      return { QueryExecutionId: known.id }
    }
    const active = this.executions.filter(({ state }) => state === 'QUEUED' || state === 'RUNNING').length
    if (active >= (this.options.maxActive ?? 20))
      throw new Refusal(
        'TooManyRequestsException',
        'You have exceeded the limit for the number of queries you can run concurrently. Reduce the number of concurrent queries submitted by this account.',
        {
          Reason: 'CONCURRENT_QUERY_LIMIT_EXCEEDED',
        },
      )
    const id = randomUUID()
    const execution: Execution = {
      id,
      sql,
      workgroup: workgroupName,
      database: String(context['Database'] ?? 'default'),
      state: 'QUEUED',
      reason: undefined,
      fault: undefined,
      submittedAt: Date.now(),
      startedAt: undefined,
      endedAt: undefined,
      output,
      outputFile: `${output}${id}`,
      manifest: undefined,
      scannedBytes: 0,
      written: 0,
      columns: [],
      rows: [],
      stop: new AbortController(),
    }
    this.executions.push(execution)
    if (token !== undefined) this.#tokens.set(token, { request, id })
    const running = this.#execute(execution, statement, workgroup).finally(() =>
      this.#running.delete(running),
    )
    this.#running.add(running)
    return { QueryExecutionId: id }
  }

  async #parse(sql: string, workgroup: Workgroup): Promise<Statement> {
    const malformed = (message: string) =>
      new Refusal('InvalidRequestException', message, { AthenaErrorCode: 'MALFORMED_QUERY' })
    let statement: Statement
    try {
      statement = parseStatement(sql)
    } catch (error) {
      throw malformed((error as Error).message)
    }
    if ('query' in statement && this.options.checkGrammar !== false) {
      const [mistake] = await trinoMistakes(statement.query)
      if (mistake !== undefined) throw malformed(mistake)
    }
    if (statement.kind === 'createTableAs' && workgroup.enforce && statement.options['external_location'])
      throw invalid(
        "The Create Table As Select query failed because it was submitted with an 'external_location' property to an Athena Workgroup that enforces a centralized output location for all queries.",
      )
    return statement
  }

  #outputOf(input: Input, workgroup: Workgroup): string {
    const own = ((input['ResultConfiguration'] ?? {}) as Input)['OutputLocation'] as string | undefined
    const location = workgroup.enforce ? workgroup.outputLocation : (own ?? workgroup.outputLocation)
    if (location === undefined)
      throw invalid(
        'No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input.',
      )
    return withSlash(location)
  }

  #workgroup(name: string): Workgroup {
    const found = (this.options.workgroups ?? { primary: {} })[name]
    if (!found) throw invalid(`WorkGroup ${name} is not found.`)
    return found
  }

  #describeWorkgroup(name: string): unknown {
    const { outputLocation, enforce, bytesScannedCutoff } = this.#workgroup(name)
    return {
      WorkGroup: {
        Name: name,
        State: 'ENABLED',
        Configuration: {
          ResultConfiguration: outputLocation === undefined ? {} : { OutputLocation: outputLocation },
          EnforceWorkGroupConfiguration: enforce ?? false,
          ...(bytesScannedCutoff !== undefined && { BytesScannedCutoffPerQuery: bytesScannedCutoff }),
          EngineVersion: { SelectedEngineVersion: 'AUTO', EffectiveEngineVersion: 'Athena engine version 3' },
        },
      },
    }
  }

  #needCatalog(name: unknown): void {
    if (String(name).toLowerCase() !== 'awsdatacatalog')
      throw new Refusal('InvalidRequestException', `Catalog ${name} does not exist`)
  }

  #needDatabase(name: string): void {
    if (!this.catalog.has(name))
      throw new Refusal('MetadataException', `EntityNotFoundException: Database ${name} not found.`)
  }

  #stop(execution: Execution): unknown {
    if (execution.endedAt === undefined) execution.stop.abort()
    return {}
  }

  async #execute(execution: Execution, statement: Statement, workgroup: Workgroup): Promise<void> {
    const { queuedMs = 0, runningMs = 0, requeue = false } = this.options
    const { signal } = execution.stop
    const pause = (ms: number) => (ms > 0 ? sleep(ms, undefined, { signal }) : Promise.resolve())
    try {
      await pause(queuedMs)
      signal.throwIfAborted()
      execution.state = 'RUNNING'
      execution.startedAt = Date.now()
      if (requeue) {
        await pause(queuedMs)
        execution.state = 'QUEUED'
        await pause(queuedMs)
        execution.state = 'RUNNING'
      }
      const over = pause(typeof runningMs === 'number' ? runningMs : runningMs(execution.sql))
      over.catch(() => undefined)
      this.#failIfTold(execution, true)
      await this.#run(execution, statement)
      await over
      signal.throwIfAborted()
      this.#failIfTold(execution, false)
      const { bytesScannedCutoff } = workgroup
      if (bytesScannedCutoff !== undefined && execution.scannedBytes > bytesScannedCutoff) {
        end(execution, 'CANCELLED', 'Query cancelled! : Bytes scanned limit was exceeded')
      } else end(execution, 'SUCCEEDED', undefined)
    } catch (error) {
      if (signal.aborted) return end(execution, 'CANCELLED', 'Query cancelled by user')
      const fault =
        error instanceof AthenaFault ? error : new AthenaFault(`GENERIC_INTERNAL_ERROR: ${error}`, 1)
      execution.fault = fault
      end(execution, 'FAILED', fault.message)
    }
  }

  #failIfTold(execution: Execution, isEarly: boolean): void {
    const failure = this.#failures.find(
      ({ match, times = 1, done, early = false }) =>
        early === isEarly && done < times && match.test(execution.sql),
    )
    if (!failure) return
    failure.done++
    throw new AthenaFault(failure.reason, failure.category ?? 1, failure.retryable ?? false)
  }

  async #run(execution: Execution, statement: Statement): Promise<void> {
    switch (statement.kind) {
      case 'select': {
        const { columns, rows } = await this.#engine.select(this.#query(execution, statement.query))
        execution.columns = columns
        execution.rows = rows
        return this.#keepCsv(execution)
      }
      case 'unload': {
        if (!isEmptyFolder(this.#pathOf(statement.to)))
          throw new AthenaFault(
            `HIVE_PATH_ALREADY_EXISTS: Target directory for table 'awsdatacatalog.${execution.database}.unload' already exists: ${statement.to}. You may need to manually clean the data at location '${statement.to}' before retrying. Athena will not delete data in your account.`,
          )
        await this.#writeFiles(execution, statement.query, statement.to)
        return
      }
      case 'createTableAs':
        return this.#createTableAs(execution, statement)
      case 'insert': {
        const table = this.#table(statement.table, execution)
        if (table.partitionKeys.length > 0) throw new AthenaFault('INSERT into partitions is not emulated')
        const names = table.columns.map(({ name }) => name)
        await this.#writeFiles(execution, statement.query, table.location, {
          names,
          isIceberg: isIceberg(table),
        })
        return
      }
      case 'createView':
        return this.#createView(execution, statement)
      default:
        return this.#define(execution, statement)
    }
  }

  #query(execution: Execution, sql: string) {
    return {
      sql,
      database: execution.database,
      signal: execution.stop.signal,
      onScan: (bytes: number) => {
        execution.scannedBytes = bytes
      },
    }
  }

  /** Files appear one after the other; a failure leaves those that were there. */
  async #writeFiles(
    execution: Execution,
    query: string,
    to: string,
    target?: WriteTarget,
  ): Promise<readonly ResultColumn[]> {
    const folder = this.#pathOf(to)
    const { columns, files, rowCount } = await this.#engine.write(
      this.#query(execution, query),
      folder,
      execution.id,
      target,
    )
    execution.written = rowCount
    execution.manifest = `${execution.output}${execution.id}-manifest.csv`
    this.#put(execution.manifest, files.map((name) => `${withSlash(to)}${name}\n`).join(''))
    this.#put(`${execution.output}${execution.id}.metadata`, '')
    return columns
  }

  async #createTableAs(
    execution: Execution,
    { table, options, query, withData }: Extract<Statement, { kind: 'createTableAs' }>,
  ): Promise<void> {
    const database = table.database ?? execution.database
    if (this.catalog.find(database, table.name))
      throw new AthenaFault(`TABLE_ALREADY_EXISTS: Table '${database}.${table.name}' already exists`)
    const given = options['external_location'] ?? options['location']
    const location = withSlash(given ?? `${execution.output}tables/${execution.id}`)
    if (!isEmptyFolder(this.#pathOf(location)))
      throw new AthenaFault(`HIVE_PATH_ALREADY_EXISTS: Target directory already exists: ${location}`)
    const rows = withData ? query : `SELECT * FROM (${query}) LIMIT 0`
    const isFine = /^iceberg$/i.test(options['table_type'] ?? '')
    const columns = await this.#writeFiles(execution, rows, location, { isIceberg: isFine })
    this.catalog.create({
      database,
      name: table.name,
      columns: columns.map(({ name, type }) => ({ name, type: hiveText(type) })),
      partitionKeys: [],
      location,
      properties: isFine ? { table_type: 'ICEBERG' } : {},
    })
  }

  /** A view has the columns that its query has when it is made. */
  async #createView(
    execution: Execution,
    { table, query, replace }: Extract<Statement, { kind: 'createView' }>,
  ): Promise<void> {
    const database = table.database ?? execution.database
    const known = this.catalog.find(database, table.name)
    if (known && !(replace && known.view !== undefined))
      throw new AthenaFault(
        `TABLE_ALREADY_EXISTS: line 1:1: ${known.view === undefined ? 'Table' : 'View'} already exists: 'awsdatacatalog.${database}.${table.name}'`,
      )
    const { columns } = await this.#engine.select(this.#query(execution, `SELECT * FROM (${query}) LIMIT 0`))
    execution.scannedBytes = 0
    const view = {
      database,
      name: table.name,
      columns: columns.map(({ name, type }) => ({ name, type: hiveText(type) })),
      partitionKeys: [],
      location: '',
      properties: { presto_view: 'true', comment: 'Presto View' },
      view: query,
    }
    this.catalog.create(view, replace)
  }

  #define(execution: Execution, statement: Exclude<Statement, { query: string }>): void {
    const texts = (name: string, rows: readonly string[]) => {
      execution.columns = [{ name, type: 'string' }]
      execution.rows = rows.map((text) => [text])
    }
    switch (statement.kind) {
      case 'createTable': {
        const database = statement.table.database ?? execution.database
        if (statement.ifNotExists && this.catalog.find(database, statement.table.name)) break
        const { columns, partitionKeys, location, properties } = statement
        this.catalog.create({
          database,
          name: statement.table.name,
          columns,
          partitionKeys,
          location,
          properties,
        })
        break
      }
      case 'dropTable': {
        const dropped = this.catalog.drop(
          statement.table.database ?? execution.database,
          statement.table.name,
        )
        if (!dropped && !statement.ifExists)
          throw new AthenaFault(
            `FAILED: SemanticException [Error 10001]: Table not found ${statement.table.name}`,
          )
        break
      }
      case 'dropView': {
        const found = this.catalog.find(statement.table.database ?? execution.database, statement.table.name)
        if (found?.view !== undefined) this.catalog.drop(found.database, found.name)
        else if (!statement.ifExists) throw new AthenaFault(`View '${statement.table.name}' does not exist`)
        break
      }
      case 'showCreateView': {
        const { database, name, view } = this.#table(statement.table, execution)
        if (view === undefined) throw new AthenaFault(`NOT_SUPPORTED: line 1:1: ${name} is not a view`)
        texts('Create View', `CREATE VIEW ${database}.${name} AS\n${view}`.split('\n'))
        break
      }
      case 'addPartition': {
        const table = this.#table(statement.table, execution)
        for (const { values, location } of statement.partitions)
          this.catalog.addPartition(
            table,
            table.partitionKeys.map(({ name }) => values[name]!),
            location,
          )
        break
      }
      case 'dropPartition': {
        const table = this.#table(statement.table, execution)
        table.partitions.delete(JSON.stringify(table.partitionKeys.map(({ name }) => statement.values[name])))
        break
      }
      case 'repair':
        this.catalog.repair(this.#table(statement.table, execution))
        break
      case 'createDatabase':
        this.catalog.createDatabase(statement.name)
        break
      case 'showTables': {
        const pattern = new RegExp(`^${(statement.pattern ?? '*').replaceAll('*', '.*')}$`)
        const names = this.catalog.tables(statement.database ?? execution.database).map(({ name }) => name)
        texts('tab_name', names.filter((name) => pattern.test(name)).sort())
        break
      }
      case 'showPartitions': {
        const { partitionKeys, partitions } = this.#table(statement.table, execution)
        const rows = [...partitions.values()].map(({ values }) =>
          values.map((value, index) => `${partitionKeys[index]!.name}=${value}`).join('/'),
        )
        texts('partition', rows.sort())
        break
      }
      case 'describe': {
        const { columns, partitionKeys } = this.#table(statement.table, execution)
        const lines = [...columns, ...partitionKeys].map(
          ({ name, type }) => `${name.padEnd(20)}\t${type.padEnd(20)}\t`,
        )
        texts('col_name', lines)
        break
      }
    }
    execution.outputFile = `${execution.output}${execution.id}.txt`
    this.#put(execution.outputFile, execution.rows.map(([text]) => `${text}\n`).join(''))
    this.#put(`${execution.outputFile}.metadata`, '')
  }

  #table({ database = '', name }: TableName, execution: Execution): GlueTable {
    const found = this.catalog.find(database || execution.database, name)
    if (!found) throw new AthenaFault(`FAILED: SemanticException [Error 10001]: Table not found ${name}`)
    return found
  }

  #keepCsv(execution: Execution): void {
    const line = (cells: readonly (string | null)[]) =>
      `${cells.map((cell) => (cell === null ? '' : `"${cell.replaceAll('"', '""')}"`)).join(',')}\n`
    execution.outputFile = `${execution.output}${execution.id}.csv`
    const lines = [execution.columns.map(({ name }) => name), ...execution.rows].map(line)
    this.#put(execution.outputFile, lines.join(''))
    this.#put(`${execution.outputFile}.metadata`, '')
  }

  #put(uri: string, text: string): void {
    const path = this.#pathOf(uri)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  #batchGet(input: Input): unknown {
    const ids = input['QueryExecutionIds'] as readonly string[]
    if (ids.length > 50) throw invalid('at most 50 query executions at a time')
    const found = this.executions.filter(({ id }) => ids.includes(id))
    const unknown = ids.filter((id) => !found.some((execution) => execution.id === id))
    return {
      QueryExecutions: found.map(described),
      UnprocessedQueryExecutionIds: unknown.map((QueryExecutionId) => ({ QueryExecutionId })),
    }
  }

  #list(input: Input): unknown {
    const workgroup = input['WorkGroup'] ?? 'primary'
    const ids = this.executions.filter((execution) => execution.workgroup === workgroup).map(({ id }) => id)
    const { items, next } = page(ids.reverse(), input, 50)
    return { QueryExecutionIds: items, ...(next && { NextToken: next }) }
  }

  #listTables(input: Input): unknown {
    this.#needCatalog(input['CatalogName'])
    this.#needDatabase(String(input['DatabaseName']))
    const pattern = new RegExp(String(input['Expression'] ?? '.*'))
    const tables = this.catalog.tables(String(input['DatabaseName'])).filter(({ name }) => pattern.test(name))
    const { items, next } = page(tables, input, 50)
    return { TableMetadataList: items.map(tableMetadata), ...(next && { NextToken: next }) }
  }

  #results(input: Input): unknown {
    const execution = this.#find(input['QueryExecutionId'])
    if (execution.endedAt === undefined)
      throw invalid(`Query has not yet finished. Current state: ${execution.state}`)
    if (execution.state !== 'SUCCEEDED')
      throw invalid(`Query did not finish successfully. Final query state: ${execution.state}`)
    if (Number(input['MaxResults'] ?? PAGE_ROWS) > PAGE_ROWS)
      throw invalid(`MaxResults is more than maximum allowed length ${PAGE_ROWS}.`)
    const header = /^\s*(select|with|values|\()/i.test(execution.sql)
      ? [execution.columns.map(({ name }) => name)]
      : []
    const { items, next } = page([...header, ...execution.rows], input, PAGE_ROWS)
    return {
      ResultSet: {
        Rows: items.map((cells) => ({
          Data: cells.map((cell) => (cell === null ? {} : { VarCharValue: cell })),
        })),
        ResultSetMetadata: { ColumnInfo: execution.columns.map(columnInfo) },
      },
      UpdateCount: execution.written,
      ...(next && { NextToken: next }),
    }
  }
}

/** A call that is refused: its answer is an error. */
class Refusal extends Error {
  constructor(
    readonly type: string,
    message: string,
    readonly more: Input = {},
  ) {
    super(message)
  }
}

function invalid(message: string): Refusal {
  return new Refusal('InvalidRequestException', message, { AthenaErrorCode: 'INVALID_INPUT' })
}

function json(status: number, body: unknown): EmulatedAnswer {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() },
    body: JSON.stringify(body),
  }
}

function end(execution: Execution, state: State, reason: string | undefined): void {
  execution.endedAt = Date.now()
  execution.state = state
  execution.reason = reason
}

/** A token tells nobody where it leads, and fits one list alone. */
function page<T>(
  all: readonly T[],
  input: Input,
  most: number,
): { items: readonly T[]; next: string | undefined } {
  const size = Math.min(most, Number(input['MaxResults'] ?? most))
  const list = Object.entries(input).filter(([name]) => name !== 'NextToken' && name !== 'MaxResults')
  const secret = createHash('sha256').update(JSON.stringify(list.sort())).digest('hex')
  const given = input['NextToken'] as string | undefined
  const [owner, start] =
    given === undefined ? [secret, '0'] : Buffer.from(given, 'base64').toString().split('/')
  if (owner !== secret) throw invalid('The pagination token is not valid')
  const after = Number(start) + size
  const next = after < all.length ? Buffer.from(`${secret}/${after}`).toString('base64') : undefined
  return { items: all.slice(Number(start), after), next }
}

function described(execution: Execution): unknown {
  const { fault, startedAt, endedAt, submittedAt } = execution
  const kind = /^\s*(select|with|values|\(|unload|insert|create\s+table)/i.test(execution.sql) ? 'DML' : 'DDL'
  return {
    QueryExecutionId: execution.id,
    Query: execution.sql,
    StatementType: kind,
    ResultConfiguration: { OutputLocation: execution.outputFile },
    QueryExecutionContext: { Database: execution.database, Catalog: 'awsdatacatalog' },
    Status: {
      State: execution.state,
      SubmissionDateTime: submittedAt / 1000,
      ...(endedAt !== undefined && { CompletionDateTime: endedAt / 1000 }),
      ...(execution.reason !== undefined && { StateChangeReason: execution.reason }),
      ...(fault && {
        AthenaError: {
          ErrorCategory: fault.category,
          ErrorType: fault.category === 1 ? 1000 : 1006,
          Retryable: fault.retryable,
          ErrorMessage: fault.message,
        },
      }),
    },
    Statistics: {
      DataScannedInBytes: scannedSoFar(execution),
      EngineExecutionTimeInMillis: startedAt === undefined ? 0 : (endedAt ?? Date.now()) - startedAt,
      TotalExecutionTimeInMillis: (endedAt ?? Date.now()) - submittedAt,
      QueryQueueTimeInMillis: (startedAt ?? Date.now()) - submittedAt,
      ResultReuseInformation: { ReusedPreviousResult: false },
      ...(execution.manifest !== undefined && { DataManifestLocation: execution.manifest }),
    },
    WorkGroup: execution.workgroup,
    EngineVersion: { SelectedEngineVersion: 'AUTO', EffectiveEngineVersion: 'Athena engine version 3' },
  }
}

/** What a query has scanned grows while it runs. */
function scannedSoFar({ scannedBytes, endedAt, startedAt }: Execution): number {
  if (endedAt !== undefined || startedAt === undefined) return scannedBytes
  const shown = Math.min(1, (Date.now() - startedAt) / 1000)
  return Math.floor(scannedBytes * shown)
}

function tableMetadata(table: GlueTable): unknown {
  const columns = (of: GlueTable['columns']) => of.map(({ name, type }) => ({ Name: name, Type: type }))
  return {
    Name: table.name,
    CreateTime: 0,
    LastAccessTime: 0,
    TableType: table.view === undefined ? 'EXTERNAL_TABLE' : 'VIRTUAL_VIEW',
    Columns: columns(table.columns),
    PartitionKeys: columns(table.partitionKeys),
    Parameters: {
      ...(table.view === undefined && {
        EXTERNAL: 'TRUE',
        location: table.location.replace(/\/$/, ''),
        inputformat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat',
      }),
      ...table.properties,
    },
  }
}

function columnInfo({ name, type }: ResultColumn): unknown {
  const [, base, sizes] = /^([a-z ]+?)(?:\((.*)\))?( with time zone)?$/s.exec(type)!
  const shown = base === 'real' ? 'float' : type.endsWith('time zone') ? `${base} with time zone` : base
  const [precision, scale] = base === 'decimal' ? sizes!.split(',').map(Number) : [0, 0]
  return {
    CatalogName: 'hive',
    SchemaName: '',
    TableName: '',
    Name: name,
    Label: name,
    Type: shown,
    Precision: precision,
    Scale: scale,
    Nullable: 'UNKNOWN',
    CaseSensitive: shown === 'varchar',
  }
}

/** Hive's name of a Trino type. */
function hiveText(type: string): string {
  const array = /^array\((.*)\)$/s.exec(type)
  if (array) return `array<${hiveText(array[1]!)}>`
  return type
    .replace(/^varchar.*$/, 'string')
    .replace(/^integer$/, 'int')
    .replace(/^real$/, 'float')
    .replace(/^varbinary$/, 'binary')
    .replace(/^timestamp\(\d\)$/, 'timestamp')
}
