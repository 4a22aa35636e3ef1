import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Json } from '../../src/training/asl/state-machine.js'
import { pipeline } from '../../src/training/pipeline.js'
import { startRun, type TrainingParts } from '../../src/training/start-run.js'
import type { TrainingRun } from '../../src/training/training-trigger.js'
import { containerJobs } from '../aws-emulator/container-jobs.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { EmulatedStepFunctions } from '../aws-emulator/step-functions.js'
import { errorOf, type Workbench } from '../feature-store/workbench.js'
import { until } from '../until.js'
import { Candidates, openParts, trainingBench } from './fixture.js'
import { FRAUD } from './pipelines.js'

let folder: string
let emulator: AwsEmulator
let s3: EmulatedS3
let states: EmulatedStepFunctions
let bench: Workbench
let candidates: Candidates
let parts: TrainingParts
let packages: Json[]

const fraud = (more: object = {}) =>
  pipeline({
    ...FRAUD,
    dataset: {
      ...FRAUD.dataset,
      entities: { sql: `SELECT * FROM read_parquet('${join(bench.path, 'labels.parquet')}')` },
    },
    ...more,
  })
const DEPLOY = { dryRun: false, gitSha: 'abc123' }
const marker = (name: string) => join(folder, `count${name}`)

beforeAll(async () => {
  Object.assign(process.env, EMULATOR_CREDENTIALS)
  folder = mkdtempSync(join(tmpdir(), 'feast-sfn-'))
  s3 = new EmulatedS3(join(folder, 's3'), { buckets: ['acme'] })
  packages = []
  const task = containerJobs({
    s3,
    program: ['false'],
    environment: { TRAIN_COUNT: marker('') },
    createModelPackage: async (input) =>
      `arn:aws:sagemaker:us-east-1:123456789012:model-package/fraud/${packages.push(input)}`,
  })
  states = new EmulatedStepFunctions({ region: 'us-east-1', account: '123456789012', task })
  emulator = await new AwsEmulator([states, s3]).start()
  ;({ bench } = await trainingBench(`
aws: { region: us-east-1, endpoint: ${emulator.endpoint} }
models: { registry: { type: sagemaker, uri: s3://acme/models } }
training:
  type: step_functions
  role_arn: arn:aws:iam::123456789012:role/feast
  runs_uri: s3://acme/runs
  code_uri: s3://acme/code
  keep_versions: 3
`))
})
afterAll(async () => {
  await bench.close()
  await emulator.stop()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  candidates = new Candidates()
  parts = await openParts(await bench.open(), candidates)
})
afterEach(() => parts.trigger.close())

async function finished(runId: string): Promise<TrainingRun> {
  await states.ended(runId)
  return parts.trigger.describe(runId)
}

/** Waits until the training step is at work. */
function training(): Promise<void> {
  const isAtWork = () => existsSync(marker('')) && readFileSync(marker(''), 'utf8').endsWith('\n')
  return until(isAtWork, 'training')
}

describe('pipelines on Step Functions', () => {
  it('a run before the deployment says what to do', async () => {
    const error = await errorOf(startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'early' }))
    expect(error).toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(/feast pipeline deploy fraud/),
    })
  })

  it('deploys once: the same again changes nothing, other code or another role is a new version', async () => {
    expect(await parts.trigger.deploy!(fraud(), { ...DEPLOY, dryRun: true })).toMatchObject({
      action: 'created',
    })
    expect(states.machines.size).toBe(0)
    const first = await parts.trigger.deploy!(fraud(), DEPLOY)
    expect(first).toMatchObject({
      name: 'feast-demo-fraud',
      action: 'created',
      version: expect.stringMatching(/:1$/),
    })
    expect(existsSync(s3.pathOf(first.codeUri!))).toBe(true)
    const puts = emulator.count(/PutObject \/acme\/code/)
    const again = await parts.trigger.deploy!(fraud(), DEPLOY)
    expect(again).toEqual({ ...first, action: 'unchanged' })
    expect(emulator.count(/PutObject \/acme\/code/)).toBe(puts)
    writeFileSync(join(bench.path, 'pipelines', 'more.mjs'), '// more')
    const second = await parts.trigger.deploy!(fraud(), DEPLOY)
    expect(second).toMatchObject({ action: 'updated', version: expect.stringMatching(/:2$/) })
    expect(second.codeUri).not.toBe(first.codeUri)
  })

  it('a deployment that was cut off is completed by the next', async () => {
    const changed = fraud({ description: 'x', gate: { all: [{ metric: 'auc', min: 0.5 }] } })
    emulator.fail({
      match: /UpdateStateMachineAlias/,
      what: { answer: { status: 400, body: '{"__type":"ConflictException"}' } },
    })
    expect((await errorOf(parts.trigger.deploy!(changed, DEPLOY))).name).toBe('ConflictException')
    expect(await parts.trigger.deploy!(changed, DEPLOY)).toMatchObject({
      version: expect.stringMatching(/:3$/),
    })
    expect(await parts.trigger.deploy!(changed, DEPLOY)).toMatchObject({ action: 'unchanged' })
  })

  it('keeps a bounded number of versions', async () => {
    for (const min of [0.1, 0.2, 0.3])
      await parts.trigger.deploy!(fraud({ gate: { all: [{ metric: 'auc', min }] } }), DEPLOY)
    await parts.trigger.deploy!(fraud(), DEPLOY)
    const [machine] = states.machines.values()
    expect(machine!.versions.size).toBe(3)
  })

  it('an image that names the commit needs one', async () => {
    const error = await errorOf(parts.trigger.deploy!(fraud(), { dryRun: false, gitSha: undefined }))
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringMatching(/--git-sha/) })
  })

  it('runs the jobs, passes the gate, registers; the same start is the same run', async () => {
    const { runId } = await startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.1 } })
    const run = await finished(runId)
    expect(run).toMatchObject({
      status: 'succeeded',
      outcome: 'registered',
      metrics: { auc: 0.9 },
      model: 'arn:aws:sagemaker:us-east-1:123456789012:model-package/fraud/1',
      pipeline: 'fraud',
    })
    expect(run.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'preprocess done',
      'train done',
      'evaluate done',
      'ReadMetrics done',
      'Gate done',
      'Register done',
      'Registered done',
    ])
    expect(packages).toEqual([
      expect.objectContaining({
        ModelPackageGroupName: 'fraud',
        ModelApprovalStatus: 'PendingManualApproval',
      }),
    ])
    const starts = states.executions.size
    expect(
      (await startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.1 }, runId })).status,
    ).toBe('succeeded')
    expect(states.executions.size).toBe(starts)
    expect(
      await errorOf(startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.2 }, runId })),
    ).toMatchObject({
      code: 'TRAINING_RUN_CONFLICT',
    })
  })

  it('an answer that was lost does not start a second run', async () => {
    emulator.fail({ match: /StartExecution/, what: 'drop' })
    const { runId } = await startRun(parts, { startedBy: 'ann', pipeline: fraud(), params: { eta: 0.6 } })
    expect(await finished(runId)).toMatchObject({ status: 'succeeded', outcome: 'gate_failed' })
  })

  it('a failed job is said with its last lines; a retry goes on there', async () => {
    writeFileSync(marker('.fail'), '')
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'failing' })
    const failed = await finished('failing')
    expect(failed).toMatchObject({ status: 'failed', error: expect.stringMatching(/no convergence/) })
    expect(failed.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'preprocess done',
      'train failed',
    ])
    expect(
      (await parts.trigger.events('failing')).find(({ event }) => event === 'TaskFailed')!.details,
    ).toMatch(/no convergence/)
    rmSync(marker('.fail'))
    await parts.trigger.retry(fraud(), 'failing')
    expect(await finished('failing')).toMatchObject({ status: 'succeeded' })
    expect(await errorOf(parts.trigger.retry(fraud(), 'failing'))).toMatchObject({
      code: 'TRAINING_RUN_CONFLICT',
    })
  })

  it('is stopped', async () => {
    writeFileSync(marker('.hang'), '')
    rmSync(marker(''), { force: true })
    await startRun(parts, { startedBy: 'ann', pipeline: fraud(), runId: 'hanging' })
    await training()
    await parts.trigger.stop('hanging')
    expect(await parts.trigger.describe('hanging')).toMatchObject({ status: 'stopped' })
    rmSync(marker('.hang'))
  })

  it('lists runs, and says which there is not', async () => {
    const runs = await parts.trigger.list(undefined)
    expect(runs.map(({ runId }) => runId)).toEqual(expect.arrayContaining(['failing', 'hanging']))
    expect(await parts.trigger.list('none')).toEqual([])
    expect(await errorOf(parts.trigger.describe('none'))).toMatchObject({ code: 'TRAINING_RUN_NOT_FOUND' })
  })
})
