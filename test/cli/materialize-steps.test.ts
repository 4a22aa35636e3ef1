import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { entity, featureView, fileSource, Int64, String as StringType } from '../../src/index.js'
import { redisRows } from '../compat/redis-rows.js'
import { repoOf, Workbench } from '../feature-store/workbench.js'
import { hasRedis, NO_REDIS, RedisServer } from '../redis-server.js'
import { type FeastRun, runFeast } from './run-feast.js'

const RANGE = ['2024-01-01', '2024-02-01'] as const
const describeWithRedis = hasRedis ? describe : describe.skip

describeWithRedis(`feast materialize in steps${hasRedis ? '' : `: ${NO_REDIS}`}`, () => {
  let redis: RedisServer
  let bench: Workbench
  let undisturbed: Awaited<ReturnType<typeof redisRows>>
  const feast = (args: readonly string[], env = {}): Promise<FeastRun> =>
    runFeast(bench.path, ['materialize', ...args], env)
  const ok = async (args: readonly string[], env = {}) => {
    const run = await feast(args, env)
    expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: expect.anything() })
    return run.stdout.trim()
  }

  beforeAll(async () => {
    redis = await RedisServer.start()
    bench = new Workbench()
    writeFileSync(
      join(bench.path, 'feature_store.yaml'),
      `project: demo\nregistry: data/registry.db\nonline_store:\n  type: redis\n  connection_string: ${redis.address}\nentity_key_serialization_version: 3\n`,
    )
    await bench.parquet(
      'data/rows.parquet',
      `SELECT (i % 2000)::BIGINT AS k, TIMESTAMP '2024-01-02' + to_minutes(i::BIGINT) AS t, i::BIGINT AS v, 's' || i AS s FROM range(5000) r(i)`,
    )
    const key = entity({ name: 'k', valueType: Int64 })
    const source = fileSource({ name: 'rows', path: 'data/rows.parquet', timestampField: 't' })
    const view = (name: string) =>
      featureView({ name, entities: [key], schema: { v: Int64, s: StringType }, source })
    await (await bench.open()).apply(repoOf(key, view('one'), view('two')))
    await ok([...RANGE])
    undisturbed = await redisRows(redis)
    await redis.call('FLUSHALL')
  }, 120_000)
  afterAll(async () => {
    await bench.close()
    await redis.stop()
  })

  it('--shards: four processes bring the bytes online that one does', async () => {
    const { code, stdout } = await feast([...RANGE, '--shards', '4'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/one from .*: 2,000 rows in/) })
    expect(Object.keys(undisturbed)).toHaveLength(2000)
    expect(await redisRows(redis)).toEqual(undisturbed)
    await redis.call('FLUSHALL')
  }, 60_000)

  it('plan, an AWS Batch array of loads, commit', async () => {
    const plan = join(bench.path, 'plan.json')
    const run = await ok(['plan', ...RANGE, '--shards', '3', '--output', plan])
    expect(JSON.parse(readFileSync(plan, 'utf8'))).toMatchObject({
      run,
      shards: 3,
      views: [{ view: 'one', outcome: 'done', start: '2024-01-01T00:00:00Z' }, { view: 'two' }],
    })
    const refused = await feast(['commit', '--run', run])
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('"one" lacks 3 of 3 files'),
    })
    const child = (index: number) => ({
      AWS_BATCH_JOB_ARRAY_INDEX: String(index),
      AWS_BATCH_JOB_ARRAY_SIZE: '3',
    })
    const loads = await Promise.all([0, 1, 2].map((index) => ok(['load', '--run', run], child(index))))
    for (const load of loads) expect(load).toMatch(/: 2 files, 1,\d\d\d rows in/)
    expect(await ok(['load', '--run', run, '--shard', '1/3'])).toContain('2 loaded before')
    expect(await ok(['status', run])).toMatch(/loaded, 2,000 of 2,000 rows, 3 of 3 files/)
    expect(await ok(['commit', '--run', run])).toMatch(/two from .*: 2,000 rows in/)
    await ok(['commit', '--run', run])
    expect(await ok(['status'])).toMatch(new RegExp(`${run} +committed `))
    expect(await redisRows(redis)).toEqual(undisturbed)
    const staging = join(bench.path, '.feast/staging/demo')
    expect(existsSync(staging) ? readdirSync(staging) : []).toEqual([])
  }, 60_000)

  it('plan --incremental has nothing to do after that; what it planned can be abandoned', async () => {
    const { stdout } = await feast(['plan', '--incremental', '2024-02-01', '--json'])
    const { run, shards, views } = JSON.parse(stdout)
    expect({ shards, views }).toMatchObject({ shards: 0, views: [{ outcome: 'nothing to do' }, {}] })
    await ok(['abandon', '--run', run])
    expect(JSON.parse(await ok(['status', run, '--json']))).toMatchObject({ run, state: 'abandoned' })
  }, 60_000)

  it.each<[args: readonly string[], env: Record<string, string>, message: RegExp]>([
    [['load'], {}, /--run is needed/],
    [['load', '--run', 'nothing'], {}, /Run "nothing" is not known/],
    [['load', '--run', 'r', '--shard', '4/4'], {}, /Write it as 0\/4 to 3\/4/],
    [['load', '--run', 'r'], { AWS_BATCH_JOB_ARRAY_INDEX: '1' }, /AWS_BATCH_JOB_ARRAY_SIZE is not/],
    [['plan', ...RANGE, '--incremental', '2024-01-01'], {}, /takes the place of START_TS/],
    [['plan', ...RANGE, '--shards', 'many'], {}, /whole number from 1/],
    [['plan', ...RANGE, '--run', 'a/b'], {}, /not an id of a run/],
    [['plam', '2024-01-01'], {}, /START_TS: "plam" is not a date or time/],
  ])('%j is bad input', async (args, env, message) => {
    const { code, stderr } = await feast(args, env)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) })
  })
})
