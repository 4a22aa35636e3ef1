import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as netConnect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ErrorReply, encodeCommand, type Reply, ReplyParser } from '../src/online-stores/redis/resp.js'
import { freePort } from './free-port.js'
import { until } from './until.js'

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0
export const NO_REDIS = 'redis-server is not installed'

/** A real redis-server on a free port, gone with `stop()`. */
export class RedisServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'feast-redis-'))
  #child: ChildProcess | undefined

  private constructor(
    readonly port: number,
    readonly args: readonly string[],
    readonly isTls: boolean,
  ) {}

  /** @param args as on the command line of redis-server */
  static async start(args: readonly string[] = [], { isTls = false, port = 0 } = {}): Promise<RedisServer> {
    for (let attempt = 0; ; attempt++) {
      const server = new RedisServer(port || (await freePort()), args, isTls)
      try {
        await server.restart()
        return server
      } catch (error) {
        await server.stop()
        if (attempt >= 4 || port !== 0) throw error
      }
    }
  }

  /** Starts it (again), on the same port. */
  async restart(): Promise<void> {
    const config = join(this.folder, 'redis.conf')
    const listen = this.isTls
      ? ['--port', '0', '--tls-port', String(this.port)]
      : ['--port', String(this.port)]
    // Sentinel rewrites its configuration file, so there must be one.
    writeFileSync(config, this.#child === undefined ? this.fileLines() : '', { flag: 'a' })
    const args = [
      config,
      ...listen,
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      this.folder,
      ...this.rest(),
    ]
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let output = ''
    child.stdout.on('data', (text) => {
      output = (output + text).slice(-4000)
    })
    const deadline = Date.now() + 20_000
    while (!/Ready to accept connections|Running mode=sentinel/.test(output)) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`redis-server did not start:\n${output}`)
      await sleep(20)
    }
  }

  /** Arguments that start with `sentinel ` are lines of the file, others of the command line. */
  private fileLines(): string {
    return this.args.filter((arg) => arg.startsWith('sentinel ')).join('\n')
  }

  private rest(): readonly string[] {
    return this.args.filter((arg) => !arg.startsWith('sentinel '))
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child!.pid!
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    await gone
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** @throws Error with Redis's words */
  async call(...args: (string | number | Buffer)[]): Promise<Reply> {
    const asker = new RedisAsker(this.port)
    try {
      return await asker.call(...args)
    } finally {
      asker.close()
    }
  }
}

/** A plain connection of a test, to look at what lies in Redis. */
export class RedisAsker {
  readonly #socket: Socket
  #waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = []

  constructor(port: number) {
    this.#socket = netConnect(port, '127.0.0.1')
    const parser = new ReplyParser((reply) => {
      const waiting = this.#waiting.shift()!
      if (reply instanceof ErrorReply) waiting.reject(new Error(reply.message))
      else waiting.resolve(reply)
    })
    this.#socket.on('data', (chunk: Buffer) => parser.push(chunk))
    const lost = (error?: Error) => {
      for (const { reject } of this.#waiting) reject(error ?? new Error('connection closed'))
      this.#waiting = []
    }
    this.#socket.on('error', lost)
    this.#socket.on('close', () => lost())
  }

  call(...args: (string | number | Buffer)[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encodeCommand(args))
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** Three masters that share the slots. */
export async function startCluster(): Promise<readonly RedisServer[]> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']
  const nodes = await Promise.all([0, 1, 2].map(() => RedisServer.start(args)))
  const ends = [0, 5461, 10_923, 16_384]
  for (const [i, node] of nodes.entries()) {
    await node.call('CLUSTER', 'ADDSLOTSRANGE', ends[i]!, ends[i + 1]! - 1)
    await node.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
  }
  for (const node of nodes.slice(1)) await nodes[0]!.call('CLUSTER', 'MEET', '127.0.0.1', node.port)
  for (const node of nodes) {
    await until(async () => {
      const info = String(await node.call('CLUSTER', 'INFO'))
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')
    })
    await until(async () => ((await node.call('CLUSTER', 'SLOTS')) as readonly Reply[]).length === 3)
  }
  return nodes
}

export interface SentinelGroup {
  readonly data: readonly RedisServer[]
  readonly sentinels: readonly RedisServer[]
  master(): Promise<RedisServer>
  stop(): Promise<void>
}

/** A master, a replica, and three sentinels that watch them. */
export async function startSentinels(): Promise<SentinelGroup> {
  const master = await RedisServer.start()
  const replica = await RedisServer.start(['--replicaof', '127.0.0.1', String(master.port)])
  const watch = [
    `sentinel monitor mymaster 127.0.0.1 ${master.port} 2`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 3000',
  ]
  const sentinels = await Promise.all([0, 1, 2].map(() => RedisServer.start(['--sentinel', ...watch])))
  for (const sentinel of sentinels) {
    await until(async () => {
      const fields = ((await sentinel.call('SENTINEL', 'MASTER', 'mymaster')) as readonly Reply[]).map(String)
      const field = (name: string) => fields[fields.indexOf(name) + 1]
      return field('num-other-sentinels') === '2' && field('num-slaves') === '1'
    })
  }
  const data = [master, replica]
  return {
    data,
    sentinels,
    async master() {
      const [, port] = (await sentinels[0]!.call(
        'SENTINEL',
        'GET-MASTER-ADDR-BY-NAME',
        'mymaster',
      )) as readonly Reply[]
      return data.find((server) => server.port === Number(port))!
    },
    async stop() {
      await Promise.all([...sentinels, ...data].map((server) => server.stop()))
    },
  }
}
