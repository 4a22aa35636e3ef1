import { readFile } from 'node:fs/promises'
import { feastError, messageOf } from '../../core/errors.js'
import { type CliContext, loggerFor } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print, printNotice } from '../output.js'

interface ServeFlags {
  readonly host: string
  readonly port: number
  readonly accessLog: boolean
  readonly workers: number
  readonly keepAliveTimeout: number
  readonly registry_ttl_sec: number
  readonly key?: string
  readonly cert?: string
  readonly metrics?: boolean
}

/** `feast serve`: until Ctrl-C or SIGTERM; then it ends what it has begun and exits with 0. */
export async function serve(context: CliContext, _: readonly [], flags: ServeFlags): Promise<void> {
  const tls = await tlsOf(flags)
  if (flags.workers > 1 || flags.workers === -1) {
    printNotice(
      'Note: one process serves; for more, run several on ports of their own behind a load balancer.',
    )
  }
  const [store, { startServer, METRICS_PORT }] = await Promise.all([
    context.store({ registryTtlSeconds: flags.registry_ttl_sec }),
    import('../../server/serve.js'),
  ])
  const server = await startServer({
    store,
    logger: loggerFor(context.globals.logLevel),
    host: flags.host,
    port: flags.port,
    accessLog: flags.accessLog,
    keepAliveTimeoutSeconds: flags.keepAliveTimeout,
    ...(tls ? { tls } : {}),
    ...(flags.metrics ? { metricsPort: METRICS_PORT } : {}),
  })
  const scheme = tls ? 'https' : 'http'
  print(`Serving features of project ${store.project} on ${scheme}://${server.host}:${server.port}`)
  await aborted(context.signal)
  await server.stop()
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
