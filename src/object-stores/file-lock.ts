import { randomUUID } from 'node:crypto'
import { link, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { feastError } from '../core/errors.js'
import { isRunning, type ProcessIdentity, thisProcess } from '../core/process-identity.js'

/** How long a writer of an object waits for others; a write takes milliseconds. */
const WAIT_MS = 15_000
/** A lock whose owner's life cannot be seen from here (another host or container) counts as left behind after it. */
const FOREIGN_STALE_MS = 60_000

/** Who holds a lock. */
interface Owner extends ProcessIdentity {
  readonly token: string
}

/**
 * Runs `work` while holding the lock file `<path>.lock`. The lock dies with its owner: one left by a process that
 * was killed is taken away by the next.
 * @param work gets a check that throws when the lock was lost meanwhile
 * @throws OBJECT_LOCKED naming the holder, after `waitMs`, 15 s unless told
 */
export async function withFileLock<T>(
  path: string,
  work: (stillHeld: () => Promise<void>) => Promise<T>,
  waitMs = WAIT_MS,
): Promise<T> {
  const lock = `${path}.lock`
  const me = { ...thisProcess(), token: randomUUID() }
  await acquire(lock, me, path, Date.now() + waitMs)
  try {
    await removeLeftovers(path, me)
    return await work(async () => {
      const holder = await readOwner(lock)
      if (holder?.token !== me.token) throw locked(path, holder)
    })
  } finally {
    await release(lock, me)
  }
}

/**
 * The lock is a link to a file that already says who holds it, so there is never a lock without a name. Only who
 * holds the lock *on a dead owner's token* may take that owner's lock away; otherwise two that saw the same dead
 * owner could take away each other's.
 */
async function acquire(lock: string, me: Owner, path: string, deadline: number): Promise<void> {
  const card = join(dirname(lock), `${cardPrefix(path)}${me.token}`)
  await writeFile(card, JSON.stringify(me))
  try {
    for (let waitMs = 1; ; waitMs = Math.min(20, waitMs * 2)) {
      if (await tryLink(card, lock, me)) return
      const holder = await readOwner(lock)
      if (!holder) continue
      if (await isDead(holder, lock)) await takeAway(lock, holder, me, path, deadline)
      else if (Date.now() > deadline) throw locked(path, holder)
      else await sleep(waitMs * (0.5 + Math.random()))
    }
  } finally {
    await unlink(card).catch(unlessMissing)
  }
}

async function takeAway(lock: string, dead: Owner, me: Owner, path: string, deadline: number): Promise<void> {
  const right = `${path}.lock.${dead.token}`
  const heir = { ...me, token: randomUUID() }
  await acquire(right, heir, path, deadline)
  try {
    if ((await readOwner(lock))?.token === dead.token) {
      await unlink(lock)
    }
  } finally {
    await unlink(right).catch(unlessMissing)
  }
}

const cardPrefix = (path: string) => `.${basename(path)}.lock-`

/** A lock, the right to take one away, or the card of somebody who waits. */
export function isLockFile(name: string): boolean {
  return /\.lock(\.([\da-f-]{36}|unreadable-\d+))?$|^\..*\.lock-[\da-f-]{36}$/.test(name)
}

/** Cards and rights of processes that died while they waited. Called by the holder of the lock. */
async function removeLeftovers(path: string, me: Owner): Promise<void> {
  const prefixes = [cardPrefix(path), `${basename(path)}.lock.`]
  for (const name of await readdir(dirname(path))) {
    if (!prefixes.some((prefix) => name.startsWith(prefix)) || name.endsWith(me.token)) continue
    const file = join(dirname(path), name)
    const owner = await readOwner(file)
    if (owner && (owner.place === '' || (await isDead(owner, file)))) await unlink(file).catch(unlessMissing)
  }
}

async function release(lock: string, me: Owner): Promise<void> {
  if ((await readOwner(lock))?.token === me.token) await unlink(lock).catch(unlessMissing)
}

async function tryLink(card: string, lock: string, me: Owner): Promise<boolean> {
  try {
    await link(card, lock)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST' && code !== 'ENOENT') throw error
    // The holder took a half-written card for one of a dead process.
    if (code === 'ENOENT') await writeFile(card, JSON.stringify(me))
    return false
  }
}

/** undefined when there is none, or when it is no lock of ours. */
async function readOwner(file: string): Promise<Owner | undefined> {
  const text = await readFile(file, 'utf8').catch(unlessMissing)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Owner
  } catch {
    // A lock is written whole before it is linked: not ours, or left empty by a power cut. A card may be half.
    return {
      token: `unreadable-${text.length}`,
      pid: 0,
      startTime: '',
      place: '',
      host: 'an unknown process',
    }
  }
}

async function isDead(owner: Owner, lock: string): Promise<boolean> {
  const runs = isRunning(owner)
  if (runs !== undefined) return !runs
  const found = await stat(lock).catch(unlessMissing)
  return found !== undefined && Date.now() - found.mtimeMs > FOREIGN_STALE_MS
}

function locked(path: string, holder: Owner | undefined): Error {
  const who = holder && holder.pid > 0 ? `process ${holder.pid} on ${holder.host}` : 'another process'
  const mend = ` (if it is gone, delete ${path}.lock)`
  return feastError('OBJECT_LOCKED', { uri: path, holder: who + mend })
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
