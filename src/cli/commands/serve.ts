import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { feastError, messageOf } from '../../core/errors.js'
import type { RunningServer } from '../../server/serve.js'
import type { ServerLog } from '../../server/server-log.js'
import type { WorkerLink } from '../../server/worker-link.js'
import { aborted } from '../aborted.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print } from '../output.js'

interface ServeFlags {
  readonly host: string
  readonly port: number
  readonly grpc: boolean
  readonly grpcPort?: number
  readonly accessLog: boolean
  readonly workers: number
  readonly workerConnections?: number
  readonly keepAliveTimeout: number
  readonly registry_ttl_sec: number
  readonly key?: string
  readonly cert?: string
  readonly metrics?: boolean
}

/** `feast serve`: until Ctrl-C or SIGTERM; then it ends what it has begun and exits with 0. */
export async function serve(context: CliContext, _: readonly [], flags: ServeFlags): Promise<void> {
  const { openServerLog } = await import('../../server/server-log.js')
  const workers = flags.workers === -1 ? 2 * availableParallelism() + 1 : flags.workers
  const log = await openServerLog(context.globals.logLevel, {
    accessLog: flags.accessLog,
    isShared: workers > 1,
  })
  if (workers <= 1) return serveAlone(context, flags, log)
  const { isWorker } = (await import('node:cluster')).default
  return isWorker ? serveAsWorker(context, flags, log) : superviseWorkers(context, flags, log, workers)
}

async function serveAlone(context: CliContext, flags: ServeFlags, log: ServerLog): Promise<void> {
  const server = await start(context, flags, log)
  await printReady(context, flags, server)
  await aborted(context.signal)
  await server.stop()
}

async function serveAsWorker(context: CliContext, flags: ServeFlags, log: ServerLog): Promise<void> {
  const { WorkerLink } = await import('../../server/worker-link.js')
  const link = new WorkerLink()
  let server: RunningServer
  try {
    server = await start(context, flags, log, link)
  } catch (error) {
    await link.failed(error)
    process.exitCode = 1
    return
  }
  link.ready(server)
  await Promise.race([aborted(context.signal), link.stopped])
  await server.stop()
}

/** Loads neither store nor registry: all of that is in the workers. */
async function superviseWorkers(
  context: CliContext,
  flags: ServeFlags,
  { logger }: ServerLog,
  count: number,
): Promise<void> {
  const { freePort, Workers } = await import('../../server/workers.js')
  const chosen = async (flag: string, port: number | undefined) =>
    port === 0 ? [flag, String(await freePort(flags.host))] : []
  const ports = [...(await chosen('--port', flags.port)), ...(await chosen('--grpc-port', grpcPortOf(flags)))]
  const workers = new Workers({ count, logger, args: [...process.argv.slice(2), ...ports] })
  const stopped = aborted(context.signal)
  try {
    const address = await Promise.race([workers.start(), stopped])
    if (address) {
      if (flags.metrics) await serveMetricsOf(workers, flags.host)
      await printReady(context, flags, address)
      await Promise.race([workers.failed, stopped])
    }
  } finally {
    await workers.stop()
  }
}

async function serveMetricsOf(workers: { metricsText(): Promise<string> }, host: string): Promise<void> {
  const { serveMetrics, METRICS_PORT } = await import('../../server/metrics-server.js')
  await serveMetrics(workers.metricsText, host, METRICS_PORT)
}

async function start(
  context: CliContext,
  flags: ServeFlags,
  log: ServerLog,
  link?: WorkerLink,
): Promise<RunningServer> {
  const [store, { startServer }, { METRICS_PORT }, tls] = await Promise.all([
    context.store({ registryTtlSeconds: flags.registry_ttl_sec, logger: log.logger }),
    import('../../server/serve.js'),
    import('../../server/metrics-server.js'),
    tlsOf(flags),
  ])
  return startServer({
    store,
    log,
    host: flags.host,
    port: flags.port,
    grpcPort: grpcPortOf(flags),
    keepAliveTimeoutSeconds: flags.keepAliveTimeout,
    ...(flags.workerConnections ? { maxConnections: flags.workerConnections } : {}),
    ...(tls ? { tls } : {}),
    ...(link ? { metricsText: () => link.metricsText(), modelsChanged: () => link.modelsChanged() } : {}),
    ...(flags.metrics && !link ? { metricsPort: METRICS_PORT } : {}),
  })
}

async function printReady(
  context: CliContext,
  flags: ServeFlags,
  { host, port, grpcPort }: Pick<RunningServer, 'host' | 'port' | 'grpcPort'>,
): Promise<void> {
  const { project } = await context.config()
  const scheme = flags.key ? 'https' : 'http'
  const grpc = grpcPort === undefined ? '' : `\nand over gRPC on ${host}:${grpcPort}`
  // In one piece: who waits for it may close the pipe when it comes.
  print(`Serving features of project ${project} on ${scheme}://${host}:${port}${grpc}`)
}

/** The next port after that of HTTP; any when that is any. */
function grpcPortOf({ grpc, grpcPort, port }: ServeFlags): number | undefined {
  if (!grpc) return undefined
  return grpcPort ?? (port === 0 || port === 65_535 ? 0 : port + 1)
}

async function tlsOf({ key, cert }: ServeFlags): Promise<{ key: Buffer; cert: Buffer } | undefined> {
  if (!key && !cert) return undefined
  if (!key || !cert) {
    throw usageError('Both key and cert file paths are required to start server in TLS mode.')
  }
  const [keyText, certText] = await Promise.all([readable(key), readable(cert)])
  return { key: keyText, cert: certText }
}

async function readable(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path, why: messageOf(error) }, error)
  }
}
