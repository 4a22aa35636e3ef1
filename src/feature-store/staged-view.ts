import { createHash } from 'node:crypto'
import type { ComputeEngine, MaterializedRows } from '../compute-engines/compute-engine.js'
import type { Interval } from '../core/definition.js'
import { feastError, isFeastError, messageOf } from '../core/errors.js'
import { formatInstant, type Micros, parseInstant } from '../core/instant.js'
import type { StagedFile } from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import {
  type MaterializationJournal,
  now,
  type ViewPlanned,
  type ViewStarted,
} from './materialization-journal.js'
import type { SelectedView } from './materialization-selection.js'
import { type ViewTask, viewTask } from './materialization-task.js'
import { recordMaterialization } from './record-materialization.js'
import type { StoreParts } from './store-parts.js'

/** A run whose rows are staged between the query and the online store. */
export interface StagedRun {
  readonly id: string
  readonly parts: StoreParts
  readonly registry: Registry
  readonly journal: MaterializationJournal
  readonly engine: ComputeEngine
}

export interface StageView {
  readonly selected: SelectedView
  /** What to read where nothing was begun yet. */
  readonly window: Interval
  readonly stampedAt: Micros | undefined
  /** Of the request. */
  readonly version: string | undefined
  readonly files: number | undefined
}

/**
 * Has the rows of a view staged. What an earlier process of the run began is gone on with, as long as the view is
 * still defined as it was then: the same query under the same token, or the files that it gave.
 */
export async function stageView(
  run: StagedRun,
  what: StageView,
  signal: AbortSignal | undefined,
): Promise<ViewPlanned> {
  const { journal, id } = run
  const { started, planned, attempts } = await journal.view(id, what.selected.view.name)
  if (started !== undefined && isStillSo(run, what.selected, started)) {
    return planned ?? stage(run, what, started, signal)
  }
  if (started !== undefined) await voidAttempt(run, started)
  const fresh = await newAttempt(run, what, attempts + 1)
  await journal.started(id, fresh)
  return stage(run, what, fresh, signal)
}

/** The staged rows are of no use: gone, or of a query that failed. */
export async function voidAttempt(
  { journal, id, parts }: Pick<StagedRun, 'journal' | 'id' | 'parts'>,
  started: ViewStarted,
): Promise<void> {
  await journal.voided(id, started)
  await (await parts.offlineStore()).dropStaged(started.prefix)
}

/** Removes what was staged for a view, by whichever attempt. */
export async function dropView(run: Pick<StagedRun, 'id' | 'parts'>, view: string): Promise<void> {
  const prefix = await viewPrefix(run, view)
  await (await run.parts.offlineStore()).dropStaged(prefix)
}

/** Removes all that a run staged. */
export async function dropRun({ id, parts }: Pick<StagedRun, 'id' | 'parts'>): Promise<void> {
  await (await parts.offlineStore()).dropStaged(await runPrefix(id, parts))
}

export function windowOf({ start, end }: Pick<ViewStarted, 'start' | 'end'>): Interval {
  return { start: parseInstant(start, 'journal'), end: parseInstant(end, 'journal') }
}

/** @returns false when its definition has changed since, so that its rows would not be what they should */
export function isStillSo(
  run: Pick<StagedRun, 'parts' | 'registry'>,
  { view }: Pick<SelectedView, 'view'>,
  started: ViewStarted,
): boolean {
  return taskOf(run, view, started).fingerprint === started.fingerprint
}

/**
 * Brings the rows of one file online, and says so in the journal. Repeatable, side by side with others.
 * @throws OBJECT_NOT_FOUND when the file is gone
 */
export async function loadFile(
  run: StagedRun,
  { view }: Pick<SelectedView, 'view'>,
  planned: ViewPlanned,
  options: {
    readonly file: number
    /** What this process loads after it. */
    readonly next: StagedFile | undefined
    readonly onRows: (rows: number) => void
    readonly onEncoded?: (encoded: ReturnType<ViewTask['encode']>) => void
    readonly signal: AbortSignal | undefined
  },
): Promise<MaterializedRows> {
  const { parts, engine, journal, id } = run
  const { file, next, onRows, onEncoded, signal } = options
  const task = taskOf(run, view, planned)
  const staged = planned.files[file]!
  const since = performance.now()
  try {
    const rows = (await parts.offlineStore()).readStaged(staged, planned.fields, { signal, next })
    const encode: ViewTask['encode'] = (batch) => {
      const encoded = task.encode(batch)
      onEncoded?.(encoded)
      return encoded
    }
    const moved = await engine.load(rows, { ...task, encode, onRows }, signal)
    refuseIncomplete(staged, moved)
    await journal.loaded(id, planned, file, { ...moved, elapsedMs: Math.round(performance.now() - since) })
    return moved
  } catch (error) {
    if (!signal?.aborted)
      await journal.failed(id, planned.view, messageOf(error), file).catch(() => undefined)
    throw error
  }
}

/** Only now does the next incremental run start where this one ended. @returns false if the view was deleted meanwhile */
export async function recordView(run: StagedRun, planned: ViewPlanned): Promise<boolean> {
  const isThere = await recordMaterialization(run.parts, planned.view, windowOf(planned))
  await run.journal.recorded(run.id, planned.view)
  return isThere
}

/** Makes room for the rows of a view in the online store. */
export async function setUpTable(
  run: Pick<StagedRun, 'parts' | 'registry'>,
  { view }: Pick<SelectedView, 'view'>,
  planned: ViewPlanned,
): Promise<void> {
  await (await run.parts.onlineStore()).setup([taskOf(run, view, planned).table])
}

function taskOf(
  { parts, registry }: Pick<StagedRun, 'parts' | 'registry'>,
  view: SelectedView['view'],
  started: Omit<ViewStarted, 'fingerprint'>,
): ViewTask {
  const { versionNumber, stampedAt } = started
  return viewTask(parts, registry, {
    view,
    versionNumber,
    window: windowOf(started),
    stampedAt: stampedAt === undefined ? undefined : parseInstant(stampedAt, 'journal'),
  })
}

async function newAttempt(run: StagedRun, what: StageView, attempt: number): Promise<ViewStarted> {
  const { selected, window, stampedAt } = what
  const { view, versionNumber } = selected
  const started = {
    view: view.name,
    attempt,
    versionNumber,
    ...(what.version && { version: what.version }),
    start: formatInstant(window.start),
    end: formatInstant(window.end),
    ...(stampedAt !== undefined && { stampedAt: formatInstant(stampedAt) }),
    token: createHash('sha256')
      .update(JSON.stringify([run.id, view.name, attempt]))
      .digest('hex'),
    prefix: `${await viewPrefix(run, view.name)}${attempt}/`,
    at: now(),
  }
  return { ...started, fingerprint: taskOf(run, view, started).fingerprint }
}

async function stage(
  run: StagedRun,
  { selected, files }: StageView,
  started: ViewStarted,
  signal: AbortSignal | undefined,
): Promise<ViewPlanned> {
  const { parts, journal, id } = run
  try {
    const job = (await parts.offlineStore()).pull(taskOf(run, selected.view, started).pull)
    const { token, prefix } = started
    const staged = await job.stage(prefix, {
      token,
      ...(files !== undefined && { files }),
      ...(signal && { signal }),
    })
    const { skipped, cost } = staged
    const planned: ViewPlanned = {
      ...started,
      at: now(),
      fields: staged.fields,
      files: staged.files,
      ...(skipped !== undefined && { skipped }),
      ...(cost !== undefined && { cost }),
    }
    await journal.planned(id, planned)
    return planned
  } catch (error) {
    await afterFailure(run, started, error, signal)
    throw error
  }
}

/** A query that was stopped or failed gives the same answer for ever under its token; one out of sight may go well. */
async function afterFailure(
  run: StagedRun,
  started: ViewStarted,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const isOutOfSight = isFeastError(error) && error.retry && !signal?.aborted
    if (!isOutOfSight) await voidAttempt(run, started)
    if (!signal?.aborted) await run.journal.failed(run.id, started.view, messageOf(error))
  } catch (second) {
    run.parts.logger.warn(
      { view: started.view, error: messageOf(second) },
      'what was staged for a query that failed could not be removed',
    )
  }
}

async function viewPrefix({ id, parts }: Pick<StagedRun, 'id' | 'parts'>, view: string): Promise<string> {
  const name = encodeURIComponent(view)
  const isTaken = name.length <= MAX_NAME && name !== '.' && name !== '..'
  const folder = isTaken ? name : createHash('sha256').update(view).digest('hex')
  return `${await runPrefix(id, parts)}${folder}/`
}

/** Of a folder, in bytes. */
const MAX_NAME = 255

async function runPrefix(id: string, parts: StoreParts): Promise<string> {
  return `${await stagingLocation(parts)}${encodeURIComponent(parts.project)}/${id}/`
}

/** As configured, else where the offline store has its own, else in the feature repo. Ends in `/`. */
async function stagingLocation(parts: StoreParts): Promise<string> {
  const { materialization, repoPath } = parts.config
  const location =
    materialization.staging ?? (await parts.offlineStore()).stagingLocation ?? `${repoPath}/.feast/staging`
  return location.endsWith('/') ? location : `${location}/`
}

function refuseIncomplete({ uri, rows }: StagedFile, moved: MaterializedRows): void {
  const got = moved.rows + moved.skipped
  if (rows === undefined || rows === got) return
  throw feastError('OFFLINE_STORE_FAILED', {
    store: 'staging',
    why: `${uri} was staged with ${rows} rows and gave ${got}`,
  })
}

/** Staged files may be swept away: by a bucket's lifecycle, or by hand. */
export function isGone(error: unknown): boolean {
  return isFeastError(error, 'OBJECT_NOT_FOUND')
}
