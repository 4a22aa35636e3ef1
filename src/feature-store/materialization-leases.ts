import { randomUUID } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { feastError, isFeastError, messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { CompanionObjects } from '../registry/companion-objects.js'

export interface LeaseOptions {
  /** Leases are those whose names start with `leases/`. */
  readonly objects: CompanionObjects
  readonly project: string
  readonly logger: Logger
  readonly ttlMs?: number
}

/** Longer than any pause of a live process that beats three times in it. */
const LEASE_TTL_MS = 60_000

/** The right to materialize one view, until it is released, lost, or its process is gone. */
export interface Lease {
  /** Aborts when the lease could not be kept: somebody else may be at work. */
  readonly lost: AbortSignal
  release(): Promise<void>
}

interface LeaseText {
  /** Random: whose lease it is. */
  readonly id: string
  readonly host: string
  readonly pid: number
  /** Tells processes apart that had the same number one after the other. */
  readonly instance: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly startedAt: string
}

/**
 * One runner per (project, view) (J6). Leases lie with the registry, where Feast does not look. A lease
 * whose process died on this machine is taken over at once, any other when it has expired.
 */
export class MaterializationLeases {
  readonly #options: LeaseOptions
  readonly #ttlMs: number

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#ttlMs = options.ttlMs ?? LEASE_TTL_MS
  }

  /** @returns the lease, or who holds it */
  async acquire(view: string): Promise<Lease | string> {
    const { objects, project } = this.#options
    const name = `leases/${encodeURIComponent(project)}/${encodeURIComponent(view)}.json`
    const found = await objects.read(name)
    if (found !== undefined && !isFree(found.bytes)) return holderOf(found.bytes)
    const id = randomUUID()
    const version = await this.#write(name, id, found?.version)
    if (version !== undefined) return this.#keep(name, view, id, version)
    const winner = await objects.read(name)
    return winner === undefined ? 'another process' : holderOf(winner.bytes)
  }

  /** @returns the new version; undefined if somebody else was first */
  async #write(name: string, id: string, ifVersion: string | undefined): Promise<string | undefined> {
    try {
      return await this.#options.objects.write(name, Buffer.from(this.#text(id)), ifVersion)
    } catch (error) {
      if (isFeastError(error, 'OBJECT_CONFLICT')) return undefined
      throw error
    }
  }

  #text(id: string): string {
    const now = Date.now()
    return JSON.stringify({
      id,
      host: HOST,
      pid: process.pid,
      instance: INSTANCE,
      expiresAt: now + this.#ttlMs,
      startedAt: new Date(now).toISOString(),
    } satisfies LeaseText)
  }

  #keep(name: string, view: string, id: string, firstVersion: string): Lease {
    const { objects, logger } = this.#options
    const lost = new AbortController()
    let version = firstVersion
    let expiresAt = Date.now() + this.#ttlMs
    const giveUp = (why: string) => {
      clearInterval(timer)
      logger.warn({ view, why }, 'the lease of a materialization was lost; stopping it')
      lost.abort(feastError('ABORTED', { what: `Materialization of "${view}"` }))
    }
    const beat = async () => {
      const next = await this.#write(name, id, version)
      if (next === undefined) giveUp('somebody else took it')
      else {
        version = next
        expiresAt = Date.now() + this.#ttlMs
      }
    }
    let beating: Promise<void> = Promise.resolve()
    const timer = setInterval(() => {
      beating = beating.then(beat).catch((error) => {
        if (Date.now() >= expiresAt) giveUp(messageOf(error))
      })
    }, this.#ttlMs / 3)
    timer.unref()
    return {
      lost: lost.signal,
      release: async () => {
        clearInterval(timer)
        await beating
        if (lost.signal.aborted) return
        await objects.remove(name).catch((error) => {
          logger.warn(
            { view, error: messageOf(error) },
            'the lease of a materialization could not be removed; it expires',
          )
        })
      },
    }
  }
}

const INSTANCE = randomUUID()

/** Processes see each other by number only within one host and one process namespace. */
const HOST = `${hostname()}${pidNamespace()}`

function pidNamespace(): string {
  try {
    return ` ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return ''
  }
}

function isFree(text: Buffer): boolean {
  const lease = parseLease(text)
  if (lease === undefined || lease.expiresAt <= Date.now()) return true
  if (lease.host !== HOST) return false
  return lease.pid === process.pid ? lease.instance !== INSTANCE : !isAlive(lease.pid)
}

/** What is not a lease was left half written by something else and holds nobody. */
function parseLease(text: Buffer): LeaseText | undefined {
  try {
    const lease = JSON.parse(text.toString()) as LeaseText
    return typeof lease.expiresAt === 'number' ? lease : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function holderOf(text: Buffer): string {
  const lease = parseLease(text)
  if (lease === undefined) return 'another process'
  return `process ${lease.pid} on ${lease.host.split(' ')[0]}, since ${lease.startedAt}`
}
