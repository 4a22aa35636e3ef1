import type { Server, Socket } from 'node:net'

/** Bytes of answers that clients have not taken, over all connections of a process. */
export const MAX_UNSENT_BYTES = 256 << 20
const SWEEP_MS = 500

export interface ConnectionWatchOptions {
  /** How long a client may take to receive what was sent to it. */
  readonly answerTimeoutMs: number
  /** How long a connection may go without a request, whatever else is sent over it. */
  readonly idleTimeoutMs: number
  readonly unsentBytes?: number
  /** Told of each client that is cut off. */
  readonly onCut: (reason: 'slow_reader' | 'slow_request') => void
}

interface Connection {
  readonly socket: Socket
  /** Requests under way. */
  requests: number
  /** Since when there has been none. */
  quietSince: number
  /** Since when there have been unsent bytes; undefined: there were none when it was last looked at. */
  unsentSince: number | undefined
  /** How far it must have been flushed for those bytes to be gone. */
  unsentEnd: number
}

/**
 * Cuts off clients that do not read their answers, and connections that are kept open for nothing. Looks at all of
 * them twice a second: 10 000 take about a millisecond.
 */
export class ConnectionWatch {
  readonly #options: ConnectionWatchOptions
  readonly #connections = new Map<Socket, Connection>()
  readonly #timer: NodeJS.Timeout

  constructor(options: ConnectionWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref()
  }

  get openConnections(): number {
    return this.#connections.size
  }

  /** @param event `secureConnection` for TLS: its sockets hold the bytes that wait */
  add(server: Server, event: 'connection' | 'secureConnection' = 'connection'): void {
    server.on(event, (socket: Socket) => {
      const quietSince = performance.now()
      this.#connections.set(socket, { socket, requests: 0, quietSince, unsentSince: undefined, unsentEnd: 0 })
      socket.once('close', () => this.#connections.delete(socket))
    })
  }

  requestStarted(socket: Socket): void {
    const connection = this.#connections.get(socket)
    if (connection) connection.requests++
  }

  requestEnded(socket: Socket): void {
    const connection = this.#connections.get(socket)
    if (connection && --connection.requests === 0) connection.quietSince = performance.now()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #sweep(now: number): void {
    let unsent = 0
    const waiting: Connection[] = []
    for (const connection of this.#connections.values()) {
      const { socket, requests, quietSince } = connection
      const { writableLength } = socket
      if (writableLength > 0) {
        noteUnsent(connection, writableLength, now)
        unsent += writableLength
        waiting.push(connection)
        continue
      }
      connection.unsentSince = undefined
      if (requests === 0 && now - quietSince >= this.#options.idleTimeoutMs) this.#cut(socket, 'slow_request')
    }
    if (waiting.length > 0) this.#cutReaders(waiting, unsent, now)
  }

  /** Those whose time is up; and while too much waits, those that have been waiting for longest. */
  #cutReaders(waiting: Connection[], unsent: number, now: number): void {
    const { answerTimeoutMs, unsentBytes = MAX_UNSENT_BYTES } = this.#options
    let left = unsent
    waiting.sort((a, b) => a.unsentSince! - b.unsentSince!)
    for (const { socket, unsentSince } of waiting) {
      const isLate = now - unsentSince! >= answerTimeoutMs
      // What began to wait just now may be on its way.
      if (!isLate && (left <= unsentBytes || unsentSince === now)) continue
      left -= socket.writableLength
      this.#cut(socket, 'slow_reader')
    }
  }

  #cut(socket: Socket, reason: 'slow_reader' | 'slow_request'): void {
    this.#options.onCut(reason)
    socket.destroy()
  }
}

/** Its time starts anew when what was waiting has gone out, even though more waits by then. */
function noteUnsent(connection: Connection, writableLength: number, now: number): void {
  const queued = connection.socket.bytesWritten
  if (connection.unsentSince !== undefined && queued - writableLength < connection.unsentEnd) return
  connection.unsentSince = now
  connection.unsentEnd = queued
}
