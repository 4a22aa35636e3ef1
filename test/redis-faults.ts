import type { Socket } from 'node:net'
import type { Random } from './compat/random.js'
import type { RedisServer } from './redis-server.js'
import { passOn, type TcpProxy } from './tcp-proxy.js'

/** What can happen to Redis, or on the way to it. */
export interface RedisFault {
  readonly name: string
  /** Redis still answers reads, right and at once. */
  readonly readsGoOn: boolean
  begin(): Promise<unknown>
  /** When this returns, Redis takes reads and writes again. */
  end(): Promise<unknown>
}

/** Longer than the store's time for a request. */
const SILENT_MS = 1500

/** @param proxy stands before `redis`, whose rows must outlive it (`--appendonly yes --appendfsync always`) */
export function redisFaults(redis: RedisServer, proxy: TcpProxy, random: Random): readonly RedisFault[] {
  const onTheWay = (name: string, answer: TcpProxy['answer']): RedisFault => ({
    name,
    readsGoOn: false,
    async begin() {
      proxy.answer = answer
    },
    async end() {
      proxy.answer = passOn
    },
  })
  const late = (name: string, delayMs: number): RedisFault => ({
    name,
    readsGoOn: false,
    async begin() {
      proxy.delayMs = delayMs
    },
    async end() {
      proxy.delayMs = 0
    },
  })
  /** Some answers only; what is done to them is told how much of them is left. */
  const some = (harm: (left: Buffer, whole: Buffer, client: Socket) => void): TcpProxy['answer'] => {
    return (chunk, client) => {
      if (random.chance(0.8)) passOn(chunk, client)
      else harm(chunk.subarray(0, random.int(0, chunk.length - 1)), chunk, client)
    }
  }
  return [
    {
      name: 'killed',
      readsGoOn: false,
      begin: () => redis.kill(),
      end: () => redis.restart(),
    },
    {
      name: 'paused',
      readsGoOn: false,
      async begin() {
        redis.signal('SIGSTOP')
      },
      async end() {
        redis.signal('SIGCONT')
      },
    },
    {
      name: 'out of memory',
      readsGoOn: true,
      begin: () => redis.call('CONFIG', 'SET', 'maxmemory', '1'),
      end: () => redis.call('CONFIG', 'SET', 'maxmemory', '0'),
    },
    {
      name: 'read-only',
      readsGoOn: true,
      // Of a master that is not there, so that it keeps what it has.
      begin: () => redis.call('REPLICAOF', '127.0.0.1', '1'),
      end: () => redis.call('REPLICAOF', 'NO', 'ONE'),
    },
    onTheWay(
      'closing mid-reply',
      some((left, _, client) => {
        client.write(left)
        client.destroySoon()
      }),
    ),
    onTheWay('silent mid-reply', (chunk, client) => {
      if (random.chance(0.98)) return passOn(chunk, client)
      client.write(chunk.subarray(0, random.int(0, chunk.length - 1)))
      proxy.silence(client)
    }),
    onTheWay(
      'texts cut short',
      // By one to three bytes; if the rest of another answer's head took their place, nobody could tell.
      some((_, whole, client) => {
        client.write(Buffer.concat([whole.subarray(0, -random.int(3, 5)), LINE_END]))
      }),
    ),
    late('late', 150),
    late('too late', SILENT_MS),
  ]
}

const LINE_END = Buffer.from('\r\n')
