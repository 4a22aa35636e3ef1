import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BatchSource, FileSource } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import { formatOf } from '../file-format.js'
import type { FileFormat } from '../offline-store.js'
import type { DeclaredTypes } from '../sql/sql-engine.js'
import { quoteText } from './duckdb-quote.js'
import { sqlTypeFor } from './duckdb-types.js'

/** Where a source's files are: one file, or a folder or glob of files. */
export interface SourceFiles {
  readonly source: FileSource
  readonly path: string
  /** What DuckDB reads: the path, or a pattern. */
  readonly pattern: string
  readonly kind: 'file' | 'folder' | 'glob' | 'absent'
}

/** @throws SOURCE_UNSUPPORTED */
export function sourceFiles(source: BatchSource, repoPath: string): SourceFiles {
  const unsupported = (type: string) =>
    feastError('SOURCE_UNSUPPORTED', { source: source.name, type, store: 'DuckDB' })
  if (source.kind === 'unknownSource') throw unsupported(source.type)
  if (source.kind === 'athenaSource') throw unsupported('Athena source')
  if (source.kind === 'trinoSource') throw unsupported('Trino source')
  if (source.format === 'delta') throw unsupported('Delta table')
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(source.path)?.[1]?.toLowerCase()
  if (scheme !== undefined && scheme !== 'file') throw unsupported(`file at ${scheme}://`)
  const path = scheme === 'file' ? fileURLToPath(source.path) : resolve(repoPath, source.path)
  if (!existsSync(path)) {
    const glob = /[*?[]/.test(source.path)
    return { source, path, pattern: path, kind: glob ? 'glob' : 'absent' }
  }
  if (!statSync(path).isDirectory()) return { source, path, pattern: literal(path), kind: 'file' }
  return { source, path, pattern: `${literal(path)}/**/*.${source.format}`, kind: 'folder' }
}

/** A path in which DuckDB sees no wildcard. */
function literal(path: string): string {
  return path.replace(/[*?[]/g, (wildcard) => `[${wildcard}]`)
}

/** What stands after FROM for a source's files. */
export function readSource(files: SourceFiles, declared: DeclaredTypes): string {
  const { source, pattern, kind } = files
  const options = [
    `hive_partitioning = ${source.datePartitionColumn !== ''}`,
    ...(kind === 'file' ? [] : ['union_by_name = true']),
  ]
  return source.format === 'csv'
    ? readCsv(pattern, [...options, ...csvTypes(declared)])
    : `read_parquet(${quoteText(pattern)}, ${options.join(', ')})`
}

/** What stands after FROM for one file of entity rows. @throws FILE_NOT_READABLE */
export function readEntityFile(
  given: string,
  format: FileFormat | undefined,
  declared: DeclaredTypes,
): string {
  const path = resolve(given)
  if (!existsSync(path)) throw feastError('FILE_NOT_READABLE', { path, why: 'no such file' })
  const pattern = literal(path)
  switch (format ?? formatOf(path)) {
    case 'parquet':
      return `read_parquet(${quoteText(pattern)}, hive_partitioning = false)`
    case 'csv':
      return readCsv(pattern, csvTypes(declared))
    case 'json':
      return `read_json_auto(${quoteText(pattern)})`
    default:
      throw feastError('FILE_NOT_READABLE', {
        path,
        why: 'entity rows are read from Parquet, CSV and JSON files; name the format if the ending does not',
      })
  }
}

function readCsv(pattern: string, options: readonly string[]): string {
  return `read_csv(${[quoteText(pattern), 'header = true', ...options].join(', ')})`
}

/** Declared types win over what the first lines of a CSV look like: "007" of a text key is not 7. */
function csvTypes(declared: DeclaredTypes): readonly string[] {
  const types = [...declared].filter(([, { valueType }]) => valueType !== 'INVALID')
  if (types.length === 0) return []
  const entries = types.map(
    ([name, type]) => `${quoteText(name)}: ${quoteText(csvType(sqlTypeFor(type).text))}`,
  )
  return [`types = {${entries.join(', ')}}`]
}

/** Times are read as text is elsewhere: with or without offset. Bytes and maps stand in a CSV as text. */
function csvType(text: string): string {
  return text === 'BLOB' || text.startsWith('MAP') ? 'VARCHAR' : text
}
