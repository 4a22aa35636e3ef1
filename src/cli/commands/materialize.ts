import { parseDuration } from '../../core/duration.js'
import { feastError } from '../../core/errors.js'
import { formatInstant, type Micros, parseInstant } from '../../core/instant.js'
import type {
  FeatureStore,
  MaterializeReport,
  MaterializeRequest,
  MaterializeViewReport,
} from '../../feature-store/feature-store.js'
import { selectViews } from '../../feature-store/materialization-selection.js'
import type { QueryCost } from '../../offline-stores/offline-store.js'
import type { CliContext } from '../cli-context.js'
import { badInput, usageError } from '../exit-error.js'
import { count, materializeProgress, seconds } from '../materialize-progress.js'
import { emphasis, print, printJson, printNotice } from '../output.js'
import { materializeSharded } from './materialize-sharded.js'
import { jsonService, printService } from './precompute.js'

export interface MaterializeFlags {
  readonly views?: readonly string[]
  readonly version?: string
  readonly disableEventTimestamp?: boolean
  readonly allowFuture?: boolean
  readonly lookback?: string
  readonly since?: string
  readonly shards?: number
  readonly json?: boolean
}

/** `feast materialize START_TS END_TS`. */
export async function materialize(
  context: CliContext,
  [startText, endText]: readonly [string?, string?],
  flags: MaterializeFlags,
): Promise<void> {
  await run(context, flags, () => rangeRequest([startText, endText], flags))
}

export function rangeRequest(
  [startText, endText]: readonly [string?, string?],
  { disableEventTimestamp }: Pick<MaterializeFlags, 'disableEventTimestamp'>,
): MaterializeRequest {
  if (disableEventTimestamp) {
    if (startText) throw usageError('START_TS and END_TS cannot be given with --disable-event-timestamp.')
    return { mode: 'range', disableEventTimestamp: true }
  }
  if (!startText || !endText) {
    throw usageError('START_TS and END_TS are needed, unless --disable-event-timestamp is given.')
  }
  const start = parseInstant(startText, 'START_TS')
  const end = parseInstant(endText, 'END_TS')
  if (start > end) throw usageError(`START_TS ${startText} is later than END_TS ${endText}.`)
  return { mode: 'range', start, end }
}

/** `feast materialize-incremental END_TS`. */
export async function materializeIncremental(
  context: CliContext,
  [endText]: readonly [string],
  flags: MaterializeFlags,
): Promise<void> {
  await run(context, flags, () => incrementalRequest(endText, 'END_TS', flags))
}

export function incrementalRequest(
  endText: string,
  where: string,
  { since }: Pick<MaterializeFlags, 'since'>,
): MaterializeRequest {
  return {
    mode: 'incremental',
    end: parseInstant(endText, where),
    ...(since ? { since: parseInstant(since, '--since') } : {}),
  }
}

async function run(
  context: CliContext,
  flags: MaterializeFlags,
  rangeOf: () => MaterializeRequest,
): Promise<void> {
  const progress = materializeProgress()
  try {
    const request = { ...rangeOf(), ...commonRequest(flags), signal: context.signal }
    const store = await context.store()
    if (!flags.json) await printHeader(store, request)
    const watched = {
      ...request,
      onProgress: progress.update,
      onPrecomputeProgress: progress.updateVectors,
      countRows: process.stderr.isTTY === true,
    }
    const report =
      flags.shards === undefined
        ? await store.materialize(watched)
        : await materializeSharded(context, watched, flags.shards)
    progress.end()
    printReport(report, flags)
    if (context.signal.aborted) throw feastError('ABORTED', { what: 'The materialization' })
    if (report.views.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1
  } catch (error) {
    progress.end()
    throw badInput(error)
  }
}

export function printReport(report: MaterializeReport, { json }: { readonly json?: boolean }): void {
  if (json) printJson(jsonReport(report))
  else {
    for (const view of report.views) printView(view)
    for (const service of report.services ?? []) printService(service)
  }
}

export function commonRequest(flags: MaterializeFlags): Partial<MaterializeRequest> {
  if (flags.version && flags.views?.length !== 1) {
    throw usageError('--version needs --views with exactly one feature view.')
  }
  return {
    ...(flags.views ? { views: flags.views } : {}),
    ...(flags.version ? { version: flags.version } : {}),
    ...(flags.allowFuture ? { allowFuture: true } : {}),
    ...(flags.lookback ? { lookbackSeconds: parseDuration(flags.lookback, '--lookback') } : {}),
  }
}

async function printHeader(store: FeatureStore, request: MaterializeRequest): Promise<void> {
  const { mode, start, end } = request
  const many = selectViews(await store.registry(), store, request)
  const into = store.config.onlineStore?.type ?? 'missing'
  const from = mode === 'range' && start !== undefined ? ` from ${emphasis(timeText(start))}` : ''
  const to = end === undefined ? '' : ` to ${emphasis(timeText(end))}`
  print(
    `Materializing ${emphasis(String(many.length))} feature views${from}${to} into the ${emphasis(into)} online store.`,
  )
  print()
}

export function printView(view: MaterializeViewReport): void {
  for (const notice of view.notices) printNotice(`Note: ${view.view}: ${notice}`)
  print(`${emphasis(view.view)} from ${timeText(view.start)} to ${timeText(view.end)}: ${outcomeText(view)}`)
}

function outcomeText({ outcome, error, rows, skipped, elapsedMs, cost }: MaterializeViewReport): string {
  if (outcome === 'failed') return `failed: ${error}`
  if (outcome !== 'done') return outcome
  const perSecond = elapsedMs > 0 ? Math.round((rows * 1000) / elapsedMs) : rows
  const left = skipped > 0 ? `, ${count(skipped)} rows without key or time left out` : ''
  const paid = cost === undefined ? '' : `, ${costText(cost)}`
  return `${count(rows)} rows in ${seconds(elapsedMs / 1000)} (${count(perSecond)} rows/s)${left}${paid}`
}

/** `3.1 GB scanned, $0.0155`. */
export function costText({ scannedBytes, price }: Pick<QueryCost, 'scannedBytes' | 'price'>): string {
  return `${size(scannedBytes)} scanned, $${price.toFixed(price < 1 ? 4 : 2)}`
}

export function size(bytes: number): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)))
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`
}

/** As Python prints it: `2026-08-01 00:00:00+00:00`. */
export function timeText(micros: Micros): string {
  return formatInstant(micros).replace('T', ' ').replace('Z', '+00:00')
}

export function jsonReport({ views, services }: MaterializeReport) {
  return {
    ...(services && { services: services.map(jsonService) }),
    views: views.map(({ start, end, elapsedMs, ...view }) => ({
      ...view,
      start: formatInstant(start),
      end: formatInstant(end),
      elapsed_ms: Math.round(elapsedMs),
    })),
  }
}
