import type { RunStatus, RunViewStatus } from './feature-store.js'
import type { FileLoaded, MaterializationJournal, RunRecord, ViewDetails } from './materialization-journal.js'

/** What a run did so far, from its journal; once it has ended, from its record. */
export async function runStatus(journal: MaterializationJournal, record: RunRecord): Promise<RunStatus> {
  const { id, request, startedAt, by, ended } = record
  const shared = { run: id, request, startedAt, by }
  if (ended !== undefined) {
    return { ...shared, state: ended.state, endedAt: ended.at, views: ended.views }
  }
  const views = await viewStatuses(journal, id)
  const isPlanned = record.kind === 'plan' && (await journal.readPlan(id)) !== undefined
  const lastSignAt = new Date(await journal.lastSign(id)).toISOString()
  return { ...shared, state: isPlanned ? 'planned' : 'running', lastSignAt, views }
}

export async function viewStatuses(
  journal: MaterializationJournal,
  id: string,
): Promise<readonly RunViewStatus[]> {
  const views = await journal.views(id)
  return Promise.all(views.map(async (view) => viewStatus(await journal.viewDetails(id, view))))
}

export function viewStatus(details: ViewDetails): RunViewStatus {
  const { view, started, planned, loads, failures, progress } = details
  const rows = sum([...loads.values()], (load) => load.rows) + sum(underWay(details), (one) => one.rows)
  const totalRows = planned ? knownRows(planned.files) : progress[0]?.totalRows
  const bytes = planned && {
    loaded: sum(planned.files, (file, index) => (loads.has(index) ? file.bytes : 0)),
    total: sum(planned.files, (file) => file.bytes),
  }
  const rowsPerSecond = rateOf(details, rows)
  const left = totalRows === undefined || !rowsPerSecond ? undefined : (totalRows - rows) / rowsPerSecond
  const window = started ?? progress[0]
  return {
    view,
    start: window?.start ?? '',
    end: window?.end ?? '',
    state: stateOf(details),
    ...(planned && { files: { loaded: loads.size, total: planned.files.length } }),
    rows,
    ...(totalRows !== undefined && { totalRows }),
    skipped: (planned?.skipped ?? 0) + sum([...loads.values()], (load) => load.skipped),
    ...(bytes && { bytes }),
    ...(planned?.cost && { scannedBytes: planned.cost.scannedBytes, price: planned.cost.price }),
    ...(rowsPerSecond !== undefined && { rowsPerSecond }),
    ...(left !== undefined && left > 0 && { secondsLeft: Math.ceil(left) }),
    failures: failures.map(({ at, error, file }) => ({ at, error, ...(file !== undefined && { file }) })),
  }
}

function stateOf({ planned, loads, failures, progress, isRecorded }: ViewDetails): RunViewStatus['state'] {
  if (isRecorded) return 'recorded'
  const last = [...loads.values(), ...progress, ...(planned ? [planned] : [])]
    .map(({ at }) => at)
    .sort()
    .at(-1)
  const failed = failures.at(-1)
  if (failed !== undefined && failed.at >= (last ?? '')) return 'failed'
  if (planned === undefined) return progress.length > 0 ? 'loading' : 'querying'
  return loads.size === planned.files.length ? 'loaded' : 'loading'
}

/** Rows of files that are being loaded, and of a run without files. */
function underWay({ loads, progress }: ViewDetails): ViewDetails['progress'] {
  return progress.filter(({ file }) => file === undefined || !loads.has(file))
}

function rateOf({ loads, progress }: ViewDetails, rows: number): number | undefined {
  const beganAt = (load: FileLoaded) => Date.parse(load.at) - load.elapsedMs
  const begins = [
    ...[...loads.values()].map(beganAt),
    ...progress.map(({ startedAt }) => Date.parse(startedAt)),
  ]
  const ends = [...loads.values(), ...progress].map(({ at }) => Date.parse(at))
  const elapsedMs = Math.max(...ends) - Math.min(...begins)
  return elapsedMs > 0 ? Math.round((rows * 1000) / elapsedMs) : undefined
}

function knownRows(files: readonly { readonly rows?: number }[]): number | undefined {
  return files.every(({ rows }) => rows !== undefined) ? sum(files, ({ rows }) => rows!) : undefined
}

function sum<T>(items: readonly T[], of: (item: T, index: number) => number): number {
  return items.reduce((total, item, index) => total + of(item, index), 0)
}
