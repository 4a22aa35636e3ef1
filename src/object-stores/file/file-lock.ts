import { randomUUID } from 'node:crypto'
import { link, readdir, readFile, readlink, stat, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { feastError } from '../../core/errors.js'

/** How long a writer waits for others; a write takes milliseconds. */
const WAIT_MS = 15_000
/** A lock whose owner's life cannot be seen from here (another host or container) counts as left behind after it. */
const FOREIGN_STALE_MS = 60_000

/** Who holds a lock. A process is known by its id and start time: ids come round again. */
interface Owner {
  readonly token: string
  readonly pid: number
  readonly startTime: string
  /** Host, boot and process id namespace: where `pid` means this process. */
  readonly place: string
  readonly host: string
}

/**
 * Runs `work` while holding the lock file `<path>.lock`. The lock dies with its owner: one left by a process that
 * was killed is taken away by the next.
 * @param work gets a check that throws when the lock was lost meanwhile
 * @throws OBJECT_LOCKED naming the holder, after 15 s
 */
export async function withFileLock<T>(
  path: string,
  work: (stillHeld: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const lock = `${path}.lock`
  const me = await thisOwner()
  await acquire(lock, me, path, Date.now() + WAIT_MS)
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
  const me = await thisOwner()
  if (owner.place !== me.place) {
    const found = await stat(lock).catch(unlessMissing)
    return found !== undefined && Date.now() - found.mtimeMs > FOREIGN_STALE_MS
  }
  if (owner.startTime !== '') return (await startTimeOf(owner.pid)) !== owner.startTime
  try {
    process.kill(owner.pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

let identity: Promise<Omit<Owner, 'token'>> | undefined

async function thisOwner(): Promise<Owner> {
  identity ??= (async () => ({
    pid: process.pid,
    startTime: await startTimeOf(process.pid),
    place: (await Promise.all([hostname(), bootId(), pidNamespace()])).join(' '),
    host: hostname(),
  }))()
  return { token: randomUUID(), ...(await identity) }
}

/** In clock ticks since boot; empty where the system has no /proc, or no such process. */
async function startTimeOf(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  // The second field is the command in parentheses, which may hold anything.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  // A zombie is dead already; only its parent has not looked.
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '')).trim()
}

async function pidNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => '')
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
