import type { FeatureStore } from '../feature-store/feature-store.js'
import { listenError } from './metrics-server.js'
import type { ServerLog } from './server-log.js'
import { DRAIN_SECONDS, FAREWELL_MS, MAX_CONNECTIONS, openServerParts } from './server-parts.js'

export interface ListenOptions {
  /** Closed when the server has stopped. */
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

export interface ListeningServer {
  readonly host: string
  readonly port: number
  /** Answers what was asked, then closes everything. */
  stop(): Promise<void>
}

/** gRPC alone. @throws REGISTRY_NOT_FOUND, REGISTRY_UNREADABLE, PORT_IN_USE, and CONFIG_INVALID for the auth block */
export async function startListening(options: ListenOptions): Promise<ListeningServer> {
  const { store, log, host, port } = options
  const { startGrpc, grpcLimits } = await import('./grpc/start-grpc.js')
  const parts = await openServerParts(store, log)
  let isStopping = false
  const grpc = await startGrpc({
    ...parts,
    ...grpcLimits(store),
    host,
    port,
    maxConnections: MAX_CONNECTIONS,
    stopping: () => isStopping,
  }).catch(async (error) => {
    await parts.close()
    throw listenError(error, host, port, '--address')
  })
  return {
    host,
    port: grpc.port,
    async stop() {
      isStopping = true
      grpc.announceEnd()
      await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))
      await grpc.close(DRAIN_SECONDS * 1000)
      await parts.close()
      await store.close()
    },
  }
}
