import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatInstant, type Micros } from '../core/instant.js'
import { schemeOf } from '../object-stores/index.js'
import type { ObjectStore } from '../object-stores/object-store.js'

export interface LogPart {
  readonly objects: ObjectStore
  /** Of the prediction log, without a slash at its end. */
  readonly uri: string
  readonly model: string
  /** `to` is not part of it. */
  readonly from: Micros
  readonly to: Micros
  readonly signal: AbortSignal | undefined
}

/** Files of a prediction log on this machine. */
export interface LoggedFiles {
  readonly paths: readonly string[]
  /** Copies go; files of the log stay. */
  close(): Promise<void>
}

const DOWNLOADS = 8

/** The files whose days touch the time, where they are or copied from where they are. */
export async function openLoggedFiles(part: LogPart): Promise<LoggedFiles> {
  const uris = await urisOf(part)
  if (schemeOf(part.uri) === 'file') {
    return { paths: uris.map(localPath), close: async () => {} }
  }
  const folder = await mkdtemp(join(tmpdir(), 'feast-predictions-'))
  const close = () => rm(folder, { recursive: true, force: true })
  try {
    const paths: string[] = []
    for (let start = 0; start < uris.length; start += DOWNLOADS) {
      const some = uris.slice(start, start + DOWNLOADS)
      paths.push(...(await Promise.all(some.map((uri) => downloaded(uri, folder, part)))))
    }
    return { paths, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function urisOf({ objects, uri, model, from, to }: LogPart): Promise<readonly string[]> {
  const prefix = `${uri}/model=${model}/`
  const [first, last] = [from, to - 1n].map((micros) => formatInstant(micros).slice(0, 10))
  const uris: string[] = []
  for await (const object of objects.list(prefix)) {
    const day = /^dt=([\d-]{10})\/[^/]+\.parquet$/.exec(object.uri.slice(prefix.length))?.[1]
    if (day !== undefined && day >= first! && day <= last!) uris.push(object.uri)
  }
  return uris
}

async function downloaded(uri: string, folder: string, { objects, signal }: LogPart): Promise<string> {
  const path = join(folder, `${randomUUID()}.parquet`)
  await objects.download(uri, path, signal)
  return path
}

function localPath(uri: string): string {
  return uri.startsWith('file:') ? fileURLToPath(uri) : uri
}
