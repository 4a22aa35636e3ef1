import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { FeatureStore } from '../feature-store/feature-store.js'
import type { GrpcServer } from './grpc/grpc-server.js'
import type { GrpcOptions } from './grpc/start-grpc.js'
import type { HttpTimeouts, Tls } from './http/app.js'
import { listenError, serveMetrics } from './metrics-server.js'
import type { ServerLog } from './server-log.js'
import { DRAIN_SECONDS, FAREWELL_MS, MAX_CONNECTIONS, openServerParts } from './server-parts.js'

export interface ServeOptions {
  /** Closed when the server has stopped. */
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly host?: string
  /** 0: any free port. */
  readonly port?: number
  /** gRPC beside HTTP; 0: any free port. None without. */
  readonly grpcPort?: number | undefined
  readonly keepAliveTimeoutSeconds?: number
  /** PEM; https then. */
  readonly tls?: Tls
  /** Also serve /metrics there (`--metrics`); the main port has them always. */
  readonly metricsPort?: number
  /** Of /metrics; of this process alone when left out. */
  readonly metricsText?: () => Promise<string>
  /** Tells the other processes that serve with this one of a change to models; returns when they have heard it. */
  readonly modelsChanged?: () => Promise<void>
  readonly maxConnections?: number
  readonly timeouts?: Partial<HttpTimeouts>
  /** How long requests may go on after the server was told to stop. */
  readonly drainSeconds?: number
}

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** undefined without gRPC. */
  readonly grpcPort: number | undefined
  /** Metrics of this process as data, to be summed over workers. */
  metricsSamples(): Promise<readonly object[]>
  /** Looks at the model registry now, and not only when it is time. */
  refreshModels(): Promise<void>
  /** Answers what was asked, then closes everything; repeatable. */
  stop(): Promise<void>
}

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = 6566

const DEFAULT_TIMEOUTS: HttpTimeouts = {
  keepAliveMs: 30_000,
  headersMs: 15_000,
  requestMs: 60_000,
  answerMs: 30_000,
}

/**
 * Starts the servers, HTTP and gRPC; they are ready when this returns.
 * @throws REGISTRY_NOT_FOUND, REGISTRY_UNREADABLE, PORT_IN_USE, and CONFIG_INVALID for the auth block
 */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { store, log, host = DEFAULT_HOST, port = DEFAULT_PORT } = options
  const { limits } = store.config.featureServer
  const [{ createApp }, { MaterializeJobs }, parts] = await Promise.all([
    import('./http/app.js'),
    import('./http/materialize-jobs.js'),
    openServerParts(store, log),
  ])
  const { metrics } = parts
  let isStopping = false
  const shared = {
    ...parts,
    host,
    maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
    stopping: () => isStopping,
    tls: options.tls,
  }
  const jobs = new MaterializeJobs({ store, logger: log.logger, workers: materializeWorkers() })
  const app = await createApp({
    ...shared,
    jobs,
    modelsChanged: options.modelsChanged,
    bodyLimitBytes: limits.bodyBytes,
    timeouts: { ...DEFAULT_TIMEOUTS, ...keepAliveOf(options), ...options.timeouts },
    metricsText: options.metricsText ?? metrics.text,
  })
  let metricsServer: Server | undefined
  let grpc: GrpcServer | undefined
  const close = async () => {
    metricsServer?.close()
    await parts.close()
  }
  try {
    if (options.metricsPort !== undefined) {
      metricsServer = await serveMetrics(metrics.text, host, options.metricsPort)
    }
    await app.listen({ host, port }).catch((error) => {
      throw listenError(error, host, port)
    })
    grpc = await grpcBeside(options, shared)
  } catch (error) {
    await close()
    await app.close()
    throw error
  }
  const drainMs = (options.drainSeconds ?? DRAIN_SECONDS) * 1000
  const stop = once(async () => {
    isStopping = true
    grpc?.announceEnd()
    await sleep(FAREWELL_MS)
    // On a busy machine the timer may be the first to run for long: what has arrived meanwhile is read first.
    await setImmediate()
    await setImmediate()
    const late = setTimeout(() => {
      void jobs.stop().finally(() => app.server.closeAllConnections())
    }, drainMs)
    await Promise.all([app.close(), grpc?.close(drainMs)])
    clearTimeout(late)
    await jobs.stop()
    await close()
    await store.close()
  })
  const { port: listening } = app.server.address() as AddressInfo
  return {
    host,
    port: listening,
    grpcPort: grpc?.port,
    metricsSamples: metrics.samples,
    refreshModels: async () => parts.models?.deployer.refresh(),
    stop,
  }
}

function keepAliveOf({ keepAliveTimeoutSeconds: seconds }: ServeOptions): Partial<HttpTimeouts> {
  return seconds === undefined ? {} : { keepAliveMs: seconds * 1000 }
}

async function grpcBeside(
  { grpcPort, store }: ServeOptions,
  shared: Omit<GrpcOptions, 'port' | 'messageLimitBytes' | 'timeouts'>,
): Promise<GrpcServer | undefined> {
  if (grpcPort === undefined) return undefined
  const { startGrpc, grpcLimits } = await import('./grpc/start-grpc.js')
  return startGrpc({ ...shared, ...grpcLimits(store), port: grpcPort }).catch((error) => {
    throw listenError(error, shared.host, grpcPort, '--grpc-port')
  })
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
