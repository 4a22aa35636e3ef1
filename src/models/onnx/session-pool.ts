import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { type FeastError, feastError, messageOf } from '../../core/errors.js'
import type { Tensor } from '../../core/tensor.js'
import {
  type FromWorker,
  type NamedTensor,
  onnxWorker,
  type ToWorker,
  type WorkerResult,
  type WorkerSettings,
} from './onnx-worker.js'

export interface PoolOptions {
  /** For messages. */
  readonly model: string
  readonly bytes: Uint8Array
  readonly workers: number
  /** Requests that wait for a worker; more are turned away. */
  readonly queueLimit: number
  /** A run that takes longer has its worker replaced. */
  readonly timeoutMs: number
  readonly intraOpThreads: number
}

export interface Inference {
  /** By output. */
  readonly outputs: ReadonlyMap<string, Tensor>
  readonly queueMs: number
  readonly runMs: number
}

export type Feeds = ReadonlyMap<string, Tensor>

interface Job {
  readonly feeds: Feeds
  readonly outputs: readonly string[]
  readonly asked: number
  readonly timeoutMs: number
  dispatched: number
  /** It was with a worker that crashed, maybe not by its fault. */
  isSuspect: boolean
  resolve(result: Inference): void
  reject(error: Error): void
}

/** Loading may fold constants and such, but not for ever. */
const START_MS = 60_000
/** Between attempts to start a worker that ended by itself. */
const PAUSES_MS = [0, 100, 1000, 10_000] as const
/** Runs that were given up and go on, as a multiple of the workers. */
const MAX_STUCK = 2
/** Runs that go to a worker in one message while they take no longer than this together. */
const TOGETHER_MS = 1
const MAX_TOGETHER = 32
/** How long stuck threads are waited for at the end. */
const FAREWELL_MS = 500

/**
 * The worker threads of one version of a model, each with a session of its own: what hangs or crashes there harms no
 * other model, and what a session ever took is given back with its thread.
 */
export class SessionPool {
  readonly #options: PoolOptions
  readonly #bytes: SharedArrayBuffer
  readonly #settings: WorkerSettings
  readonly #slots = new Set<Slot>()
  /** In the order in which they came; what is over is passed over. */
  #queue: Job[] = []
  #isHandingOut = false
  /** Of the latest runs, roughly; the first one goes alone. */
  #usualMs = TOGETHER_MS
  #isClosed = false
  /** Workers that were given up, until their threads have ended. */
  readonly #leaving = new Set<Slot>()
  replacements = 0

  private constructor(options: PoolOptions) {
    this.#options = options
    this.#bytes = new SharedArrayBuffer(options.bytes.length)
    new Uint8Array(this.#bytes).set(options.bytes)
    this.#settings = { runtime: runtimeFile(), intraOpThreads: options.intraOpThreads }
  }

  /** All workers have loaded the model. @throws MODEL_RUNTIME_MISSING, MODEL_INVALID */
  static async open(options: PoolOptions): Promise<SessionPool> {
    const pool = new SessionPool(options)
    try {
      await Promise.all(Array.from({ length: options.workers }, () => pool.#start()))
    } catch (error) {
      await pool.close()
      throw error
    }
    return pool
  }

  get size(): number {
    return this.#options.workers
  }

  get waiting(): number {
    return this.#queue.length
  }

  /**
   * @param timeoutMs from now, waiting included
   * @throws MODEL_OVERLOADED, DEADLINE_EXCEEDED, MODEL_RUN_FAILED, MODEL_WORKER_FAILED
   */
  run(feeds: Feeds, outputs: readonly string[], timeoutMs: number): Promise<Inference> {
    const { model, queueLimit } = this.#options
    if (this.#isClosed) return Promise.reject(feastError('SHUTTING_DOWN', undefined))
    if (timeoutMs <= 0) return Promise.reject(this.#late(0))
    if (this.#slots.size === 0 && this.#leaving.size > MAX_STUCK * this.#options.workers) {
      return Promise.reject(this.#allStuck())
    }
    if (this.#queue.length >= queueLimit && this.#queue.length >= queueLimit + this.#idle().length) {
      return Promise.reject(feastError('MODEL_OVERLOADED', { model, limit: queueLimit }))
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const place = this.#queue.indexOf(job)
        if (place >= 0) this.#queue.splice(place, 1)
        reject(this.#late(timeoutMs))
      }, Math.ceil(timeoutMs))
      const job: Job = {
        feeds,
        outputs,
        asked: performance.now(),
        timeoutMs,
        dispatched: 0,
        isSuspect: false,
        resolve(result) {
          clearTimeout(timer)
          resolve(result)
        },
        reject(error) {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.#queue.push(job)
      this.#handOutSoon()
    })
  }

  /** Threads that are still in a run that was given up. */
  get stuck(): number {
    return this.#leaving.size
  }

  /** What still waits or runs fails; threads end as soon as they are idle, and are waited for for a while. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const job of this.#queue.splice(0)) job.reject(feastError('SHUTTING_DOWN', undefined))
    for (const slot of [...this.#slots]) {
      slot.rejectAll(feastError('SHUTTING_DOWN', undefined))
      this.#retire(slot)
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FAREWELL_MS)
    })
    await Promise.race([Promise.all([...this.#leaving].map((slot) => slot.ended)), late])
    clearTimeout(timer)
  }

  #late(timeoutMs: number): FeastError {
    return feastError('DEADLINE_EXCEEDED', {
      what: `Model "${this.#options.model}"`,
      timeoutMs: Math.round(timeoutMs),
    })
  }

  #idle(): readonly Slot[] {
    return [...this.#slots].filter((slot) => slot.isReady && slot.jobs.length === 0)
  }

  /** Once all is known that this turn of the event loop wants to have run. */
  #handOutSoon(): void {
    if (this.#isHandingOut) return
    this.#isHandingOut = true
    setImmediate(() => {
      this.#isHandingOut = false
      this.#handOut()
    })
  }

  /** Short runs travel together: waking a thread costs more than they do. */
  #handOut(): void {
    if (this.#queue.length === 0) return
    const idle = this.#idle()
    for (const [index, slot] of idle.entries()) {
      const share = Math.ceil(this.#queue.length / (idle.length - index))
      const jobs = this.#queue.splice(0, Math.min(share, this.#together()))
      if (jobs.length > 0) this.#dispatch(slot, jobs)
    }
  }

  /** How many of those that wait longest may go in one message. */
  #together(): number {
    const suspect = this.#queue.findIndex(({ isSuspect }) => isSuspect)
    const trusted = suspect < 0 ? MAX_TOGETHER : suspect
    const short = Math.floor(TOGETHER_MS / this.#usualMs)
    return Math.max(1, Math.min(trusted, short, MAX_TOGETHER))
  }

  #dispatch(slot: Slot, jobs: readonly Job[]): void {
    slot.jobs = jobs
    slot.stuck = setTimeout(() => this.#giveUp(slot), this.#options.timeoutMs)
    const now = performance.now()
    const runs = jobs.map((job) => {
      job.dispatched = now
      const feeds = [...job.feeds].map(([name, { type, shape, data }]) => ({ name, type, dims: shape, data }))
      return { feeds, outputs: job.outputs }
    })
    slot.send({ kind: 'run', runs })
  }

  #next(slot: Slot): void {
    clearTimeout(slot.stuck)
    slot.jobs = []
    slot.failures = 0
    this.#handOut()
  }

  /** The thread may come back late or never: its place is taken at once, while not too many are away. */
  #giveUp(slot: Slot): void {
    slot.rejectAll(this.#late(this.#options.timeoutMs))
    this.#retire(slot)
    if (this.#leaving.size <= MAX_STUCK * this.#options.workers) this.#replace(0)
    else if (this.#slots.size === 0) this.#failAll()
  }

  /**
   * A thread that is ended while native code runs in it takes the process with it when that code comes back, so a
   * busy one goes when it says that it is done.
   */
  #retire(slot: Slot): void {
    clearTimeout(slot.stuck)
    this.#slots.delete(slot)
    this.#leaving.add(slot)
    void slot.ended.then(() => this.#leaving.delete(slot))
    slot.isGone = true
    if (slot.isReady && slot.jobs.length === 0) {
      void slot.worker.terminate()
      return
    }
    slot.worker.unref()
    if (stuckThreads++ === 0) process.on('exit', endAtOnce)
    void slot.ended.then(() => {
      if (--stuckThreads === 0) process.off('exit', endAtOnce)
    })
  }

  #replace(failures: number): void {
    if (this.#isClosed) return
    this.replacements++
    const pause = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]!
    setTimeout(() => {
      if (!this.#isClosed) this.#start(failures + 1).catch(() => this.#replace(failures + 1))
    }, pause).unref()
  }

  #failAll(): void {
    for (const job of this.#queue.splice(0)) job.reject(this.#allStuck())
  }

  #allStuck(): FeastError {
    const { model, workers, timeoutMs } = this.#options
    const why = `${this.#leaving.size} runs have not ended after ${timeoutMs} ms, and more than ${MAX_STUCK * workers} are not begun beside them`
    return feastError('MODEL_WORKER_FAILED', { model, why })
  }

  #start(failures = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(`(${onnxWorker})(require)`, {
        eval: true,
        workerData: this.#settings,
        name: `model ${this.#options.model}`,
      })
      const slot = new Slot(worker, failures)
      this.#slots.add(slot)
      const fail = (error: Error) => {
        if (!slot.isGone) this.#retire(slot)
        reject(error)
      }
      slot.stuck = setTimeout(
        () => fail(this.#invalid(`it was not loaded within ${START_MS / 1000} s`)),
        START_MS,
      )
      worker.on('message', (message: FromWorker) => {
        if (slot.isGone) void worker.terminate()
        else if (message.kind === 'unusable') {
          slot.isReady = true
          fail(this.#unusable(message.reason, message.why))
        } else if (message.kind === 'loaded') {
          slot.isReady = true
          this.#next(slot)
          resolve()
        } else this.#answered(slot, message.results)
      })
      worker.on('error', (error) => this.#ended(slot, messageOf(error), reject))
      worker.on('exit', (code) => this.#ended(slot, `exit code ${code}`, reject))
      slot.send({ kind: 'load', bytes: this.#bytes })
    })
  }

  #answered(slot: Slot, results: readonly WorkerResult[]): void {
    const { jobs } = slot
    this.#next(slot)
    for (const [index, result] of results.entries()) this.#settle(jobs[index]!, result)
  }

  #settle(job: Job, result: WorkerResult): void {
    if ('why' in result) {
      job.reject(feastError('MODEL_RUN_FAILED', { model: this.#options.model, why: result.why }))
      return
    }
    this.#usualMs += (result.ms - this.#usualMs) / 8
    const outputs = new Map(result.outputs.map((one) => [one.name, tensorOf(one)]))
    job.resolve({ outputs, queueMs: job.dispatched - job.asked, runMs: result.ms })
  }

  #ended(slot: Slot, why: string, reject: (error: Error) => void): void {
    if (slot.isGone) return
    const error = feastError('MODEL_WORKER_FAILED', { model: this.#options.model, why })
    // Those behind it may be blameless, and are tried again, each alone.
    const [first, ...others] = slot.jobs
    first?.reject(error)
    for (const job of others) job.isSuspect = true
    this.#queue.unshift(...others)
    this.#retire(slot)
    if (slot.isReady) this.#replace(slot.failures)
    else reject(error)
  }

  #unusable(reason: 'runtime' | 'model', why: string): FeastError {
    return reason === 'runtime'
      ? feastError('MODEL_RUNTIME_MISSING', { why })
      : this.#invalid(`the runtime refuses it: ${why}`)
  }

  #invalid(why: string): FeastError {
    return feastError('MODEL_INVALID', { model: this.#options.model, why })
  }
}

/** Of all pools of this process. */
let stuckThreads = 0

/**
 * At its end Node waits for a thread in native code, for ever if need be, and is aborted when that comes back. Whoever
 * stopped this process takes an end by SIGTERM for a good one.
 */
function endAtOnce(): void {
  process.removeAllListeners('SIGTERM')
  process.kill(process.pid, 'SIGTERM')
}

/** A place for one worker. */
class Slot {
  isReady = false
  isGone = false
  /** With the worker; none: it is idle. */
  jobs: readonly Job[] = []
  stuck: NodeJS.Timeout | undefined

  readonly ended: Promise<void>

  constructor(
    readonly worker: Worker,
    /** In a row, of it and those whose place it took. */
    public failures: number,
  ) {
    this.ended = new Promise((resolve) => worker.once('exit', () => resolve()))
  }

  rejectAll(error: Error): void {
    for (const job of this.jobs) job.reject(error)
  }

  send(message: ToWorker): void {
    this.worker.postMessage(message)
  }
}

function tensorOf({ type, dims, data }: NamedTensor): Tensor {
  return { type, shape: dims, data }
}

/** @throws MODEL_RUNTIME_MISSING */
function runtimeFile(): string {
  // Unless told before it is loaded, the runtime keeps files in the home and temporary folders and reports its use.
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'
  try {
    return createRequire(import.meta.url).resolve('onnxruntime-node')
  } catch (error) {
    throw feastError('MODEL_RUNTIME_MISSING', { why: 'it is not installed' }, error)
  }
}
