import { createHash, randomBytes } from 'node:crypto'
import { feastError, messageOf } from '../core/errors.js'
import { formatInstant, type Micros } from '../core/instant.js'
import type { MaterializeRequest, RunViewStatus } from './feature-store.js'
import {
  BY,
  isOver,
  MaterializationJournal,
  now,
  type RowsSoFar,
  type RunRecord,
} from './materialization-journal.js'
import { MaterializationLeases } from './materialization-leases.js'
import { viewStatuses } from './materialization-status.js'
import { dropRun } from './staged-view.js'
import type { StoreParts } from './store-parts.js'

/** Without a sign of life for so long a run is given up, and what it staged is removed. */
const ABANDONED_MS = 24 * 3_600_000
const PROGRESS_EVERY_MS = 5000

/** A run and its journal, as the process at work on it sees them. */
export class JournaledRun {
  readonly #lastProgress = new Map<string, number>()
  #begun: Promise<void> | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(
    readonly parts: StoreParts,
    readonly journal: MaterializationJournal,
    readonly leases: MaterializationLeases,
    readonly record: RunRecord,
    /** True: an earlier process began it, and this one goes on. */
    readonly isResumed: boolean,
  ) {}

  /** The run of this request that has not ended, else a new one. @param id that it has, or must have */
  static async open(
    parts: StoreParts,
    request: MaterializeRequest,
    kind: RunRecord['kind'],
    id?: string,
  ): Promise<JournaledRun> {
    const { journal, leases } = await openJournal(parts)
    const key = keyOf(request, kind)
    const found = id === undefined ? await earlierRun(journal, key, kind) : await journal.record(checked(id))
    if (found !== undefined && isOver(found)) {
      throw feastError('INVALID_REQUEST', {
        message: `Run "${found.id}" is over; give a new run another id.`,
      })
    }
    const record = found ?? {
      id: id ?? newId(),
      request: textOf(request),
      key,
      kind,
      startedAt: now(),
      by: BY,
    }
    return new JournaledRun(parts, journal, leases, record, found !== undefined)
  }

  /** A run that somebody began. @throws MATERIALIZATION_NOT_FOUND */
  static async of(parts: StoreParts, id: string): Promise<JournaledRun> {
    const { journal, leases } = await openJournal(parts)
    return new JournaledRun(parts, journal, leases, await recordOf(journal, id), true)
  }

  get id(): string {
    return this.record.id
  }

  /** Written when there is something to do, not before: cron asks often. */
  begin(): Promise<void> {
    const { ended: _, ...record } = this.record
    this.#begun ??= this.journal.begin(record)
    return this.#begun
  }

  get hasBegun(): boolean {
    return this.isResumed || this.#begun !== undefined
  }

  /** Now and then, for `status`; what cannot be written is left out. */
  progress(view: string, rows: RowsSoFar): void {
    const key = `${view} ${rows.file}`
    const last = this.#lastProgress.get(key) ?? Date.parse(rows.startedAt)
    if (Date.now() - last < PROGRESS_EVERY_MS) return
    this.#lastProgress.set(key, Date.now())
    this.#writing = this.#writing
      .then(() => this.journal.progress(this.id, view, rows))
      .catch((error) => this.parts.logger.debug({ error: messageOf(error) }, 'progress was not written down'))
  }

  async end(state: 'committed' | 'failed' | 'abandoned', views: readonly RunViewStatus[]): Promise<void> {
    if (!this.hasBegun) return
    await this.#writing
    // What failed can be gone on with.
    if (state !== 'failed' && this.record.kind !== 'streamed') await dropRun(this)
    await this.journal.end(this.id, state, views)
    await this.#sweep()
  }

  /** Frees what runs left that nobody goes on with, and ends what died while it ended. */
  async #sweep(): Promise<void> {
    const { journal, id } = this
    const traces = await journal.withTraces()
    for (const record of await journal.records()) {
      if (record.id === id) continue
      if (!isOver(record)) {
        if (Date.now() - (await journal.lastSign(record.id)) > ABANDONED_MS) await abandon(this, record)
      } else if (traces.includes(record.id)) await journal.end(record.id, record.ended!.state, [])
    }
  }
}

/** Gives a run up: whatever it staged is removed, whatever views it held are free. */
export async function abandon(
  { parts, journal, leases }: Pick<JournaledRun, 'parts' | 'journal' | 'leases'>,
  record: RunRecord,
): Promise<void> {
  const { id } = record
  if (record.kind !== 'streamed') await dropRun({ id, parts })
  for (const view of await journal.views(id)) await leases.giveUp(view, id)
  await journal.end(id, 'abandoned', await viewStatuses(journal, id))
}

export async function openJournal(
  parts: StoreParts,
): Promise<{ readonly journal: MaterializationJournal; readonly leases: MaterializationLeases }> {
  const { companions } = await parts.registryStore()
  const { project, logger } = parts
  return {
    journal: new MaterializationJournal(companions, project),
    leases: new MaterializationLeases({ objects: companions, project, logger }),
  }
}

async function recordOf(journal: MaterializationJournal, id: string): Promise<RunRecord> {
  const record = await journal.record(checked(id))
  if (record === undefined) throw feastError('MATERIALIZATION_NOT_FOUND', { run: id })
  return record
}

async function earlierRun(
  journal: MaterializationJournal,
  key: string,
  kind: RunRecord['kind'],
): Promise<RunRecord | undefined> {
  if (kind === 'streamed') return undefined
  const record = await journal.openRun(key)
  const isFresh = record !== undefined && Date.now() - Date.parse(record.startedAt) < ABANDONED_MS
  return isFresh ? record : undefined
}

/** Ids are parts of names and paths. */
function checked(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(id)) return id
  throw feastError('INVALID_REQUEST', {
    message: `"${id}" is not an id of a run: up to 80 letters, digits, ".", "_" and "-", the first a letter or digit.`,
  })
}

/** Sorts by time: `20260801T101500Z-5f0c9e`. */
function newId(): string {
  const time = `${now().slice(0, 19).replace(/[-:]/g, '')}Z`
  return `${time}-${randomBytes(3).toString('hex')}`
}

function keyOf(request: MaterializeRequest, kind: RunRecord['kind']): string {
  const text = JSON.stringify([kind, ...whatIsAsked(request)])
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/** As a command line would say it. */
function textOf(request: MaterializeRequest): string {
  const name = request.mode === 'range' ? 'materialize' : 'materialize-incremental'
  return [name, ...whatIsAsked(request).slice(1)].join(' ')
}

function whatIsAsked(request: MaterializeRequest): readonly string[] {
  const { mode, start, end, views = [], version, since, lookbackSeconds } = request
  const time = (at: Micros | undefined) => (at === undefined ? [] : [formatInstant(at)])
  return [
    mode,
    ...(mode === 'range' ? time(start) : []),
    ...time(end),
    ...[...new Set(views)].sort().flatMap((view) => ['-v', view]),
    ...(version ? ['--version', version] : []),
    ...(request.disableEventTimestamp ? ['--disable-event-timestamp'] : []),
    ...(request.allowFuture ? ['--allow-future'] : []),
    ...(lookbackSeconds ? ['--lookback', `${lookbackSeconds}s`] : []),
    ...(since === undefined ? [] : ['--since', formatInstant(since)]),
  ]
}
