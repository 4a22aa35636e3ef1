import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../../src/core/logger.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import { RedisServer } from '../redis-server.js'
import { buildCommand, makeRepo, PROJECT } from './bench-repo.js'
import { BenchReport, median } from './bench-report.js'
import { type BenchServer, GRPC_PATH, serveOurs } from './bench-server.js'
import { LoadGenerator, type LoadResult, type LoadTarget, servesAsLoadGenerator } from './load-generator.js'
import { grpcFrame, httpRequest } from './load-lanes.js'
import {
  checkAnswer,
  entitiesOf,
  jsonBody,
  load,
  protobufBody,
  type RequestShape,
  VIEWS,
} from './online-data.js'

/**
 * One process under 70 % of the load that it can take, of all protocols and some shapes at once, for `--minutes`
 * (default 20): no request may fail, and memory, files and handles must not grow once it is warm.
 */
const MINUTES = numberAfter('--minutes') ?? (process.argv.includes('--quick') ? 1 : 20)
const PART = 0.7
const STORED = 10_000
const POOL = 256
const SEGMENT_SECONDS = Math.min(30, (MINUTES * 60) / 10)
const PROBE_SECONDS = 5
/** Of all segments, those that count as warming up. */
const WARM_UP_PART = 0.3

/** Small lookups are asked by more clients than large ones. */
const LANES = [
  { protocol: 'json', shape: { entities: 1, features: 50 }, clients: 16 },
  { protocol: 'json', shape: { entities: 100, features: 50 }, clients: 1 },
  { protocol: 'protobuf', shape: { entities: 10, features: 50 }, clients: 6 },
  { protocol: 'grpc', shape: { entities: 10, features: 250 }, clients: 4 },
] as const satisfies readonly { readonly protocol: string; readonly shape: RequestShape; clients: number }[]

/** What may be added from the first third after warming up to the last. */
const LIMITS = { rssMB: 40, heapMB: 8, bufferMB: 8, files: 20, handles: 20 } as const

type Held = Record<keyof typeof LIMITS, number>

/** In the server's process: on SIGUSR2 collects garbage and writes down what is left. */
function probeModule(file: string): string {
  const code = `
    import { readdirSync, renameSync, writeFileSync } from 'node:fs'
    process.on('SIGUSR2', () => {
      gc(); gc()
      const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
      const held = { rssMB: rss / 1e6, heapMB: heapUsed / 1e6, bufferMB: (external + arrayBuffers) / 1e6,
        files: readdirSync('/proc/self/fd').length, handles: process.getActiveResourcesInfo().length }
      writeFileSync('${file}.new', JSON.stringify(held))
      renameSync('${file}.new', '${file}')
    })`
  return `data:text/javascript,${encodeURIComponent(code)}`
}

class Soak {
  readonly #report = new BenchReport('soak')
  readonly #generators = LANES.map(() => new LoadGenerator())
  #requests = 0
  readonly #failures: string[] = []

  constructor(
    readonly server: BenchServer,
    readonly heldFile: string,
  ) {}

  async run(): Promise<void> {
    await this.#segment(PROBE_SECONDS, undefined)
    const most = await this.#segment(PROBE_SECONDS, undefined)
    const rates = most.map(({ requests, seconds }) => Math.max(1, Math.round((PART * requests) / seconds)))
    this.#report.measured(
      'requests/s',
      Object.fromEntries(LANES.map((lane, i) => [titleOf(lane), rates[i]!])),
    )
    const held: Held[] = []
    const p99s: number[] = []
    const end = performance.now() + MINUTES * 60_000
    while (performance.now() < end) {
      const results = await this.#segment(SEGMENT_SECONDS, rates)
      p99s.push(Math.max(...results.map(({ latency }) => latency.p99)))
      held.push(await this.#held())
      this.#report.measured(`after ${this.#requests} requests`, { p99: p99s.at(-1)!, ...held.at(-1)! })
    }
    this.#judge(held, rates, p99s)
  }

  close(): void {
    for (const generator of this.#generators) generator.close()
  }

  /** All lanes at once; as fast as they go, or at fixed rates. */
  async #segment(seconds: number, rates: readonly number[] | undefined): Promise<readonly LoadResult[]> {
    const results = await Promise.all(
      LANES.map((lane, i) => {
        const open =
          rates === undefined ? { concurrency: lane.clients } : { concurrency: 32, perSecond: rates[i]! }
        return this.#generators[i]!.run({ target: targetOf(lane, this.server), seconds, ...open })
      }),
    )
    for (const [i, { requests, failures, firstFailure, samples }] of results.entries()) {
      this.#requests += requests
      if (failures > 0) this.#failures.push(`${titleOf(LANES[i]!)}: ${failures}, the first: ${firstFailure}`)
      for (const [index, bytes] of samples) checkSample(LANES[i]!, index, Buffer.from(bytes))
    }
    return results
  }

  async #held(): Promise<Held> {
    rmSync(this.heldFile, { force: true })
    process.kill(this.server.pid, 'SIGUSR2')
    for (let waited = 0; waited < 10_000; waited += 50) {
      await sleep(50)
      const text = textOrNothing(this.heldFile)
      if (text !== undefined) return JSON.parse(text) as Held
    }
    throw new Error('the server does not say what it holds')
  }

  #judge(held: readonly Held[], rates: readonly number[], p99s: readonly number[]): void {
    const warm = held.slice(Math.floor(held.length * WARM_UP_PART))
    const third = Math.max(1, Math.floor(warm.length / 3))
    const names = Object.keys(LIMITS) as (keyof Held)[]
    const middle = (some: readonly Held[], name: keyof Held) => median(some.map((one) => one[name]))
    const grown = names.map((name) => {
      return [name, middle(warm.slice(-third), name) - middle(warm.slice(0, third), name)] as const
    })
    const tooMuch = grown.filter(([name, by]) => by > LIMITS[name]).map(([name]) => name)
    const total = rates.reduce((sum, rate) => sum + rate, 0)
    const last = held.at(-1)!
    const verdict = this.#failures.length === 0 && tooMuch.length === 0 ? 'FLAT' : 'NOT FLAT'
    console.log(
      `${verdict}: ${MINUTES} minutes at ${total} requests/s, ${this.#requests} requests, ` +
        `${this.#failures.length} segments with failures, p99 ${median(p99s).toFixed(1)} ms, ` +
        `RSS ${last.rssMB.toFixed(0)} MB, heap ${last.heapMB.toFixed(1)} MB; ` +
        `grown by ${grown.map(([name, by]) => `${name} ${by.toFixed(1)}`).join(', ')}`,
    )
    for (const failure of this.#failures.slice(0, 10)) console.log(`  ${failure}`)
    if (verdict !== 'FLAT') process.exitCode = 1
  }
}

type LaneKind = (typeof LANES)[number]

function titleOf({ protocol, shape }: LaneKind): string {
  return `${shape.entities}x${shape.features} ${protocol}`
}

function targetOf({ protocol, shape }: LaneKind, server: BenchServer): LoadTarget {
  const requests = entitiesOf(shape, STORED, POOL).map((ids) => {
    if (protocol === 'json') return httpRequest(PATH, 'application/json', jsonBody(shape, ids))
    const message = protobufBody(shape, ids)
    return protocol === 'grpc' ? grpcFrame(message) : httpRequest(PATH, 'application/x-protobuf', message)
  })
  const answerBytes = [shape.features, 64 << 20] as const
  if (protocol === 'grpc') return { port: server.grpcPort!, grpcPath: GRPC_PATH, requests, answerBytes }
  return { port: server.port, requests, answerBytes }
}

const PATH = '/get-online-features'

function checkSample({ protocol, shape }: LaneKind, index: number, bytes: Buffer): void {
  const entities = entitiesOf(shape, STORED, POOL)[index]!
  checkAnswer(protocol === 'json' ? 'json' : 'protobuf', bytes, shape, entities, STORED)
}

function textOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function numberAfter(flag: string): number | undefined {
  const at = process.argv.indexOf(flag)
  return at < 0 ? undefined : Number(process.argv[at + 1])
}

async function main(): Promise<void> {
  buildCommand()
  const folder = mkdtempSync(join(tmpdir(), 'feast-soak-'))
  const repo = join(folder, 'repo')
  const heldFile = join(folder, 'held.json')
  const redis = await RedisServer.start()
  let server: BenchServer | undefined
  let soak: Soak | undefined
  try {
    await (await makeRepo(repo, redis.address, VIEWS)).close()
    const context = { project: PROJECT, repoPath: '/', entityKeyVersion: 3 as const, logger: silentLogger }
    const options = { connection_string: redis.address, skip_dedup: true }
    const store = await openOnlineStore({ type: 'redis', options }, context)
    await load(store, STORED, VIEWS.length)
    await store.close()
    // Minutes of access log would fill the disk.
    server = await serveOurs(repo, 1, ['--expose-gc', '--import', probeModule(heldFile)], '/dev/null')
    soak = new Soak(server, heldFile)
    await soak.run()
  } finally {
    soak?.close()
    await server?.stop()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (!servesAsLoadGenerator()) await main()
