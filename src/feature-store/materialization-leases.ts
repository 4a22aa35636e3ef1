import { randomUUID } from 'node:crypto'
import { feastError, isFeastError, messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import { isRunning, type ProcessIdentity, thisProcess } from '../core/process-identity.js'
import type { CompanionObjects } from '../registry/companion-objects.js'
import { namePart } from './name-part.js'

export interface LeaseOptions {
  /** Leases are those whose names start with `leases/`. */
  readonly objects: CompanionObjects
  readonly project: string
  readonly logger: Logger
  readonly ttlMs?: number
}

/** Longer than any pause of a live process that beats three times in it. */
const LEASE_TTL_MS = 60_000
/** How long a planned run keeps its views without a sign of life: jobs wait in queues. */
const HELD_MS = 6 * 3_600_000

/** The right to materialize one view, until it is released, lost, or its process is gone. */
export interface Lease {
  /** Aborts when the lease could not be kept: somebody else may be at work. */
  readonly lost: AbortSignal
  /** The run that held it before and did not end. */
  readonly before: string | undefined
  /** Leaves it to the run, whatever becomes of this process. */
  handOver(): Promise<void>
  release(): Promise<void>
}

interface LeaseText extends ProcessIdentity {
  /** Random: whose lease it is. */
  readonly id: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly startedAt: string
  readonly run?: string
  /** True: it is the run's and not the process's. */
  readonly held?: boolean
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

  /**
   * @param run that asks for it; what the run itself holds is free to it
   * @returns the lease, or who holds it
   */
  async acquire(view: string, run?: string): Promise<Lease | string> {
    const { objects } = this.#options
    const name = this.#name(view)
    const found = await objects.read(name)
    const earlier = found && parseLease(found.bytes)
    if (earlier !== undefined && !isFree(earlier, run)) return holderOf(earlier)
    const mine = { id: randomUUID(), ...(run !== undefined && { run }) }
    const version = await this.#write(name, this.#text(mine), found?.version)
    if (version !== undefined) {
      return this.#keep(
        { name, view, mine, before: earlier?.run === run ? undefined : earlier?.run },
        version,
      )
    }
    const winner = await objects.read(name)
    return holderOf(winner && parseLease(winner.bytes))
  }

  /** Keeps a view for a run that holds it, as its processes do again and again. @returns false if it does not */
  async prolong(view: string, run: string): Promise<boolean> {
    const { objects } = this.#options
    const found = await objects.read(this.#name(view))
    const lease = found && parseLease(found.bytes)
    if (lease?.run !== run || !lease.held) return false
    if (lease.expiresAt - Date.now() > HELD_MS / 2) return true
    // Whoever wrote first did the same, or took it: the next look tells.
    await this.#write(this.#name(view), this.#heldText(run), found!.version)
    return true
  }

  /** Gives up what a run holds; nothing if it does not. */
  async giveUp(view: string, run: string): Promise<void> {
    const { objects } = this.#options
    const found = await objects.read(this.#name(view))
    if (found && parseLease(found.bytes)?.run === run) await this.#remove(this.#name(view), found.version)
  }

  #name(view: string): string {
    return `leases/${namePart(this.#options.project)}/${namePart(view)}.json`
  }

  /** @returns the new version; undefined if somebody else was first */
  async #write(name: string, text: string, ifVersion: string | undefined): Promise<string | undefined> {
    try {
      return await this.#options.objects.write(name, Buffer.from(text), ifVersion)
    } catch (error) {
      if (isFeastError(error, 'OBJECT_CONFLICT')) return undefined
      throw error
    }
  }

  /** Nothing if it is somebody else's by now: it may have expired unnoticed. */
  async #remove(name: string, version: string): Promise<void> {
    await this.#options.objects.remove(name, version).catch((error) => {
      if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
    })
  }

  #text(mine: Pick<LeaseText, 'id' | 'run' | 'held'>, ttlMs = this.#ttlMs): string {
    const now = Date.now()
    return JSON.stringify({
      ...mine,
      ...thisProcess(),
      expiresAt: now + ttlMs,
      startedAt: new Date(now).toISOString(),
    } satisfies LeaseText)
  }

  #heldText(run: string): string {
    return this.#text({ id: run, run, held: true }, HELD_MS)
  }

  #keep(
    {
      name,
      view,
      mine,
      before,
    }: {
      readonly name: string
      readonly view: string
      readonly mine: Pick<LeaseText, 'id' | 'run'>
      readonly before: string | undefined
    },
    firstVersion: string,
  ): Lease {
    const { logger } = this.#options
    const lost = new AbortController()
    let version = firstVersion
    let isHandedOver = false
    let expiresAt = Date.now() + this.#ttlMs
    const giveUp = (why: string) => {
      clearInterval(timer)
      logger.warn({ view, why }, 'the lease of a materialization was lost; stopping it')
      lost.abort(feastError('ABORTED', { what: `Materialization of "${view}"` }))
    }
    const beat = async () => {
      const next = await this.#write(name, this.#text(mine), version)
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
      before,
      handOver: async () => {
        clearInterval(timer)
        await beating
        isHandedOver = true
        if (!lost.signal.aborted) await this.#write(name, this.#heldText(mine.run!), version)
      },
      release: async () => {
        clearInterval(timer)
        await beating
        if (lost.signal.aborted || isHandedOver) return
        await this.#remove(name, version).catch((error) => {
          logger.warn(
            { view, error: messageOf(error) },
            'the lease of a materialization could not be removed; it expires',
          )
        })
      },
    }
  }
}

function isFree(lease: LeaseText, run: string | undefined): boolean {
  if (lease.expiresAt <= Date.now()) return true
  if (lease.held) return run !== undefined && lease.run === run
  return isRunning(lease) === false
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

function holderOf(lease: LeaseText | undefined): string {
  if (lease === undefined) return 'another process'
  const { run, held, pid, host, startedAt } = lease
  const who = held ? `run ${run}, planned and not yet committed` : `process ${pid} on ${host}`
  return `${who}, since ${startedAt}`
}
