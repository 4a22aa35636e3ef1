import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { feastError, messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import type { Tls } from './http/app.js'

export interface ServeOptions {
  /** Closed when the server has stopped. */
  readonly store: FeatureStore
  readonly logger: Logger
  readonly host?: string
  /** 0: any free port. */
  readonly port?: number
  readonly accessLog?: boolean
  readonly keepAliveTimeoutSeconds?: number
  /** PEM; https then. */
  readonly tls?: Tls
  readonly bodyLimitBytes?: number
  /** Also serve /metrics there (`--metrics`); the main port has them always. */
  readonly metricsPort?: number
  /** How long requests may go on after the server was told to stop. */
  readonly drainSeconds?: number
}

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** Answers what was asked, then closes everything; repeatable. */
  stop(): Promise<void>
}

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = 6566
export const METRICS_PORT = 8000
const DEFAULT_KEEP_ALIVE_SECONDS = 30
const DEFAULT_BODY_LIMIT_BYTES = 32 * 1024 * 1024
const DEFAULT_DRAIN_SECONDS = 30

/**
 * Time in which what is under way to the server arrives and is answered, and in which clients learn that it is
 * going: each answer closes its connection, and /health is 503.
 */
const FAREWELL_MS = 150

/**
 * Starts the HTTP server; it is ready when this returns.
 * @throws REGISTRY_NOT_FOUND, REGISTRY_UNREADABLE, PORT_IN_USE
 */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { store, logger, host = DEFAULT_HOST, port = DEFAULT_PORT } = options
  const [{ createApp }, { createServerMetrics }, { MaterializeJobs }] = await Promise.all([
    import('./http/app.js'),
    import('./http/server-metrics.js'),
    import('./http/materialize-jobs.js'),
    store.registry(),
    warmUp(store, logger),
  ])
  let isStopping = false
  const metrics = await createServerMetrics(store)
  const jobs = new MaterializeJobs({ store, logger, metrics, workers: materializeWorkers() })
  const app = await createApp({
    store,
    logger,
    metrics,
    jobs,
    accessLog: options.accessLog ?? true,
    bodyLimitBytes: options.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES,
    keepAliveTimeoutMs: (options.keepAliveTimeoutSeconds ?? DEFAULT_KEEP_ALIVE_SECONDS) * 1000,
    stopping: () => isStopping,
    tls: options.tls,
  })
  let metricsServer: Server | undefined
  try {
    if (options.metricsPort !== undefined) {
      metricsServer = await serveMetrics(metrics, host, options.metricsPort)
    }
    await app.listen({ host, port })
  } catch (error) {
    metricsServer?.close()
    metrics.close()
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
    metricsServer?.close()
    metrics.close()
    await store.close()
  })
  return { host, port: (app.server.address() as AddressInfo).port, stop }
}

/** Opens the online store before the first request comes; a store that is away now may be there later. */
async function warmUp(store: FeatureStore, logger: Logger): Promise<void> {
  try {
    await store.serving()
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'the online store cannot be opened yet')
  }
}

function listenError(error: unknown, host: string, port: number): unknown {
  const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  return isTaken ? feastError('PORT_IN_USE', { host, port }, error) : error
}

async function serveMetrics(
  metrics: { readonly contentType: string; text(): Promise<string> },
  host: string,
  port: number,
): Promise<Server> {
  const server = createServer((_request, response) => {
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)))
    server.listen(port, host, resolve)
  })
  return server
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
