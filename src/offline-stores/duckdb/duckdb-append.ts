import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, extname, join, relative } from 'node:path'
import type { ColumnBatch } from '../../core/cell.js'
import { feastError } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import { withFileLock } from '../../object-stores/file-lock.js'
import type { SqlColumn } from '../sql/sql-type.js'
import type { SourceFiles } from './duckdb-files.js'
import { quoteName, quoteText } from './duckdb-quote.js'
import type { DuckDBSession } from './duckdb-session.js'

/** How long writers of one file wait for each other: each writes all of it anew. */
const LOCK_WAIT_MS = 60_000

/** What an append needs to know about the target. */
export interface AppendTarget {
  readonly files: SourceFiles
  /** Its columns; undefined when it does not exist yet. */
  readonly columns: readonly SqlColumn[] | undefined
}

/**
 * Adds rows to a source's files. A folder gets a new file; a single file is written anew beside itself, with the old
 * rows first, and swapped in. Readers see all of the rows or none. Columns are matched by name.
 * @throws SCHEMA_MISMATCH, SOURCE_NOT_READABLE, OBJECT_LOCKED
 */
export async function appendRows(
  target: AppendTarget,
  fields: readonly Field[],
  batches: AsyncIterable<ColumnBatch>,
  session: DuckDBSession,
): Promise<{ readonly rows: number }> {
  const { files } = target
  if (files.kind === 'glob') {
    throw feastError('SOURCE_NOT_READABLE', {
      source: files.source.name,
      why: 'rows can be added to a file or a folder, not to a pattern',
    })
  }
  const partition = partitionColumn(target)
  if (target.columns) checkNames(files, target.columns, fields, partition)
  const loaded = await session.load('appended', fields, batches)
  const columns =
    target.columns ?? loaded.columns.map((column) => ({ ...column, ref: quoteName(column.name) }))
  const cast = columns
    .filter(({ name }) => loaded.columns.some((given) => given.name === name))
    .map(({ name, ref, type }) => {
      const given = loaded.columns.find((candidate) => candidate.name === name)!
      return `CAST(${given.ref} AS ${type.text}) AS ${ref}`
    })
  const rows = `SELECT ${cast.join(', ')} FROM appended`
  if (files.kind === 'file') return rewriteFile(files, columns, rows, session)
  if (files.kind === 'absent' && extname(files.path) !== '') return newFile(files, files.path, rows, session)
  return newFiles(
    files,
    rows,
    fields.map(({ name }) => name),
    partition,
    session,
  )
}

/** The column that folder names carry (`dt=2024-01-10`), when the rows do not have it themselves. */
function partitionColumn({ files }: AppendTarget): string | undefined {
  const name = files.source.datePartitionColumn
  return name === '' || files.kind === 'file' ? undefined : name
}

function checkNames(
  files: SourceFiles,
  columns: readonly SqlColumn[],
  fields: readonly Field[],
  partition: string | undefined,
): void {
  const known = columns.map(({ name }) => name)
  const given = fields.map(({ name }) => name)
  const missing = known.filter((name) => !given.includes(name) && name !== partition)
  const extra = given.filter((name) => !known.includes(name))
  if (missing.length > 0 || extra.length > 0) {
    throw feastError('SCHEMA_MISMATCH', { target: files.path, missing, extra })
  }
}

async function newFile(files: SourceFiles, path: string, rows: string, session: DuckDBSession) {
  await mkdir(dirname(path), { recursive: true })
  return swapIn(path, (unfinished) => session.copy(rows, [], unfinished, formatOf(files)))
}

function formatOf(files: SourceFiles): 'csv' | 'parquet' {
  return files.source.format === 'csv' ? 'csv' : 'parquet'
}

async function swapIn<T>(path: string, write: (unfinished: string) => Promise<T>): Promise<T> {
  const unfinished = `${path}.${randomUUID()}.tmp`
  try {
    const result = await write(unfinished)
    await rename(unfinished, path)
    return result
  } finally {
    await rm(unfinished, { force: true })
  }
}

async function rewriteFile(
  files: SourceFiles,
  columns: readonly SqlColumn[],
  rows: string,
  session: DuckDBSession,
): Promise<{ readonly rows: number }> {
  const write = async (stillHeld: () => Promise<void>) => {
    const [count] = await session.numbers('SELECT count(*) FROM appended')
    const names = columns.map(({ ref }) => ref).join(', ')
    // Old CSV rows keep their text as it is written.
    const [old, added] =
      files.source.format === 'csv'
        ? [
            `read_csv(${quoteText(files.pattern)}, header = true, all_varchar = true)`,
            `SELECT ${columns.map(({ ref }) => `${ref}::VARCHAR`).join(', ')} FROM (${rows})`,
          ]
        : [`read_parquet(${quoteText(files.pattern)}, hive_partitioning = false)`, rows]
    const all = `SELECT ${names} FROM ${old}\nUNION ALL\n${added}`
    await swapIn(files.path, async (unfinished) => {
      await session.copy(all, [], unfinished, formatOf(files))
      await stillHeld()
    })
    return { rows: Number(count) }
  }
  return withFileLock(files.path, write, LOCK_WAIT_MS)
}

/** New files beside those that are there; with a partition column, in the folder of each row's UTC date. */
async function newFiles(
  files: SourceFiles,
  rows: string,
  given: readonly string[],
  partition: string | undefined,
  session: DuckDBSession,
): Promise<{ readonly rows: number }> {
  if (partition === undefined) {
    await refuseBesidePartitions(files)
    return newFile(files, join(files.path, `${randomUUID()}.${formatOf(files)}`), rows, session)
  }
  const unfinished = `${files.path}.${randomUUID()}.tmp`
  const day = `strftime(${quoteName(files.source.timestampField)}, '%Y-%m-%d') AS ${quoteName(partition)}`
  try {
    const copied = await session.copyPartitioned(
      given.includes(partition) ? rows : `SELECT *, ${day} FROM (${rows})`,
      unfinished,
      partition,
      formatOf(files),
    )
    for (const made of await filesIn(unfinished)) {
      const path = join(files.path, relative(unfinished, dirname(made)), `${randomUUID()}.${formatOf(files)}`)
      await mkdir(dirname(path), { recursive: true })
      await rename(made, path)
    }
    return copied
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** A file beside `dt=2024-01-10/` would make the folder unreadable for all who read it by its partitions. */
async function refuseBesidePartitions({ kind, path, source }: SourceFiles): Promise<void> {
  if (kind !== 'folder') return
  const entries = await readdir(path, { withFileTypes: true })
  const folder = entries.find((entry) => entry.isDirectory() && /^[^=]+=/.test(entry.name))
  if (folder === undefined) return
  throw feastError('SOURCE_NOT_READABLE', {
    source: source.name,
    why: `${path} is partitioned (${folder.name}); name its column as datePartitionColumn before adding rows`,
  })
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
