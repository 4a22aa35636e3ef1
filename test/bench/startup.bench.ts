import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { BenchReport } from './bench-report.js'

/** How long a person waits for a command: `--help`, a list of 500 views, the server; and apply of 500 views. */
const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 5 : 25
const APPLY_ROUNDS = quick ? 1 : 7
const VIEWS = 500
const FEATURES = 20
const APPLY_BUDGET_MS = 1000

/** The runner starts us at the project's root. */
const command = join(process.cwd(), 'dist/cli.js')

async function main(): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'])
  const repo = mkdtempSync(join(tmpdir(), 'feast-startup-'))
  try {
    await writeRepo(repo)
    await run(new BenchReport('startup'), repo)
  } finally {
    rmSync(repo, { recursive: true, force: true })
  }
}

async function run(report: BenchReport, repo: string): Promise<void> {
  const apply = await rounds(APPLY_ROUNDS, async () => {
    rmSync(join(repo, 'data'), { recursive: true, force: true })
    return timeOf([command, '-c', repo, 'apply'])
  })
  // Turn and turn about, so that a busy moment of the machine falls on all of them.
  const [node, help, list, server] = await interleaved(ROUNDS, [
    () => timeOf(['-e', '0']),
    () => timeOf([command, '--help']),
    () => timeOf([command, '-c', repo, 'feature-views', 'list']),
    () => timeUntilReady(repo),
  ])
  const againstNode = { unit: 'ms', rival: node!, rivalName: 'node -e 0' } as const
  report.row({ name: 'feast --help', ours: help!, ...againstNode })
  report.row({ name: `feast feature-views list, ${VIEWS} views`, ours: list!, ...againstNode })
  report.row({ name: 'feast serve until ready', ours: server!, ...againstNode })
  const name = `feast apply, ${VIEWS} views × ${FEATURES} features`
  report.row({ name, unit: 'ms', ours: apply, rival: [APPLY_BUDGET_MS], rivalName: 'what it may take' })
  report.note('Ratios to node -e 0 that are wanted: help 0.5, list 0.25, ready 0.2, or more.')
}

async function writeRepo(repo: string): Promise<void> {
  const features = Array.from({ length: FEATURES }, (_, i) => `f${i}`)
  writeFileSync(join(repo, 'feature_store.yaml'), 'project: startup\n')
  writeFileSync(
    join(repo, 'features.ts'),
    `import { entity, featureView, fileSource, Float64, Int64 } from 'feast-node'
export const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
export const views = Array.from({ length: ${VIEWS} }, (_, i) => featureView({
  name: \`view_\${i}\`, entities: [user], ttl: '30d',
  schema: { ${features.map((name) => `${name}: Float64`).join(', ')} },
  source: fileSource({ name: \`source_\${i}\`, path: 'rows.parquet', timestampField: 'ts' }),
}))
`,
  )
  const database = await DuckDBInstance.create(':memory:')
  const connection = await database.connect()
  const columns = features.map((name, i) => `${i}.5::DOUBLE AS ${name}`).join(', ')
  await connection.run(
    `COPY (SELECT 1::BIGINT AS user_id, TIMESTAMP '2026-01-01' AS ts, ${columns}) TO '${repo}/rows.parquet'`,
  )
  connection.closeSync()
  database.closeSync()
}

/** Milliseconds from the start of a process to its end. @throws when it fails */
function timeOf(args: readonly string[]): Promise<number> {
  const start = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += String(chunk)
  })
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(performance.now() - start)
      else reject(new Error(`node ${args.join(' ')} exited with ${code}: ${errors}`))
    })
  })
}

/** Milliseconds until `feast serve` says that it listens. */
function timeUntilReady(repo: string): Promise<number> {
  const start = performance.now()
  const server = spawn(process.execPath, [command, '-c', repo, 'serve', '-p', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let ready = 0
    server.stdout.once('data', () => {
      ready = performance.now() - start
      server.kill('SIGTERM')
    })
    server.on('close', (code) => {
      if (ready > 0) resolve(ready)
      else reject(new Error(`feast serve ended with ${code}`))
    })
  })
}

async function rounds(count: number, run: () => Promise<number>): Promise<readonly number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) times.push(await run())
  return times
}

async function interleaved(
  count: number,
  runs: readonly (() => Promise<number>)[],
): Promise<readonly (readonly number[])[]> {
  const times: number[][] = runs.map(() => [])
  for (let i = 0; i < count; i++) {
    for (const [index, run] of runs.entries()) times[index]!.push(await run())
  }
  return times
}

await main()
