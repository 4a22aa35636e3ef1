import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { type StoreFailureEvent, storeFailure } from '../../core/diagnostics.js'
import { feastError } from '../../core/errors.js'
import type { RedisAddress } from './redis-connection.js'
import { IN_TIME, isPassing, NodeUnavailable, replyError } from './redis-failure.js'
import { inTime, type RedisLink, slow } from './redis-link.js'
import type { Channel, RedisRouter } from './redis-router.js'
import { ErrorReply, encodeCommand, type Reply } from './resp.js'

/** Commands with one reply each. */
export interface CommandSet {
  /** By key, which node a command goes to; one per command. */
  readonly keys: readonly Buffer[]
  /** The commands at these places, back to back. */
  encode(indexes: readonly number[]): Buffer
  readonly channel: Channel
  readonly timeoutMs: number
  /** Replies are rows of so many cells, wanted as RowReply. */
  readonly rowCells?: number
}

/** Requests that wait at a time; beyond, callers are turned away at once. */
const MAX_REQUESTS = 10_000
const MIN_PAUSE_MS = 10
const MAX_PAUSE_MS = 200

const ASKING = encodeCommand(['ASKING'])

/** Sends commands to the nodes that have their keys, one round trip per node, and again where that makes sense. */
export class RedisClient {
  readonly router: RedisRouter
  #requests = 0

  constructor(router: RedisRouter) {
    this.router = router
  }

  /**
   * Replies in the order of the commands; errors of the data (such as WRONGTYPE or NOSCRIPT) are among them. What
   * passes by itself (a lost connection, a failover, a moved slot) is tried again until the time is up: so commands
   * must be ones that may be done twice.
   * @throws ONLINE_STORE_UNAVAILABLE, ONLINE_STORE_FAILED
   */
  async run(set: CommandSet): Promise<Reply[]> {
    if (this.#requests >= MAX_REQUESTS) {
      storeFailure.publish({ reason: 'overload', seconds: 0 } satisfies StoreFailureEvent)
      throw feastError('ONLINE_STORE_UNAVAILABLE', { store: 'Redis', why: 'too many requests are waiting' })
    }
    this.#requests++
    const started = performance.now()
    try {
      return await new Attempts(this.router, set).run()
    } catch (error) {
      publishFailure(error, started)
      throw error instanceof NodeUnavailable ? error.toFeastError() : error
    } finally {
      this.#requests--
    }
  }

  close(): void {
    this.router.close()
  }
}

function publishFailure(error: unknown, started: number): void {
  const isLate = error instanceof NodeUnavailable && error.why.endsWith(IN_TIME)
  const reason = isLate ? 'timeout' : error instanceof NodeUnavailable ? 'unavailable' : 'error'
  const seconds = (performance.now() - started) / 1000
  storeFailure.publish({ reason, seconds } satisfies StoreFailureEvent)
}

/** One set of commands on its way. */
class Attempts {
  readonly #router: RedisRouter
  readonly #set: CommandSet
  readonly #deadline: number
  readonly #replies: Reply[]
  /** Commands that a node said to ask of another one, just this once. */
  readonly #asks = new Map<number, RedisLink>()
  #failure: { readonly error: NodeUnavailable | Error; readonly nextTry: number } | undefined
  #redirected = false

  constructor(router: RedisRouter, set: CommandSet) {
    this.#router = router
    this.#set = set
    this.#deadline = Date.now() + set.timeoutMs
    this.#replies = new Array(set.keys.length)
  }

  async run(): Promise<Reply[]> {
    let left: readonly number[] = Array.from(this.#set.keys.keys())
    for (let attempt = 0; ; attempt++) {
      this.#failure = undefined
      this.#redirected = false
      left = await this.#send(left)
      if (left.length === 0) return this.#replies
      if (!this.#redirected || attempt > 2) await this.#pause(attempt)
    }
  }

  /** The commands that are still to be done. */
  #send(indexes: readonly number[]): Promise<readonly number[]> {
    const { keys, channel } = this.#set
    if (!this.#router.isSharded) return this.#sendTo(this.#router.route(keys[0]!, channel), indexes)
    return this.#sendToAll(indexes)
  }

  async #sendToAll(indexes: readonly number[]): Promise<readonly number[]> {
    const groups = await this.#groups(indexes)
    const lists = await Promise.all(groups.map(([link, group]) => this.#sendTo(link, group)))
    return lists.flat()
  }

  async #groups(
    indexes: readonly number[],
  ): Promise<readonly (readonly [RedisLink | undefined, readonly number[]])[]> {
    try {
      const waiting = this.#router.ready()
      if (waiting) await inTime(waiting, this.#deadline, () => slow('its cluster nodes'))
      const { keys, channel } = this.#set
      const groups = new Map<RedisLink, number[]>()
      for (const index of indexes) {
        if (this.#asks.has(index)) continue
        const link = this.#router.route(keys[index]!, channel)
        const group = groups.get(link)
        if (group) group.push(index)
        else groups.set(link, [index])
      }
      return [...groups, ...[...this.#asks.keys()].map((index) => [undefined, [index]] as const)]
    } catch (error) {
      this.#failed(error, 0)
      return [[undefined, indexes]]
    }
  }

  async #sendTo(link: RedisLink | undefined, group: readonly number[]): Promise<readonly number[]> {
    if (link === undefined) return this.#failure ? group : this.#ask(group[0]!)
    try {
      const replies = await link.request(
        () => this.#set.encode(group),
        group.length,
        this.#deadline,
        this.#set.rowCells,
      )
      return this.#take(link, group, replies)
    } catch (error) {
      this.#failed(error, link.nextTry)
      return group
    }
  }

  async #ask(index: number): Promise<readonly number[]> {
    const link = this.#asks.get(index)!
    this.#asks.delete(index)
    try {
      const payload = () => Buffer.concat([ASKING, this.#set.encode([index])])
      const replies = await link.request(payload, 2, this.#deadline, this.#set.rowCells)
      return this.#take(link, [index], [replies[1]!])
    } catch (error) {
      this.#failed(error, link.nextTry)
      return [index]
    }
  }

  #take(link: RedisLink, group: readonly number[], replies: readonly Reply[]): readonly number[] {
    let again: number[] | undefined
    for (let i = 0; i < group.length; i++) {
      const reply = replies[i]!
      this.#replies[group[i]!] = reply
      if (reply instanceof ErrorReply && isPassing(reply)) {
        this.#redirect(link, group[i]!, reply)
        again ??= []
        again.push(group[i]!)
      }
    }
    return again ?? []
  }

  #redirect(link: RedisLink, index: number, reply: ErrorReply): void {
    if (reply.code === 'READONLY') link.drop('it became a replica')
    const target = redirection(reply, link.node)
    this.#router.refresh()
    if (target === undefined) {
      this.#failure = { error: replyError(link.node, reply), nextTry: 0 }
      return
    }
    this.#redirected = true
    this.#asks.set(index, this.#router.node(target, this.#set.channel))
  }

  /** @throws what another try would not mend */
  #failed(error: unknown, nextTry: number): void {
    if (!(error instanceof NodeUnavailable)) throw error
    this.#failure = { error, nextTry }
    this.#router.refresh()
  }

  /** @throws when the time is up, or the node has been away for longer than it lasts */
  async #pause(attempt: number): Promise<void> {
    const { error, nextTry } = this.#failure ?? { error: undefined, nextTry: 0 }
    const now = Date.now()
    const pause = Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** attempt) * (0.5 + Math.random() / 2)
    const wakeAt = Math.max(now + pause, nextTry)
    const isLongAway = error instanceof NodeUnavailable && now - error.since >= this.#set.timeoutMs
    if (error && (isLongAway || wakeAt >= this.#deadline)) {
      // A caller that tries again at once must not keep the event loop from connecting.
      await setImmediate()
      throw error
    }
    if (wakeAt >= this.#deadline) {
      const why = 'the slots of the cluster keep moving'
      throw feastError('ONLINE_STORE_UNAVAILABLE', { store: 'Redis Cluster', why })
    }
    await sleep(wakeAt - now)
  }
}

/** Of `MOVED 3999 127.0.0.1:6381` and `ASK …`; without a host it is the one that answered. */
function redirection({ code, message }: ErrorReply, node: string): RedisAddress | undefined {
  if (code !== 'MOVED' && code !== 'ASK') return undefined
  const [, host, port] = /^\w+ \d+ (.*):(\d+)$/.exec(message) ?? []
  if (host === undefined) return undefined
  const own = node.slice(0, node.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  return { host: host === '' || host === '?' ? own : host, port: Number(port) }
}
