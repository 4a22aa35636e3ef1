import { spawnSync } from 'node:child_process'
import { connect as netConnect } from 'node:net'
import { redisField } from '../../src/codec/field-hash.js'
import { type EncodedRow, PackedRow } from '../../src/codec/rows.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import { featureService } from '../../src/core/feature-service.js'
import { silentLogger } from '../../src/core/logger.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import { cellOfRow } from '../../src/online-stores/online-row.js'
import type {
  OnlineReader,
  OnlineStore,
  OnlineTable,
  ReadShape,
} from '../../src/online-stores/online-store.js'
import { type Reply, ReplyParser } from '../../src/online-stores/redis/resp.js'
import { plainCommander } from '../../src/online-stores/redis/row-commands.js'
import { serviceVector, vectorReader } from '../../src/serving/service-vector.js'
import { RedisAsker, RedisServer } from '../redis-server.js'
import { BenchReport } from './bench-report.js'

/**
 * The Redis store against Redis itself, one server on one core. Reads against what redis-benchmark gets out of it
 * with the same `HMGET`s pipelined; checked writes against plain pipelined `HSET`s of the same rows.
 * "per core" divides by the CPU time that this process took, so that a busy machine does not blur it.
 */
const QUICK = process.argv.includes('--quick')
const ENTITIES = QUICK ? 2000 : 10_000
const WRITTEN = QUICK ? 20_000 : 100_000
const REPEATS = QUICK ? 2 : 5
const READ_SECONDS = QUICK ? 1 : 2
const T0 = 1_785_578_400_000_000n

const report = new BenchReport('redis-store')

function tableOf(features: number): OnlineTable {
  return {
    name: 'driver_hourly_stats',
    joinKeys: ['driver_id'],
    features: Array.from({ length: features }, (_, i) => `feature_${i}`),
  }
}

function keyOf(id: number): Buffer {
  const key = Buffer.from('0100000002000000090000006472697665725f696404000000080000000000000000000000', 'hex')
  key.writeBigInt64LE(BigInt(id), key.length - 8)
  return key
}

function rowsOf(table: OnlineTable, count: number, at: bigint): readonly EncodedRow[] {
  const values = Array.from({ length: 100 }, (_, i) => encodeValue({ valueType: 'DOUBLE' }, i * 1.37))
  return Array.from({ length: count }, (_, id) => ({
    entityKey: keyOf(id),
    values: table.features.map((_, i) => values[(id + i) % values.length]!),
    eventTimestamp: at,
    createdTimestamp: null,
  }))
}

async function open(server: RedisServer): Promise<OnlineStore> {
  const context = { project: 'demo', repoPath: '/', entityKeyVersion: 3 as const, logger: silentLogger }
  return openOnlineStore({ type: 'redis', options: { connection_string: server.address } }, context)
}

async function main(): Promise<void> {
  for (const [encoding, args] of [
    ['listpack', []],
    ['hashtable', ['--hash-max-listpack-entries', '8']],
  ] as const) {
    const server = await RedisServer.start(args)
    try {
      await readBench(server, encoding)
    } finally {
      await server.stop()
    }
  }
  const server = await RedisServer.start()
  try {
    await vectorBench(server)
    await server.call('FLUSHALL')
    for (const features of [10, 50]) await writeBench(server, features)
  } finally {
    await server.stop()
  }
}

async function readBench(server: RedisServer, encoding: string): Promise<void> {
  const table = tableOf(50)
  const store = await open(server)
  await store.write({ table, rows: rowsOf(table, ENTITIES, T0) })
  const shape = {
    features: table.features.map((feature) => ({ view: table.name, feature })),
    views: [table.name],
  }
  const reader = store.prepareRead(shape)
  const wall: number[] = []
  const core: number[] = []
  const ceiling: number[] = []
  await lookups(reader, 0.5)
  for (let i = 0; i < REPEATS; i++) {
    ceiling.push(await redisBenchmark(server, table))
    const { perSecond, perCore } = await lookups(reader, READ_SECONDS)
    wall.push(perSecond)
    core.push(perCore)
  }
  await store.close()
  const rival = {
    rival: ceiling,
    rivalName: 'redis-benchmark HMGET -P 16',
    unit: 'rows/s',
    higherIsBetter: true,
  } as const
  report.row({ name: `read 100 entities x 50 features, ${encoding}`, ours: wall, ...rival })
  report.row({ name: `read 100 entities x 50 features, ${encoding}, per core`, ours: core, ...rival })
}

/** Entities a second, with four requests in flight. */
async function lookups(reader: OnlineReader, forSeconds: number, timeCell = 50) {
  const start = performance.now()
  const cpu = process.cpuUsage()
  const end = start + forSeconds * 1000
  let entities = 0
  await Promise.all(
    [0, 1, 2, 3].map(async (lane) => {
      for (let round = 0; performance.now() < end; round++) {
        const keys = Array.from({ length: 100 }, (_, i) =>
          keyOf((lane * 2503 + round * 100 + i * 17) % ENTITIES),
        )
        const rows = await reader.read(keys)
        if (cellOfRow(rows[99]!, timeCell) === null) throw new Error('a row is missing')
        entities += 100
      }
    }),
  )
  const { user, system } = process.cpuUsage(cpu)
  return {
    entities,
    perSecond: entities / ((performance.now() - start) / 1000),
    perCore: entities / ((user + system) / 1e6),
  }
}

/** `HMGET`s of 51 fields over as many hashes; redis-benchmark takes its names from the command line, so they are text. */
async function redisBenchmark(server: RedisServer, { features }: OnlineTable): Promise<number> {
  const fields = [...features.map((_, i) => `f${100 + i}`), '_ts:driver_hourly_stats']
  if ((await server.call('EXISTS', 'bench:000000000000')) === 0) {
    const values = fields.flatMap((field) => [field, 'x'.repeat(9)])
    const asker = new RedisAsker(server.port)
    for (let id = 0; id < ENTITIES; id++) {
      await asker.call('HSET', `bench:${String(id).padStart(12, '0')}`, ...values)
    }
    asker.close()
  }
  const run = spawnSync(
    'redis-benchmark',
    [
      '-p',
      String(server.port),
      '-c',
      '50',
      '-P',
      '16',
      '-n',
      QUICK ? '30000' : '100000',
      '-r',
      String(ENTITIES),
      '--csv',
      'HMGET',
      'bench:__rand_int__',
      ...fields,
    ],
    { encoding: 'utf8' },
  )
  const line = run.stdout.trim().split('\n').at(-1) ?? ''
  const perSecond = Number(/","([\d.]+)"/.exec(line)?.[1])
  if (!(perSecond > 0)) throw new Error(`redis-benchmark: ${run.stdout}${run.stderr}`)
  return perSecond
}

const VIEWS = 5

/** Five views of ten features for the same entities, read whole, and as one vector per entity. */
async function vectorBench(server: RedisServer): Promise<void> {
  const tables = Array.from({ length: VIEWS }, (_, i) => ({ ...tableOf(10), name: `driver_stats_${i}` }))
  const store = await open(server)
  for (const table of tables) await store.write({ table, rows: rowsOf(table, ENTITIES, T0) })
  const shape = {
    features: tables.flatMap(({ name, features }) => features.map((feature) => ({ view: name, feature }))),
    views: tables.map(({ name }) => name),
  }
  const names = shape.features.map(({ view, feature }, cell) => {
    return { label: view, feature, cell, view: shape.views.indexOf(view) }
  })
  const vector = serviceVector(featureService({ name: 'svc', features: [] }), names, ['driver_id'], shape)
  const plain = store.prepareRead(shape)
  const rows = await measured(server, plain, shape)
  const bytes = await entityBytes(server)
  const keys = Array.from({ length: ENTITIES }, (_, id) => keyOf(id))
  const values = (await plain.read(keys)).map((row) => vector.codec.encode(row, encodeTimestamp(T0)))
  const vectors = keys.map((entityKey, i) => {
    return { entityKey, values: [values[i]!], eventTimestamp: T0, createdTimestamp: null }
  })
  await store.vectors!.write({ table: vector.table, rows: vectors })
  report.note(`an entity takes ${bytes} bytes, with its vector ${await entityBytes(server)}`)
  const hashed = await measured(server, plain, shape)
  const byVector = await measured(server, vectorReader(vector, shape, store), shape)
  await store.close()
  for (const [rivalName, rival] of [
    ['rows without vectors, in listpacks', rows],
    ['rows beside vectors, in hash tables', hashed],
  ] as const) {
    report.row({
      name: 'vector of 50 features in 5 views, our CPU',
      unit: 'us',
      ours: byVector.own,
      rival: rival.own,
      rivalName,
    })
    report.row({
      name: 'vector of 50 features in 5 views, CPU of Redis',
      unit: 'us',
      ours: byVector.redis,
      rival: rival.redis,
      rivalName,
    })
  }
}

/** CPU per entity. */
async function measured(server: RedisServer, reader: OnlineReader, { features, views }: ReadShape) {
  const own: number[] = []
  const redis: number[] = []
  await lookups(reader, 0.5, features.length + views.length - 1)
  for (let i = 0; i < REPEATS; i++) {
    const before = await redisCpu(server)
    const { perCore, entities } = await lookups(reader, READ_SECONDS, features.length + views.length - 1)
    own.push(1e6 / perCore)
    redis.push((1e6 * ((await redisCpu(server)) - before)) / entities)
  }
  return { own, redis }
}

async function redisCpu(server: RedisServer): Promise<number> {
  const info = String(await server.call('INFO', 'cpu'))
  const seconds = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)![1])
  return seconds('used_cpu_user') + seconds('used_cpu_sys')
}

async function entityBytes(server: RedisServer): Promise<number> {
  return Number(
    await server.call('MEMORY', 'USAGE', Buffer.concat([keyOf(7), Buffer.from('demo')]), 'SAMPLES', 0),
  )
}

async function writeBench(server: RedisServer, features: number): Promise<void> {
  const table = tableOf(features)
  const count = Math.ceil((WRITTEN * 10) / features)
  const results = {
    fresh: [] as number[],
    freshRaw: [] as number[],
    over: [] as number[],
    overRaw: [] as number[],
  }
  const store = await open(server)
  await store.write({ table, rows: rowsOf(table, 1000, T0) })
  for (let i = 0; i < REPEATS; i++) {
    const first = rowsOf(table, count, T0 + 1n)
    const second = rowsOf(table, count, T0 + 2_000_000n)
    await server.call('FLUSHALL')
    results.freshRaw.push(await rawWrite(server, table, first))
    results.overRaw.push(await rawWrite(server, table, second))
    await server.call('FLUSHALL')
    results.fresh.push(await rate(count, () => store.write({ table, rows: first })))
    results.over.push(await rate(count, () => store.write({ table, rows: second })))
  }
  await store.close()
  const rival = { rivalName: 'pipelined HSET', unit: 'rows/s', higherIsBetter: true } as const
  report.row({
    name: `write ${features} features, new keys`,
    ours: results.fresh,
    rival: results.freshRaw,
    ...rival,
  })
  report.row({
    name: `write ${features} features, newer rows`,
    ours: results.over,
    rival: results.overRaw,
    ...rival,
  })
}

async function rate(count: number, run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return count / ((performance.now() - start) / 1000)
}

/** The least that a writer can do: encode, send, count replies, with a bounded number of rows on their way. */
async function rawWrite(
  server: RedisServer,
  table: OnlineTable,
  rows: readonly EncodedRow[],
): Promise<number> {
  const socket = netConnect(server.port, '127.0.0.1').setNoDelay(true)
  let replies = 0
  let wake = () => {}
  const parser = new ReplyParser((reply: Reply) => {
    if (typeof reply !== 'number') throw new Error(`HSET: ${JSON.stringify(reply)}`)
    replies++
  })
  socket.on('data', (chunk: Buffer) => {
    parser.push(chunk)
    wake()
  })
  const commands = plainCommander({
    timestamp: Buffer.from(`_ts:${table.name}`),
    features: table.features.map((feature) => redisField(table.name, feature)),
    suffix: Buffer.from('demo'),
    ttlSeconds: 0,
    isSharded: false,
  })
  const perSecond = await rate(rows.length, async () => {
    for (let start = 0; start < rows.length; start += 200) {
      const some = rows.slice(start, start + 200)
      socket.write(commands(some.map(PackedRow.of)).payload)
      while (start + some.length - replies > 1600) await new Promise<void>((woken) => (wake = woken))
    }
    while (replies < rows.length) await new Promise<void>((woken) => (wake = woken))
  })
  socket.destroy()
  return perSecond
}

await main()
