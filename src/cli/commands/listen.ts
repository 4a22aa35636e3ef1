import { aborted } from '../aborted.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print } from '../output.js'

interface ListenFlags {
  readonly address: string
  readonly registry_ttl_sec: number
}

/** `feast listen`: gRPC alone, until Ctrl-C or SIGTERM; then it ends what it has begun and exits with 0. */
export async function listen(context: CliContext, _: readonly [], flags: ListenFlags): Promise<void> {
  const { host, port } = hostAndPort(flags.address)
  const { openServerLog } = await import('../../server/server-log.js')
  const log = await openServerLog(context.globals.logLevel)
  const [store, { startListening }] = await Promise.all([
    context.store({ registryTtlSeconds: flags.registry_ttl_sec, logger: log.logger }),
    import('../../server/listen.js'),
  ])
  const server = await startListening({ store, log, host, port })
  print(
    `Serving features of project ${store.project} on grpc://${flags.address.replace(/\d+$/, String(server.port))}`,
  )
  await aborted(context.signal)
  await server.stop()
}

const ADDRESS = /^(?:\[([\da-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i

function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const match = ADDRESS.exec(address)
  const port = Number(match?.[3])
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2]!, port }
  throw usageError(`"${address}" is no address; write host:port, such as localhost:50051 or [::1]:50051.`)
}
