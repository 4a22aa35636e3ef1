import { feastError, messageOf } from '../../core/errors.js'
import type { Logger } from '../../core/logger.js'
import type {
  FeatureStore,
  MaterializeReport,
  MaterializeRequest,
} from '../../feature-store/feature-store.js'

interface Deps {
  readonly store: FeatureStore
  readonly logger: Logger
  /** How many asynchronous runs go on at the same time; more wait. */
  readonly workers: number
}

interface Job {
  readonly views: readonly string[]
  readonly request: MaterializeRequest
}

/** More waiting runs than this mean that somebody asks without end. */
const MAX_WAITING = 100

/** The materializations that this server was asked for, those that answered 202 included. */
export class MaterializeJobs {
  readonly #deps: Deps
  readonly #stop = new AbortController()
  readonly #waiting: Job[] = []
  readonly #running = new Map<Job, Promise<void>>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /**
   * Runs while the caller waits.
   * @throws MATERIALIZATION_FAILED, MATERIALIZATION_RUNNING, ABORTED, and what is wrong with the request
   */
  async run(request: MaterializeRequest): Promise<void> {
    const { store } = this.#deps
    const report = await store.materialize({ ...request, signal: this.#stop.signal })
    refuseUnfinished(report, this.#stop.signal.aborted)
  }

  /** Those of the views that an asynchronous run of this server holds already. */
  busy(views: readonly string[]): string[] {
    const held = new Set([...this.#running.keys(), ...this.#waiting].flatMap((job) => job.views))
    return views.filter((view) => held.has(view))
  }

  /** Runs by itself; what comes of it is in the log and the metrics. @throws MATERIALIZATION_RUNNING when full */
  start(views: readonly string[], request: MaterializeRequest): void {
    if (this.#waiting.length >= MAX_WAITING) {
      throw feastError('MATERIALIZATION_RUNNING', { views, holder: 'a queue that is full; ask again later' })
    }
    this.#waiting.push({ views, request })
    this.#next()
  }

  /** Stops all of them and waits until they have. What was written stays; running again goes on from there. */
  async stop(): Promise<void> {
    this.#waiting.length = 0
    this.#stop.abort()
    await Promise.all(this.#running.values())
  }

  #next(): void {
    if (this.#running.size >= this.#deps.workers) return
    const job = this.#waiting.shift()
    if (job === undefined) return
    const done = this.#runJob(job).finally(() => {
      this.#running.delete(job)
      this.#next()
    })
    this.#running.set(job, done)
  }

  async #runJob({ views, request }: Job): Promise<void> {
    const { logger } = this.#deps
    try {
      await this.run(request)
      logger.info({ views }, 'materialized')
    } catch (error) {
      logger.error({ views, error: messageOf(error) }, 'materialization failed')
    }
  }
}

function refuseUnfinished({ views }: MaterializeReport, aborted: boolean): void {
  const failed = views.filter(({ outcome }) => outcome === 'failed')
  if (failed.length > 0) {
    if (aborted) throw feastError('ABORTED', { what: 'The materialization' })
    const failures = Object.fromEntries(failed.map(({ view, error }) => [view, error ?? 'unknown']))
    throw feastError('MATERIALIZATION_FAILED', { failures })
  }
  const running = views.filter(({ outcome }) => outcome === 'already running').map(({ view }) => view)
  if (running.length > 0) {
    throw feastError('MATERIALIZATION_RUNNING', { views: running, holder: 'another run' })
  }
}
