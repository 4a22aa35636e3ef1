import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { feastError } from '../core/errors.js'
import type { FileFormat } from './offline-store.js'

const ENDINGS: Readonly<Record<string, FileFormat>> = {
  parquet: 'parquet',
  csv: 'csv',
  json: 'json',
  jsonl: 'json',
  ndjson: 'json',
  arrow: 'arrow',
  feather: 'arrow',
}

/** The format that a path's ending names. */
export function formatOf(path: string): FileFormat | undefined {
  const ending = /\.([a-z]+)(\.gz)?$/i.exec(path)?.[1]?.toLowerCase()
  return ending === undefined ? undefined : ENDINGS[ending]
}

/**
 * Lets `write` make the file under another name beside `path` and then puts it in place whole.
 * @throws FILE_EXISTS unless `overwrite`; FILE_NOT_READABLE when neither ending nor `format` says how to write it
 */
export async function replaceFile<T>(
  path: string,
  options: { readonly format?: FileFormat; readonly overwrite?: boolean },
  write: (path: string, format: FileFormat) => Promise<T>,
): Promise<T> {
  const target = resolve(path)
  const format = options.format ?? formatOf(target)
  if (format === undefined) {
    throw feastError('FILE_NOT_READABLE', {
      path,
      why: 'its ending names no format that can be written; end it in .parquet, .csv, .arrow or .json',
    })
  }
  if (!options.overwrite && (await exists(target))) throw feastError('FILE_EXISTS', { path })
  await mkdir(dirname(target), { recursive: true })
  const unfinished = `${target}.${randomUUID()}.tmp`
  try {
    const result = await write(unfinished, format)
    await rename(unfinished, target)
    return result
  } finally {
    await rm(unfinished, { force: true })
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
