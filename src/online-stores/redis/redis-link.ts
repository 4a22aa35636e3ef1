import { type StoreConnectionEvent, storeConnection } from '../../core/diagnostics.js'
import type { RedisConnection } from './redis-connection.js'
import { IN_TIME, NodeUnavailable } from './redis-failure.js'
import type { Reply } from './resp.js'

const MIN_DELAY_MS = 20
/** Short enough that a server that has come back is in use again well within a second. */
const MAX_DELAY_MS = 400

/** A connection that is opened when asked for, and again after it was lost, with growing pauses. */
export class RedisLink {
  readonly #open: (onClose: () => void) => Promise<RedisConnection>
  #connection: RedisConnection | undefined
  #opening: Promise<RedisConnection> | undefined
  #failure: NodeUnavailable | undefined
  #failures = 0
  #nextTry = 0
  #closed = false

  constructor(
    readonly node: string,
    open: (onClose: () => void) => Promise<RedisConnection>,
  ) {
    this.#open = open
  }

  /** It has no connection, nor will it have one soon. */
  get isIdle(): boolean {
    return this.#opening === undefined && this.#connection?.isOpen !== true
  }

  /**
   * See {@link RedisConnection.request}. The payload is made once there is a connection to send it over.
   * @throws NodeUnavailable, at once while the node is known to be away
   */
  request(payload: () => Buffer, count: number, deadline: number, rowCells = 0): Promise<Reply[]> {
    const connection = this.#connection
    if (connection?.isOpen) return connection.request(payload(), count, deadline, rowCells)
    return inTime(this.#connect(), deadline, () => this.#failure ?? slow(this.node)).then((opened) =>
      opened.request(payload(), count, deadline, rowCells),
    )
  }

  /** When another try makes sense, in ms since 1970. */
  get nextTry(): number {
    return this.#nextTry
  }

  /** Gives up the connection: what is at its other end is not what it was. */
  drop(why: string): void {
    this.#connection?.close(why)
  }

  close(): void {
    this.#closed = true
    this.#connection?.close('the store was closed')
  }

  #connect(): Promise<RedisConnection> {
    if (this.#closed) {
      return Promise.reject(new NodeUnavailable(this.node, 'the store was closed', 0))
    }
    // Nobody has asked for long: how it was then says nothing of now.
    if (Date.now() > this.#nextTry + MAX_DELAY_MS && !this.#opening) this.#failure = undefined
    if (this.#failure && (this.#opening || Date.now() < this.#nextTry)) return Promise.reject(this.#failure)
    if (this.#opening) return this.#opening
    this.#opening = this.#open(() => this.#lost())
      .then((connection) => this.#opened(connection))
      .catch((error) => {
        throw this.#failed(error)
      })
      .finally(() => {
        this.#opening = undefined
      })
    return this.#opening
  }

  #opened(connection: RedisConnection): RedisConnection {
    if (this.#closed) connection.close('the store was closed')
    this.#publish('opened')
    this.#connection = connection
    this.#failure = undefined
    this.#failures = 0
    return connection
  }

  #lost(): void {
    if (this.#connection !== undefined && !this.#closed) this.#publish('lost')
    this.#connection = undefined
  }

  #publish(outcome: StoreConnectionEvent['outcome']): void {
    storeConnection.publish({ node: this.node, outcome } satisfies StoreConnectionEvent)
  }

  /** Jitter keeps processes that lost the same server from all coming back at once. */
  #failed(error: unknown): unknown {
    this.#publish('failed')
    const delay = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** this.#failures++)
    this.#nextTry = Date.now() + delay * (0.5 + Math.random() / 2)
    if (!(error instanceof NodeUnavailable)) return error
    const since = this.#failure?.since ?? error.since
    this.#failure = new NodeUnavailable(error.node, error.why, since, error.cause)
    return this.#failure
  }
}

/** Opening a connection may take several attempts at several hosts; the caller has less time. */
export function inTime<T>(work: Promise<T>, deadline: number, late: () => NodeUnavailable): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(1, deadline - Date.now()))
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

export function slow(node: string): NodeUnavailable {
  return new NodeUnavailable(node, `no connection ${IN_TIME}`, Date.now())
}
