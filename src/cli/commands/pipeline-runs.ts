import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { feastError } from '../../core/errors.js'
import { openModelCandidates } from '../../server/model-candidates.js'
import type { TrainingParts } from '../../training/start-run.js'
import type { TrainingRun } from '../../training/training-trigger.js'
import { type CliContext, loggerFor } from '../cli-context.js'
import { commitOf } from '../commit-of.js'
import { badInput, usageError } from '../exit-error.js'
import { seconds } from '../materialize-progress.js'
import { alarm, emphasis, print, printJson, printNotice, printTable } from '../output.js'
import { person } from '../person.js'

interface WaitFlags {
  readonly wait?: boolean
  readonly logs?: boolean
  readonly json?: boolean
}

interface RunFlags extends WaitFlags {
  readonly param?: readonly string[]
  readonly run?: string
  readonly gitSha?: string
}

/** `feast pipeline run`. */
export async function runPipeline(
  context: CliContext,
  [name]: readonly [string],
  flags: RunFlags,
): Promise<void> {
  await withTraining(context, flags, async (parts) => {
    const { repoPath } = await context.config()
    const { loadPipeline } = await import('../../training/load-pipelines.js')
    const { startRun } = await import('../../training/start-run.js')
    const run = await startRun(parts, {
      pipeline: await loadPipeline(repoPath, name),
      params: paramsOf(flags.param ?? []),
      runId: flags.run,
      startedBy: person().name,
      gitSha: flags.gitSha ?? (await commitOf(repoPath)),
      signal: context.signal,
      onPhase: (phase, runId) => {
        if (phase === 'dataset') printNotice(`${runId}: joining the dataset`)
      },
    })
    await follow(context, parts, run, flags)
  })
}

function paramsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw usageError(`--param ${text}: write it as name=value.`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

/** `feast pipeline retry`. */
export async function retryRun(
  context: CliContext,
  [id]: readonly [string],
  flags: WaitFlags,
): Promise<void> {
  await withTraining(context, flags, async (parts) => {
    const { repoPath } = await context.config()
    const { loadPipeline } = await import('../../training/load-pipelines.js')
    const { pipeline } = await parts.trigger.describe(id)
    const run = await parts.trigger.retry(await loadPipeline(repoPath, pipeline), id)
    await follow(context, parts, run, flags)
  })
}

/** Waits for a run, saying what it does; a run of this machine lives in this process and is always waited for. */
async function follow(
  context: CliContext,
  { trigger }: TrainingParts,
  started: TrainingRun,
  { wait, json }: WaitFlags,
): Promise<void> {
  const isHere = trigger.ended !== undefined
  let run = started
  const said = new Set<string>()
  const say = () => {
    for (const { name, status } of run.steps) {
      const line = `${name}: ${status}`
      if (!said.has(line)) printNotice(line)
      said.add(line)
    }
  }
  if (isHere || wait) {
    printNotice(`${run.runId}: ${run.status}${run.url ? ` ${run.url}` : ''}`)
    for (let pause = 1000; run.status === 'running'; pause = Math.min(pause * 1.5, 15_000)) {
      say()
      const woken = trigger.ended?.(run.runId)
      const time = isHere ? 300 : pause * (0.5 + Math.random() / 2)
      await Promise.race([woken, sleep(time, undefined, { signal: context.signal })].filter(Boolean)).catch(
        () => undefined,
      )
      if (context.signal.aborted) {
        if (isHere) await trigger.close()
        throw feastError('ABORTED', { what: `${isHere ? 'Run' : 'Waiting for run'} "${run.runId}"` })
      }
      run = await trigger.describe(run.runId)
    }
    say()
  }
  if (json) printJson(run)
  else printRun(run)
  if (run.status === 'failed' || run.status === 'stopped') process.exitCode = 1
}

/** `feast pipeline list`. */
export async function listRuns(
  context: CliContext,
  [name]: readonly [string?],
  { json }: WaitFlags,
): Promise<void> {
  await withTraining(context, {}, async ({ trigger }) => {
    const { repoPath } = await context.config()
    const { loadPipelines } = await import('../../training/load-pipelines.js')
    const pipelines = [...(await loadPipelines(repoPath)).keys()]
    const runs = await trigger.list(name)
    if (json) return printJson({ pipelines, runs })
    const idle = pipelines.filter(
      (one) => (name ?? one) === one && runs.every(({ pipeline }) => pipeline !== one),
    )
    printTable(
      ['PIPELINE', 'RUN', 'STATUS', 'STARTED', 'TOOK', 'MODEL'],
      [
        ...runs.map((run) => [
          run.pipeline,
          run.runId,
          statusOf(run),
          run.startedAt,
          tookOf(run),
          run.model ?? '-',
        ]),
        ...idle.map((one) => [one, '-', 'never run', '-', '-', '-']),
      ],
    )
  })
}

/** `feast pipeline describe`. */
export async function describeRun(
  context: CliContext,
  [id]: readonly [string],
  { events, json }: WaitFlags & { readonly events?: boolean },
): Promise<void> {
  await withTraining(context, {}, async ({ trigger }) => {
    const run = await trigger.describe(id)
    const happened = events ? await trigger.events(id) : undefined
    if (json) return printJson({ ...run, ...(happened && { events: happened }) })
    printRun(run)
    for (const event of happened ?? []) {
      print(`${event.at}  ${event.event}  ${event.state}${event.details ? `  ${event.details}` : ''}`)
    }
  })
}

/** `feast pipeline stop`. */
export async function stopRun(context: CliContext, [id]: readonly [string]): Promise<void> {
  await withTraining(context, {}, ({ trigger }) => trigger.stop(id))
}

function printRun(run: TrainingRun): void {
  print(`${emphasis(run.runId)}: ${statusOf(run)}${run.endedAt ? ` after ${tookOf(run)}` : ''}`)
  for (const { name, status, startedAt, endedAt } of run.steps) {
    print(`  ${name}: ${status}${endedAt ? `, ${between(startedAt, endedAt)}` : ''}`)
  }
  if (run.metrics)
    print(
      `  metrics: ${Object.entries(run.metrics)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')}`,
    )
  if (run.model) print(`  model: ${run.model}`)
  if (run.url) print(`  ${run.url}`)
  if (run.error) printNotice(alarm(run.error))
}

function statusOf({ status, outcome }: TrainingRun): string {
  return outcome === undefined || status === 'running' ? status : `${status}, ${outcome.replace('_', ' ')}`
}

function tookOf({ startedAt, endedAt }: TrainingRun): string {
  return endedAt ? between(startedAt, endedAt) : '-'
}

function between(start: string, end: string): string {
  return seconds((Date.parse(end) - Date.parse(start)) / 1000)
}

interface RegisterFlags {
  readonly run?: string
  readonly runUri?: string
  readonly artifact?: string
  readonly rejected?: boolean
}

/** `feast pipeline register`: unpacks the training job's artifact and registers the model in it. */
export async function registerModel(
  context: CliContext,
  [name]: readonly [string],
  { run, runUri, artifact, rejected = false }: RegisterFlags,
): Promise<void> {
  if (!run || !runUri || !artifact) throw usageError('Give --run, --run-uri and --artifact.')
  await withTraining(context, {}, async ({ objects, candidates }) => {
    const { repoPath } = await context.config()
    const { loadPipeline } = await import('../../training/load-pipelines.js')
    const { registerRun } = await import('../../training/register-run.js')
    const pipeline = await loadPipeline(repoPath, name)
    const folder = await mkdtemp(join(tmpdir(), 'feast-model-'))
    try {
      await objects.download(artifact, join(folder, 'model.tar.gz'), context.signal)
      await promisify(execFile)('tar', ['-xzf', 'model.tar.gz'], { cwd: folder })
      const file = join(folder, pipeline.register.artifact)
      print(await registerRun(candidates, objects, { pipeline, runId: run, runUri, file, rejected }))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
}

async function withTraining(
  context: CliContext,
  { logs }: WaitFlags,
  work: (parts: TrainingParts) => Promise<void>,
): Promise<void> {
  try {
    const store = await context.store()
    const { openTraining } = await import('../../training/index.js')
    const candidates = openModelCandidates(store)
    const parts = await openTraining(store, {
      candidates,
      logger: loggerFor(context.globals.logLevel),
      ...(logs && { onLog: (_run, _state, text) => process.stderr.write(text) }),
    })
    try {
      await work(parts)
    } finally {
      await parts.trigger.close()
      await candidates.close()
    }
  } catch (error) {
    throw badInput(error)
  }
}
