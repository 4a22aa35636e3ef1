import { messageOf } from '../core/errors.js'
import type { RunningServer } from './serve.js'

/** What a worker tells the process that started it. */
export type FromWorker =
  | ({ readonly type: 'ready' } & Pick<RunningServer, 'host' | 'port' | 'grpcPort'>)
  | { readonly type: 'failed'; readonly why: string }
  | { readonly type: 'samples'; readonly ask: number; readonly samples: readonly object[] }
  /** Somebody asked this worker for the metrics of all. */
  | { readonly type: 'scrape'; readonly ask: number }
  /** Somebody changed a model here: the others are to look. */
  | { readonly type: 'models_changed'; readonly ask: number }
  | { readonly type: 'looked'; readonly ask: number }

export type ToWorker =
  | { readonly type: 'stop' }
  | { readonly type: 'sample'; readonly ask: number }
  | { readonly type: 'scraped'; readonly ask: number; readonly text: string }
  | { readonly type: 'look_at_models'; readonly ask: number }
  | { readonly type: 'all_looked'; readonly ask: number }

const SCRAPE_MS = 5000
/** Loading a version may take longer; who decided is not kept waiting for that. */
const LOOK_MS = 5000

/** The worker's end of the channel to the process that started it. */
export class WorkerLink {
  #asks = 0
  readonly #scrapes = new Map<number, (text: string) => void>()
  readonly #changes = new Map<number, () => void>()
  #refreshModels: () => Promise<void> = async () => {}
  #samples: () => Promise<readonly object[]> = async () => []
  /** Resolves when this worker is to end. */
  readonly stopped: Promise<void>

  constructor() {
    this.stopped = new Promise((resolve) => {
      process.on('message', (message: ToWorker) => {
        if (message.type === 'stop') resolve()
        else if (message.type === 'sample') void this.#sample(message.ask)
        else if (message.type === 'scraped') this.#scrapes.get(message.ask)?.(message.text)
        else if (message.type === 'look_at_models') void this.#look(message.ask)
        else if (message.type === 'all_looked') this.#changes.get(message.ask)?.()
      })
    })
  }

  ready({ host, port, grpcPort, metricsSamples, refreshModels }: RunningServer): void {
    this.#samples = metricsSamples
    this.#refreshModels = refreshModels
    // What was changed while it started.
    void refreshModels()
    tell({ type: 'ready', host, port, grpcPort })
  }

  /** Waits until it has been told: this process ends next. */
  failed(error: unknown): Promise<void> {
    return new Promise((resolve) => {
      process.send?.({ type: 'failed', why: messageOf(error) } satisfies FromWorker, () => resolve())
    })
  }

  /** Metrics of all workers. */
  metricsText(): Promise<string> {
    const ask = ++this.#asks
    return new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the metrics were not collected in time')), SCRAPE_MS)
      this.#scrapes.set(ask, (text) => {
        clearTimeout(timer)
        resolve(text)
      })
      tell({ type: 'scrape', ask })
    }).finally(() => this.#scrapes.delete(ask))
  }

  /** Returns when the other workers serve what was decided here, or do not say so in time. */
  modelsChanged(): Promise<void> {
    const ask = ++this.#asks
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS)
      this.#changes.set(ask, () => {
        clearTimeout(timer)
        resolve()
      })
      tell({ type: 'models_changed', ask })
    }).finally(() => this.#changes.delete(ask))
  }

  async #look(ask: number): Promise<void> {
    await this.#refreshModels()
    tell({ type: 'looked', ask })
  }

  async #sample(ask: number): Promise<void> {
    tell({ type: 'samples', ask, samples: await this.#samples() })
  }
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}
