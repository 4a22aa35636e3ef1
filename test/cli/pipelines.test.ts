import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import validate from 'asl-validator'
import type { Workbench } from '../feature-store/workbench.js'
import { FRAUD_YAML, trainingBench } from '../training/fixture.js'
import { until } from '../until.js'
import { runFeast, startFeast } from './run-feast.js'

let bench: Workbench
const feast = (...args: string[]) => runFeast(bench.path, args, { TRAIN_COUNT: join(bench.path, 'count') })

beforeAll(async () => {
  ;({ bench } = await trainingBench())
  mkdirSync(join(bench.path, 'pipelines'), { recursive: true })
  writeFileSync(join(bench.path, 'pipelines/fraud.yaml'), FRAUD_YAML)
})
afterAll(() => bench.close())

/** One that ended and waits to be asked for its exit code is not. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Whether the training step has written its process down, to the end of the line. */
function isAtWork(count: string): boolean {
  return existsSync(count) && readFileSync(count, 'utf8').endsWith('\n')
}

describe('feast pipeline', () => {
  it('validates, runs, lists and describes', async () => {
    expect(await feast('pipeline', 'validate')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/fraud: preprocess → train → evaluate, 1 rule at the gate/),
    })
    const run = await feast('pipeline', 'run', 'fraud', '--run', 'first', '--logs', '--json')
    expect(run.code).toBe(0)
    expect(JSON.parse(run.stdout)).toMatchObject({
      runId: 'first',
      status: 'succeeded',
      outcome: 'gate_failed',
      metrics: { auc: 0.5 },
    })
    expect(run.stderr).toMatch(/train: done/)
    expect(run.stderr).toContain('preprocessed data.parquet')
    expect((await feast('pipeline', 'list')).stdout).toMatch(/fraud +first +succeeded, gate failed/)
    const described = await feast('pipeline', 'describe', 'first', '--events')
    expect(described.stdout).toMatch(/preprocess: done[\s\S]*entered {2}Gate/)
  })

  it('a run that was killed goes on at the step it was in, and what was left of it ends', async () => {
    const count = join(bench.path, 'count')
    rmSync(count, { force: true })
    writeFileSync(`${count}.hang`, '')
    const child = startFeast(bench.path, ['pipeline', 'run', 'fraud', '--run', 'killed'], {
      TRAIN_COUNT: count,
      // What a process leaves there that is killed goes with the rest.
      TMPDIR: bench.path,
    })
    await until(() => isAtWork(count), 'training')
    const trainer = Number(readFileSync(count, 'utf8'))
    const dead = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGKILL')
    child.stdout.destroy()
    child.stderr.destroy()
    await dead
    expect((await feast('pipeline', 'describe', 'killed')).stdout).toMatch(
      /killed: interrupted\n {2}preprocess: done.*\n {2}train: running/,
    )
    expect(isAlive(trainer)).toBe(true)
    rmSync(`${count}.hang`)
    const retried = await feast('pipeline', 'retry', 'killed', '--json')
    expect(JSON.parse(retried.stdout)).toMatchObject({ status: 'succeeded', outcome: 'gate_failed' })
    expect(isAlive(trainer)).toBe(false)
    expect(readFileSync(count, 'utf8').trim().split('\n')).toHaveLength(2)
  })

  it('stops a run of another process', async () => {
    const count = join(bench.path, 'count')
    rmSync(count, { force: true })
    writeFileSync(`${count}.hang`, '')
    const child = startFeast(bench.path, ['pipeline', 'run', 'fraud', '--run', 'hanging'], {
      TRAIN_COUNT: count,
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    await until(() => isAtWork(count), 'training')
    expect(await feast('pipeline', 'stop', 'hanging')).toMatchObject({ code: 0 })
    expect(await ended).toBe(1)
    expect(isAlive(Number(readFileSync(count, 'utf8')))).toBe(false)
    rmSync(`${count}.hang`)
    expect((await feast('pipeline', 'describe', 'hanging')).stdout).toMatch(/^hanging: stopped/)
    expect(await feast('pipeline', 'stop', 'hanging')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is not running: stopped/),
    })
  })

  it('says by its exit code what came of it', async () => {
    // The model file of this trainer is none: the gate lets it pass, the registry does not take it.
    const refused = await feast('pipeline', 'run', 'fraud', '--param', 'eta=0.1')
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/the file is no ONNX model/) })
    expect(await feast('pipeline', 'run', 'fraud', '--param', 'eta=x')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/"eta": "x" is no float/),
    })
    expect(await feast('pipeline', 'run', 'fraud', '--param', 'eta')).toMatchObject({ code: 2 })
    expect(await feast('pipeline', 'run', 'frauds')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/Did you mean "fraud"\?/),
    })
    expect(await feast('pipeline', 'describe', 'none')).toMatchObject({ code: 2 })
    expect(await feast('pipeline', 'deploy', 'fraud')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/training\.type .* is not step_functions/),
    })
  })
})

describe('feast pipeline render', () => {
  // Nobody listens there: what is printed is made without asking anybody.
  const AWS = `aws: { region: us-east-1, endpoint: "http://127.0.0.1:1" }
batch_engine: { type: aws_batch, queue: feast, job_definition: feast }
training:
  type: step_functions
  role_arn: arn:aws:iam::123456789012:role/feast
  runs_uri: s3://acme/runs
  code_uri: s3://acme/code
  image: registry.example/train:1
`
  it.each(['fraud', 'materialize'])(
    '%s: a definition that asl-validator takes, the same every time',
    async (name) => {
      const yaml = join(bench.path, 'feature_store.yaml')
      const before = readFileSync(yaml, 'utf8')
      appendFileSync(yaml, `\n${AWS}`)
      try {
        const args = ['pipeline', 'render', name]
        const [first, second] = [await feast(...args), await feast(...args)]
        expect(first).toMatchObject({ code: 0, stderr: '' })
        expect(second.stdout).toBe(first.stdout)
        const { errors } = validate(JSON.parse(first.stdout), { checkPaths: true, checkArn: true })
        expect(errors).toEqual([])
      } finally {
        writeFileSync(yaml, before)
      }
    },
  )

  it('says what is missing where pipelines run on this machine', async () => {
    const { code, stderr } = await feast('pipeline', 'render', 'fraud')
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('training: {type: step_functions'),
    })
  })
})
