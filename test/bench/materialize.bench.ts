import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import { redisField } from '../../src/codec/field-hash.js'
import { PackedRow } from '../../src/codec/rows.js'
import { encodeValue } from '../../src/codec/value.js'
import { Int64 } from '../../src/core/value-type.js'
import { plainCommander } from '../../src/online-stores/redis/row-commands.js'
import { RedisServer } from '../redis-server.js'
import {
  type BenchView,
  buildCommand,
  CLI,
  FEATURE_TYPES,
  featureName,
  findPython,
  makeRepo,
  PROJECT,
  ROOT,
} from './bench-repo.js'
import { BenchReport } from './bench-report.js'
import { cpuSeconds, peakMB } from './process-cost.js'

/**
 * Parquet to Redis with `feast materialize`, the newest-wins check on, against Python Feast, and against a writer
 * that only sends `HSET`s encoded beforehand. Everybody's wall-clock time is that of the work alone, without the
 * start of the process. Two cores or more are wanted; the CPU times in the notes hold on a busy machine too.
 */
const QUICK = process.argv.includes('--quick')
const REPEATS = QUICK ? 2 : 3
const WIDE_ROWS = QUICK ? 4_000 : 10_000
const NARROW_ROWS = QUICK ? 200_000 : 1_000_000
/** Python Feast gets so many values: its rate hardly depends on it, and it is slow. */
const PYTHON_VALUES = QUICK ? 100_000 : 400_000
const MEMORY_ROWS = QUICK ? [10_000, 1_000_000] : [10_000, 1_000_000, 10_000_000]
const MEMORY_LIMIT_MB = 300

const DAY_MS = 86_400_000
const NOW = Math.floor(Date.now() / 1000) * 1000
const WINDOW = [NOW - 3 * DAY_MS, NOW].map((ms) => new Date(ms).toISOString().slice(0, 19)) as [
  string,
  string,
]

const report = new BenchReport('materialize')

interface Table extends BenchView {
  readonly rows: number
}

const folder = mkdtempSync(join(tmpdir(), 'feast-bench-'))
const repo = join(folder, 'repo')

async function main(): Promise<void> {
  buildCommand()
  const redis = await RedisServer.start()
  try {
    const wide = table('wide', WIDE_ROWS, 250)
    const narrow = table('narrow', NARROW_ROWS, 10)
    const forPython = [250, 10].map((features) =>
      table('python', Math.ceil(PYTHON_VALUES / features), features),
    )
    const forMemory = MEMORY_ROWS.map((rows) => table('memory', rows, 10))
    const tables = [wide, narrow, ...forPython, ...forMemory]
    await (await makeRepo(repo, redis.address, tables)).close()
    for (const [index, one] of [wide, narrow].entries()) await speed(redis, one, forPython[index]!)
    for (const one of forMemory) await memory(redis, one)
  } finally {
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function table(what: string, rows: number, features: number): Table {
  const name = `${what}_${rows}_${features}`
  return { name, rows, features, parquet: `data/${name}.parquet` }
}

async function speed(redis: RedisServer, ours: Table, python: Table): Promise<void> {
  await writeParquet(ours)
  await writeParquet(python)
  const values = ours.rows * ours.features
  const commands = hsetCommands(ours)
  const costs = { ours: [] as Cost[], raw: [] as Cost[], again: [] as Cost[] }
  for (let round = 0; round < REPEATS; round++) {
    await redis.call('FLUSHALL')
    costs.raw.push(await rawWrite(redis, commands))
    await redis.call('FLUSHALL')
    costs.ours.push(await materialize(redis, ours))
    costs.again.push(await materialize(redis, ours))
  }
  await redis.call('FLUSHALL')
  const rate = (cost: Cost) => values / cost.seconds
  const name = `${label(ours.rows)} rows x ${ours.features} features`
  const shared = { unit: 'values/s', ours: costs.ours.map(rate), higherIsBetter: true } as const
  report.row({
    ...shared,
    name,
    rival: costs.raw.map(rate),
    rivalName: 'pipelined HSET, encoded before',
    target: 0.6,
  })
  for (const [who, list] of Object.entries(costs)) report.note(costNote(who, list, ours.rows))
  const rival = pythonSeconds(python)
  if (typeof rival === 'string') return report.skipped(`${name}, Python`, rival)
  const pythonRate = (python.rows * python.features) / rival
  report.row({
    ...shared,
    name,
    rival: [pythonRate],
    rivalName: `Python Feast, ${label(python.rows)} rows`,
    target: 40,
  })
}

async function memory(redis: RedisServer, one: Table): Promise<void> {
  await writeParquet(one)
  await redis.call('FLUSHALL')
  const cost = await materialize(redis, one)
  await redis.call('FLUSHALL')
  rmSync(join(repo, one.parquet))
  report.row({
    name: `peak memory, ${label(one.rows)} rows x ${one.features} features`,
    unit: 'MB',
    ours: [cost.peakMB],
    rival: [MEMORY_LIMIT_MB],
    rivalName: 'limit',
    target: 1,
  })
  report.note(costNote('ours', [cost], one.rows))
}

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly redisCpuSeconds: number
  readonly peakMB: number
}

function costNote(who: string, costs: readonly Cost[], rows: number): string {
  const micros = (pick: (cost: Cost) => number) => ((Math.min(...costs.map(pick)) * 1e6) / rows).toFixed(2)
  const names: Record<string, string> = { raw: 'HSET writer', again: 'ours again, nothing newer' }
  return `${names[who] ?? who}: ${micros(({ seconds }) => seconds)} us a row; CPU us a row: own ${micros((cost) => cost.cpuSeconds)}, Redis ${micros((cost) => cost.redisCpuSeconds)}; peak ${Math.round(Math.max(...costs.map((cost) => cost.peakMB)))} MB`
}

/** The built command in a process of its own. @throws unless every row went over */
async function materialize(redis: RedisServer, { name, rows }: Table): Promise<Cost> {
  const redisBefore = cpuSeconds(redis.pid)
  const args = [CLI, '--chdir', repo, 'materialize', ...WINDOW, '--views', name, '--json']
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  const watch = watched(child)
  const output = await text(child)
  const { cpu, peak } = watch()
  const [view] = (JSON.parse(output) as { views: { outcome: string; rows: number; elapsed_ms: number }[] })
    .views
  if (view?.outcome !== 'done' || view.rows !== rows) throw new Error(`feast materialize: ${output}`)
  const redisCpuSeconds = cpuSeconds(redis.pid) - redisBefore
  return { seconds: view.elapsed_ms / 1000, cpuSeconds: cpu, redisCpuSeconds, peakMB: peak }
}

/** Looks every few milliseconds, since a process that has ended says nothing any more. */
function watched(child: ChildProcess): () => { cpu: number; peak: number } {
  let last = { cpu: 0, peak: 0 }
  const timer = setInterval(() => {
    last = {
      cpu: Math.max(last.cpu, cpuSeconds(child.pid!)),
      peak: Math.max(last.peak, peakMB(child.pid!)),
    }
  }, 20)
  return () => {
    clearInterval(timer)
    return last
  }
}

async function text(child: ChildProcess): Promise<string> {
  let output = ''
  child.stdout!.on('data', (data) => {
    output += data
  })
  await new Promise((resolve) => child.once('close', resolve))
  return output
}

/** Or why there is no figure. */
function pythonSeconds({ name }: Table): number | string {
  const found = findPython()
  if ('missing' in found) return found.missing
  const script = join(ROOT, 'test/bench/feast_materialize.py')
  const args = [script, repo, name, ...WINDOW.map((time) => `${time}+00:00`)]
  const env = { ...process.env, TZ: 'UTC', FEAST_USAGE: 'False', PYTHONDONTWRITEBYTECODE: '1' }
  const output = execFileSync(found.python, args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return Number(output.trim().split('\n').at(-1))
}

// What is written: `hash` makes the same values from the same row in every run.

async function writeParquet({ rows, features, parquet }: Table): Promise<void> {
  const columns = Array.from({ length: features }, (_, i) => `${columnSql(i)} AS ${featureName(i)}`)
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '2GB' })
  const connection = await instance.connect()
  await connection.run(`COPY (SELECT i AS user_id,
    make_timestamp(${BigInt(NOW - 2 * DAY_MS) * 1000n} + (hash(i) % 86400)::BIGINT * 1000000) AS event_timestamp,
    ${columns.join(', ')} FROM range(${rows}) t(i)) TO '${join(repo, parquet)}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
}

function columnSql(feature: number): string {
  const random = `hash(i * 31 + ${feature})`
  const kinds = [
    `(${random} % 1000000)::BIGINT`,
    `(${random} % 1000000) / 1e3`,
    `((${random} % 1000000) / 8)::FLOAT`,
    `'value ' || (${random} % 1000)`,
    `${random} % 2 = 0`,
  ]
  return kinds[feature % kinds.length]!
}

/** Values of the same types and sizes, one command per row. */
function hsetCommands({ name, rows, features }: Table): readonly Buffer[] {
  const samples = [123_456n, 123.456, 15_432.125, 'value 123', true]
  const cells = FEATURE_TYPES.map((type, i) => encodeValue(type, samples[i]!))
  const values = Array.from({ length: features }, (_, i) => cells[i % cells.length]!)
  const keyOf = entityKeyEncoder([{ name: 'user_id', type: Int64 }], 3)
  const commands = plainCommander({
    timestamp: Buffer.from(`_ts:${name}`),
    features: values.map((_, i) => redisField(name, featureName(i))),
    suffix: Buffer.from(PROJECT),
    ttlSeconds: 0,
    isSharded: false,
  })
  const chunkRows = Math.max(1, Math.floor(1000 / features))
  const chunks: Buffer[] = []
  for (let start = 0; start < rows; start += chunkRows) {
    const encoded = Array.from({ length: Math.min(chunkRows, rows - start) }, (_, i) =>
      PackedRow.of({
        entityKey: keyOf([BigInt(start + i)]),
        values,
        eventTimestamp: BigInt(NOW - i * 1000) * 1000n,
        createdTimestamp: null,
      }),
    )
    // A buffer of its own: what comes back is part of one that is larger.
    chunks.push(Buffer.from(commands(encoded).payload))
  }
  return chunks
}

const LINE_FEED = 0x0a
const CHUNKS_IN_FLIGHT = 16

/** The least that a writer can do: send, count replies, with a bounded number of chunks on their way. */
async function rawWrite(redis: RedisServer, chunks: readonly Buffer[]): Promise<Cost> {
  const counts = chunks.map((chunk) => chunk.toString('latin1').split('HSET\r\n').length - 1)
  const socket = netConnect(redis.port, '127.0.0.1').setNoDelay(true)
  await new Promise((connected) => socket.once('connect', connected))
  const before = { redis: cpuSeconds(redis.pid), own: process.cpuUsage(), at: performance.now() }
  await new Promise<void>((done, failed) => {
    let next = 0
    let sent = 0
    let replies = 0
    const allowed = () => (next < CHUNKS_IN_FLIGHT ? -1 : sumTo[next - CHUNKS_IN_FLIGHT]!)
    const sumTo: number[] = []
    const more = () => {
      while (next < chunks.length && replies > allowed()) {
        socket.write(chunks[next]!)
        sent += counts[next]!
        sumTo.push(sent - 1)
        next++
      }
    }
    socket.on('error', failed)
    socket.on('data', (data: Buffer) => {
      if (data.includes('-')) return failed(new Error(data.toString()))
      for (let at = data.indexOf(LINE_FEED); at >= 0; at = data.indexOf(LINE_FEED, at + 1)) replies++
      more()
      if (next === chunks.length && replies === sent) done()
    })
    more()
  })
  const seconds = (performance.now() - before.at) / 1000
  const { user, system } = process.cpuUsage(before.own)
  socket.destroy()
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    redisCpuSeconds: cpuSeconds(redis.pid) - before.redis,
    peakMB: 0,
  }
}

function label(count: number): string {
  return count >= 1_000_000 ? `${count / 1_000_000} M` : `${count / 1000} k`
}

await main()
