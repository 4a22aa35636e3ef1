import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/core/logger.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import { RedisServer } from '../redis-server.js'
import { buildCommand, findPython, makeRepo, PROJECT } from './bench-repo.js'
import { BenchReport } from './bench-report.js'
import {
  type BenchServer,
  GRPC_PATH,
  serveGrpcJs,
  serveOurs,
  servePython,
  servesAsGrpcJs,
} from './bench-server.js'
import { LoadGenerator, type LoadTarget, servesAsLoadGenerator } from './load-generator.js'
import { grpcFrame, httpRequest } from './load-lanes.js'
import {
  checkAnswer,
  entitiesOf,
  FEATURES_PER_VIEW,
  jsonBody,
  load,
  protobufBody,
  type RequestShape,
  VIEWS,
} from './online-data.js'
import { cpuSeconds, peakMB, residentMB } from './process-cost.js'
import { ceiling, loadCeiling } from './redis-ceiling.js'

/**
 * Online lookups: `feast serve` as shipped (validation, statuses, TTL, metrics and access log on) against Python
 * Feast's server, and against what redis-benchmark gets out of the same Redis. All in one run, taking turns.
 *
 * Load generator, Redis and server share the machine's cores, so "per core" is by the server's CPU time (utime +
 * stime of its processes): requests per CPU second. Latencies are wall-clock, in open loop from the time that a
 * request was due. Every answer's status and length are checked, and the values of some.
 */
const QUICK = process.argv.includes('--quick')
const SECONDS = QUICK ? 0.8 : 3
const STORED = QUICK ? 2_000 : 10_000
const STORED_MANY = 1_000_000
const VIEWS_OF_MANY = 10
const POOL = 256

const SHAPES: readonly RequestShape[] = [
  { entities: 1, features: 10 },
  { entities: 1, features: 50 },
  { entities: 1, features: 250 },
  { entities: 10, features: 50 },
  { entities: 100, features: 50 },
  { entities: 100, features: 250 },
]

/** The least ratios wanted, by shape. */
const PYTHON_TARGETS: Readonly<Record<string, number>> = { '1x50': 50, '1x250': 90, '100x50': 60 }
const P50_TARGET = 35
const CEILING_TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  '100x50': { json: 0.4, protobuf: 0.7, grpc: 0.7 },
}
const WIDE_PER_CORE = 30

const PROTOCOLS = ['json', 'protobuf', 'grpc'] as const
type Protocol = (typeof PROTOCOLS)[number]

function title({ entities, features }: RequestShape): string {
  return `${entities}x${features}`
}

interface Measured {
  readonly perSecond: number
  readonly perCore: number
  readonly cpuMicros: number
  readonly redisCpuMicros: number
  readonly failures: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly residentMB: number
}

class OnlineBench {
  readonly #report = new BenchReport('online')
  readonly #generator = new LoadGenerator()
  readonly #redis: RedisServer
  #stored = STORED

  constructor(redis: RedisServer) {
    this.#redis = redis
  }

  async run(repo: string): Promise<void> {
    const report = this.#report
    report.note(`${availableParallelism()} cores for server, Redis and load generator together`)
    await this.#load(VIEWS.length)
    await loadCeiling(this.#redis)
    const python = await this.#python(repo)
    const ours = await serveOurs(repo, 1)
    try {
      await this.#warmUp(ours, python)
      for (const shape of SHAPES) await this.#shape(shape, ours, python)
      await python?.stop()
      await this.#grpcFloor(ours)
      await this.#hashtables(ours)
    } finally {
      await Promise.all([ours.stop(), python?.stop()])
    }
    await this.#workers(repo)
    if (QUICK) report.skipped('1 M entities', 'left out by --quick')
    else await this.#many(repo)
  }

  close(): void {
    this.#generator.close()
  }

  async #python(repo: string): Promise<BenchServer | undefined> {
    const found = findPython()
    if ('python' in found) return servePython(repo, found.python)
    this.#report.skipped('Python Feast', found.missing)
    return undefined
  }

  async #warmUp(ours: BenchServer, python?: BenchServer): Promise<void> {
    for (const shape of [SHAPES[1]!, SHAPES[4]!]) {
      for (const protocol of PROTOCOLS) await this.#warm(ours, shape, protocol)
    }
    if (python) await this.#warm(python, SHAPES[1]!, 'json')
  }

  /** Until what is hot has been compiled: some 10 000 requests to each process, four times as dear at first. */
  async #warm(server: BenchServer, shape: RequestShape, protocol: Protocol): Promise<void> {
    const target = this.#target(shape, protocol, server)
    let last = Number.POSITIVE_INFINITY
    for (let round = 0; round < 8; round++) {
      const how = { shape, protocol, seconds: 1.5, concurrency: 32 }
      const { cpuMicros } = await this.#measure(server, target, how)
      if (cpuMicros > last * 0.9) return
      last = cpuMicros
    }
  }

  /** Anew, in what Redis holds. */
  async #load(views: number): Promise<void> {
    await this.#redis.call('FLUSHALL')
    const before = await this.#usedBytes()
    const context = { project: PROJECT, repoPath: '/', entityKeyVersion: 3 as const, logger: silentLogger }
    const options = { connection_string: this.#redis.address, skip_dedup: true }
    const store = await openOnlineStore({ type: 'redis', options }, context)
    await load(store, this.#stored, views)
    await store.close()
    const bytes = Math.round(((await this.#usedBytes()) - before) / this.#stored)
    this.#report.measured(
      `Redis, ${this.#stored} entities of ${views} views x ${FEATURES_PER_VIEW} features`,
      {
        bytesPerEntity: bytes,
      },
    )
  }

  async #usedBytes(): Promise<number> {
    return Number(/used_memory:(\d+)/.exec(String(await this.#redis.call('INFO', 'memory')))?.[1])
  }

  async #shape(shape: RequestShape, ours: BenchServer, python?: BenchServer, where = ''): Promise<void> {
    const report = this.#report
    const name = `${title(shape)}${where}`
    const most = ceiling(this.#redis, shape.features, QUICK ? 0.5 : 2)
    const rival = python && (await this.#contest(`${name}, Python Feast`, shape, 'json', python))
    for (const protocol of PROTOCOLS) {
      const mine = await this.#contest(`${name}, ours, ${protocol}`, shape, protocol, ours)
      report.row({
        name: `${name}, ${protocol}, entity lookups per core`,
        unit: 'lookups/s',
        ours: [mine.loaded.perCore * shape.entities],
        rival: [most],
        rivalName: 'redis-benchmark HMGET -P 16',
        higherIsBetter: true,
        target: CEILING_TARGETS[name]?.[protocol],
      })
      if (title(shape) === '100x250') this.#wide(name, protocol, mine.loaded)
      if (rival) this.#againstPython(name, protocol, mine, rival)
    }
  }

  /** What an operator can choose: more memory for less search. */
  async #hashtables(ours: BenchServer): Promise<void> {
    await this.#redis.call('CONFIG', 'SET', 'hash-max-listpack-entries', 64)
    await this.#load(VIEWS.length)
    await loadCeiling(this.#redis)
    for (const shape of SHAPES.slice(QUICK ? 4 : 1)) await this.#shape(shape, ours, undefined, ', hashtable')
    await this.#redis.call('CONFIG', 'SET', 'hash-max-listpack-entries', 512)
  }

  #wide(name: string, protocol: Protocol, mine: Measured): void {
    this.#report.row({
      name: `${name}, ${protocol}, per core, ${mine.failures} failures`,
      unit: 'requests/s',
      ours: [mine.perCore],
      rival: [WIDE_PER_CORE],
      rivalName: 'wanted',
      higherIsBetter: true,
      target: 1,
    })
  }

  #againstPython(name: string, protocol: Protocol, mine: Contest, rival: Contest): void {
    const report = this.#report
    const rivalName = 'Python Feast, JSON'
    report.row({
      name: `${name}, ${protocol}, per core`,
      unit: 'requests/s',
      ours: [mine.loaded.perCore],
      rival: [rival.loaded.perCore],
      rivalName,
      higherIsBetter: true,
      target: protocol === 'json' ? PYTHON_TARGETS[name] : undefined,
    })
    report.row({
      name: `${name}, ${protocol}, p50 at concurrency 1`,
      unit: 'ms',
      ours: [mine.alone.p50],
      rival: [rival.alone.p50],
      rivalName,
      target: protocol === 'json' ? P50_TARGET : undefined,
    })
    if (!mine.open || !rival.open) return
    report.row({
      name: `${name}, ${protocol}, p99 at half of its own throughput`,
      unit: 'ms',
      ours: [mine.open.p99],
      rival: [rival.open.p99],
      rivalName,
    })
  }

  /** Closed loop alone and under full load, then open loop at rates that leave room. */
  async #contest(
    name: string,
    shape: RequestShape,
    protocol: Protocol,
    server: BenchServer,
  ): Promise<Contest> {
    const target = this.#target(shape, protocol, server)
    const asked = { shape, protocol, seconds: SECONDS }
    const concurrency = shape.entities < 100 ? 32 : 8
    await this.#measure(server, target, { ...asked, seconds: SECONDS / 4, concurrency: 4 })
    const alone = await this.#measure(server, target, { ...asked, concurrency: 1 })
    this.#measured(`${name}, closed loop, 1 at a time`, alone)
    const loaded = await this.#measure(server, target, { ...asked, concurrency })
    this.#measured(`${name}, closed loop, ${concurrency} at a time`, loaded)
    if (loaded.failures > 0 || !(loaded.perSecond > 0)) return { alone, loaded }
    const open: Measured[] = []
    for (const part of QUICK ? [0.5] : [0.5, 0.7]) {
      const perSecond = Number((loaded.perSecond * part).toPrecision(2))
      open.push(await this.#measure(server, target, { ...asked, concurrency: 64, perSecond }))
      this.#measured(`${name}, open loop at ${perSecond}/s`, open.at(-1)!)
    }
    return { alone, loaded, open: open[0]! }
  }

  #measured(name: string, measured: Measured): void {
    this.#report.measured(name, { ...measured })
  }

  /** Requests of a shape, and how long an answer must be at least. */
  #target(shape: RequestShape, protocol: Protocol, server: BenchServer): LoadTarget {
    const entities = entitiesOf(shape, this.#stored, POOL)
    const isGrpc = protocol === 'grpc'
    const requests = entities.map((ids) => {
      if (protocol === 'json')
        return httpRequest('/get-online-features', 'application/json', jsonBody(shape, ids))
      const message = protobufBody(shape, ids)
      return isGrpc
        ? grpcFrame(message)
        : httpRequest('/get-online-features', 'application/x-protobuf', message)
    })
    const port = isGrpc ? server.grpcPort! : server.port
    // A null takes less room than any value.
    return {
      port,
      grpcPath: isGrpc ? GRPC_PATH : undefined,
      requests,
      answerBytes: [shape.features, 64 << 20],
    }
  }

  async #measure(
    server: BenchServer,
    target: LoadTarget,
    {
      shape,
      protocol,
      ...how
    }: { shape: RequestShape; protocol: Protocol; seconds: number; concurrency: number; perSecond?: number },
  ): Promise<Measured> {
    const before = { server: cpuSeconds(server.pid), redis: cpuSeconds(this.#redis.pid) }
    const result = await this.#generator.run({ target, ...how })
    const cpu = cpuSeconds(server.pid) - before.server
    const redisCpu = cpuSeconds(this.#redis.pid) - before.redis
    const entities = entitiesOf(shape, this.#stored, POOL)
    for (const [index, bytes] of result.samples) {
      checkAnswer(
        protocol === 'json' ? 'json' : 'protobuf',
        Buffer.from(bytes),
        shape,
        entities[index]!,
        this.#stored,
      )
    }
    if (result.failures > 0) {
      const [first] = result.firstFailure!.split('\r\n')
      this.#report.note(`${result.failures} failures, the first: ${first}`)
    }
    return {
      perSecond: result.requests / result.seconds,
      perCore: result.requests / cpu,
      cpuMicros: (cpu * 1e6) / result.requests,
      redisCpuMicros: (redisCpu * 1e6) / result.requests,
      failures: result.failures,
      ...result.latency,
      residentMB: residentMB(server.pid),
    }
  }

  /** grpc-js with an answer of the same size that it has ready, asked by the same client. */
  async #grpcFloor(ours: BenchServer): Promise<void> {
    const shape = { entities: 1, features: 50 }
    if (ours.grpcPort === undefined)
      return this.#report.skipped('gRPC 1x50 per core', 'the server speaks no gRPC')
    const target = this.#target(shape, 'grpc', ours)
    const { samples } = await this.#generator.run({ target, seconds: 0.2, concurrency: 1 })
    const rival = await serveGrpcJs(Buffer.from(samples[0]![1]))
    const canned = { ...target, port: rival.port }
    const asked = { shape, protocol: 'grpc', seconds: SECONDS, concurrency: 8 } as const
    const rates = { ours: [] as number[], rival: [] as number[] }
    try {
      for (let round = 0; round < 3; round++) {
        rates.ours.push((await this.#measure(ours, target, asked)).perCore)
        rates.rival.push(await this.#canned(rival, canned))
      }
    } finally {
      await rival.stop()
    }
    this.#report.row({
      name: 'gRPC 1x50, per core',
      unit: 'requests/s',
      ...rates,
      rivalName: 'grpc-js with a canned answer',
      higherIsBetter: true,
      target: 0.75,
    })
  }

  async #canned(server: BenchServer, target: LoadTarget): Promise<number> {
    const before = cpuSeconds(server.pid)
    const { requests } = await this.#generator.run({ target, seconds: SECONDS, concurrency: 8 })
    return requests / (cpuSeconds(server.pid) - before)
  }

  async #workers(repo: string): Promise<void> {
    const rates = new Map<number, number[]>([
      [1, []],
      [2, []],
    ])
    const shape = { entities: 1, features: 50 }
    for (const [count, found] of rates) {
      const server = await serveOurs(repo, count)
      try {
        const target = this.#target(shape, 'json', server)
        const asked = { shape, protocol: 'json', seconds: SECONDS, concurrency: 32 } as const
        await this.#warm(server, shape, 'json')
        for (let round = 0; round < 3; round++) {
          const measured = await this.#measure(server, target, asked)
          found.push(measured.perSecond)
          this.#measured(`1x50, ours, json, --workers ${count}`, measured)
        }
        this.#report.note(`--workers ${count}: peak memory ${Math.round(peakMB(server.pid))} MB`)
      } finally {
        await server.stop()
      }
    }
    this.#report.row({
      name: '1x50, json, two workers against one',
      unit: 'requests/s',
      ours: rates.get(2)!,
      rival: rates.get(1)!,
      rivalName: 'one worker',
      higherIsBetter: true,
      target: 1.8,
    })
    this.#report.note(
      'two workers need two cores of their own: Redis and the load generator take from the same ones',
    )
  }

  /** More entities than any cache holds; of fewer views, since all would take a quarter of an hour to write. */
  async #many(repo: string): Promise<void> {
    this.#stored = STORED_MANY
    await this.#load(VIEWS_OF_MANY)
    const ours = await serveOurs(repo, 1)
    try {
      for (const shape of SHAPES) {
        if (shape.features > VIEWS_OF_MANY * FEATURES_PER_VIEW) continue
        for (const protocol of PROTOCOLS) {
          await this.#contest(`${title(shape)}, 1 M entities, ours, ${protocol}`, shape, protocol, ours)
        }
      }
      this.#report.note(`peak memory of the server ${Math.round(peakMB(ours.pid))} MB`)
    } finally {
      await ours.stop()
    }
  }
}

interface Contest {
  readonly alone: Measured
  readonly loaded: Measured
  readonly open?: Measured
}

async function main(): Promise<void> {
  buildCommand()
  const folder = mkdtempSync(join(tmpdir(), 'feast-bench-'))
  const repo = join(folder, 'repo')
  const redis = await RedisServer.start()
  const bench = new OnlineBench(redis)
  try {
    await (await makeRepo(repo, redis.address, VIEWS)).close()
    await bench.run(repo)
  } finally {
    bench.close()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (!servesAsLoadGenerator() && !servesAsGrpcJs()) await main()
