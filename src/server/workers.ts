import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type FeastError, feastError } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import { keepArrivals } from './arrivals.js'
import type { RunningServer } from './serve.js'
import type { FromWorker, ToWorker } from './worker-link.js'

export interface WorkersOptions {
  readonly count: number
  readonly logger: Logger
  /** Of the command line that a worker runs. */
  readonly args: readonly string[]
}

export type ListeningOn = Pick<RunningServer, 'host' | 'port' | 'grpcPort'>

/** A worker that lived this long was well: the next one starts at once. */
const WELL_MS = 10_000
const MIN_PAUSE_MS = 100
const MAX_PAUSE_MS = 10_000
/** Starts in a row that fail while no worker is left: some 25 s. */
const MAX_FAILURES = 8
/** Longer than a worker takes to drain. */
const STOP_MS = 12_000
const SAMPLE_MS = 2000

interface Member {
  readonly worker: Worker
  readonly startedAt: number
  isReady: boolean
  /** What it said when it could not start. */
  why?: string
  /** Of the last scrape. */
  samples: readonly object[]
}

/** Processes that run this very command and share its ports; one that dies is replaced. */
export class Workers {
  readonly #options: WorkersOptions
  readonly #members = new Map<number, Member>()
  readonly #metrics = new WorkerMetrics()
  readonly #pauses = new Set<NodeJS.Timeout>()
  /** Changes to models that some workers have not looked at yet. */
  readonly #looking = new Map<number, { readonly by: Set<Member>; readonly done: () => void }>()
  #changes = 0
  #failures = 0
  #restarts = 0
  #isStopping = false
  #ready: ((address: ListeningOn) => void) | undefined
  #fail: (error: FeastError) => void = () => {}
  /** Rejects when there are no workers any more, and none can be started. */
  readonly failed: Promise<never>

  constructor(options: WorkersOptions) {
    this.#options = options
    this.failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    // Waited for later; until then it is nobody's.
    this.failed.catch(() => {})
  }

  /** Resolves when all workers listen. @throws WORKER_FAILED when one of them does not get so far */
  async start(): Promise<ListeningOn> {
    cluster.setupPrimary({ serialization: 'advanced', args: [...this.#options.args] })
    const ready = new Promise<ListeningOn>((resolve) => {
      this.#ready = resolve
    })
    for (let i = 0; i < this.#options.count; i++) this.#fork()
    return Promise.race([ready, this.failed])
  }

  /** Tells all workers to end what they have begun, and waits until they are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const pause of this.#pauses) clearTimeout(pause)
    const killing = setTimeout(() => {
      for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL')
    }, STOP_MS)
    await Promise.all([...this.#members.values()].map(({ worker }) => ended(worker)))
    clearTimeout(killing)
  }

  /** Metrics of all workers, in Prometheus' text format. */
  metricsText = (): Promise<string> => {
    const listening = [...this.#members.values()].filter(({ isReady }) => isReady)
    return this.#metrics.text(listening, this.#restarts)
  }

  #fork(): void {
    const worker = cluster.fork()
    const member: Member = { worker, startedAt: performance.now(), isReady: false, samples: [] }
    this.#members.set(worker.id, member)
    keepArrivals(worker, () => this.#isListening())
    worker.on('message', (message: FromWorker) => this.#hear(member, message))
    worker.on('exit', (code, signal) => this.#ended(member, code, signal))
    worker.on('error', (error) => {
      this.#options.logger.error({ worker: worker.process.pid, error: error.message }, 'worker unreachable')
    })
  }

  #hear(member: Member, message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        member.isReady = true
        if ([...this.#members.values()].every(({ isReady }) => isReady)) this.#allReady(message)
        break
      case 'failed':
        member.why = message.why
        break
      case 'samples':
        this.#metrics.heard(member, message.ask, message.samples)
        break
      case 'scrape':
        void this.#answerScrape(member, message.ask)
        break
      case 'models_changed':
        this.#letOthersLook(member, message.ask)
        break
      case 'looked':
        this.#looked(member, message.ask)
    }
  }

  #allReady({ host, port, grpcPort }: ListeningOn): void {
    this.#ready?.({ host, port, grpcPort })
    this.#ready = undefined
  }

  async #answerScrape({ worker }: Member, ask: number): Promise<void> {
    tell(worker, { type: 'scraped', ask, text: await this.metricsText() })
  }

  #letOthersLook(changer: Member, ask: number): void {
    const change = ++this.#changes
    const others = [...this.#members.values()].filter((member) => member !== changer)
    const done = () => {
      this.#looking.delete(change)
      tell(changer.worker, { type: 'all_looked', ask })
    }
    if (others.length === 0) {
      done()
      return
    }
    this.#looking.set(change, { by: new Set(others), done })
    for (const { worker } of others) tell(worker, { type: 'look_at_models', ask: change })
  }

  #looked(member: Member, change: number): void {
    const looking = this.#looking.get(change)
    if (looking?.by.delete(member) && looking.by.size === 0) looking.done()
  }

  #ended(member: Member, code: number | null, signal: string | null): void {
    const { worker, startedAt, isReady, why } = member
    this.#members.delete(worker.id)
    this.#metrics.retire(member)
    for (const change of [...this.#looking.keys()]) this.#looked(member, change)
    if (this.#isStopping) return
    const reason = why ?? (signal ? `it was ended by ${signal}` : `it exited with ${code}`)
    this.#failures = isReady && performance.now() - startedAt >= WELL_MS ? 0 : this.#failures + 1
    // While starting: what keeps one worker from it keeps all.
    if (this.#ready || this.#isHopeless()) {
      this.#fail(feastError('WORKER_FAILED', { why: reason }))
      return
    }
    const pauseMs =
      this.#failures === 0 ? 0 : Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** (this.#failures - 1))
    this.#options.logger.error(
      { worker: worker.process.pid, reason, next_in_ms: pauseMs },
      'a worker is gone; another one takes its place',
    )
    this.#replaceIn(pauseMs)
  }

  #isListening(): boolean {
    return [...this.#members.values()].some(({ worker, isReady }) => isReady && worker.isConnected())
  }

  #isHopeless(): boolean {
    return this.#failures > MAX_FAILURES && ![...this.#members.values()].some(({ isReady }) => isReady)
  }

  #replaceIn(pauseMs: number): void {
    const pause = setTimeout(() => {
      this.#pauses.delete(pause)
      this.#restarts++
      this.#fork()
    }, pauseMs)
    this.#pauses.add(pause)
  }
}

/** For `--port 0`: a port that outlives the worker that would have chosen it. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Sums over workers. What workers that are gone had counted stays in: a counter that fell would read as a restart. */
class WorkerMetrics {
  readonly #asked = new Map<number, { readonly from: Set<Member>; readonly done: () => void }>()
  #asks = 0
  #retired: readonly object[] = []
  #running: Promise<string> | undefined

  text(members: readonly Member[], restarts: number): Promise<string> {
    this.#running ??= this.#collect(members, restarts).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  heard(member: Member, ask: number, samples: readonly object[]): void {
    member.samples = samples
    const asked = this.#asked.get(ask)
    if (asked?.from.delete(member) && asked.from.size === 0) asked.done()
  }

  retire({ samples, ...member }: Member): void {
    for (const { from, done } of this.#asked.values()) {
      for (const waited of from) if (waited.worker === member.worker) from.delete(waited)
      if (from.size === 0) done()
    }
    const lasting = samples.filter((sample) => (sample as { readonly type: string }).type !== 'gauge')
    if (lasting.length > 0) void this.#addRetired(lasting)
  }

  async #collect(members: readonly Member[], restarts: number): Promise<string> {
    await this.#ask(members)
    const own = [
      total('gauge', 'feast_node_workers', 'Processes that serve', members.length),
      total(
        'counter',
        'feast_node_worker_restarts_total',
        'Workers that took the place of another',
        restarts,
      ),
    ]
    return (await this.#sum([...members.map(({ samples }) => samples), this.#retired, own])).metrics()
  }

  /** A worker that is too busy to answer is counted with what it said last. */
  async #ask(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return
    const ask = ++this.#asks
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SAMPLE_MS)
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#asked.set(ask, { from: new Set(members), done })
      for (const { worker } of members) tell(worker, { type: 'sample', ask })
    })
    this.#asked.delete(ask)
  }

  async #addRetired(samples: readonly object[]): Promise<void> {
    const sum = await this.#sum([this.#retired, samples])
    this.#retired = await sum.getMetricsAsJSON()
  }

  async #sum(lists: readonly (readonly object[])[]) {
    const { AggregatorRegistry } = (await import('prom-client')).default
    return AggregatorRegistry.aggregate(lists as object[][])
  }
}

function total(type: 'gauge' | 'counter', name: string, help: string, value: number): object {
  return { name, help, type, aggregator: 'sum', values: [{ labels: {}, value }] }
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {})
}

function ended(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    if (worker.isDead()) return resolve()
    worker.once('exit', () => resolve())
    tell(worker, { type: 'stop' })
  })
}
