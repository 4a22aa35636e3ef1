import { formatInstant } from '../core/instant.js'
import type { Registry } from '../registry/registry.js'
import type {
  MaterializeReport,
  MaterializeRequest,
  MaterializeViewReport,
  PrecomputeServiceReport,
  RunViewStatus,
} from './feature-store.js'
import { JournaledRun } from './journaled-run.js'
import type { ViewPlanned } from './materialization-journal.js'
import { viewStatus, viewStatuses } from './materialization-status.js'
import { viewTask } from './materialization-task.js'
import { precomputeService } from './precompute.js'
import { servicesToPrecompute } from './precomputed-vectors.js'
import { recordMaterialization } from './record-materialization.js'
import { dropView, isGone, loadFile, recordView, setUpTable, stageView, voidAttempt } from './staged-view.js'
import type { StoreParts } from './store-parts.js'
import { type Outcome, openRun, type Run, runViews, type ViewRun } from './view-run.js'
import { WrittenKeys } from './written-keys.js'

/**
 * Brings the latest row per key of each view online (J5–J7, spec 3.7). One view that fails does not stop the
 * others: look at each view's outcome. Where the offline store charges for queries, their rows are staged, and the
 * same request goes on where an earlier one of it died.
 * @throws what is wrong with the request itself, before anything is read or written
 */
export async function materialize(parts: StoreParts, given: MaterializeRequest): Promise<MaterializeReport> {
  const isStaged = (await parts.offlineStore()).stagingLocation !== undefined
  const kind = isStaged ? 'staged' : 'streamed'
  const { run, selected } = await openRun(parts, given, (request) => JournaledRun.open(parts, request, kind))
  const written = new WrittenKeys(await viewsOfVectors(parts, run.registry))
  const views = await runViews(run, selected, (view, lease) => {
    const signals = [lease.lost, ...(given.signal ? [given.signal] : [])]
    return (isStaged ? moveStaged : moveStreamed)(view, written, AbortSignal.any(signals))
  })
  // What an earlier process of the run wrote, or recorded before it came to vectors, was not seen here.
  if (run.journaled.isResumed) for (const view of await run.journal.views(run.id)) written.addUnseen(view)
  const services = await precomputeAfter(run, written)
  await endRun(run, isStaged, views)
  return { views, ...(services.length > 0 && { services }) }
}

async function moveStreamed(view: ViewRun, written: WrittenKeys, signal: AbortSignal): Promise<Outcome> {
  const { run, window, selected, stampedAt } = view
  const { parts, registry, engine, request } = run
  const task = viewTask(parts, registry, { ...selected, window, stampedAt })
  await (await parts.onlineStore()).setup([task.table])
  const { rows, skipped } = await engine.materialize(
    {
      ...task,
      encode: (batch) => {
        const encoded = task.encode(batch)
        written.add(view.name, encoded.rows)
        return encoded
      },
      onRows: (count) => view.addRows(count),
      ...(request.countRows && { onExpectedRows: (count: number) => view.expect(count) }),
    },
    signal,
  )
  sayIfDeleted(view, await recordMaterialization(parts, view.name, window))
  return view.done(rows, skipped)
}

async function moveStaged(view: ViewRun, written: WrittenKeys, signal: AbortSignal): Promise<Outcome> {
  const { run, selected, window, stampedAt } = view
  for (let isSecond = false; ; isSecond = true) {
    const { version } = run.request
    const planned = await stageView(run, { selected, window, stampedAt, version, files: undefined }, signal)
    view.takeWindow(planned)
    try {
      await loadAll(view, planned, written, signal)
    } catch (error) {
      // Rows that an earlier process staged may be gone by now; those of this one are not.
      if (isSecond || !isGone(error)) throw error
      await voidAttempt(run, planned)
      continue
    }
    sayIfDeleted(view, await recordView(run, planned))
    await dropView(run, view.name)
    const { rows, skipped } = viewStatus(await run.journal.viewDetails(run.id, view.name))
    return view.done(rows, skipped, planned.cost)
  }
}

async function loadAll(
  view: ViewRun,
  planned: ViewPlanned,
  written: WrittenKeys,
  signal: AbortSignal,
): Promise<void> {
  const { run, selected } = view
  const { loaded } = await run.journal.view(run.id, view.name)
  await setUpTable(run, selected, planned)
  const left = planned.files
    .map((file, number) => ({ ...file, number }))
    .filter(({ number }) => !loaded.has(number))
  if (left.every(({ rows }) => rows !== undefined))
    view.expect(left.reduce((sum, { rows }) => sum + rows!, 0))
  for (const [index, { number }] of left.entries()) {
    const startedAt = new Date().toISOString()
    let rows = 0
    await loadFile(run, selected, planned, {
      file: number,
      next: left[index + 1],
      onRows: (count) => {
        rows += count
        view.addRows(count, { number, rows, startedAt })
      },
      onEncoded: (encoded) => written.add(view.name, encoded.rows),
      signal,
    })
  }
}

function sayIfDeleted(view: ViewRun, isThere: boolean): void {
  if (!isThere) view.notices.push('the view was deleted meanwhile: nothing recorded')
}

/** A run that others are at work on is theirs to end. */
async function endRun(run: Run, isStaged: boolean, views: readonly MaterializeViewReport[]): Promise<void> {
  if (run.journaled.isResumed && views.some(({ outcome }) => outcome === 'already running')) return
  const state = views.some(({ outcome }) => outcome === 'failed') ? 'failed' : 'committed'
  const statuses = isStaged ? await viewStatuses(run.journal, run.id) : views.flatMap(streamedStatus)
  await run.journaled.end(state, statuses)
}

function streamedStatus(report: MaterializeViewReport): readonly RunViewStatus[] {
  const { view, outcome, start, end, rows, skipped, elapsedMs, error } = report
  if (outcome !== 'done' && outcome !== 'failed') return []
  const failures = error === undefined ? [] : [{ at: new Date().toISOString(), error }]
  return [
    {
      view,
      start: formatInstant(start),
      end: formatInstant(end),
      state: outcome === 'done' ? 'recorded' : 'failed',
      rows,
      skipped,
      ...(elapsedMs > 0 && { rowsPerSecond: Math.round((rows * 1000) / elapsedMs) }),
      failures,
    },
  ]
}

/** Once for all views of the run. Where many entities were written, all of the store are gone through. */
export async function precomputeAfter(
  {
    parts,
    registry,
    request,
  }: Pick<Run, 'parts' | 'registry'> & {
    readonly request: Pick<MaterializeRequest, 'signal' | 'onPrecomputeProgress'>
  },
  written: WrittenKeys,
): Promise<readonly PrecomputeServiceReport[]> {
  const { signal, onPrecomputeProgress: onProgress } = request
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
export async function viewsOfVectors(parts: StoreParts, registry: Registry): Promise<ReadonlySet<string>> {
  if ((await parts.onlineStore()).vectors === undefined) return new Set()
  const services = servicesToPrecompute(registry, parts.project)
  return new Set(services.flatMap(({ projections }) => projections.map(({ view }) => view)))
}
