import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { RedisServer } from '../redis-server.js'
import { buildCommand, CLI, featureName, makeRepo, ROOT } from './bench-repo.js'
import { BenchReport } from './bench-report.js'
import { cpuSeconds } from './process-cost.js'

/**
 * One plan loaded by one process, and by four side by side. Redis is a process of its own on the same cores, so what
 * can be won is bounded by what Redis takes: with c cores, n CPU a row of ours and r of Redis, one process needs
 * max(n, r) and many need (n + r) / c or r, whichever is more. The note says that bound, from the CPU times measured.
 */
const QUICK = process.argv.includes('--quick')
const ROUNDS = QUICK ? 2 : 3
const ROWS = QUICK ? 200_000 : 1_000_000
const FEATURES = 10
const SHARDS = 4

const NOW = Math.floor(Date.now() / 1000) * 1000
const WINDOW = [NOW - 3 * 86_400_000, NOW].map((ms) => new Date(ms).toISOString().slice(0, 19))
const folder = mkdtempSync(join(tmpdir(), 'feast-bench-'))
const repo = join(folder, 'repo')
const report = new BenchReport('sharded-load')

interface Loaded {
  readonly seconds: number
  readonly cpu: number
  readonly redisCpu: number
  /** Of all that lies in Redis afterwards. */
  readonly digest: string
}

async function main(): Promise<void> {
  buildCommand()
  const redis = await RedisServer.start(['--enable-debug-command', 'yes'])
  try {
    const table = { name: 'wide', features: FEATURES, parquet: 'data/wide.parquet' }
    await (await makeRepo(repo, redis.address, [table])).close()
    await writeParquet(join(repo, table.parquet))
    const one: Loaded[] = []
    const four: Loaded[] = []
    for (let round = 0; round < ROUNDS; round++) {
      one.push(await load(redis, 1))
      four.push(await load(redis, SHARDS))
    }
    const digests = new Set([...one, ...four].map(({ digest }) => digest))
    if (digests.size !== 1) throw new Error(`Redis differs: ${[...digests].join(', ')}`)
    const rates = (loads: readonly Loaded[]) => loads.map(({ seconds }) => ROWS / seconds)
    report.row({
      name: `${ROWS / 1000} k rows x ${FEATURES} features, ${SHARDS} shards`,
      unit: 'rows/s',
      ours: rates(four),
      rival: rates(one),
      rivalName: 'one process',
      higherIsBetter: true,
      target: 1.7,
    })
    note(one)
    report.note(`the same bytes in Redis after each: ${[...digests][0]}`)
  } finally {
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function note(one: readonly Loaded[]): void {
  const least = (pick: (loaded: Loaded) => number) => (Math.min(...one.map(pick)) * 1e6) / ROWS
  const [own, redis, wall] = [
    least(({ cpu }) => cpu),
    least(({ redisCpu }) => redisCpu),
    least(({ seconds }) => seconds),
  ]
  const bound = wall / Math.max(redis, (own + redis) / cpus().length)
  report.note(
    `one process: ${wall.toFixed(2)} us a row; CPU us a row: own ${own.toFixed(2)}, Redis ${redis.toFixed(2)}; ` +
      `with Redis on the same ${cpus().length} cores no more than ${bound.toFixed(2)}x can be won`,
  )
}

async function load(redis: RedisServer, processes: number): Promise<Loaded> {
  await redis.call('FLUSHALL')
  const run = (await feast(['plan', ...WINDOW, '--shards', String(SHARDS)])).output.trim()
  const redisBefore = cpuSeconds(redis.pid)
  const shards = await Promise.all(
    Array.from({ length: processes }, (_, number) =>
      feast(['load', '--run', run, '--shard', `${number}/${processes}`, '--json']),
    ),
  )
  const redisCpu = cpuSeconds(redis.pid) - redisBefore
  const loads = shards.map(({ output }) => JSON.parse(output) as { rows: number; elapsed_ms: number })
  const rows = loads.reduce((sum, each) => sum + each.rows, 0)
  if (rows !== ROWS) throw new Error(`${rows} of ${ROWS} rows were loaded`)
  await feast(['commit', '--run', run])
  return {
    // Without the start of the processes, which is the same for any amount of rows.
    seconds: Math.max(...loads.map((each) => each.elapsed_ms)) / 1000,
    cpu: shards.reduce((sum, { cpu }) => sum + cpu, 0),
    redisCpu,
    digest: String(await redis.call('DEBUG', 'DIGEST')),
  }
}

/** @throws unless it ends well */
async function feast(args: readonly string[]): Promise<{ readonly output: string; readonly cpu: number }> {
  const child = spawn(process.execPath, [CLI, '--chdir', repo, 'materialize', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  const cpu = watched(child)
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`feast materialize ${args.join(' ')}: ${errors}`)
  return { output, cpu: cpu() }
}

/** Looks every few milliseconds, since a process that has ended says nothing any more. */
function watched(child: ChildProcess): () => number {
  let last = 0
  const timer = setInterval(() => {
    last = Math.max(last, cpuSeconds(child.pid!))
  }, 50)
  return () => {
    clearInterval(timer)
    return last
  }
}

async function writeParquet(path: string): Promise<void> {
  const random = (feature: number) => `hash(i * 31 + ${feature})`
  const kinds = [
    (feature: number) => `(${random(feature)} % 1000000)::BIGINT`,
    (feature: number) => `(${random(feature)} % 1000000) / 1e3`,
    (feature: number) => `((${random(feature)} % 1000000) / 8)::FLOAT`,
    (feature: number) => `'value ' || (${random(feature)} % 1000)`,
    (feature: number) => `${random(feature)} % 2 = 0`,
  ]
  const columns = Array.from(
    { length: FEATURES },
    (_, feature) => `${kinds[feature % kinds.length]!(feature)} AS ${featureName(feature)}`,
  )
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '2GB' })
  const connection = await instance.connect()
  await connection.run(`COPY (SELECT i AS user_id,
    make_timestamp(${BigInt(NOW - 2 * 86_400_000) * 1000n} + (hash(i) % 86400)::BIGINT * 1000000) AS event_timestamp,
    ${columns.join(', ')} FROM range(${ROWS}) t(i)) TO '${path}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
}

await main()
