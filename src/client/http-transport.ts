import http, { type IncomingHttpHeaders } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { ERROR_CODE_KEY } from '../codec/grpc-wire.js'
import { feastError, messageOf } from '../core/errors.js'
import type { Call } from './call.js'
import { AttemptFailed } from './retry.js'
import { httpError, isPassing } from './server-error.js'

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  /**
   * Over a connection of its own: one that was kept open may be closed by the server while the request is on its
   * way, and nobody knows then whether it was read.
   */
  readonly fresh: boolean
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** PEM. Without `ca` the system's authorities count. */
export interface ClientTls {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
}

export const CONNECT_TIMEOUT_MS = 3000
export const MAX_ANSWER_BYTES = 256 * 1024 * 1024
/**
 * The network asks whether the other end is there after so long without a byte: who waits long for an answer hears of
 * an end that is gone without a word, and what lies between keeps the connection.
 */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 }
/** Idle connections are closed by us before most servers and balancers close them. */
const IDLE_MS = 25_000

/** Keeps connections open and bounded; one request is one attempt. */
export class HttpTransport {
  readonly #agent: http.Agent
  readonly #base: http.RequestOptions
  readonly #path: string
  readonly #request: typeof http.request
  readonly #sockets = new Set<Socket>()

  constructor(
    readonly url: URL,
    tls: ClientTls | undefined,
    maxSockets: number,
  ) {
    const isSecure = url.protocol === 'https:'
    const keep = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, timeout: IDLE_MS }
    this.#agent = isSecure ? new https.Agent({ ...keep, ...tls }) : new http.Agent(keep)
    this.#request = isSecure ? https.request : http.request
    this.#path = url.pathname.replace(/\/$/, '')
    this.#base = {
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || (isSecure ? 443 : 80),
      ...KEEP_ALIVE,
      ...(isSecure ? tls : {}),
    }
  }

  /** @throws AttemptFailed, DEADLINE_EXCEEDED, ABORTED; an answer of any status is returned */
  send(request: HttpRequest, call: Call): Promise<HttpAnswer> {
    return call.wait((resolve, reject) => {
      const exchange = this.#open(request)
      let connected = false
      const fail = (error: unknown) => reject(this.#failure(error, connected))
      exchange.once('socket', (socket) => {
        this.#watch(socket)
        whenConnected(socket, exchange, () => {
          connected = true
        })
      })
      exchange.once('error', fail)
      exchange.once('response', (response) => {
        collect(response, (error, body) => {
          if (error) {
            exchange.destroy()
            fail(error)
          } else resolve({ status: response.statusCode ?? 0, headers: response.headers, body: body! })
        })
      })
      exchange.end(request.body)
      return () => exchange.destroy()
    })
  }

  close(): void {
    this.#agent.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #open({ method, path, headers, body, fresh }: HttpRequest): http.ClientRequest {
    return this.#request({
      ...this.#base,
      method,
      path: this.#path + path,
      headers: { ...headers, ...(body && { 'content-length': body.length }) },
      agent: fresh ? false : this.#agent,
    })
  }

  #watch(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #failure(error: unknown, connected: boolean): AttemptFailed {
    return connectionFailed(this.url, error, connected)
  }
}

/** @param connected the request may have reached the server */
export function connectionFailed(url: URL, error: unknown, connected: boolean): AttemptFailed {
  const why = messageOf(error) || (error as NodeJS.ErrnoException).code || 'no connection'
  return new AttemptFailed(
    feastError(
      'SERVER_UNREACHABLE',
      { url: url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin, why },
      error,
    ),
    connected ? 'unknown' : 'nothing',
  )
}

function whenConnected(socket: Socket, exchange: http.ClientRequest, connected: () => void): void {
  if (!socket.connecting) {
    connected()
    return
  }
  const event = 'encrypted' in socket ? 'secureConnect' : 'connect'
  const late = setTimeout(() => {
    exchange.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`))
  }, CONNECT_TIMEOUT_MS)
  socket.once(event, () => {
    clearTimeout(late)
    connected()
  })
  exchange.once('close', () => clearTimeout(late))
}

function collect(
  response: http.IncomingMessage,
  done: (error: Error | undefined, body?: Buffer) => void,
): void {
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes > MAX_ANSWER_BYTES) done(new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`))
  })
  response.once('end', () => done(undefined, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
  response.once('error', (error) => done(error))
}

/** Throws what an answer that is not 2xx means. */
export function refuseFailed({ status, headers, body }: HttpAnswer): void {
  if (status >= 200 && status < 300) return
  const error = httpError(status, body, headers[ERROR_CODE_KEY])
  throw new AttemptFailed(
    error,
    isPassing(status) ? 'unknown' : 'answered',
    retryAfterMs(headers['retry-after']),
  )
}

/** Seconds or a date. @returns 0 for anything else */
export function retryAfterMs(text: string | undefined): number {
  if (text === undefined) return 0
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return ms > 0 ? ms : 0
}
