import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import {
  decodeGrpcMessage,
  ERROR_CODE_KEY,
  FrameReader,
  formatTimeout,
  frameMessage,
} from '../codec/grpc-wire.js'
import type { Call } from './call.js'
import {
  type ClientTls,
  CONNECT_TIMEOUT_MS,
  connectionFailed,
  KEEP_ALIVE,
  MAX_ANSWER_BYTES,
} from './http-transport.js'
import { AttemptFailed } from './retry.js'
import { grpcError, httpError, isPassing } from './server-error.js'

/** A connection that answers no ping for this long after a call's time was up is taken for dead. */
const PING_TIMEOUT_MS = 3000
const WINDOW_BYTES = 4 * 1024 * 1024
const GRPC_OK = 0
const GRPC_UNAVAILABLE = 14

/** Unary calls over one HTTP/2 connection, which is opened when it is needed and again when it is lost. */
export class GrpcTransport {
  readonly #tls: ClientTls | undefined
  #connection: Connection | undefined

  constructor(
    readonly url: URL,
    tls: ClientTls | undefined,
  ) {
    this.#tls = url.protocol === 'grpcs:' ? (tls ?? {}) : undefined
  }

  /**
   * @param path `/package.Service/Method`
   * @returns the answer's message
   * @throws AttemptFailed, DEADLINE_EXCEEDED, ABORTED
   */
  unary(
    path: string,
    message: Buffer,
    headers: Readonly<Record<string, string>>,
    call: Call,
  ): Promise<Buffer> {
    return call.wait((resolve, reject) => {
      const connection = this.#connect()
      const stream = connection.open({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(call.timeoutMs > 0 && { 'grpc-timeout': formatTimeout(call.remainingMs) }),
        ...headers,
      })
      if (stream instanceof Error) {
        reject(connectionFailed(this.url, stream, false))
        return () => undefined
      }
      readAnswer(stream, (failure, answer) => {
        if (failure === undefined) resolve(answer!)
        else if (failure instanceof AttemptFailed) reject(failure)
        else reject(connectionFailed(this.url, connection.failure ?? failure, connection.mayHaveRead(stream)))
      })
      stream.end(frameMessage(message))
      return () => {
        stream.close(http2.constants.NGHTTP2_CANCEL)
        connection.probe()
      }
    })
  }

  close(): void {
    this.#connection?.session.destroy()
  }

  #connect(): Connection {
    if (this.#connection === undefined || this.#connection.isOver)
      this.#connection = new Connection(this.url, this.#tls)
    return this.#connection
  }
}

class Connection {
  readonly session: ClientHttp2Session
  /** Why it was lost, if it was. */
  failure: Error | undefined
  #isConnected = false
  #streams = 0
  #isProbing = false

  constructor(url: URL, tls: ClientTls | undefined) {
    const authority = `${tls ? 'https' : 'http'}://${url.host}`
    this.session = http2.connect(authority, {
      ...tls,
      ...KEEP_ALIVE,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    })
    const late = setTimeout(() => {
      this.session.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`))
    }, CONNECT_TIMEOUT_MS)
    this.session.once('connect', () => {
      this.#isConnected = true
      clearTimeout(late)
      this.session.setLocalWindowSize(WINDOW_BYTES)
    })
    this.session.on('error', (error) => {
      this.failure = error
    })
    this.session.once('close', () => clearTimeout(late))
  }

  /** Nothing new may be begun on it: lost, or the server is going away. */
  get isOver(): boolean {
    return this.session.closed || this.session.destroyed
  }

  /** An idle connection does not keep the process alive. @returns an Error when it was lost just now */
  open(headers: http2.OutgoingHttpHeaders): ClientHttp2Stream | Error {
    try {
      const stream = this.session.request(headers)
      if (this.#streams++ === 0) this.session.ref()
      stream.once('close', () => {
        if (--this.#streams === 0 && !this.session.destroyed) this.session.unref()
      })
      return stream
    } catch (error) {
      return error as Error
    }
  }

  /** False when the server cannot have begun: never connected, or it refused the stream. */
  mayHaveRead(stream: ClientHttp2Stream): boolean {
    return this.#isConnected && stream.rstCode !== http2.constants.NGHTTP2_REFUSED_STREAM
  }

  /** A call got no answer in time: is anybody there? */
  probe(): void {
    if (this.#isProbing || this.isOver || !this.#isConnected) return
    this.#isProbing = true
    const late = setTimeout(() => this.session.destroy(new Error('the connection is dead')), PING_TIMEOUT_MS)
    late.unref()
    const sent = this.session.ping(() => {
      clearTimeout(late)
      this.#isProbing = false
    })
    if (!sent) clearTimeout(late)
  }
}

type Done = (failure: Error | undefined, answer?: Buffer) => void

/** Calls `done` once: with the message of an answer that is OK, an AttemptFailed, or what the stream broke with. */
function readAnswer(stream: ClientHttp2Stream, done: Done): void {
  let head: IncomingHttpHeaders & IncomingHttpStatusHeader = {}
  let trailers: IncomingHttpHeaders = {}
  let message: Buffer | undefined
  let body = ''
  let failure: Error | undefined
  const frames = new FrameReader(MAX_ANSWER_BYTES, (one, isCompressed) => {
    if (isCompressed) failure = new Error('the answer is compressed, which was not asked for')
    message = one
  })
  stream.once('response', (headers) => {
    head = headers
  })
  stream.once('trailers', (headers) => {
    trailers = headers
  })
  stream.on('data', (chunk: Buffer) => {
    if (head[':status'] === 200) frames.read(chunk)
    else body = (body + chunk.toString('latin1')).slice(0, 4000)
  })
  stream.once('error', (error) => {
    failure = error
  })
  stream.once('close', () => {
    const status = trailers['grpc-status'] ?? head['grpc-status']
    if (head[':status'] !== undefined && head[':status'] !== 200) done(httpFailure(head, body))
    else if (status === undefined) done(failure ?? new Error('the stream was closed without an answer'))
    else if (Number(status) !== GRPC_OK) done(grpcFailure(status, { ...head, ...trailers }))
    else if (frames.fault) done(new Error(`the answer is no gRPC message (${frames.fault})`))
    else done(failure ?? (message ? undefined : new Error('the answer has no message')), message)
  })
}

/** Not a gRPC server, or a proxy in front of one. */
function httpFailure(head: IncomingHttpHeaders, body: string): AttemptFailed {
  const status = Number(head[':status'])
  const error = httpError(status, Buffer.from(body, 'latin1'), undefined)
  return new AttemptFailed(error, isPassing(status) ? 'unknown' : 'answered')
}

function grpcFailure(status: unknown, headers: IncomingHttpHeaders): AttemptFailed {
  const code = Number(status)
  const message = decodeGrpcMessage(String(headers['grpc-message'] ?? ''))
  const error = grpcError(code, message, headers[ERROR_CODE_KEY])
  const pushback = Number(headers['grpc-retry-pushback-ms'] ?? 0)
  return new AttemptFailed(
    error,
    code === GRPC_UNAVAILABLE ? 'unknown' : 'answered',
    pushback > 0 ? pushback : 0,
  )
}
