import type { Server, Socket } from 'node:net'

/** Bytes of answers that clients have not taken, over all connections of a process. */
export const MAX_UNSENT_BYTES = 256 << 20
const SWEEP_MS = 500

export interface ConnectionWatchOptions {
  /** How long a client may take to receive what was sent to it. */
  readonly answerTimeoutMs: number
  readonly unsentBytes?: number
  /** Told of each client that is cut off. */
  readonly onCut: () => void
}

/** A connection that had unsent bytes when it was last looked at. */
interface Backlog {
  readonly since: number
  /** How far it must have been flushed for these bytes to be gone. */
  readonly end: number
}

/**
 * Cuts off clients that do not read their answers. Looks at all connections twice a second, which costs requests
 * nothing: 10 000 connections take about a millisecond.
 */
export class ConnectionWatch {
  readonly #options: ConnectionWatchOptions
  readonly #sockets = new Map<Socket, Backlog | undefined>()
  readonly #timer: NodeJS.Timeout

  constructor(options: ConnectionWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref()
  }

  get openConnections(): number {
    return this.#sockets.size
  }

  /** @param event `secureConnection` for TLS: its sockets hold the bytes that wait */
  add(server: Server, event: 'connection' | 'secureConnection' = 'connection'): void {
    server.on(event, (socket: Socket) => {
      this.#sockets.set(socket, undefined)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #sweep(now: number): void {
    let unsent = 0
    const waiting: [Socket, Backlog][] = []
    for (const [socket, known] of this.#sockets) {
      const { writableLength } = socket
      if (writableLength === 0) {
        if (known) this.#sockets.set(socket, undefined)
        continue
      }
      const queued = socket.bytesWritten
      const isSame = known !== undefined && queued - writableLength < known.end
      const backlog = isSame ? known : { since: now, end: queued }
      if (!isSame) this.#sockets.set(socket, backlog)
      unsent += writableLength
      waiting.push([socket, backlog])
    }
    if (waiting.length > 0) this.#cut(waiting, unsent, now)
  }

  /** Those whose time is up; and while too much waits, those that have been waiting for longest. */
  #cut(waiting: [Socket, Backlog][], unsent: number, now: number): void {
    const { answerTimeoutMs, unsentBytes = MAX_UNSENT_BYTES } = this.#options
    let left = unsent
    waiting.sort(([, a], [, b]) => a.since - b.since)
    for (const [socket, { since }] of waiting) {
      const isLate = now - since >= answerTimeoutMs
      // What began to wait just now may be on its way.
      if (!isLate && (left <= unsentBytes || since === now)) continue
      left -= socket.writableLength
      this.#options.onCut()
      socket.destroy()
    }
  }
}
