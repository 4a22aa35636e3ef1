import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as grpc from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { silentLogger } from '../../src/core/logger.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { Admission } from '../../src/server/admission.js'
import type { GrpcServer } from '../../src/server/grpc/grpc-server.js'
import { type GrpcOptions, startGrpc } from '../../src/server/grpc/start-grpc.js'
import { createServerMetrics, type ServerMetrics } from '../../src/server/http/server-metrics.js'
import { Readiness } from '../../src/server/readiness.js'
import { makeStore } from './fixture.js'

export interface GrpcFixture {
  readonly store: FeatureStore
  readonly server: GrpcServer
  readonly metrics: ServerMetrics
  readonly address: string
  /** From now on the server says that it is stopping. */
  beginToStop(): void
  close(): Promise<void>
}

/** The feature repo of the HTTP tests, served over gRPC on a free port. */
export async function openGrpcFixture(options: Partial<GrpcOptions> = {}): Promise<GrpcFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-grpc-'))
  const store = await makeStore(folder, 'ignore')
  const admission = new Admission(1000)
  const metrics = createServerMetrics(store, admission)
  let isStopping = false
  const close = async () => {
    metrics.close()
    await store.close()
    rmSync(folder, { recursive: true })
  }
  const server = await startGrpc({
    store,
    metrics,
    admission,
    access: undefined,
    log: { logger: silentLogger, access: undefined },
    readiness: new Readiness(store),
    host: '127.0.0.1',
    port: 0,
    messageLimitBytes: 1024 * 1024,
    maxConnections: 1000,
    timeouts: { handshakeMs: 10_000, requestMs: 60_000, answerMs: 60_000, idleMs: 60_000 },
    stopping: () => isStopping,
    ...options,
  }).catch(async (error) => {
    await close()
    throw error
  })
  return {
    store,
    server,
    metrics,
    address: `127.0.0.1:${server.port}`,
    beginToStop() {
      isStopping = true
    },
    async close() {
      await server.close(0)
      await close()
    },
  }
}

const protos = fileURLToPath(new URL('../../protos/', import.meta.url))
const root = new protobuf.Root()
root.resolvePath = (_origin, path) => (path.startsWith('google/') ? path : protos + path)
root.loadSync([
  'feast/serving/ServingService.proto',
  'feast/serving/GrpcServer.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto',
])
root.resolveAll()

type Message = Record<string, unknown>

/** Bytes of a message, made by a library that is not ours. */
export function encoded(type: string, message: Message): Buffer {
  return Buffer.from(root.lookupType(type).encode(root.lookupType(type).fromObject(message)).finish())
}

export function decoded(type: string, bytes: Uint8Array): Message {
  const found = root.lookupType(type)
  return found.toObject(found.decode(bytes), { longs: Number, enums: String, arrays: false })
}

/** Everything that is known of a call that has ended. */
export interface Outcome {
  readonly code: grpc.status
  readonly details: string
  readonly trailers: grpc.Metadata
  readonly answers: readonly Buffer[]
}

export interface CallOptions {
  readonly metadata?: grpc.Metadata
  readonly deadlineMs?: number
}

const identity = (bytes: Buffer): Buffer => bytes

/** A client that sends and takes bytes, so that it can send wrong ones. */
export class BytesClient {
  readonly client: grpc.Client

  constructor(
    address: string,
    credentials = grpc.credentials.createInsecure(),
    options: grpc.ClientOptions = {},
  ) {
    this.client = new grpc.Client(address, credentials, { 'grpc.enable_retries': 0, ...options })
  }

  unary(path: string, message: Buffer, { metadata, deadlineMs }: CallOptions = {}): Promise<Outcome> {
    return new Promise((resolve) => {
      const answers: Buffer[] = []
      const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
      const call = this.client.makeUnaryRequest(
        path,
        identity,
        identity,
        message,
        metadata ?? new grpc.Metadata(),
        options,
        (_error, answer) => {
          if (answer) answers.push(answer)
        },
      )
      call.on('status', ({ code, details, metadata: trailers }) =>
        resolve({ code, details, trailers, answers }),
      )
    })
  }

  /** @returns the decoded answer; throws when the status is not OK */
  async ask(path: string, message: Message = {}): Promise<Message> {
    const method = root.lookup(path.slice(1).replace('/', '.')) as protobuf.Method
    const type = (object: protobuf.Type | null) => object!.fullName.slice(1)
    const outcome = await this.unary(path, encoded(type(method.resolvedRequestType), message))
    if (outcome.code !== grpc.status.OK) throw new Error(`${outcome.code}: ${outcome.details}`)
    return decoded(type(method.resolvedResponseType), outcome.answers[0]!)
  }

  watch(path: string, message: Buffer): grpc.ClientReadableStream<Buffer> {
    return this.client.makeServerStreamRequest(path, identity, identity, message, new grpc.Metadata())
  }

  dialogue(path: string): grpc.ClientDuplexStream<Buffer, Buffer> {
    return this.client.makeBidiStreamRequest(path, identity, identity, new grpc.Metadata())
  }

  close(): void {
    this.client.close()
  }
}
