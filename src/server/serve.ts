import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { Admission } from './admission.js'
import type { HttpTimeouts, Tls } from './http/app.js'
import { listenError, serveMetrics } from './metrics-server.js'
import { Readiness } from './readiness.js'
import type { ServerLog } from './server-log.js'

export interface ServeOptions {
  /** Closed when the server has stopped. */
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly host?: string
  /** 0: any free port. */
  readonly port?: number
  readonly keepAliveTimeoutSeconds?: number
  /** PEM; https then. */
  readonly tls?: Tls
  /** Also serve /metrics there (`--metrics`); the main port has them always. */
  readonly metricsPort?: number
  /** Of /metrics; of this process alone when left out. */
  readonly metricsText?: () => Promise<string>
  readonly maxConnections?: number
  readonly timeouts?: Partial<HttpTimeouts>
  /** How long requests may go on after the server was told to stop. */
  readonly drainSeconds?: number
}

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** Metrics of this process as data, to be summed over workers. */
  metricsSamples(): Promise<readonly object[]>
  /** Answers what was asked, then closes everything; repeatable. */
  stop(): Promise<void>
}

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = 6566
const DEFAULT_MAX_CONNECTIONS = 10_000
/** Docker kills what has not ended 10 s after it was told to. */
const DEFAULT_DRAIN_SECONDS = 8

const DEFAULT_TIMEOUTS: HttpTimeouts = {
  keepAliveMs: 30_000,
  headersMs: 15_000,
  requestMs: 60_000,
  answerMs: 30_000,
}

/**
 * Time in which what is under way to the server arrives and is answered, and in which clients learn that it is
 * going: each answer closes its connection, and /health is 503.
 */
const FAREWELL_MS = 150

/**
 * Starts the HTTP server; it is ready when this returns.
 * @throws REGISTRY_NOT_FOUND, REGISTRY_UNREADABLE, PORT_IN_USE, and CONFIG_INVALID for the auth block
 */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { store, log, host = DEFAULT_HOST, port = DEFAULT_PORT } = options
  const { limits } = store.config.featureServer
  const [{ createApp }, { createServerMetrics }, { MaterializeJobs }, { openTracer }, { openAccessControl }] =
    await Promise.all([
      import('./http/app.js'),
      import('./http/server-metrics.js'),
      import('./http/materialize-jobs.js'),
      import('./tracing.js'),
      import('./auth/access-control.js'),
      store.registry(),
      warmUp(store, log.logger),
    ])
  let isStopping = false
  const admission = new Admission(limits.inFlight)
  const metrics = createServerMetrics(store, admission)
  const tracer = await openTracer(store.config.onlineStore?.type ?? 'none')
  const access = await openAccessControl(store, log.logger)
  const jobs = new MaterializeJobs({ store, logger: log.logger, metrics, workers: materializeWorkers() })
  const app = await createApp({
    store,
    log,
    metrics,
    jobs,
    admission,
    access,
    tracer,
    readiness: new Readiness(store),
    bodyLimitBytes: limits.bodyBytes,
    timeouts: { ...DEFAULT_TIMEOUTS, ...keepAliveOf(options), ...options.timeouts },
    maxConnections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    metricsText: options.metricsText ?? metrics.text,
    stopping: () => isStopping,
    tls: options.tls,
  })
  let metricsServer: Server | undefined
  const close = () => {
    metricsServer?.close()
    metrics.close()
    tracer?.close()
  }
  try {
    if (options.metricsPort !== undefined) {
      metricsServer = await serveMetrics(metrics.text, host, options.metricsPort)
    }
    await app.listen({ host, port })
  } catch (error) {
    close()
    await app.close()
    throw listenError(error, host, port)
  }
  const drainMs = (options.drainSeconds ?? DEFAULT_DRAIN_SECONDS) * 1000
  const stop = once(async () => {
    isStopping = true
    await sleep(FAREWELL_MS)
    const late = setTimeout(() => {
      void jobs.stop().finally(() => app.server.closeAllConnections())
    }, drainMs)
    await app.close()
    clearTimeout(late)
    await jobs.stop()
    close()
    await store.close()
  })
  const { port: listening } = app.server.address() as AddressInfo
  return { host, port: listening, metricsSamples: metrics.samples, stop }
}

function keepAliveOf({ keepAliveTimeoutSeconds: seconds }: ServeOptions): Partial<HttpTimeouts> {
  return seconds === undefined ? {} : { keepAliveMs: seconds * 1000 }
}

/** Opens the online store before the first request comes; a store that is away now may be there later. */
async function warmUp(store: FeatureStore, logger: Logger): Promise<void> {
  try {
    await store.serving()
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'the online store cannot be opened yet')
  }
}

/** Feast's variable for how many asynchronous materializations run at the same time. */
function materializeWorkers(): number {
  const workers = Number.parseInt(process.env.FEAST_MATERIALIZE_MAX_WORKERS ?? '2', 10)
  return Number.isNaN(workers) ? 2 : Math.max(1, workers)
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= action()
    return done
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
