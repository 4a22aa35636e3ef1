import { createHash, randomUUID } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import {
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises'
import { basename, dirname, join, normalize, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { feastError } from '../../core/errors.js'
import { isLockFile, withFileLock } from '../file-lock.js'
import type { ListedObject, ObjectStore, StoredObject } from '../object-store.js'

/** A file changed less than this ago may still be changing: Python Feast writes in place. */
const SETTLE_MS = 10

/** Versions that are remembered: a server reads steps of runs and entries of logs without end. */
const MAX_KNOWN = 1000

/**
 * Objects as local files. A write goes to a new file that then takes the old one's place, so that a reader sees
 * the old bytes or the new ones, whatever happens. Writers exclude each other by a lock file beside it; those
 * that know no lock (Python Feast) are noticed by the content they leave.
 */
export class FileObjectStore implements ObjectStore {
  /** Versions by path, with the state of the file that they were computed from. */
  readonly #known = new Map<string, { readonly state: string; readonly version: string }>()

  async read(uri: string): Promise<StoredObject | undefined> {
    return this.#read(pathOf(uri))
  }

  async version(uri: string): Promise<string | undefined> {
    const path = pathOf(uri)
    const found = await statOrNothing(path)
    if (!found) return undefined
    const known = this.#known.get(path)
    return known?.state === stateOf(found) ? known.version : (await this.#read(path))?.version
  }

  async write(uri: string, bytes: Uint8Array, ifVersion: string | undefined): Promise<string> {
    const path = await targetOf(pathOf(uri))
    await mkdir(dirname(path), { recursive: true })
    return withFileLock(path, async (stillHeld) => {
      const before = await statOrNothing(path)
      const temporary = await writeTemporary(path, bytes, before)
      try {
        await stillHeld()
        await this.#replace(path, temporary, ifVersion)
      } catch (error) {
        await unlink(temporary).catch(() => {})
        throw error
      }
      await syncToDisk(dirname(path))
      return versionOf(bytes)
    })
  }

  async remove(uri: string, ifVersion?: string): Promise<void> {
    const path = await targetOf(pathOf(uri))
    if (!(await statOrNothing(path))) return
    await withFileLock(path, async () => {
      const now = ifVersion && (await this.#read(path))?.version
      if (now !== ifVersion && now !== undefined) throw feastError('OBJECT_CONFLICT', { uri: path })
      await unlink(path).catch(unlessMissing)
      await syncToDisk(dirname(path))
    })
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const start = normalize(pathOf(prefix))
    const folder = start.endsWith('/') ? start : dirname(start)
    const paths: string[] = []
    for await (const path of filesBelow(folder)) if (path.startsWith(start)) paths.push(path)
    for (const path of paths.sort()) {
      const found = await stat(path).catch(unlessMissing)
      if (!found) continue
      const rest = path.slice(start.length)
      const uri = prefix + (prefix.startsWith('file:') ? encodedPath(rest) : rest)
      yield { uri, bytes: found.size, modifiedAt: found.mtimeMs }
    }
  }

  async download(uri: string, path: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await copyFile(pathOf(uri), path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? feastError('OBJECT_NOT_FOUND', { uri }, error) : error
    })
  }

  async upload(path: string, uri: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const target = pathOf(uri)
    await mkdir(dirname(target), { recursive: true })
    const temporary = join(dirname(target), `.${basename(target)}.upload-${process.pid}-${randomUUID()}`)
    try {
      await copyFile(path, temporary)
      await syncToDisk(temporary)
      await rename(temporary, target)
    } finally {
      await unlink(temporary).catch(unlessMissing)
    }
    await syncToDisk(dirname(target))
  }

  async removeAll(prefix: string): Promise<void> {
    await rm(pathOf(prefix), { recursive: true, force: true })
  }

  async close(): Promise<void> {}

  async #read(path: string): Promise<StoredObject | undefined> {
    const file = await open(path, 'r').catch(unlessMissing)
    if (!file) return undefined
    try {
      const { bytes, state } = await readSettled(file)
      const version = versionOf(bytes)
      if (this.#known.size >= MAX_KNOWN) this.#known.clear()
      if (state !== undefined) this.#known.set(path, { state, version })
      return { bytes, version }
    } finally {
      await file.close()
    }
  }

  /** The last look at the file is right before the change, since Python Feast does not ask for the lock. */
  async #replace(path: string, temporary: string, ifVersion: string | undefined): Promise<void> {
    const conflict = () => feastError('OBJECT_CONFLICT', { uri: path })
    if (ifVersion === undefined) {
      // Unlike rename, link never replaces.
      await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? conflict() : error
      })
      await unlink(temporary)
      return
    }
    const now = await this.#read(path)
    if (now?.version !== ifVersion) throw conflict()
    await rename(temporary, path)
  }
}

/** Folders may go while they are walked, which is no reason to pass over those that stay. */
async function* filesBelow(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(unlessMissing)
  for (const entry of entries ?? []) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else if (entry.isFile() && !isOurOwn(entry.name)) yield path
  }
}

/** Lock files and what is still being written are no objects. */
function isOurOwn(name: string): boolean {
  return isLockFile(name) || /^\..*\.(tmp|upload)-/.test(name)
}

/** `file:` URIs and plain paths. */
function pathOf(uri: string): string {
  return uri.startsWith('file:') ? fileURLToPath(uri) : uri
}

function encodedPath(path: string): string {
  return encodeURI(path).replace(/[?#]/g, encodeURIComponent)
}

/** Behind a symbolic link the file itself is replaced, not the link; also where that file is still to be made. */
async function targetOf(path: string): Promise<string> {
  const found = await realpath(path).catch(unlessMissing)
  if (found !== undefined) return found
  const target = await readlink(path).catch(() => undefined)
  return target === undefined ? path : targetOf(resolve(await realpath(dirname(path)), target))
}

function versionOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Whatever tells two states of a file apart without reading it. */
function stateOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`
}

/**
 * Reads until the file stood still meanwhile. `state` is undefined when the clock of the file system is too
 * coarse to tell whether a later change would show.
 */
async function readSettled(file: FileHandle): Promise<{ bytes: Buffer; state: string | undefined }> {
  for (let attempt = 0; ; attempt++) {
    const before = await file.stat({ bigint: true })
    const bytes = await readAll(file)
    if (Date.now() - Number(before.mtimeMs) < SETTLE_MS) await sleep(SETTLE_MS)
    const after = await file.stat({ bigint: true })
    const settled = stateOf(before) === stateOf(after) && BigInt(bytes.length) === after.size
    if (settled || attempt >= 50) return { bytes, state: settled ? stateOf(after) : undefined }
  }
}

/** From the start, whatever was read before through the same handle. */
async function readAll(file: FileHandle): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(1 << 20), position })
    if (bytesRead === 0) return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    parts.push(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}

/** Beside the target, so that rename stays within one file system; mode and owner as the target has them. */
async function writeTemporary(
  path: string,
  bytes: Uint8Array,
  target: BigIntStats | undefined,
): Promise<string> {
  await removeLeftovers(path)
  const temporary = join(dirname(path), `.${basename(path)}.tmp-${process.pid}`)
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666)
  try {
    if (target) await likeTarget(file, target)
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  return temporary
}

async function likeTarget(file: FileHandle, target: BigIntStats): Promise<void> {
  await file.chmod(Number(target.mode & 0o7777n))
  const mine = await file.stat({ bigint: true })
  if (mine.uid === target.uid && mine.gid === target.gid) return
  // Only root may give files away; else the group's members still read it by its mode.
  await file.chown(Number(target.uid), Number(target.gid)).catch(() => {})
}

/** Temporary files are written under the lock alone, so those that are there belong to writers that died. */
async function removeLeftovers(path: string): Promise<void> {
  const prefix = `.${basename(path)}.tmp-`
  for (const name of await readdir(dirname(path))) {
    if (name.startsWith(prefix)) await unlink(join(dirname(path), name)).catch(unlessMissing)
  }
}

/** What is in a file, or which entries a folder has, survives a power cut. */
async function syncToDisk(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function statOrNothing(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(unlessMissing)
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
