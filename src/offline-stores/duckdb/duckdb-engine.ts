import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { ColumnBatch } from '../../core/cell.js'
import type { BatchSource } from '../../core/data-source.js'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { EntityRows } from '../offline-store.js'
import type { DeclaredTypes, SqlEngine, SqlRelation } from '../sql/sql-engine.js'
import { appendRows } from './duckdb-append.js'
import { duckdbDialect } from './duckdb-dialect.js'
import { readEntityFile, readSource, type SourceFiles, sourceFiles } from './duckdb-files.js'
import { quoteName, quoteText } from './duckdb-quote.js'
import { DuckDBSession } from './duckdb-session.js'
import { sqlTypeOf } from './duckdb-types.js'

export interface DuckDBOptions {
  /** As DuckDB writes it: `4GB`. */
  readonly memoryLimit?: string | undefined
  /** Where what does not fit is spilled; a folder of its own is made there and removed on close. */
  readonly tempDirectory?: string | undefined
  readonly threads?: number | undefined
}

/** One DuckDB instance in memory; a session is a connection with its own temporary tables. */
export class DuckDBEngine implements SqlEngine {
  readonly name = 'DuckDB'
  readonly dialect = duckdbDialect
  private instance: Promise<DuckDBInstance> | undefined
  private readonly spillPath: string

  constructor(
    private readonly options: DuckDBOptions,
    /** Where relative paths start; empty = this process's folder. */
    private readonly repoPath: string,
  ) {
    this.spillPath = join(options.tempDirectory ?? tmpdir(), `feast-duckdb-${randomUUID()}`)
  }

  async sourceRelation(source: BatchSource, declared: DeclaredTypes): Promise<SqlRelation> {
    const files = sourceFiles(source, this.repoPath)
    const unreadable = (why: string, cause?: unknown) =>
      feastError('SOURCE_NOT_READABLE', { source: source.name, why }, cause)
    if (files.kind === 'absent') throw unreadable(`there is no file or folder ${files.path}`)
    const known = files.source.format === 'csv' ? await this.known(readSource(files, NONE), declared) : NONE
    const sql = readSource(files, known)
    try {
      return { ...(await this.described(sql)), isColumnar: files.source.format === 'parquet' }
    } catch (error) {
      throw unreadable(firstLine(error), error)
    }
  }

  async entityRelation(
    rows: Extract<EntityRows, { kind: 'file' | 'sql' }>,
    declared: DeclaredTypes,
  ): Promise<SqlRelation> {
    if (rows.kind === 'sql') {
      const sql = `(\n${rows.sql.trim().replace(/;\s*$/, '')}\n)`
      return this.described(sql).catch((error) => {
        throw feastError('INVALID_REQUEST', { message: `The entity rows' SQL: ${firstLine(error)}` }, error)
      })
    }
    try {
      const plain = readEntityFile(rows.path, rows.format, NONE)
      const known = await this.known(plain, declared)
      return await this.described(readEntityFile(rows.path, rows.format, known))
    } catch (error) {
      if (isFeastError(error)) throw error
      throw feastError('FILE_NOT_READABLE', { path: rows.path, why: firstLine(error) }, error)
    }
  }

  async open(signal?: AbortSignal): Promise<DuckDBSession> {
    return new DuckDBSession(await this.connect(), signal)
  }

  filePath(target: BatchSource): string {
    const { path, kind } = sourceFiles(target, this.repoPath)
    if (kind === 'file' || kind === 'absent') return path
    throw feastError('INVALID_REQUEST', {
      message: `Source "${target.name}" is a ${kind} of files; a result is kept in one file.`,
    })
  }

  async append(source: BatchSource, batches: AsyncIterable<ColumnBatch>): Promise<{ readonly rows: number }> {
    const iterator = batches[Symbol.asyncIterator]()
    const first = await iterator.next()
    if (first.done) return { rows: 0 }
    const files = sourceFiles(source, this.repoPath)
    const columns = await this.appendColumns(files, source)
    const session = await this.open()
    try {
      return await appendRows({ files, columns }, first.value.fields, from(first.value, iterator), session)
    } finally {
      await session.close()
    }
  }

  async close(): Promise<void> {
    const instance = await this.instance?.catch(() => undefined)
    this.instance = undefined
    instance?.closeSync()
    await rm(this.spillPath, { recursive: true, force: true })
    if (spillPaths.delete(this.spillPath) && spillPaths.size === 0) process.off('exit', removeSpilled)
  }

  /** Undefined where there is nothing yet: no file, or an empty folder. */
  private async appendColumns(files: SourceFiles, source: BatchSource) {
    if (files.kind === 'absent' || (files.kind === 'folder' && (await isEmpty(files)))) return undefined
    return (await this.sourceRelation(source, NONE)).columns
  }

  /** The declared types of those columns that are there; DuckDB refuses to hear of others. */
  private async known(sql: string, declared: DeclaredTypes): Promise<DeclaredTypes> {
    if (declared.size === 0) return declared
    const { columns } = await this.described(sql)
    const names = new Set(columns.map(({ name }) => name))
    return new Map([...declared].filter(([name]) => names.has(name)))
  }

  private async described(sql: string): Promise<SqlRelation> {
    const connection = await this.connect()
    try {
      const result = await connection.run(`SELECT * FROM ${sql} LIMIT 0`)
      const types = result.columnTypes()
      const columns = result
        .deduplicatedColumnNames()
        .map((name, index) => ({ name, ref: quoteName(name), type: sqlTypeOf(types[index]!) }))
      return { sql, columns }
    } finally {
      connection.closeSync()
    }
  }

  private async connect(): Promise<DuckDBConnection> {
    this.instance ??= this.start()
    return (await this.instance).connect()
  }

  private async start(): Promise<DuckDBInstance> {
    if (spillPaths.size === 0) process.on('exit', removeSpilled)
    spillPaths.add(this.spillPath)
    mkdirSync(this.spillPath, { recursive: true })
    const instance = await DuckDBInstance.create(':memory:', {
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      memory_limit: this.options.memoryLimit ?? defaultMemoryLimit(),
      temp_directory: this.spillPath,
      ...(this.options.threads === undefined ? {} : { threads: String(this.options.threads) }),
    })
    const connection = await instance.connect()
    await connection.run(`SET GLOBAL TimeZone = 'UTC'`)
    // In DuckDB 1.5.5 it turns "row_number() = 1 over one column" into arg_max_nulls_last, which picks a wrong row
    // when the first one it meets is NULL.
    await connection.run(`SET GLOBAL disabled_optimizers = 'top_n_window_elimination'`)
    // What files hold stays in the system's cache, not once more in this process.
    await connection.run('SET GLOBAL enable_external_file_cache = false')
    await connection.run(`SET GLOBAL file_search_path = ${quoteText(this.repoPath)}`)
    connection.closeSync()
    return instance
  }
}

/** Of engines that are not closed: a process may end at once, as when who reads its output goes away. */
const spillPaths = new Set<string>()

function removeSpilled(): void {
  for (const path of spillPaths) {
    try {
      rmSync(path, { recursive: true, force: true })
    } catch {
      // A thread may still be writing.
    }
  }
}

async function isEmpty({ path, source }: SourceFiles): Promise<boolean> {
  const names = await readdir(path, { recursive: true })
  return !names.some((name) => name.endsWith(`.${source.format}`))
}

async function* from(first: ColumnBatch, rest: AsyncIterator<ColumnBatch>): AsyncGenerator<ColumnBatch> {
  yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

const NONE: DeclaredTypes = new Map()

/** Half of the machine, at most 1 GB: what does not fit is spilled, and the process stays within 1.5 GB. */
function defaultMemoryLimit(): string {
  return `${Math.floor(Math.min(totalmem() / 2, 1e9) / 1e6)}MB`
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0]!
}
