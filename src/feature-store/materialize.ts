import { rowEncoder } from '../codec/rows.js'
import type { ComputeEngine, MaterializedRows } from '../compute-engines/compute-engine.js'
import { openComputeEngine } from '../compute-engines/index.js'
import { type ViewMaterializedEvent, viewMaterialized } from '../core/diagnostics.js'
import { feastError, messageOf } from '../core/errors.js'
import type { StoredView } from '../core/feature-view.js'
import { type Micros, nowMicros } from '../core/instant.js'
import {
  PULL_CREATED_TIMESTAMP,
  PULL_EVENT_TIMESTAMP,
  type PullQuery,
} from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import type {
  MaterializeProgress,
  MaterializeReport,
  MaterializeRequest,
  MaterializeViewReport,
  PrecomputeServiceReport,
} from './feature-store.js'
import { type Lease, MaterializationLeases } from './materialization-leases.js'
import {
  PYTHON_WRITTEN,
  pythonWrittenViews,
  type SelectedView,
  selectViews,
} from './materialization-selection.js'
import { type MaterializationWindow, materializationWindow } from './materialization-window.js'
import { onlineTable } from './online-table.js'
import { precomputeService } from './precompute.js'
import { servicesToPrecompute } from './precomputed-vectors.js'
import { recordMaterialization } from './record-materialization.js'
import { joinKeyFields, rowsOf, sourceColumn } from './source-columns.js'
import type { StoreParts } from './store-parts.js'
import { WrittenKeys } from './written-keys.js'

const DEFAULT_CONCURRENCY = 2
/** Of one write to the online store, unless the configuration says how many rows it has. */
const WRITE_CELLS = 20_000

/**
 * Brings the latest row per key of each view online (J5–J7, spec 3.7). One view that fails does not stop the
 * others: look at each view's outcome.
 * @throws what is wrong with the request itself, before anything is read or written
 */
export async function materialize(
  parts: StoreParts,
  request: MaterializeRequest,
): Promise<MaterializeReport> {
  const registry = await (await parts.registryCache()).refresh()
  const selected = selectViews(registry, parts, request)
  refuseBadRange(request)
  const run: Run = {
    parts,
    registry,
    request,
    now: nowMicros(),
    engine: await openEngine(parts),
    leases: new MaterializationLeases({
      objects: (await parts.registryStore()).companions,
      project: parts.project,
      logger: parts.logger,
    }),
    written: new WrittenKeys(await viewsOfVectors(parts, registry)),
  }
  const reports = new Array<MaterializeViewReport>(selected.length)
  let next = 0
  const worker = async () => {
    for (let index = next++; index < selected.length; index = next++) {
      reports[index] = await new ViewRun(run, selected[index]!).report()
    }
  }
  const workers = Math.max(1, Math.min(request.concurrency ?? DEFAULT_CONCURRENCY, selected.length))
  await Promise.all(Array.from({ length: workers }, worker))
  const left = pythonWrittenViews(registry, parts.project, request).map((view) => leftReport(run, view))
  const services = await precomputeAfter(run)
  return { views: [...reports, ...left], ...(services.length > 0 && { services }) }
}

/** Once for all views of the run. Where many entities were written, all of the store are gone through. */
async function precomputeAfter(run: Run): Promise<readonly PrecomputeServiceReport[]> {
  const { parts, registry, written } = run
  const { signal, onPrecomputeProgress: onProgress } = run.request
  const reports: PrecomputeServiceReport[] = []
  for (const { name, projections } of servicesToPrecompute(registry, parts.project)) {
    const views = projections.map(({ view }) => view).filter((view) => written.views.has(view))
    if (views.length === 0) continue
    const options = { ...(signal && { signal }), ...(onProgress && { onProgress }) }
    reports.push(await precomputeService(parts, registry, name, options, written.of(views)))
  }
  return reports
}

/** Of the services that ask for vectors, where the online store keeps any. */
async function viewsOfVectors(parts: StoreParts, registry: Registry): Promise<ReadonlySet<string>> {
  if ((await parts.onlineStore()).vectors === undefined) return new Set()
  const services = servicesToPrecompute(registry, parts.project)
  return new Set(services.flatMap(({ projections }) => projections.map(({ view }) => view)))
}

function leftReport({ now, request }: Run, view: string): MaterializeViewReport {
  const [start, end] = [request.start ?? now, request.end ?? now]
  const outcome = { outcome: 'nothing to do' as const, rows: 0, skipped: 0, elapsedMs: 0 }
  return { view, start, end, ...outcome, notices: [`left out: ${PYTHON_WRITTEN}`] }
}

interface Run {
  readonly parts: StoreParts
  readonly registry: Registry
  readonly request: MaterializeRequest
  readonly now: Micros
  readonly engine: ComputeEngine
  readonly leases: MaterializationLeases
  readonly written: WrittenKeys
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

async function openEngine(parts: StoreParts): Promise<ComputeEngine> {
  const onlineStore = await parts.onlineStore()
  const offlineStore = await parts.offlineStore()
  return openComputeEngine({ offlineStore, onlineStore })
}

type Outcome = Pick<MaterializeViewReport, 'outcome' | 'rows' | 'skipped' | 'error'>

/** One view of one run: says what it does as it goes, and what came of it. */
class ViewRun {
  readonly #run: Run
  readonly #view: StoredView
  readonly #selected: SelectedView
  readonly #window: MaterializationWindow
  readonly #notices: string[]
  readonly #started = performance.now()
  #written = 0
  #expected: number | undefined

  constructor(run: Run, selected: SelectedView) {
    this.#run = run
    this.#selected = selected
    this.#view = selected.view
    const state = run.registry.viewState(run.parts.project, selected.view.name)
    this.#window = materializationWindow(run.request, selected.view, state, run.now)
    this.#notices = [...selected.notices, ...this.#window.notices]
  }

  /** Never throws: what goes wrong is the view's outcome. */
  async report(): Promise<MaterializeViewReport> {
    const outcome = await this.#outcome().catch(failedOutcome)
    this.#say(phaseOf(outcome), outcome.error ?? this.#notices.join('; '))
    const { start, end } = this.#window
    viewMaterialized.publish({
      view: this.#view.name,
      outcome: outcome.outcome,
      rows: outcome.rows,
      seconds: this.#elapsedMs() / 1000,
    } satisfies ViewMaterializedEvent)
    return {
      view: this.#view.name,
      start,
      end,
      ...outcome,
      elapsedMs: this.#elapsedMs(),
      notices: this.#notices,
    }
  }

  async #outcome(): Promise<Outcome> {
    if (this.#window.empty) {
      this.#notices.push('the window is empty: nothing to read, nothing recorded')
      return { outcome: 'nothing to do', rows: 0, skipped: 0 }
    }
    if (!this.#selected.online) return { outcome: 'nothing to do', rows: 0, skipped: 0 }
    const lease = await this.#run.leases.acquire(this.#view.name)
    if (typeof lease === 'string') {
      this.#notices.push(`${lease} is materializing it`)
      return { outcome: 'already running', rows: 0, skipped: 0 }
    }
    try {
      return await this.#underLease(lease)
    } finally {
      await lease.release()
    }
  }

  async #underLease(lease: Lease): Promise<Outcome> {
    const { parts, engine, request } = this.#run
    this.#say('start')
    const signals = [lease.lost, ...(request.signal ? [request.signal] : [])]
    const moved = await engine.materialize(await this.#task(), AbortSignal.any(signals))
    if (!(await recordMaterialization(parts, this.#view.name, this.#window))) {
      this.#notices.push('the view was deleted meanwhile: nothing recorded')
    }
    return this.#done(moved)
  }

  #done({ rows, skipped }: MaterializedRows): Outcome {
    if (skipped > 0) this.#notices.push(`${skipped} rows left out: no join key or no event time`)
    return { outcome: 'done', rows, skipped }
  }

  async #task(): Promise<Parameters<ComputeEngine['materialize']>[0]> {
    const { parts, registry, request, now } = this.#run
    const view = this.#view
    const joinKeys = joinKeyFields(registry, parts.project, view)
    const table = onlineTable(view, this.#selected.versionNumber, parts.config.registry.versioning)
    const pull = pullQuery(view, joinKeys, this.#window)
    await (await parts.onlineStore()).setup([table])
    const encode = rowEncoder({
      what: `Feature view "${view.name}"`,
      joinKeys,
      features: view.features,
      eventTimestamp: request.disableEventTimestamp ? now : PULL_EVENT_TIMESTAMP,
      createdTimestamp: pull.createdColumn && PULL_CREATED_TIMESTAMP,
      entityKeyVersion: parts.config.entityKeyVersion,
    })
    return {
      view: view.name,
      pull,
      table,
      encode: (batch) => {
        const encoded = encode(batch)
        this.#run.written.add(view.name, encoded.rows)
        return encoded
      },
      writeRows: parts.config.materialization.onlineWriteBatchSize ?? defaultWriteRows(view),
      onRows: (rows) => {
        this.#written += rows
        this.#say('rows')
      },
      ...(request.countRows && {
        onExpectedRows: (rows: number) => {
          this.#expected = rows
        },
      }),
    }
  }

  #say(phase: MaterializeProgress['phase'], message?: string): void {
    this.#run.request.onProgress?.({
      view: this.#view.name,
      phase,
      start: this.#window.start,
      end: this.#window.end,
      rows: this.#written,
      ...(this.#expected !== undefined && { totalRows: this.#expected }),
      elapsedMs: this.#elapsedMs(),
      ...(message && { message }),
    })
  }

  #elapsedMs(): number {
    return Math.round(performance.now() - this.#started)
  }
}

function defaultWriteRows({ features }: StoredView): number {
  return Math.ceil(WRITE_CELLS / (features.length + 1))
}

function failedOutcome(error: unknown): Outcome {
  return { outcome: 'failed', rows: 0, skipped: 0, error: messageOf(error) }
}

function phaseOf({ outcome }: Outcome): MaterializeProgress['phase'] {
  if (outcome === 'done' || outcome === 'failed') return outcome
  return 'skipped'
}

/** Names are mapped by the batch source's own mapping, whatever stream feeds the view beside it (B19). */
function pullQuery(
  view: StoredView,
  joinKeys: ReturnType<typeof joinKeyFields>,
  { start, end }: MaterializationWindow,
): PullQuery {
  const { source, timestampColumn, createdColumn } = rowsOf(view)
  const columns = (fields: StoredView['features']) =>
    fields.map(({ name, type }) => ({ column: sourceColumn(source, name), name, type }))
  return {
    source,
    timestampColumn,
    createdColumn,
    joinKeys: columns(joinKeys),
    features: columns(view.features),
    start,
    end,
    latest: true,
  }
}
