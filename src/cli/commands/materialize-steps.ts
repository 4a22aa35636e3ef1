import { writeFile } from 'node:fs/promises'
import type { RepoConfig } from '../../config/repo-config.js'
import type { AwsSettings } from '../../core/aws-settings.js'
import { feastError } from '../../core/errors.js'
import type {
  LoadReport,
  LoadRequest,
  PlanReport,
  RunStatus,
  RunViewStatus,
} from '../../feature-store/feature-store.js'
import type { CliContext } from '../cli-context.js'
import { badInput, usageError } from '../exit-error.js'
import { count, materializeProgress, perSecond, seconds } from '../materialize-progress.js'
import { emphasis, print, printJson, printNotice, printTable } from '../output.js'
import {
  commonRequest,
  costText,
  incrementalRequest,
  jsonReport,
  type MaterializeFlags,
  printReport,
  rangeRequest,
  size,
} from './materialize.js'

interface RunFlags {
  readonly run?: string
  readonly json?: boolean
}

interface PlanFlags extends MaterializeFlags, RunFlags {
  readonly incremental?: string
  readonly output?: string
}

/** `feast materialize plan`. */
export async function plan(
  context: CliContext,
  range: readonly [string?, string?],
  flags: PlanFlags,
): Promise<void> {
  await withProgress(async (progress) => {
    const request = {
      ...askedFor(range, flags),
      ...commonRequest(flags),
      ...(flags.run !== undefined && { run: flags.run }),
      ...(flags.shards !== undefined && { shards: flags.shards }),
    }
    const store = await context.store()
    const planned = await store.planMaterialization({
      ...request,
      ...(await batchLimit(store.config)),
      onProgress: progress.update,
      signal: context.signal,
    })
    progress.end()
    if (context.signal.aborted) throw feastError('ABORTED', { what: 'The plan' })
    if (flags.output) await writePlan(flags.output, planned, store.config.aws)
    if (flags.json) printJson(jsonPlan(planned))
    else printPlan(planned)
    if (planned.views.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1
  })
}

/** Where AWS Batch loads, no more children than it is told to start. */
async function batchLimit(config: RepoConfig): Promise<{ readonly maxShards?: number }> {
  if (config.batchEngine.type !== 'aws_batch') return {}
  const { openBatchEngine } = await import('../../training/batch-engine.js')
  return { maxShards: (await openBatchEngine(config)).maxShards }
}

function askedFor(range: readonly [string?, string?], flags: PlanFlags) {
  if (flags.incremental === undefined) return rangeRequest(range, flags)
  if (range[0] || flags.disableEventTimestamp) {
    throw usageError(
      '--incremental takes the place of START_TS and END_TS, and of --disable-event-timestamp.',
    )
  }
  return incrementalRequest(flags.incremental, '--incremental', flags)
}

/** The id alone on stdout, so that a script can take it. */
function printPlan(planned: PlanReport): void {
  for (const { view, outcome, error, notices, rows, cost } of planned.views) {
    for (const notice of notices) printNotice(`Note: ${view}: ${notice}`)
    const paid = cost === undefined ? '' : `, ${costText(cost)}`
    const text = outcome === 'done' ? `planned${rows > 0 ? `, ${count(rows)} rows` : ''}${paid}` : outcome
    printNotice(`${view}: ${error === undefined ? text : `failed: ${error}`}`)
  }
  const bytes = planned.files.reduce((sum, file) => sum + file.bytes, 0)
  printNotice(`${count(planned.files.length)} files, ${size(bytes)}, for ${planned.shards} shards`)
  print(planned.run)
}

function jsonPlan({ run, shards, files, views }: PlanReport) {
  return { run, shards, files, ...jsonReport({ views }) }
}

async function writePlan(output: string, planned: PlanReport, aws: AwsSettings): Promise<void> {
  const text = `${JSON.stringify(jsonPlan(planned), null, 2)}\n`
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(output)) return writeFile(output, text)
  const { openObjectStore } = await import('../../object-stores/index.js')
  const objects = await openObjectStore(output, '--output', aws)
  try {
    const found = await objects.read(output)
    await objects.write(output, Buffer.from(text), found?.version)
  } finally {
    await objects.close()
  }
}

interface LoadFlags extends RunFlags {
  readonly shard?: LoadRequest['shard']
}

/** `feast materialize load`. */
export async function load(context: CliContext, _: readonly [], flags: LoadFlags): Promise<void> {
  await withProgress(async (progress) => {
    const run = runOf(flags)
    const shard = flags.shard ?? batchShard(process.env)
    const parent = process.send?.bind(process)
    const store = await context.store()
    const report = await store.loadMaterialization({
      run,
      ...(shard && { shard }),
      onProgress: (each) => (parent ? parent(each) : progress.update(each)),
      signal: context.signal,
    })
    progress.end()
    if (flags.json) printJson(jsonLoad(report))
    else printLoad(report)
    if (report.failures.length > 0) process.exitCode = 1
    if (parent) process.disconnect()
  })
}

/** The share of a child of an AWS Batch array job. */
export function batchShard(env: Readonly<Record<string, string | undefined>>): LoadRequest['shard'] {
  const [index, size] = ['AWS_BATCH_JOB_ARRAY_INDEX', 'AWS_BATCH_JOB_ARRAY_SIZE'].map((name) => env[name])
  if (index === undefined) return undefined
  if (size === undefined) {
    throw usageError(
      'AWS_BATCH_JOB_ARRAY_INDEX is set and AWS_BATCH_JOB_ARRAY_SIZE is not: give --shard k/n, or set both.',
    )
  }
  return { number: Number(index), of: Number(size) }
}

function printLoad({ run, files, rows, skipped, elapsedMs, failures }: LoadReport): void {
  for (const { view, file, error } of failures) printNotice(`${view}: ${file}: failed: ${error}`)
  const before = files.before > 0 ? `, ${count(files.before)} loaded before` : ''
  const failed = files.failed > 0 ? `, ${count(files.failed)} failed` : ''
  const left = skipped > 0 ? `, ${count(skipped)} rows without key or time left out` : ''
  const rate = `${seconds(elapsedMs / 1000)} (${count(perSecond(rows, elapsedMs))} rows/s)`
  print(
    `${emphasis(run)}: ${count(files.loaded)} files, ${count(rows)} rows in ${rate}${left}${before}${failed}`,
  )
}

function jsonLoad({ elapsedMs, ...report }: LoadReport) {
  return { ...report, elapsed_ms: elapsedMs }
}

/** `feast materialize commit`. */
export async function commit(context: CliContext, _: readonly [], flags: RunFlags): Promise<void> {
  await withProgress(async (progress) => {
    const run = runOf(flags)
    const store = await context.store()
    const report = await store.commitMaterialization({
      run,
      onPrecomputeProgress: progress.updateVectors,
      signal: context.signal,
    })
    progress.end()
    printReport(report, flags)
    if (!flags.json && report.views.length === 0) printNotice(`Nothing to record of run ${run}.`)
  })
}

/** `feast materialize abandon`. */
export async function abandon(context: CliContext, _: readonly [], flags: RunFlags): Promise<void> {
  await withProgress(async () => {
    const run = runOf(flags)
    await (await context.store()).abandonMaterialization(run)
    printNotice(`Run ${run} is given up; its views are free.`)
  })
}

function runOf({ run }: RunFlags): string {
  if (run) return run
  throw usageError('--run is needed: the id that `feast materialize plan` printed.')
}

/** `feast materialize status [RUN]`. */
export async function status(
  context: CliContext,
  [run]: readonly [string?],
  { json }: RunFlags,
): Promise<void> {
  await withProgress(async () => {
    const store = await context.store()
    if (run !== undefined) {
      const one = await store.materializationStatus(run)
      return json ? printJson(one) : printRun(one)
    }
    const runs = await store.materializations()
    if (json) return printJson({ runs })
    if (runs.length === 0) return printNotice('No run is known yet.')
    printTable(['RUN', 'STATE', 'STARTED', 'VIEWS', 'ROWS', 'PRICE', 'REQUEST'], runs.map(runRow))
  })
}

function runRow({ run, state, startedAt, views, request }: RunStatus): readonly string[] {
  const rows = views.reduce((sum, view) => sum + view.rows, 0)
  return [run, state, startedAt, String(views.length), count(rows), priceText(views), request]
}

function priceText(views: readonly RunViewStatus[]): string {
  const prices = views.flatMap(({ price }) => price ?? [])
  return prices.length === 0 ? '-' : `$${prices.reduce((sum, price) => sum + price, 0).toFixed(4)}`
}

function printRun({ run, request, state, startedAt, lastSignAt, endedAt, by, views }: RunStatus): void {
  print(`${emphasis(run)}: ${state}; ${request}`)
  const until = endedAt === undefined ? `, last heard of ${lastSignAt}` : `, ended ${endedAt}`
  print(`started ${startedAt} by ${by}${until}`)
  for (const view of views) printRunView(view)
}

function printRunView(view: RunViewStatus): void {
  const { files, rows, totalRows, bytes, skipped, scannedBytes, price, rowsPerSecond, secondsLeft } = view
  const parts = [
    view.state,
    `${count(rows)}${totalRows === undefined ? '' : ` of ${count(totalRows)}`} rows`,
    ...(files ? [`${count(files.loaded)} of ${count(files.total)} files`] : []),
    ...(bytes ? [`${size(bytes.loaded)} of ${size(bytes.total)}`] : []),
    ...(rowsPerSecond === undefined ? [] : [`${count(rowsPerSecond)} rows/s`]),
    ...(secondsLeft === undefined ? [] : [`${seconds(secondsLeft)} left`]),
    ...(skipped > 0 ? [`${count(skipped)} left out`] : []),
    ...(scannedBytes === undefined || price === undefined ? [] : [costText({ scannedBytes, price })]),
  ]
  print()
  print(`${emphasis(view.view)} from ${view.start} to ${view.end}: ${parts.join(', ')}`)
  for (const { at, error, file } of view.failures) {
    print(`  ${at} ${file === undefined ? 'query' : `file ${file}`}: ${error}`)
  }
}

async function withProgress(
  work: (progress: ReturnType<typeof materializeProgress>) => Promise<void>,
): Promise<void> {
  const progress = materializeProgress()
  try {
    await work(progress)
  } catch (error) {
    throw badInput(error)
  } finally {
    progress.end()
  }
}
