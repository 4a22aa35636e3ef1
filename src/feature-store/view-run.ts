import type { ComputeEngine } from '../compute-engines/compute-engine.js'
import { openComputeEngine } from '../compute-engines/index.js'
import { type ViewMaterializedEvent, viewMaterialized } from '../core/diagnostics.js'
import { feastError, messageOf } from '../core/errors.js'
import { type Micros, nowMicros } from '../core/instant.js'
import type { QueryCost } from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import type { MaterializeProgress, MaterializeRequest, MaterializeViewReport } from './feature-store.js'
import type { JournaledRun } from './journaled-run.js'
import type { MaterializationJournal, RowsSoFar } from './materialization-journal.js'
import type { Lease } from './materialization-leases.js'
import {
  PYTHON_WRITTEN,
  pythonWrittenViews,
  type SelectedView,
  selectViews,
} from './materialization-selection.js'
import { type MaterializationWindow, materializationWindow } from './materialization-window.js'
import { dropView, voidAttempt, windowOf } from './staged-view.js'
import type { StoreParts } from './store-parts.js'

const DEFAULT_CONCURRENCY = 2

/** What the views of one run share. */
export interface Run {
  readonly id: string
  readonly parts: StoreParts
  readonly registry: Registry
  readonly request: MaterializeRequest
  readonly now: Micros
  readonly engine: ComputeEngine
  readonly journal: MaterializationJournal
  readonly journaled: JournaledRun
}

export async function openRun(
  parts: StoreParts,
  given: MaterializeRequest,
  openJournaled: (request: MaterializeRequest) => Promise<JournaledRun>,
): Promise<{ readonly run: Run; readonly selected: readonly SelectedView[] }> {
  const registry = await (await parts.registryCache()).refresh()
  const selected = selectViews(registry, parts, given)
  refuseBadRange(given)
  const { lookbackSeconds } = parts.config.materialization
  const request = { ...(lookbackSeconds > 0 && { lookbackSeconds }), ...given }
  const journaled = await openJournaled(request)
  const { journal, id } = journaled
  const engine = await openEngine(parts)
  return { run: { id, parts, registry, request, now: nowMicros(), engine, journal, journaled }, selected }
}

export async function openEngine(parts: StoreParts): Promise<ComputeEngine> {
  const onlineStore = await parts.onlineStore()
  const offlineStore = await parts.offlineStore()
  return openComputeEngine({ offlineStore, onlineStore })
}

function refuseBadRange({ mode, start, end, disableEventTimestamp }: MaterializeRequest): void {
  if (mode === 'incremental' || disableEventTimestamp) return
  if (start === undefined || end === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: 'Give the start and the end of the range to materialize, or disable event timestamps.',
    })
  }
  if (start > end) {
    throw feastError('INVALID_REQUEST', { message: 'The start of the range is after its end.' })
  }
}

/** All views, some at a time; reports in the order of the selection, and last the views that were left out. */
export async function runViews(
  run: Run,
  selected: readonly SelectedView[],
  work: (view: ViewRun, lease: Lease) => Promise<Outcome>,
): Promise<readonly MaterializeViewReport[]> {
  const reports = new Array<MaterializeViewReport>(selected.length)
  let next = 0
  const worker = async () => {
    for (let index = next++; index < selected.length; index = next++) {
      reports[index] = await new ViewRun(run, selected[index]!).report(work)
    }
  }
  const workers = Math.max(1, Math.min(run.request.concurrency ?? DEFAULT_CONCURRENCY, selected.length))
  await Promise.all(Array.from({ length: workers }, worker))
  const left = pythonWrittenViews(run.registry, run.parts.project, run.request)
  return [...reports, ...left.map((view) => leftReport(run, view))]
}

function leftReport({ now, request }: Run, view: string): MaterializeViewReport {
  const [start, end] = [request.start ?? now, request.end ?? now]
  return { view, start, end, ...NOTHING, elapsedMs: 0, notices: [`left out: ${PYTHON_WRITTEN}`] }
}

export type Outcome = Pick<MaterializeViewReport, 'outcome' | 'rows' | 'skipped' | 'error' | 'cost'>

export const NOTHING: Outcome = { outcome: 'nothing to do', rows: 0, skipped: 0 }

/** One view of one run: says what it does as it goes, and what came of it. */
export class ViewRun {
  readonly notices: string[]
  #window: MaterializationWindow
  readonly #started = performance.now()
  readonly #startedAt = new Date().toISOString()
  #written = 0
  #expected: number | undefined

  constructor(
    readonly run: Run,
    readonly selected: SelectedView,
  ) {
    const { view } = selected
    const state = run.registry.viewState(run.parts.project, view.name)
    this.#window = materializationWindow(run.request, view, state, run.now)
    this.notices = [...selected.notices, ...this.#window.notices]
  }

  get name(): string {
    return this.selected.view.name
  }

  get window(): MaterializationWindow {
    return this.#window
  }

  /** The time that rows get instead of their own. */
  get stampedAt(): Micros | undefined {
    return this.run.request.disableEventTimestamp ? this.run.now : undefined
  }

  /** Never throws: what goes wrong is the view's outcome. */
  async report(work: (view: ViewRun, lease: Lease) => Promise<Outcome>): Promise<MaterializeViewReport> {
    const outcome = await this.#outcome(work).catch(failedOutcome)
    this.say(phaseOf(outcome), outcome.error ?? this.notices.join('; '))
    const { start, end } = this.#window
    viewMaterialized.publish({
      view: this.name,
      outcome: outcome.outcome,
      rows: outcome.rows,
      seconds: this.#elapsedMs() / 1000,
    } satisfies ViewMaterializedEvent)
    const elapsedMs = this.#elapsedMs()
    return { view: this.name, start, end, ...outcome, elapsedMs, notices: this.notices }
  }

  async #outcome(work: (view: ViewRun, lease: Lease) => Promise<Outcome>): Promise<Outcome> {
    const { journaled, journal, id } = this.run
    const earlier = journaled.isResumed ? await journal.view(id, this.name) : undefined
    if (earlier?.isRecorded) return this.#recordedEarlier()
    if (earlier?.started === undefined && this.#window.empty) {
      this.notices.push('the window is empty: nothing to read, nothing recorded')
      return NOTHING
    }
    if (!this.selected.online) return NOTHING
    const lease = await journaled.leases.acquire(this.name, id)
    if (typeof lease === 'string') {
      this.notices.push(`${lease} is materializing it`)
      return { outcome: 'already running', rows: 0, skipped: 0 }
    }
    try {
      await journaled.begin()
      if (lease.before !== undefined) await this.#takeOver(lease.before)
      this.say('start')
      return await work(this, lease)
    } finally {
      await lease.release()
    }
  }

  /** By a process of this run that then died, or met a failure of another view. */
  async #recordedEarlier(): Promise<Outcome> {
    await dropView(this.run, this.name)
    await this.run.journaled.leases.giveUp(this.name, this.run.id)
    this.notices.push(`recorded already by run ${this.run.id}, which this command goes on with`)
    return NOTHING
  }

  /** The run that had the view before died: what it staged of it nobody will read. */
  async #takeOver(before: string): Promise<void> {
    const { journal, parts } = this.run
    const record = await journal.record(before)
    if (record?.kind === 'streamed') await journal.end(before, 'abandoned', [])
    if (record === undefined || record.kind === 'streamed') return
    const { started } = await journal.view(before, this.name)
    if (started) await voidAttempt({ journal, id: before, parts }, started)
    await dropView({ id: before, parts }, this.name)
  }

  /** What this run began earlier was asked for with that window. */
  takeWindow(started: Parameters<typeof windowOf>[0]): void {
    const { start, end } = windowOf(started)
    if (start === this.#window.start && end === this.#window.end) return
    this.#window = { ...this.#window, start, end }
  }

  /** Rows that are online now, of a file or of the view. */
  addRows(
    rows: number,
    file?: { readonly number: number; readonly rows: number; readonly startedAt: string },
  ) {
    this.#written += rows
    this.say('rows')
    const { start, end } = this.#window
    this.run.journaled.progress(this.name, {
      at: new Date().toISOString(),
      startedAt: file?.startedAt ?? this.#startedAt,
      rows: file?.rows ?? this.#written,
      ...(this.#expected !== undefined && { totalRows: this.#expected }),
      ...(file && { file: file.number }),
      start: new Date(Number(start / 1000n)).toISOString(),
      end: new Date(Number(end / 1000n)).toISOString(),
    } satisfies RowsSoFar)
  }

  expect(rows: number): void {
    this.#expected = rows
  }

  say(phase: MaterializeProgress['phase'], message?: string): void {
    this.run.request.onProgress?.({
      view: this.name,
      phase,
      start: this.#window.start,
      end: this.#window.end,
      rows: this.#written,
      ...(this.#expected !== undefined && { totalRows: this.#expected }),
      elapsedMs: this.#elapsedMs(),
      ...(message && { message }),
    })
  }

  done(rows: number, skipped: number, cost?: QueryCost): Outcome {
    if (skipped > 0) this.notices.push(`${skipped} rows left out: no join key or no event time`)
    return { outcome: 'done', rows, skipped, ...(cost && { cost }) }
  }

  #elapsedMs(): number {
    return Math.round(performance.now() - this.#started)
  }
}

function failedOutcome(error: unknown): Outcome {
  return { outcome: 'failed', rows: 0, skipped: 0, error: messageOf(error) }
}

function phaseOf({ outcome }: Outcome): MaterializeProgress['phase'] {
  if (outcome === 'done' || outcome === 'failed') return outcome
  return 'skipped'
}
