import { messageOf } from '../core/errors.js'
import type { RunningServer } from './serve.js'

/** What a worker tells the process that started it. */
export type FromWorker =
  | ({ readonly type: 'ready' } & Pick<RunningServer, 'host' | 'port' | 'grpcPort'>)
  | { readonly type: 'failed'; readonly why: string }
  | { readonly type: 'samples'; readonly ask: number; readonly samples: readonly object[] }
  /** Somebody asked this worker for the metrics of all. */
  | { readonly type: 'scrape'; readonly ask: number }

export type ToWorker =
  | { readonly type: 'stop' }
  | { readonly type: 'sample'; readonly ask: number }
  | { readonly type: 'scraped'; readonly ask: number; readonly text: string }

const SCRAPE_MS = 5000

/** The worker's end of the channel to the process that started it. */
export class WorkerLink {
  #asks = 0
  readonly #scrapes = new Map<number, (text: string) => void>()
  #samples: () => Promise<readonly object[]> = async () => []
  /** Resolves when this worker is to end. */
  readonly stopped: Promise<void>

  constructor() {
    this.stopped = new Promise((resolve) => {
      process.on('message', (message: ToWorker) => {
        if (message.type === 'stop') resolve()
        else if (message.type === 'sample') void this.#sample(message.ask)
        else if (message.type === 'scraped') this.#scrapes.get(message.ask)?.(message.text)
      })
    })
  }

  ready({ host, port, grpcPort, metricsSamples }: RunningServer): void {
    this.#samples = metricsSamples
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

  async #sample(ask: number): Promise<void> {
    tell({ type: 'samples', ask, samples: await this.#samples() })
  }
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}
