import { createHash, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  AthenaClient,
  ColumnInfo,
  QueryExecution,
  StartQueryExecutionCommandInput,
  TableMetadata,
  WorkGroup,
} from '@aws-sdk/client-athena'
import { feastError, isFeastError } from '../../core/errors.js'
import { callError, callProblem, isWorthAnother, queryError } from './athena-problem.js'
import { scannedBytes } from './query-cost.js'

export interface AthenaQueriesOptions {
  readonly workgroup: string
  readonly catalog: string
  readonly database: string
  /** From start to end, waiting included. */
  readonly timeoutMs: number
  /** How long a full queue or too many calls are put up with. */
  readonly patienceMs: number
  /** A query that has scanned more is stopped. */
  readonly maxScanBytes: number | undefined
}

export interface StatementRun {
  readonly sql: string
  /** Where Athena puts what it has to say of the query, `s3://…/`; the workgroup may have its own mind. */
  readonly output: string
  /** The same token and statement are one run, by whatever process. */
  readonly token: string
  readonly signal?: AbortSignal | undefined
  /** Told of each execution that ended, well or not. */
  onEnd?(execution: QueryExecution): void
}

/** Rows of a small result: texts, null where there is none. */
export interface TextRows {
  readonly columns: readonly ColumnInfo[]
  readonly rows: readonly (readonly (string | null)[])[]
}

const FIRST_POLL_MS = 200
const POLL_GROWTH = 1.6
const LONGEST_POLL_MS = 5_000
/** Of one BatchGetQueryExecution. */
const BATCH = 50
/** Tries of a call whose answer did not come. */
const LOST_ATTEMPTS = 6
const LONGEST_PAUSE_MS = 20_000
/** Runs of a query that Athena itself says may do better next time. */
const RUNS = 3
/** A stopped query is waited for so long. */
const STOP_MS = 60_000

/** Runs statements: started once per token, waited for together, stopped when nobody wants them any more. */
export class AthenaQueries {
  readonly #waiting = new Map<string, Waiter>()
  #polling: Promise<void> | undefined
  #pollMs = FIRST_POLL_MS
  #sdk: Promise<typeof import('@aws-sdk/client-athena')> | undefined
  #client: Promise<AthenaClient> | undefined
  #workgroup: Promise<WorkGroup> | undefined

  constructor(
    private readonly open: () => Promise<AthenaClient>,
    private readonly options: AthenaQueriesOptions,
  ) {}

  /**
   * Runs a statement to its good end. One that Athena calls worth another try is run again, as another execution:
   * `sql` is asked for each, so that none finds what the one before left.
   * @throws QUERY_REFUSED, OFFLINE_TABLE_NOT_FOUND, OFFLINE_STORE_DENIED, OFFLINE_STORE_UNAVAILABLE, SCAN_LIMIT_EXCEEDED,
   * DEADLINE_EXCEEDED, ABORTED, OFFLINE_STORE_FAILED
   */
  async run(run: Omit<StatementRun, 'sql'>, sql: (attempt: number) => string): Promise<QueryExecution> {
    for (let attempt = 0; ; attempt++) {
      const execution = await this.#runOnce({ ...run, sql: sql(attempt), token: `${run.token} ${attempt}` })
      run.onEnd?.(execution)
      if (execution.Status?.State === 'SUCCEEDED') return execution
      if (attempt + 1 >= RUNS || !isWorthAnother(execution)) throw queryError(execution)
    }
  }

  /** A small result, all pages of it. */
  async rows(queryId: string, signal?: AbortSignal): Promise<TextRows> {
    const { GetQueryResultsCommand } = await this.#commands()
    const rows: (string | null)[][] = []
    let columns: readonly ColumnInfo[] = []
    let next: string | undefined
    do {
      const input = {
        QueryExecutionId: queryId,
        MaxResults: 1000,
        ...(next !== undefined && { NextToken: next }),
      }
      const page = await this.#call(
        'reading results',
        (client) => client.send(new GetQueryResultsCommand(input)),
        signal,
      )
      columns = page.ResultSet?.ResultSetMetadata?.ColumnInfo ?? []
      for (const { Data: cells = [] } of page.ResultSet?.Rows ?? [])
        rows.push(cells.map((cell) => cell.VarCharValue ?? null))
      next = page.NextToken
    } while (next !== undefined)
    // A SELECT repeats its column names before the first row; other statements do not.
    const isHeader = rows[0]?.every((cell, index) => cell === columns[index]?.Name) ?? false
    return { columns, rows: isHeader ? rows.slice(1) : rows }
  }

  /** How many rows a CREATE TABLE AS or an INSERT wrote; undefined where Athena does not say. */
  async written(queryId: string, signal?: AbortSignal): Promise<number | undefined> {
    const { GetQueryResultsCommand } = await this.#commands()
    const input = { QueryExecutionId: queryId, MaxResults: 1 }
    const page = await this.#call(
      'reading results',
      (client) => client.send(new GetQueryResultsCommand(input)),
      signal,
    )
    return page.UpdateCount
  }

  /** undefined: no such table. */
  async table(catalog: string, database: string, name: string): Promise<TableMetadata | undefined> {
    const { GetTableMetadataCommand } = await this.#commands()
    const input = {
      CatalogName: catalog,
      DatabaseName: database,
      TableName: name,
      WorkGroup: this.options.workgroup,
    }
    try {
      const answer = await this.#call(`looking at table ${database}.${name}`, (client) =>
        client.send(new GetTableMetadataCommand(input)),
      )
      return answer.TableMetadata
    } catch (error) {
      const { name: kind = '', message = '' } = ((error as Error).cause ?? {}) as {
        name?: string
        message?: string
      }
      if (kind === 'MetadataException' && /EntityNotFound|not found/i.test(message)) return undefined
      throw error
    }
  }

  /** Tables of a database whose names match, a page at a time. */
  async *tables(database: string, expression: string): AsyncGenerator<TableMetadata> {
    const { ListTableMetadataCommand } = await this.#commands()
    const { catalog, workgroup } = this.options
    let next: string | undefined
    do {
      const input = {
        CatalogName: catalog,
        DatabaseName: database,
        Expression: expression,
        WorkGroup: workgroup,
        ...(next !== undefined && { NextToken: next }),
      }
      const page = await this.#call('listing tables', (client) =>
        client.send(new ListTableMetadataCommand(input)),
      )
      yield* page.TableMetadataList ?? []
      next = page.NextToken
    } while (next !== undefined)
  }

  /** Read once. */
  workgroup(): Promise<WorkGroup> {
    this.#workgroup ??= this.#readWorkgroup()
    this.#workgroup.catch(() => {
      this.#workgroup = undefined
    })
    return this.#workgroup
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined)
    this.#client = undefined
    client?.destroy()
  }

  async #readWorkgroup(): Promise<WorkGroup> {
    const { GetWorkGroupCommand } = await this.#commands()
    const { workgroup } = this.options
    const answer = await this.#call(`looking at workgroup ${workgroup}`, (client) =>
      client.send(new GetWorkGroupCommand({ WorkGroup: workgroup })),
    )
    return answer.WorkGroup!
  }

  async #runOnce(run: StatementRun): Promise<QueryExecution> {
    throwIfAborted(run.signal)
    const { StartQueryExecutionCommand } = await this.#commands()
    const input = this.#startInput(run)
    const started = await this.#call(
      'starting a query',
      (client) => client.send(new StartQueryExecutionCommand(input)),
      run.signal,
    )
    return this.#finish(started.QueryExecutionId!, run.signal)
  }

  #startInput({ sql, output, token }: StatementRun): StartQueryExecutionCommandInput {
    const { catalog, database, workgroup } = this.options
    return {
      QueryString: sql,
      QueryExecutionContext: { Catalog: catalog, Database: database },
      WorkGroup: workgroup,
      ResultConfiguration: { OutputLocation: output },
      ClientRequestToken: createHash('sha256')
        .update(JSON.stringify([token, sql]))
        .digest('hex'),
    }
  }

  /** Waits for the final state, and stops the query when it is not wanted any more. */
  async #finish(id: string, signal: AbortSignal | undefined): Promise<QueryExecution> {
    const { timeoutMs } = this.options
    const timeout = AbortSignal.timeout(timeoutMs)
    const stop = signal ? AbortSignal.any([signal, timeout]) : timeout
    try {
      return await this.#wait(id, stop)
    } catch (error) {
      if (!stop.aborted && !isFeastError(error, 'SCAN_LIMIT_EXCEEDED')) throw error
      await this.#stop(id)
      throwIfAborted(signal)
      if (isFeastError(error)) throw error
      throw feastError('DEADLINE_EXCEEDED', { what: `Athena query ${id}`, timeoutMs }, error)
    }
  }

  async #stop(id: string): Promise<void> {
    const { StopQueryExecutionCommand } = await this.#commands()
    const enough = AbortSignal.timeout(STOP_MS)
    try {
      await this.#call(
        `stopping query ${id}`,
        (client) => client.send(new StopQueryExecutionCommand({ QueryExecutionId: id })),
        enough,
      )
      await this.#wait(id, enough, false)
    } catch {
      // It was asked to stop; that it did cannot be waited for any longer.
    }
  }

  #wait(id: string, signal: AbortSignal, isWanted = true): Promise<QueryExecution> {
    return new Promise((resolve, reject) => {
      const give = () => {
        this.#waiting.delete(id)
        reject(signal.reason)
      }
      if (signal.aborted) return give()
      signal.addEventListener('abort', give)
      const done = () => {
        this.#waiting.delete(id)
        signal.removeEventListener('abort', give)
      }
      this.#waiting.set(id, {
        isWanted,
        resolve: (execution) => {
          done()
          resolve(execution)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      })
      this.#pollMs = FIRST_POLL_MS
      this.#polling ??= this.#poll().finally(() => {
        this.#polling = undefined
      })
    })
  }

  /** One loop looks after all queries under way. */
  async #poll(): Promise<void> {
    while (this.#waiting.size > 0) {
      await sleep(this.#pollMs * (0.75 + Math.random() / 2))
      this.#pollMs = Math.min(this.#pollMs * POLL_GROWTH, LONGEST_POLL_MS)
      const ids = [...this.#waiting.keys()]
      for (let start = 0; start < ids.length; start += BATCH)
        await this.#look(ids.slice(start, start + BATCH))
    }
  }

  async #look(ids: readonly string[]): Promise<void> {
    try {
      for (const execution of await this.#executions(ids)) this.#tell(execution)
    } catch (error) {
      for (const id of ids) this.#waiting.get(id)?.reject(error)
    }
  }

  async #executions(ids: readonly string[]): Promise<readonly QueryExecution[]> {
    const { BatchGetQueryExecutionCommand, GetQueryExecutionCommand } = await this.#commands()
    if (ids.length === 1) {
      const one = new GetQueryExecutionCommand({ QueryExecutionId: ids[0]! })
      const answer = await this.#call('asking after a query', (client) => client.send(one))
      return [answer.QueryExecution!]
    }
    const all = new BatchGetQueryExecutionCommand({ QueryExecutionIds: [...ids] })
    const answer = await this.#call('asking after queries', (client) => client.send(all))
    return answer.QueryExecutions ?? []
  }

  #tell(execution: QueryExecution): void {
    const id = execution.QueryExecutionId!
    const waiter = this.#waiting.get(id)
    if (!waiter) return
    const state = execution.Status?.State
    if (state !== 'QUEUED' && state !== 'RUNNING') {
      waiter.resolve(execution)
      return
    }
    const { maxScanBytes } = this.options
    if (!waiter.isWanted || maxScanBytes === undefined || scannedBytes(execution) <= maxScanBytes) return
    waiter.reject(
      feastError('SCAN_LIMIT_EXCEEDED', {
        what: `query ${id} was stopped after ${scannedBytes(execution)} bytes; max_scan_bytes is ${maxScanBytes}`,
        mend: 'Ask for less time or fewer views, or raise max_scan_bytes.',
      }),
    )
  }

  /** One call, again and again while it makes sense. */
  async #call<T>(what: string, send: (client: AthenaClient) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const client = await this.#connected()
    const giveUp = Date.now() + this.options.patienceMs
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(signal)
      try {
        return await send(client)
      } catch (error) {
        const problem = callProblem(error)
        const isOver = problem === 'throttled' ? Date.now() > giveUp : attempt >= LOST_ATTEMPTS
        if (problem === 'final' || isOver) throw callError(error, what)
        await pause(attempt, signal)
      }
    }
  }

  #commands(): Promise<typeof import('@aws-sdk/client-athena')> {
    this.#sdk ??= import('@aws-sdk/client-athena')
    return this.#sdk
  }

  #connected(): Promise<AthenaClient> {
    this.#client ??= this.open()
    return this.#client
  }
}

interface Waiter {
  readonly isWanted: boolean
  resolve(execution: QueryExecution): void
  reject(error: unknown): void
}

/** Full jitter: anything up to twice the last longest. */
async function pause(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const longest = Math.min(LONGEST_PAUSE_MS, 100 * 2 ** attempt)
  await sleep(randomInt(20, Math.max(21, Math.floor(longest))), undefined, signal && { signal }).catch(
    () => undefined,
  )
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw feastError('ABORTED', { what: 'The query' }, signal.reason)
}
