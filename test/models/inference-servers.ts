import { silentLogger } from '../../src/core/logger.js'
import { Admission } from '../../src/server/admission.js'
import { startGrpc } from '../../src/server/grpc/start-grpc.js'
import { Readiness } from '../../src/server/readiness.js'
import { type ModelServer, type ModelServerOptions, openModelServer } from './model-server.js'

/** The server of the model tests, over gRPC as well. */
export async function openInferenceServers(options: ModelServerOptions): Promise<{
  readonly server: ModelServer
  readonly grpcAddress: string
  close(): Promise<void>
}> {
  const server = await openModelServer(options)
  const grpc = await startGrpc({
    store: server.store,
    models: server.models,
    metrics: server.metrics,
    admission: new Admission(100),
    access: undefined,
    log: { logger: silentLogger, access: undefined },
    readiness: new Readiness(server.store),
    host: '127.0.0.1',
    port: 0,
    messageLimitBytes: 8 << 20,
    maxConnections: 10,
    timeouts: { handshakeMs: 10_000, requestMs: 60_000, answerMs: 60_000, idleMs: 60_000 },
    stopping: () => false,
  })
  return {
    server,
    grpcAddress: `127.0.0.1:${grpc.port}`,
    async close() {
      await grpc.close(0)
      await server.close()
    },
  }
}
