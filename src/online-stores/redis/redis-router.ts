import { messageOf } from '../../core/errors.js'
import { keySlot, SLOTS } from './key-slot.js'
import {
  addressText,
  type ConnectionOptions,
  type RedisAddress,
  RedisConnection,
} from './redis-connection.js'
import { NodeUnavailable } from './redis-failure.js'
import { RedisLink } from './redis-link.js'
import { ErrorReply, encodeCommand, type Reply } from './resp.js'

/** Reads and writes go over connections of their own, so that a read never waits behind a batch of writes. */
export type Channel = 'read' | 'write'

/** Which node holds a key. */
export interface RedisRouter {
  /** One command may name keys of different slots. */
  readonly isSharded: boolean
  /** Awaited before the first request; undefined once routes are known. @throws NodeUnavailable */
  ready(): Promise<void> | undefined
  route(key: Buffer, channel: Channel): RedisLink
  /** The node that Redis named in a redirection. */
  node(address: RedisAddress, channel: Channel): RedisLink
  /** After a failure or redirection: looks again where things are. */
  refresh(): void
  /** A connection to each node that holds keys. */
  masters(): Promise<readonly RedisLink[]>
  close(): void
}

type Links = Readonly<Record<Channel, RedisLink>>

function openLinks(node: string, open: (onClose: () => void) => Promise<RedisConnection>): Links {
  return { read: new RedisLink(node, open), write: new RedisLink(node, open) }
}

/** One address, or whichever a locator finds. */
export class SingleRouter implements RedisRouter {
  readonly isSharded = false
  readonly #links: Links

  constructor(node: string, locate: () => Promise<RedisAddress>, options: ConnectionOptions) {
    this.#links = openLinks(node, async (onClose) => RedisConnection.open(await locate(), options, onClose))
  }

  ready(): undefined {}

  route(_key: Buffer, channel: Channel): RedisLink {
    return this.#links[channel]
  }

  node(_address: RedisAddress, channel: Channel): RedisLink {
    return this.#links[channel]
  }

  refresh(): void {}

  async masters(): Promise<readonly RedisLink[]> {
    return [this.#links.write]
  }

  close(): void {
    this.#links.read.close()
    this.#links.write.close()
  }
}

/** Asks the sentinels who the master is; each time another one first, so that one that is wrong or stuck is passed. */
export function sentinelLocator(
  sentinels: readonly RedisAddress[],
  master: string,
  options: ConnectionOptions,
): () => Promise<RedisAddress> {
  const question = encodeCommand(['SENTINEL', 'get-master-addr-by-name', master])
  let first = 0
  return async () => {
    const order = sentinels.map((_, i) => sentinels[(first + i) % sentinels.length]!)
    first++
    const problems: string[] = []
    for (const sentinel of order) {
      try {
        const reply = await askOnce(sentinel, question, options)
        const address = Array.isArray(reply) ? addressOf(reply, sentinel) : undefined
        if (address !== undefined) return address
        const answer = reply instanceof ErrorReply ? reply.message : `it knows no master "${master}"`
        problems.push(`${addressText(sentinel)}: ${answer}`)
      } catch (error) {
        problems.push(messageOf(error))
      }
    }
    const node = sentinels.map(addressText).join(', ')
    throw new NodeUnavailable(node, `no sentinel names a master (${problems.join('; ')})`, Date.now())
  }
}

async function askOnce(address: RedisAddress, payload: Buffer, options: ConnectionOptions): Promise<Reply> {
  const connection = await RedisConnection.open(address, options)
  try {
    const [reply] = await connection.request(payload, 1, Date.now() + options.connectTimeoutMs)
    return reply!
  } finally {
    connection.close('asked')
  }
}

/** Of `[host, port, …]`; an empty host means the one that was asked. */
function addressOf([host, port]: readonly Reply[], asked: RedisAddress): RedisAddress | undefined {
  const number = Number(port)
  if (!(number > 0)) return undefined
  const name = Buffer.isBuffer(host) ? host.toString() : ''
  return { host: name === '' || name === '?' ? asked.host : name, port: number }
}

/** A map that is older than this is asked for again after a failure. */
const REFRESH_EVERY_MS = 100
const ASKED_NODES = 6

/** Redis Cluster: the slot of a key says which node has it. */
export class ClusterRouter implements RedisRouter {
  readonly isSharded = true
  readonly #seeds: readonly RedisAddress[]
  readonly #options: ConnectionOptions
  readonly #links = new Map<string, Links & { readonly address: RedisAddress }>()
  #owners: readonly (RedisAddress | undefined)[] | undefined
  #slotLinks: (Links | undefined)[] = []
  #refreshing: Promise<void> | undefined
  #refreshedAt = 0

  constructor(seeds: readonly RedisAddress[], options: ConnectionOptions) {
    this.#seeds = seeds
    this.#options = options
  }

  ready(): Promise<void> | undefined {
    return this.#owners ? undefined : this.#refresh()
  }

  route(key: Buffer, channel: Channel): RedisLink {
    const slot = keySlot(key)
    const links = this.#slotLinks[slot]
    if (links) return links[channel]
    const seeds = this.#seeds.map(addressText).join(', ')
    throw new NodeUnavailable(seeds, `no node of the cluster serves slot ${slot}`, Date.now())
  }

  node(address: RedisAddress, channel: Channel): RedisLink {
    return this.#linksTo(address)[channel]
  }

  refresh(): void {
    if (Date.now() - this.#refreshedAt < REFRESH_EVERY_MS) return
    this.#refresh().catch(() => {})
  }

  async masters(): Promise<readonly RedisLink[]> {
    await this.#refresh()
    return [...new Set(this.#slotLinks)].flatMap((links) => (links ? [links.write] : []))
  }

  close(): void {
    for (const { read, write } of this.#links.values()) {
      read.close()
      write.close()
    }
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#askForSlots().finally(() => {
      this.#refreshing = undefined
      this.#refreshedAt = Date.now()
    })
    return this.#refreshing
  }

  /** Several nodes are asked at once, and the first answer counts: one that is stuck holds nobody up. */
  async #askForSlots(): Promise<void> {
    const known = [...this.#links.values()].map(({ address }) => address)
    const byNode = new Map([...this.#seeds, ...known].map((address) => [addressText(address), address]))
    const some = shuffled([...byNode.values()]).slice(0, ASKED_NODES)
    try {
      const { ranges, asked } = await Promise.any(some.map((address) => this.#slotsFrom(address)))
      this.#useSlots(ranges, asked)
    } catch (error) {
      const { errors } = error as AggregateError
      throw errors.find((cause) => !(cause instanceof NodeUnavailable)) ?? errors[0]
    }
  }

  async #slotsFrom(asked: RedisAddress): Promise<{ ranges: readonly Reply[]; asked: RedisAddress }> {
    const ranges = await askOnce(asked, encodeCommand(['CLUSTER', 'SLOTS']), this.#options)
    if (!Array.isArray(ranges)) throw this.#noCluster(asked, ranges)
    if (ranges.length > 0) return { ranges, asked }
    throw new NodeUnavailable(addressText(asked), 'it serves no slots yet', Date.now())
  }

  #noCluster(address: RedisAddress, reply: Reply): Error {
    const why = reply instanceof ErrorReply ? reply.message : 'its answer to CLUSTER SLOTS makes no sense'
    return new NodeUnavailable(addressText(address), why, Date.now())
  }

  #useSlots(ranges: readonly Reply[], asked: RedisAddress): void {
    const owners: (RedisAddress | undefined)[] = new Array(SLOTS).fill(undefined)
    for (const range of ranges) {
      const [from, to, master] = range as [number, number, readonly Reply[]]
      owners.fill(addressOf(master, asked), from, to + 1)
    }
    this.#owners = owners
    this.#slotLinks = owners.map((owner) => owner && this.#linksTo(owner))
    this.#forgetGone()
  }

  /** Nodes that have left; one that is about to get its first slots keeps its connection. */
  #forgetGone(): void {
    const used = new Set(this.#slotLinks)
    for (const [node, links] of this.#links) {
      if (!used.has(links) && links.read.isIdle && links.write.isIdle) this.#links.delete(node)
    }
  }

  #linksTo(address: RedisAddress): Links {
    const node = addressText(address)
    let links = this.#links.get(node)
    if (!links) {
      const open = (onClose: () => void) => RedisConnection.open(address, this.#options, onClose)
      links = { ...openLinks(node, open), address }
      this.#links.set(node, links)
    }
    return links
  }
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}
