import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'

/** One request at a time to one server, by a client that costs next to nothing. */
export interface Lane {
  /** The answer's message. @throws Error unless the server says that all is well */
  send(request: Buffer): Promise<Buffer>
  close(): void
}

const HEAD_END = Buffer.from('\r\n\r\n')
const LENGTH = /\r\ncontent-length: *(\d+)/i

/** A server that has not answered by then does not count as answering. */
const TIMEOUT_MS = 60_000

/** HTTP/1.1 on a connection of its own; a request is head and body, ready to send. */
export class HttpLane implements Lane {
  readonly #port: number
  #socket: Socket | undefined
  #chunks: Buffer[] = []
  #received = 0
  /** Bytes of the whole answer, once its head has come. */
  #expected = Number.POSITIVE_INFINITY
  #bodyStart = 0
  #waiting: { resolve(body: Buffer): void; reject(error: Error): void } | undefined

  constructor(port: number) {
    this.#port = port
  }

  send(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket ??= this.#connect()
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#waiting = undefined
    this.#socket?.destroy()
  }

  #connect(): Socket {
    const socket = connectTcp(this.#port, '127.0.0.1').setNoDelay(true).setTimeout(TIMEOUT_MS)
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', (error) => this.#lost(error))
    socket.on('close', () => this.#lost(new Error('the server closed the connection')))
    socket.on('timeout', () => this.#lost(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    return socket
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#received += chunk.length
    if (this.#expected === Number.POSITIVE_INFINITY) this.#readHead()
    if (this.#received < this.#expected) return
    const answer = this.#joined()
    const body = answer.subarray(this.#bodyStart)
    const waiting = this.#forget()
    if (answer.toString('latin1', 9, 12) === '200') waiting?.resolve(body)
    else waiting?.reject(new Error(answer.toString('utf8', 0, 400)))
  }

  #readHead(): void {
    const start = this.#joined()
    const end = start.indexOf(HEAD_END)
    if (end < 0) return
    const length = LENGTH.exec(start.toString('latin1', 0, end))?.[1]
    if (length === undefined) {
      this.#lost(new Error('an answer without content-length'))
      return
    }
    this.#bodyStart = end + HEAD_END.length
    this.#expected = this.#bodyStart + Number(length)
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }

  #forget() {
    const waiting = this.#waiting
    this.#chunks = []
    this.#received = 0
    this.#expected = Number.POSITIVE_INFINITY
    this.#waiting = undefined
    return waiting
  }

  /** The next request opens a new connection. */
  #lost(error: Error): void {
    this.#socket?.destroy()
    this.#socket = undefined
    this.#forget()?.reject(error)
  }
}

export function httpRequest(path: string, type: string, body: Buffer): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\naccept: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

const FRAME_HEAD = 5

/** Unary gRPC calls on a session that lanes may share; a request is a message in its frame. */
export class GrpcLane implements Lane {
  constructor(
    readonly session: ClientHttp2Session,
    readonly path: string,
  ) {}

  send(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.session.request({
        ':method': 'POST',
        ':path': this.path,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const chunks: Buffer[] = []
      let status = ''
      call.on('response', (headers) => {
        status = String(headers['grpc-status'] ?? '')
      })
      call.on('trailers', (headers) => {
        status = String(headers['grpc-status'] ?? '')
      })
      call.on('data', (chunk: Buffer) => chunks.push(chunk))
      call.on('error', reject)
      call.on('end', () => {
        if (status === '0') resolve(Buffer.concat(chunks).subarray(FRAME_HEAD))
        else reject(new Error(`grpc-status ${status}`))
      })
      call.end(request)
    })
  }

  close(): void {
    this.session.destroy()
  }
}

const STREAMS_PER_SESSION = 8

export function grpcLanes(port: number, path: string, count: number): readonly GrpcLane[] {
  const sessions = Array.from({ length: Math.ceil(count / STREAMS_PER_SESSION) }, () =>
    connectHttp2(`http://127.0.0.1:${port}`),
  )
  return Array.from({ length: count }, (_, i) => new GrpcLane(sessions[i % sessions.length]!, path))
}

export function grpcFrame(message: Buffer): Buffer {
  const frame = Buffer.alloc(FRAME_HEAD + message.length)
  frame.writeUInt32BE(message.length, 1)
  message.copy(frame, FRAME_HEAD)
  return frame
}
