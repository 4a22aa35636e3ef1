import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { Logger } from '../../core/logger.js'
import { isRunning, type ProcessIdentity, thisProcess } from '../../core/process-identity.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import { runStateMachine } from '../asl/run-state-machine.js'
import { type Json, StateError, type StateMachine } from '../asl/state-machine.js'
import type { Pipeline } from '../pipeline.js'
import { type JobSettings, renderDefinition, type TrainingInput } from '../render-definition.js'
import type { ModelCandidates, RunEvent, TrainingRun, TrainingTrigger } from '../training-trigger.js'
import { localTask } from './local-task.js'
import { type JournalEntry, RunJournal, readJournal } from './run-journal.js'
import { resumePoint, runOf } from './run-state.js'
import { endLeftover } from './step-process.js'

export interface LocalTriggerOptions {
  readonly repoPath: string
  /** Absolute folder. */
  readonly runsFolder: string
  readonly objects: ObjectStore
  readonly candidates: ModelCandidates
  readonly logger: Logger
  /** What steps print. */
  readonly onLog?: (runId: string, state: string, text: string) => void
}

/** Nothing of these matters to a run on this machine. */
const LOCAL_JOBS: JobSettings = {
  roleArn: 'local',
  image: 'local',
  codeUri: undefined,
  register: { kind: 'sagemaker' },
}

const STOP_CHECK_MS = 500

/**
 * Runs pipelines on this machine, each step a subprocess. A run lives in the process that started it; what it did is
 * in its journal, from which another process goes on after this one was killed.
 */
export class LocalTrigger implements TrainingTrigger {
  readonly runsUri: string
  readonly #options: LocalTriggerOptions
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>()

  constructor(options: LocalTriggerOptions) {
    this.#options = options
    this.runsUri = `${options.runsFolder}/`
  }

  placeOf(runUri: string): { readonly bucket: string; readonly key: string } {
    return { bucket: 'local', key: runUri }
  }

  async start(pipeline: Pipeline, input: TrainingInput): Promise<TrainingRun> {
    const { run_id: runId } = input
    const entries = await this.#entries(runId)
    if (entries !== undefined) {
      const { input: earlier } = entries.find((entry) => entry.event === 'started')!
      if (JSON.stringify(earlier) === JSON.stringify(input)) return this.describe(runId)
      throw feastError('TRAINING_RUN_CONFLICT', {
        run: runId,
        why: 'was started with another input; give another id',
      })
    }
    const definition = renderDefinition(pipeline, LOCAL_JOBS)
    await this.#launch(pipeline, runId, async (journal) => {
      await journal.add({
        event: 'started',
        pipeline: pipeline.name,
        definitionSha: shaOf(definition),
        input,
      })
      return { definition, input, startedAt: new Date().toISOString(), resume: undefined }
    })
    return this.describe(runId)
  }

  async describe(runId: string): Promise<TrainingRun> {
    const entries = await this.#known(runId)
    return runOf(runId, entries, await this.#isAlive(runId))
  }

  async list(pipeline: string | undefined): Promise<readonly TrainingRun[]> {
    const folders = await readdir(this.#options.runsFolder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    const runs = await Promise.all(
      folders.map(async (runId) => {
        const entries = await this.#entries(runId)
        return entries && runOf(runId, entries, await this.#isAlive(runId))
      }),
    )
    return runs
      .filter((run) => run !== undefined)
      .filter((run) => pipeline === undefined || run.pipeline === pipeline)
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt))
      .slice(0, 100)
  }

  async events(runId: string): Promise<readonly RunEvent[]> {
    return (await this.#known(runId)).map((entry) => ({
      at: entry.at,
      state: 'state' in entry ? entry.state : '',
      event: entry.event,
      ...('cause' in entry && { details: `${entry.error}: ${entry.cause}` }),
    }))
  }

  async stop(runId: string): Promise<void> {
    const { status } = await this.describe(runId)
    if (status !== 'running') {
      throw feastError('TRAINING_RUN_CONFLICT', { run: runId, why: `is not running: ${status}` })
    }
    // Whichever process runs it looks for this.
    await writeFile(this.#path(runId, 'stop'), '')
    await this.#running.get(runId)?.ended
  }

  async retry(pipeline: Pipeline, runId: string): Promise<TrainingRun> {
    const entries = await this.#known(runId)
    const point = resumePoint(entries)
    if (point === undefined) {
      throw feastError('TRAINING_RUN_CONFLICT', { run: runId, why: 'came to its end; start another' })
    }
    const started = entries.find((entry) => entry.event === 'started')!
    const definition = renderDefinition(pipeline, LOCAL_JOBS)
    await this.#launch(pipeline, runId, async (journal) => {
      for (const entry of entries) if (entry.event === 'spawned') await endLeftover(entry)
      await journal.add({ event: 'resumed' })
      return { definition, input: started.input, startedAt: started.at, resume: point }
    })
    return this.describe(runId)
  }

  /** Waits for a run of this process. */
  async ended(runId: string): Promise<void> {
    await this.#running.get(runId)?.ended
  }

  async close(): Promise<void> {
    const running = [...this.#running.values()]
    for (const { stop } of running) stop.abort(new Interrupted())
    await Promise.all(running.map(({ ended }) => ended))
  }

  async #launch(
    pipeline: Pipeline,
    runId: string,
    begin: (journal: RunJournal) => Promise<{
      readonly definition: StateMachine
      readonly input: Json
      readonly startedAt: string
      readonly resume: { readonly state: string; readonly data: Json } | undefined
    }>,
  ): Promise<void> {
    const release = await this.#claim(runId)
    const journal = await RunJournal.open(this.#path(runId, 'journal.jsonl')).catch(async (error) => {
      await release()
      throw error
    })
    const stop = new AbortController()
    const end = async () => {
      clearInterval(watch)
      await journal.close()
      await release()
      this.#running.delete(runId)
    }
    const watch = setInterval(() => {
      readFile(this.#path(runId, 'stop')).then(
        () => stop.abort(new Stopped()),
        () => undefined,
      )
    }, STOP_CHECK_MS)
    try {
      await rm(this.#path(runId, 'stop'), { force: true })
      const { definition, input, startedAt, resume } = await begin(journal)
      const ended = this.#run(pipeline, runId, journal, stop.signal, {
        definition,
        input,
        startedAt,
        resume,
      }).finally(end)
      this.#running.set(runId, { stop, ended })
    } catch (error) {
      await end()
      throw error
    }
  }

  async #run(
    pipeline: Pipeline,
    runId: string,
    journal: RunJournal,
    signal: AbortSignal,
    what: {
      definition: StateMachine
      input: Json
      startedAt: string
      resume: { state: string; data: Json } | undefined
    },
  ): Promise<void> {
    const { repoPath, runsFolder, objects, candidates, onLog } = this.#options
    const task = localTask({
      pipeline,
      runId,
      runFolder: join(runsFolder, runId),
      codeFolder: join(repoPath, pipeline.code),
      objects,
      candidates,
      onSpawn: (state, mark) => journal.add({ event: 'spawned', state, ...mark }),
      onLog: (state, text) => onLog?.(runId, state, text),
    })
    try {
      const output = await runStateMachine({
        definition: what.definition,
        input: what.input,
        execution: { id: runId, name: runId, startedAt: what.startedAt },
        task,
        signal,
        ...(what.resume && { resume: what.resume }),
        onStep: ({ step, state, data = null, next, error = '', cause = '' }) =>
          journal.add(
            step === 'entered'
              ? { event: step, state, data }
              : step === 'exited'
                ? { event: step, state, data, next }
                : { event: step, state, error, cause },
          ),
      })
      await journal.add({ event: 'succeeded', output })
    } catch (error) {
      // An interrupted run has no end: it can be gone on with.
      if (error instanceof Interrupted) return
      if (error instanceof Stopped) return journal.add({ event: 'stopped' })
      const failure = error instanceof StateError ? error : new StateError('States.Runtime', messageOf(error))
      await journal.add({ event: 'failed', error: failure.name, cause: failure.causeText }).catch((why) => {
        this.#options.logger.error(
          { run: runId, error: messageOf(why) },
          'the journal of a training run cannot be written',
        )
      })
    }
  }

  /** The right to run it: one process at a time. @returns how to give it back */
  async #claim(runId: string): Promise<() => Promise<void>> {
    const { objects } = this.#options
    const uri = this.#path(runId, 'runner.json')
    const held = await objects.read(uri)
    if (held !== undefined && isAlive(held.bytes)) throw alreadyRunning(runId)
    const mine = Buffer.from(JSON.stringify(thisProcess()))
    await objects.write(uri, mine, held?.version).catch((error) => {
      throw isFeastError(error, 'OBJECT_CONFLICT') ? alreadyRunning(runId) : error
    })
    return () => objects.remove(uri)
  }

  async #isAlive(runId: string): Promise<boolean> {
    const held = await this.#options.objects.read(this.#path(runId, 'runner.json'))
    return held !== undefined && isAlive(held.bytes)
  }

  async #known(runId: string): Promise<readonly JournalEntry[]> {
    const entries = await this.#entries(runId)
    if (entries === undefined) throw feastError('TRAINING_RUN_NOT_FOUND', { run: runId })
    return entries
  }

  /** Undefined also where a run was prepared and never started. */
  async #entries(runId: string): Promise<readonly JournalEntry[] | undefined> {
    if (!/^[\w-]+$/.test(runId)) return undefined
    const entries = await readJournal(this.#path(runId, 'journal.jsonl'))
    return entries?.some(({ event }) => event === 'started') ? entries : undefined
  }

  #path(runId: string, file: string): string {
    return join(this.#options.runsFolder, runId, file)
  }
}

class Stopped extends Error {}
class Interrupted extends Error {}

/** One of another host, on a shared folder, is taken for alive. */
function isAlive(runner: Buffer): boolean {
  return isRunning(JSON.parse(runner.toString()) as ProcessIdentity) !== false
}

function alreadyRunning(run: string): Error {
  return feastError('TRAINING_RUN_CONFLICT', { run, why: 'is already running in another process' })
}

function shaOf(definition: StateMachine): string {
  return createHash('sha256').update(JSON.stringify(definition)).digest('hex')
}
