import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { feastError, isFeastError } from '../../core/errors.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import {
  FIRST_SHA256,
  type LoggedEvent,
  logged,
  type ModelEvent,
  type NewEvent,
  readEvent,
} from './model-event.js'
import type { Author } from './model-registry.js'
import { emptyState, foldEvents, type ModelState } from './model-state.js'

/** Writers at the same time each lose to all others at most once or twice; this is far more. */
const MAX_TRIES = 60
/** Entries between two copies of the log in one object. */
const SNAPSHOT_EVERY = 32

/**
 * The log of one model: numbered objects below `<folder>/log/`, each created once and never written again. The log is
 * the truth; `snapshot.jsonl` holds its first entries in one object, so that a process need not read them one by one.
 */
export class ModelLog {
  #state: ModelState
  #events: LoggedEvent[] = []
  /** One reader or writer of this process at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    readonly store: ObjectStore,
    readonly folder: string,
    name: string,
  ) {
    this.#state = emptyState(name)
  }

  /** The state at the end of the log. @throws MODEL_REGISTRY_DAMAGED */
  state(): Promise<ModelState> {
    return this.#inTurn(() => this.#read())
  }

  async events(): Promise<readonly ModelEvent[]> {
    await this.state()
    return this.#events.map(({ event }) => event)
  }

  /**
   * Appends what `plan` makes of the state at the end of the log; when somebody else was faster, of the new state.
   * @param plan undefined: nothing to do
   * @throws MODEL_CONFLICT after many tries, and what `plan` throws
   */
  append(author: Author, plan: (state: ModelState) => NewEvent | undefined): Promise<ModelState> {
    return this.#inTurn(async () => {
      const requestId = author.requestId || randomUUID()
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const state = await this.#read()
        const event = plan(state)
        if (event === undefined) return state
        if (await this.#create(this.#next(event, author.name, requestId))) return this.#state
        await sleep(Math.random() * Math.min(250, 5 * 2 ** tries))
      }
      const why = `others changed it ${MAX_TRIES} times meanwhile`
      throw feastError('MODEL_CONFLICT', { name: this.#state.name, why })
    })
  }

  /** Every entry as it lies there, whatever is known of it already. @throws MODEL_REGISTRY_DAMAGED */
  async reread(): Promise<readonly LoggedEvent[]> {
    const events: LoggedEvent[] = []
    for (;;) {
      const next = await this.#entry(events.length + 1, events.at(-1))
      if (next === undefined) return events
      events.push(next)
    }
  }

  /** What stands in the snapshot; undefined: there is none. @throws MODEL_REGISTRY_DAMAGED */
  async snapshot(): Promise<readonly LoggedEvent[] | undefined> {
    const uri = this.#snapshotUri
    const found = await this.store.read(uri)
    if (found === undefined) return undefined
    const events: LoggedEvent[] = []
    for (const line of found.bytes.toString('utf8').split('\n').filter(Boolean)) {
      events.push(readEvent(line, events.at(-1), `${uri}, entry ${events.length + 1}`))
    }
    return events
  }

  #next(event: NewEvent, by: string, requestId: string): LoggedEvent {
    const last = this.#events.at(-1)
    const now = Date.now()
    const at = new Date(Math.max(now, last ? Date.parse(last.event.at) : now)).toISOString()
    const { action, version, comment, ...rest } = event
    const place = { seq: this.#state.seq + 1, at, by, action, version, comment }
    return logged({ ...place, ...rest, request_id: requestId, prev_sha256: last?.sha256 ?? FIRST_SHA256 })
  }

  /** @returns false when somebody else created this entry first */
  async #create(entry: LoggedEvent): Promise<boolean> {
    const uri = this.#entryUri(entry.event.seq)
    try {
      await this.store.write(uri, Buffer.from(entry.text), undefined)
    } catch (error) {
      if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
      // A request that was sent again after its answer was lost finds its own entry.
      const there = await this.store.read(uri)
      if (there?.bytes.toString('utf8') !== entry.text) return false
    }
    this.#add([entry])
    if (entry.event.seq % SNAPSHOT_EVERY === 0) await this.#writeSnapshot()
    return true
  }

  async #read(): Promise<ModelState> {
    if (this.#state.seq === 0) this.#add(await this.#usableSnapshot())
    for (;;) {
      const next = await this.#entry(this.#state.seq + 1, this.#events.at(-1))
      if (next === undefined) return this.#state
      this.#add([next])
    }
  }

  #add(events: readonly LoggedEvent[]): void {
    this.#state = foldEvents(this.#state, events)
    this.#events.push(...events)
  }

  async #entry(seq: number, before: LoggedEvent | undefined): Promise<LoggedEvent | undefined> {
    const uri = this.#entryUri(seq)
    const found = await this.store.read(uri)
    return found && readEvent(found.bytes.toString('utf8'), before, uri)
  }

  /** It is only a copy: damaged, it counts for nothing, and `feast models verify` tells of it. */
  async #usableSnapshot(): Promise<readonly LoggedEvent[]> {
    try {
      return (await this.snapshot()) ?? []
    } catch (error) {
      if (isFeastError(error, 'MODEL_REGISTRY_DAMAGED')) return []
      throw error
    }
  }

  async #writeSnapshot(): Promise<void> {
    const text = this.#events.map((entry) => `${entry.text}\n`).join('')
    try {
      const version = await this.store.version(this.#snapshotUri)
      await this.store.write(this.#snapshotUri, Buffer.from(text), version)
    } catch {
      // The entry is in; without a new snapshot the next reader reads a few more objects.
    }
  }

  #entryUri(seq: number): string {
    return `${this.folder}/log/${String(seq).padStart(8, '0')}.json`
  }

  get #snapshotUri(): string {
    return `${this.folder}/snapshot.jsonl`
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work)
    this.#turn = done.catch(() => {})
    return done
  }
}
