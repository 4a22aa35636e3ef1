import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { Float64, Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import { EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { runFeast, startFeast } from '../cli/run-feast.js'
import { AthenaBench } from '../offline-stores/athena-bench.js'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const test = hasRedis ? it : it.skip
const name = hasRedis ? 'S3 and Athena to a lookup over HTTP' : `S3 and Athena to a lookup: ${NO_REDIS}`

/** `2024-01-10T05:30:00Z` in microseconds. */
const at = (text: string) => BigInt(Date.parse(text)) * 1000n

const DEFINITIONS = `
import { athenaSource, entity, featureService, featureView, Float64, Int64 } from 'feast-node'

export const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
export const stats = featureView({
  name: 'driver_stats',
  entities: [driver],
  ttl: '2d',
  source: athenaSource({
    table: 'driver_stats',
    timestampField: 'ts',
    createdTimestampColumn: 'created',
    datePartitions: { dt: 'yyyy-MM-dd' },
  }),
  schema: { trips: Int64, rating: Float64 },
})
export const ranking = featureService({ name: "ranking", features: [stats] })
`

let bench: AthenaBench
let redis: RedisServer
let repo: string

beforeAll(async () => {
  if (!hasRedis) return
  bench = await new AthenaBench().open()
  redis = await RedisServer.start()
  repo = mkdtempSync(join(tmpdir(), 'feast-aws-'))
  const { endpoint } = bench.emulator
  const yaml = `
project: rides
registry: s3://staging/registry/registry.pb
offline_store: ${JSON.stringify({ type: 'athena', ...bench.block })}
online_store: { type: redis, connection_string: "127.0.0.1:${redis.port}" }
aws: { endpoint: "${endpoint}", region: us-east-1, path_style: true }
entity_key_serialization_version: 3
`
  writeFileSync(join(repo, 'feature_store.yaml'), yaml)
  writeFileSync(join(repo, 'definitions.ts'), DEFINITIONS)
  const rows = ['2024-01-08', '2024-01-09', '2024-01-10', '2024-01-11', '2024-01-12'].flatMap((dt, day) =>
    Array.from({ length: 50 }, (_, driver) => ({
      driver_id: BigInt(driver),
      ts: at(`${dt}T05:30:00Z`),
      created: at(`${dt}T06:00:00Z`),
      trips: BigInt(day * 100 + driver),
      rating: driver % 7 === 0 ? null : driver / 10,
      dt,
    })),
  )
  await bench.table(
    [
      { name: 'driver_id', type: Int64 },
      { name: 'ts', type: UnixTimestamp },
      { name: 'created', type: UnixTimestamp },
      { name: 'trips', type: Int64 },
      { name: 'rating', type: Float64 },
      { name: 'dt', type: StringType },
    ],
    rows,
    { name: 'driver_stats', partition: 'dt' },
  )
}, 120_000)

afterAll(async () => {
  if (!hasRedis) return
  await bench.close()
  await redis.stop()
  rmSync(repo, { recursive: true, force: true })
})

async function feast(...args: readonly string[]) {
  const run = await runFeast(repo, args, EMULATOR_CREDENTIALS)
  expect({ args, code: run.code, stderr: run.stderr }).toEqual({
    args,
    code: 0,
    stderr: expect.not.stringContaining('Error'),
  })
  return run
}

test(name, async () => {
  expect((await feast('apply')).stdout).toContain('driver_stats')
  expect(readFileSync(bench.s3.pathOf('s3://staging/registry/registry.pb')).length).toBeGreaterThan(100)

  const entities = JSON.stringify([
    { driver_id: 3, event_timestamp: '2024-01-10T12:00:00Z' },
    { driver_id: 7, event_timestamp: '2024-01-10T05:00:00Z' },
    { driver_id: 99, event_timestamp: '2024-01-10T12:00:00Z' },
  ])
  const join = ['get-historical-features', '--feature-service', 'ranking', '-d', entities]
  const before = bench.athena.executions.length
  const dry = await feast(...join, '--dry-run')
  expect(dry.stdout).toMatch(/s\."dt" >= '2024-01-07' AND s\."dt" <= '2024-01-11'/)
  expect(dry.stdout).toMatch(/driver_stats: 5 partitions, .* of files \(dt=2024-01-07, /)
  expect(bench.athena.executions).toHaveLength(before)
  const joined = await feast(...join, '--json')
  expect(JSON.parse(joined.stdout)).toMatchObject([
    { driver_id: 3, trips: 203, rating: 0.3 },
    { driver_id: 7, trips: 107, rating: null },
    { driver_id: 99, trips: null, rating: null },
  ])
  expect(joined.stderr).toMatch(/Scanned .* in 1 query: \$0\.0000\d+/)

  const kept = await feast(...join, '--table', 'ranking_set', '--overwrite')
  expect(kept.stdout).toContain('Kept 3 rows in table ranking_set')
  expect(bench.athena.catalog.find('feast', 'ranking_set')!.columns.map(({ name }) => name)).toEqual([
    ...['driver_id', 'event_timestamp', 'trips', 'rating'],
  ])

  const window = ['2024-01-10T05:00:00', '2024-01-10T06:00:00']
  await feast('materialize', ...window)
  const server = startFeast(
    repo,
    ['serve', '--port', '0', '--no-grpc', '--no-access-log'],
    EMULATOR_CREDENTIALS,
  )
  try {
    const url = await served(server.stderr, server.stdout)
    const response = await fetch(`${url}/get-online-features`, {
      method: 'POST',
      body: JSON.stringify({ feature_service: 'ranking', entities: { driver_id: [3, 7, 99] } }),
    })
    const answer = (await response.json()) as { results: { values: unknown[] }[] }
    expect(answer.results.map(({ values }) => values)).toEqual([
      [3, 7, 99],
      [203, 207, null],
      [0.3, null, null],
    ])
  } finally {
    server.kill('SIGTERM')
    await new Promise((ended) => server.on('close', ended))
  }
  const left = bench.leftovers().filter((file) => !/journal|\.json$/.test(file))
  expect(left).toEqual([])
  expect(bench.athena.timesRun(/UNLOAD/)).toBe(2)
}, 240_000)

test(`${name}: the commands of the README, as they stand there`, async () => {
  await bench.tables.file(
    [
      { name: 'driver_id', type: Int64 },
      { name: 'event_timestamp', type: UnixTimestamp },
    ],
    [{ driver_id: 3n, event_timestamp: at('2024-01-10T12:00:00Z') }],
    { path: join(relative(bench.tables.folder, repo), 'drivers.parquet') },
  )
  const until = (text: string, time: string) =>
    text.replaceAll(/\$\(date [^)]*\)|2026-08-01T00:00:00/g, time).replaceAll(/ +#.*$/gm, '')
  const [onAws] = blocksOf('On AWS', 'get-historical-features')
  const done = await bash(until(onAws!, '2024-01-11T06:00:00'))
  expect(done.stdout).toContain('Wrote 1 rows to training.parquet')
  expect(done.stdout).toContain('"Sid": "Registry"')
  expect(await online()).toEqual([303, 307])

  const [shards] = blocksOf('Keeping the online store up to date', '--shards 4')
  const [oneCommand, steps] = until(shards!, '2024-01-12T06:00:00').split('\n\n')
  expect((await bash(steps!)).stdout).toMatch(/committed/)
  expect(await online()).toEqual([403, 407])
  expect((await bash(oneCommand!)).stdout).toMatch(/driver_stats/)

  mkdirSync(join(repo, 'data'), { recursive: true })
  const [copy] = blocksOf('On AWS', 'registry copy')
  expect((await bash(copy!.replaceAll(/ +#.*$/gm, ''))).stdout).toMatch(/rides/)
  const left = bench.leftovers().filter((file) => !/journal|\.json$/.test(file))
  expect(left).toEqual([])
}, 240_000)

async function online(): Promise<readonly unknown[]> {
  const { stdout } = await feast(
    ...['get-online-features', '-e', 'driver_id=3', '-e', 'driver_id=7', '-f', 'driver_stats:trips'],
  )
  return (JSON.parse(stdout) as { trips: unknown[] }).trips
}

/** The shell commands of a chapter of the README in which a text occurs. */
function blocksOf(chapter: string, text: string): readonly string[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const [, body] = readme.split(`\n## ${chapter}\n`)
  const blocks = [...body!.split('\n## ')[0]!.matchAll(/```sh\n([^`]*)```/g)].map(([, block]) => block!)
  const found = blocks.filter((block) => block.includes(text))
  expect(found).toHaveLength(1)
  return found
}

/** Runs lines of the README as its reader would: `feast` is on the path, and the first failure is the end. */
async function bash(lines: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { PATH, HOME } = process.env
  const bin = join(repo, '.bin')
  mkdirSync(bin, { recursive: true })
  const command = `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'dist/cli.js')}" "$@"\n`
  writeFileSync(join(bin, 'feast'), command, { mode: 0o755 })
  return promisify(execFile)('bash', ['-euxo', 'pipefail', '-c', lines], {
    cwd: repo,
    env: { PATH: `${bin}:${PATH}`, HOME, ...EMULATOR_CREDENTIALS },
  })
}

async function served(...streams: readonly NodeJS.ReadableStream[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    for (const stream of streams) {
      stream.on('data', (chunk) => {
        text += String(chunk)
        const url = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0]
        if (url) resolve(url)
      })
    }
    streams[0]!.on('end', () => reject(new Error(`feast serve ended: ${text}`)))
  })
}
