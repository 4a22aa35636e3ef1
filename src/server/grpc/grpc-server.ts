import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { constants, createSecureServer, createServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { GrpcStatusName } from '../../codec/grpc-wire.js'
import { feastError, messageOf } from '../../core/errors.js'
import type { Admission } from '../admission.js'
import type { AccessControl } from '../auth/access-control.js'
import { limitConnections } from '../connection-limit.js'
import type { RequestTracer } from '../tracing.js'
import { type CallOwner, GrpcCall } from './grpc-call.js'
import type { GrpcMethod } from './grpc-method.js'
import { wireStatus } from './wire-status.js'

export interface GrpcServerOptions {
  readonly methods: readonly GrpcMethod[]
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** PEM texts; plain text without. */
  readonly tls?: { readonly key: Buffer | string; readonly cert: Buffer | string } | undefined
  readonly messageLimitBytes: number
  readonly maxConnections: number
  readonly timeouts: GrpcTimeouts
  readonly admission: Admission
  /** None: everybody may do everything. */
  readonly access?: AccessControl | undefined
  readonly tracer?: RequestTracer | undefined
  /** Told of every call of a known method, once, when its outcome is known. */
  readonly onFinished: (call: GrpcCall, status: GrpcStatusName, error: unknown) => void
  /** Told of clients that are cut off: too slow to send, or to read. */
  readonly onCut: (reason: 'slow_request' | 'slow_reader') => void
}

export interface GrpcTimeouts {
  /** From the connection to its first settings. */
  readonly handshakeMs: number
  /** From the headers of a call to the end of its message. */
  readonly requestMs: number
  /** To take in an answer. */
  readonly answerMs: number
  /** A connection without calls is asked to go. */
  readonly idleMs: number
}

export interface GrpcServer {
  readonly port: number
  connectionCount(): number
  /** Tells all clients, also those that come yet, to make their next calls elsewhere. Calls are still answered. */
  announceEnd(): void
  /** Takes no more calls; resolves when those under way have ended, or were cut off after `drainMs`. */
  close(drainMs: number): Promise<void>
}

/** More calls at a time than these wait at the client. */
const MAX_CONCURRENT_CALLS = 1000
const MAX_HEADER_BYTES = 16_384
/** What a client may send ahead; large requests then do not wait for the way back. */
const STREAM_WINDOW_BYTES = 1 << 20
const CONNECTION_WINDOW_BYTES = 16 << 20
/** Clients measure their line with a ping per answer; some more than that is patience enough. */
const MAX_UNANSWERED_PINGS = 100
const SWEEP_MS = 500
const LAST_POSSIBLE_STREAM = 2 ** 31 - 1

const CONTENT_TYPE = /^application\/grpc(\+proto)?($|[ ;])/

/** @throws what listening throws; FILE_NOT_READABLE for a key or certificate that is none */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const methods = new Map(options.methods.map((method) => [method.path, method]))
  const connections = new Set<Connection>()
  let isEnding = false
  const server = createHttp2Server(options)
  limitConnections(server, options.maxConnections, () => options.admission.count('connections'))
  // The session is made, and announced, while its socket is.
  let arriving: Socket | undefined
  server.prependListener(options.tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    arriving = socket
  })
  server.on('session', (session) => {
    const connection = new Connection(session, arriving!, options)
    connections.add(connection)
    session.once('close', () => connections.delete(connection))
    if (isEnding) connection.announceEnd()
  })
  server.on('stream', (stream, headers) => {
    const method = methodOf(stream, headers, methods)
    if (method !== undefined)
      connectionOf(stream).open(new GrpcCall(stream, headers, method, connectionOf(stream)))
  })
  const sweeper = setInterval(() => {
    const now = performance.now()
    for (const connection of connections) connection.sweep(now)
  }, SWEEP_MS).unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  }).catch((error) => {
    clearInterval(sweeper)
    throw error
  })
  return {
    port: (server.address() as AddressInfo).port,
    connectionCount: () => connections.size,
    announceEnd() {
      isEnding = true
      for (const connection of connections) connection.announceEnd()
    },
    async close(drainMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const late = setTimeout(() => {
        for (const connection of connections) connection.cut()
      }, drainMs)
      await Promise.all([closed, ...[...connections].map((connection) => connection.end())])
      clearTimeout(late)
      clearInterval(sweeper)
    },
  }
}

function createHttp2Server({ tls }: GrpcServerOptions) {
  const options = {
    maxSessionMemory: 64,
    maxHeaderListPairs: 64,
    settings: {
      maxConcurrentStreams: MAX_CONCURRENT_CALLS,
      maxHeaderListSize: MAX_HEADER_BYTES,
      initialWindowSize: STREAM_WINDOW_BYTES,
      enablePush: false,
    },
  }
  if (tls === undefined) return createServer(options)
  try {
    return createSecureServer({ ...options, ...tls, allowHTTP1: false })
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path: 'TLS key and certificate', why: messageOf(error) }, error)
  }
}

const END = { endStream: true }

/** @returns undefined after a refusal */
function methodOf(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: ReadonlyMap<string, GrpcMethod>,
): GrpcMethod | undefined {
  const isGrpc = CONTENT_TYPE.test(headers['content-type'] ?? '')
  const path = headers[':path'] as string
  const method = methods.get(path)
  if (method !== undefined && isGrpc && headers[':method'] === 'POST') return method
  stream.on('error', ignore)
  if (headers[':method'] !== 'POST') stream.respond({ ':status': 405, allow: 'POST' }, END)
  else if (!isGrpc) stream.respond({ ':status': 415, accept: 'application/grpc' }, END)
  else {
    const { headers: status } = wireStatus('UNIMPLEMENTED', `There is no method ${path.slice(0, 200)} here.`)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, END)
  }
  stream.close(constants.NGHTTP2_NO_ERROR)
  return undefined
}

function ignore(): void {}

const CONNECTION: unique symbol = Symbol('connection')
type OwnedSession = ServerHttp2Session & { [CONNECTION]?: Connection }

function connectionOf(stream: ServerHttp2Stream): Connection {
  return (stream.session as OwnedSession)[CONNECTION]!
}

class Connection implements CallOwner {
  readonly ip: string
  readonly messageLimitBytes: number
  readonly admission: Admission
  readonly access: AccessControl | undefined
  readonly tracer: RequestTracer | undefined
  heldBytes = 0
  readonly #calls = new Set<GrpcCall>()
  #idleSince = performance.now()
  #isGreeted = false
  #isTold = false
  #isAskedToGo = false
  #pings = 0

  constructor(
    readonly session: ServerHttp2Session,
    readonly socket: Socket,
    readonly options: GrpcServerOptions,
  ) {
    this.messageLimitBytes = options.messageLimitBytes
    this.admission = options.admission
    this.access = options.access
    this.tracer = options.tracer
    this.ip = socket.remoteAddress ?? ''
    ;(session as OwnedSession)[CONNECTION] = this
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    session.once('remoteSettings', () => {
      this.#isGreeted = true
    })
    session.on('ping', () => this.#countPing())
  }

  open(call: GrpcCall): void {
    this.#calls.add(call)
    call.start()
  }

  finished(call: GrpcCall, status: GrpcStatusName, error: unknown): void {
    this.#pings = 0
    this.options.onFinished(call, status, error)
  }

  closed(call: GrpcCall): void {
    this.#calls.delete(call)
    if (this.#calls.size === 0) this.#idleSince = performance.now()
  }

  announceEnd(): void {
    if (this.#isTold || this.session.destroyed) return
    this.#isTold = true
    // Of a stream number that never comes: what is already on its way here is still answered.
    this.session.goaway(constants.NGHTTP2_NO_ERROR, LAST_POSSIBLE_STREAM)
  }

  /** Resolves when it has closed. */
  end(): Promise<void> {
    const { session } = this
    return new Promise((resolve) => {
      if (session.destroyed) resolve()
      else {
        session.once('close', resolve)
        session.close()
      }
    })
  }

  /** A session alone would wait until the client has read what was sent to it. */
  cut(): void {
    this.session.destroy()
    this.socket.destroy()
  }

  sweep(now: number): void {
    const { handshakeMs, idleMs } = this.options.timeouts
    for (const call of this.#calls) this.#cutSlow(call, now)
    if (this.#calls.size > 0) return
    const idleMsSoFar = now - this.#idleSince
    if (!this.#isGreeted && idleMsSoFar > handshakeMs) this.cut()
    else if (this.#isAskedToGo && idleMsSoFar > idleMs + handshakeMs) this.cut()
    else if (!this.#isAskedToGo && idleMsSoFar > idleMs) {
      this.#isAskedToGo = true
      this.session.close()
    }
  }

  #cutSlow(call: GrpcCall, now: number): void {
    const { requestMs, answerMs } = this.options.timeouts
    if (call.answeredAt !== undefined) {
      if (now - call.answeredAt <= answerMs) return
      this.options.onCut('slow_reader')
      call.abandon()
    } else if (
      !call.isRequestComplete &&
      call.method.kind !== 'dialogue' &&
      now - call.startedAt > requestMs
    ) {
      this.options.onCut('slow_request')
      call.refuse('DEADLINE_EXCEEDED', `The request was not complete within ${requestMs / 1000} s.`)
    }
  }

  #countPing(): void {
    const { session } = this
    if (++this.#pings <= MAX_UNANSWERED_PINGS || session.destroyed) return
    if (session.closed) this.cut()
    else {
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'))
      session.close()
    }
  }
}
