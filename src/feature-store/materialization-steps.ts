import { feastError, messageOf } from '../core/errors.js'
import type { StagedFile } from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import type {
  CommitRequest,
  LoadReport,
  LoadRequest,
  MaterializeReport,
  MaterializeViewReport,
  PlanReport,
  PlanRequest,
  RunStatus,
} from './feature-store.js'
import { abandon, JournaledRun, openJournal } from './journaled-run.js'
import { isOver, type ViewPlanned } from './materialization-journal.js'
import type { Lease } from './materialization-leases.js'
import { type SelectedView, selectViews } from './materialization-selection.js'
import { runStatus, viewStatuses } from './materialization-status.js'
import { precomputeAfter, viewsOfVectors } from './materialize.js'
import {
  isGone,
  isStillSo,
  loadFile,
  recordView,
  type StagedRun,
  setUpTable,
  stageView,
  windowOf,
} from './staged-view.js'
import type { StoreParts } from './store-parts.js'
import { type Outcome, openEngine, openRun, type Run, runViews, type ViewRun } from './view-run.js'
import { WrittenKeys } from './written-keys.js'

/** What `plan` leaves for `load` and `commit`, as JSON. */
interface Plan {
  readonly run: string
  readonly project: string
  readonly shards: number
  readonly views: readonly ViewPlanned[]
  /** The largest first: shard k of n takes every n-th from k on. */
  readonly files: readonly PlanFile[]
}

interface PlanFile extends StagedFile {
  readonly view: string
  /** Of the view's files. */
  readonly number: number
}

/** What one process brings online in some minutes. */
const SHARD_ROWS = 5_000_000
const SHARD_BYTES = 512 * 1024 * 1024

/**
 * One query per view, its rows staged. The views stay with the run until it is committed or abandoned, or nobody
 * works on it any more. Planning the same request again goes on where that left off.
 */
export async function planMaterialization(parts: StoreParts, request: PlanRequest): Promise<PlanReport> {
  const { run, selected } = await openRun(parts, request, (asked) =>
    JournaledRun.open(parts, asked, 'plan', request.run),
  )
  const views = await runViews(run, selected, (view, lease) =>
    planView(view, lease, request.shards, request.signal),
  )
  await run.journaled.begin()
  const plan = await planOf(run, request)
  await run.journal.writePlan(run.id, plan)
  const { shards } = plan
  const files = plan.files.map(({ number: _, ...file }) => file)
  return { run: run.id, shards, files, views }
}

async function planView(
  view: ViewRun,
  lease: Lease,
  shards: number | undefined,
  given: AbortSignal | undefined,
): Promise<Outcome> {
  const { run, selected, window, stampedAt } = view
  const signal = AbortSignal.any([lease.lost, ...(given ? [given] : [])])
  const { version } = run.request
  const planned = await stageView(run, { selected, window, stampedAt, version, files: shards }, signal)
  view.takeWindow(planned)
  await lease.handOver()
  const rows = planned.files.reduce((sum, file) => sum + (file.rows ?? 0), 0)
  return view.done(rows, planned.skipped ?? 0, planned.cost)
}

/** All views that are planned, by this call or an earlier one. */
async function planOf(run: Run, { shards: wanted, maxShards }: PlanRequest): Promise<Plan> {
  const names = await run.journal.views(run.id)
  const steps = await Promise.all(names.map((name) => run.journal.view(run.id, name)))
  const views = steps.flatMap(({ planned }) => planned ?? [])
  const files = views
    .flatMap((view) => view.files.map((file, number): PlanFile => ({ ...file, view: view.view, number })))
    .sort((a, b) => b.bytes - a.bytes)
  const shards = Math.min(files.length, wanted ?? worthStarting(files, maxShards))
  return { run: run.id, project: run.parts.project, shards, views, files }
}

function worthStarting(files: readonly StagedFile[], most = Number.POSITIVE_INFINITY): number {
  const shares = files.reduce(
    (sum, { rows, bytes }) => sum + (rows === undefined ? bytes / SHARD_BYTES : rows / SHARD_ROWS),
    0,
  )
  return Math.max(1, Math.min(most, Math.ceil(shares)))
}

/** Brings the files of a shard online that are not there yet. One that fails does not stop the others. */
export async function loadMaterialization(parts: StoreParts, request: LoadRequest): Promise<LoadReport> {
  const since = performance.now()
  const journaled = await JournaledRun.of(parts, request.run)
  const report = { run: request.run, rows: 0, skipped: 0 }
  const counts = { loaded: 0, before: 0, failed: 0 }
  const failures: LoadReport['failures'][number][] = []
  const elapsedMs = () => Math.round(performance.now() - since)
  if (journaled.record.ended?.state === 'committed')
    return { ...report, files: counts, failures, elapsedMs: 0 }
  const plan = await planToLoad(journaled)
  const registry = await (await parts.registryCache()).refresh()
  const { journal, id } = journaled
  const run = { id, parts, registry, journal, engine: await openEngine(parts) }
  const shard = shardOf(plan, request.shard)
  const views = new Map<string, Promise<LoadableView>>()
  for (const [index, { view: name, number, uri }] of shard.entries()) {
    const view = views.get(name) ?? loadable(run, plan, name)
    views.set(name, view)
    try {
      const { selected, planned, loaded } = await view
      if (loaded.has(number)) {
        counts.before++
        continue
      }
      await refuseLost(journaled, name)
      const moved = await loadFile(run, selected, planned, {
        file: number,
        next: shard[index + 1],
        onRows: progressOf(journaled, planned, shard, number, request),
        signal: request.signal,
      })
      counts.loaded++
      report.rows += moved.rows
      report.skipped += moved.skipped
    } catch (error) {
      if (request.signal?.aborted) throw feastError('ABORTED', { what: `Loading run "${id}"` }, error)
      counts.failed++
      failures.push({ view: name, file: uri, error: explained(id, error) })
    }
  }
  return { ...report, files: counts, failures, elapsedMs: elapsedMs() }
}

interface LoadableView {
  readonly selected: SelectedView
  readonly planned: ViewPlanned
  readonly loaded: ReadonlySet<number>
}

/** @throws when its rows must not be loaded any more */
async function loadable(run: StagedRun, plan: Plan, name: string): Promise<LoadableView> {
  const planned = plan.views.find(({ view }) => view === name)!
  const { loaded } = await run.journal.view(run.id, name)
  const selected = selectedAgain(run.parts, run.registry, planned)
  if (!isStillSo(run, selected, planned)) {
    throw feastError('INVALID_REQUEST', {
      message: `Feature view "${name}" was changed since run "${run.id}" was planned; abandon that run and plan anew.`,
    })
  }
  await setUpTable(run, selected, planned)
  return { selected, planned, loaded }
}

function selectedAgain(parts: StoreParts, registry: Registry, { view, version }: ViewPlanned): SelectedView {
  return selectViews(registry, parts, { views: [view], ...(version && { version }) })[0]!
}

async function refuseLost({ leases, id }: JournaledRun, view: string): Promise<void> {
  if (await leases.prolong(view, id)) return
  throw feastError('INVALID_REQUEST', {
    message: `Run "${id}" does not hold feature view "${view}" any more: nobody worked on it for hours, and another run took it. Abandon this run and plan anew.`,
  })
}

function shardOf(plan: Plan, shard: LoadRequest['shard']): readonly PlanFile[] {
  if (shard === undefined) return plan.files
  const { number, of } = shard
  if (Number.isInteger(number) && Number.isInteger(of) && number >= 0 && number < of) {
    return plan.files.filter((_, index) => index % of === number)
  }
  throw feastError('INVALID_REQUEST', {
    message: `There is no shard ${number} of ${of}; shards count from 0, as in 0/4 to 3/4.`,
  })
}

/** Tells how far the process and the file are. */
function progressOf(
  journaled: JournaledRun,
  { view, start, end }: ViewPlanned,
  shard: readonly PlanFile[],
  file: number,
  { onProgress }: LoadRequest,
): (rows: number) => void {
  const startedAt = new Date().toISOString()
  const since = performance.now()
  const window = windowOf({ start, end })
  const mine = shard.find((one) => one.view === view && one.number === file)!
  let rows = 0
  return (count) => {
    rows += count
    journaled.progress(view, { at: new Date().toISOString(), startedAt, rows, file, start, end })
    onProgress?.({
      view: `${view} ${file}`,
      phase: rows === mine.rows ? 'done' : 'rows',
      ...window,
      rows,
      ...(mine.rows !== undefined && { totalRows: mine.rows }),
      elapsedMs: Math.round(performance.now() - since),
    })
  }
}

function explained(run: string, error: unknown): string {
  if (!isGone(error)) return messageOf(error)
  return `${messageOf(error)} Staged rows were removed; abandon run "${run}" and plan anew.`
}

/** @throws MATERIALIZATION_NOT_FOUND */
async function planToLoad({ journal, id, record }: JournaledRun): Promise<Plan> {
  if (isOver(record))
    throw feastError('MATERIALIZATION_NOT_FOUND', { run: id, why: `was ${record.ended!.state}` })
  const plan = await journal.readPlan<Plan>(id)
  if (plan !== undefined) return plan
  throw feastError('MATERIALIZATION_NOT_FOUND', { run: id, why: 'has no plan yet; let `plan` end first' })
}

/**
 * Records the interval of each view, makes vectors anew, and removes what was staged. Does nothing if it was done.
 * @throws MATERIALIZATION_INCOMPLETE, MATERIALIZATION_NOT_FOUND
 */
export async function commitMaterialization(
  parts: StoreParts,
  request: CommitRequest,
): Promise<MaterializeReport> {
  const journaled = await JournaledRun.of(parts, request.run)
  const { journal, leases, id } = journaled
  if (journaled.record.ended?.state === 'committed') return { views: [] }
  const plan = await planToLoad(journaled)
  await refuseIncomplete(journaled, plan)
  const registry = await (await parts.registryCache()).refresh()
  const run = { id, parts, registry, journal, engine: await openEngine(parts) }
  const deleted = new Set<string>()
  for (const planned of plan.views) {
    if ((await journal.view(id, planned.view)).isRecorded) continue
    if (!(await recordView(run, planned))) deleted.add(planned.view)
  }
  const written = new WrittenKeys(await viewsOfVectors(parts, registry))
  for (const { view } of plan.views) written.addUnseen(view)
  const services = await precomputeAfter({ parts, registry, request }, written)
  const statuses = await viewStatuses(journal, id)
  for (const { view } of plan.views) await leases.giveUp(view, id)
  await journaled.end('committed', statuses)
  const views = plan.views.map((planned): MaterializeViewReport => {
    const { rows, skipped } = statuses.find(({ view }) => view === planned.view)!
    const notices = deleted.has(planned.view) ? ['the view was deleted meanwhile: nothing recorded'] : []
    const elapsedMs = Date.now() - Date.parse(journaled.record.startedAt)
    const report = { view: planned.view, ...windowOf(planned), outcome: 'done', rows, skipped } as const
    return { ...report, elapsedMs, notices, ...(planned.cost && { cost: planned.cost }) }
  })
  return { views, ...(services.length > 0 && { services }) }
}

async function refuseIncomplete({ journal, id }: JournaledRun, plan: Plan): Promise<void> {
  const missing: Record<string, string> = {}
  for (const { view, files, attempt } of plan.views) {
    const { loaded, attempts, planned, isRecorded } = await journal.view(id, view)
    if (isRecorded) continue
    if (attempts !== attempt || planned === undefined)
      missing[view] = 'its staged rows, which another run removed'
    else if (loaded.size < files.length)
      missing[view] = `${files.length - loaded.size} of ${files.length} files`
  }
  if (Object.keys(missing).length > 0) throw feastError('MATERIALIZATION_INCOMPLETE', { run: id, missing })
}

export async function abandonMaterialization(parts: StoreParts, id: string): Promise<void> {
  const journaled = await JournaledRun.of(parts, id)
  const { record } = journaled
  if (record.ended?.state === 'abandoned') return
  if (isOver(record)) {
    throw feastError('INVALID_REQUEST', {
      message: `Run "${id}" is ${record.ended!.state}; there is nothing to abandon.`,
    })
  }
  await abandon(journaled, record)
}

export async function materializations(parts: StoreParts): Promise<readonly RunStatus[]> {
  const { journal } = await openJournal(parts)
  const records = await journal.records()
  return Promise.all(records.map((record) => runStatus(journal, record)))
}

export async function materializationStatus(parts: StoreParts, id: string): Promise<RunStatus> {
  const { journal, record } = await JournaledRun.of(parts, id)
  return runStatus(journal, record)
}
