import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import validate from 'asl-validator'
import { parseRepoConfig, type RepoConfig } from '../../src/config/repo-config.js'
import { runStateMachine, type TaskCall } from '../../src/training/asl/run-state-machine.js'
import type { Json } from '../../src/training/asl/state-machine.js'
import { scheduleExpression } from '../../src/training/schedule-expression.js'
import { deployMaterialize, renderMaterialize } from '../../src/training/step-functions/index.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedScheduler } from '../aws-emulator/scheduler.js'
import { EmulatedStepFunctions } from '../aws-emulator/step-functions.js'

let emulator: AwsEmulator
const scheduler = new EmulatedScheduler()
const states = new EmulatedStepFunctions({
  region: 'us-east-1',
  account: '123456789012',
  task: async () => null,
})

beforeAll(async () => {
  Object.assign(process.env, EMULATOR_CREDENTIALS)
  emulator = await new AwsEmulator([states, scheduler]).start()
})
afterAll(() => emulator.stop())

const configOf = (more = ''): Promise<RepoConfig> =>
  parseRepoConfig(
    `project: rides
registry: s3://acme/registry.pb
aws: { region: us-east-1, endpoint: "${emulator.endpoint}" }
training: { type: step_functions, role_arn: "arn:aws:iam::123456789012:role/sfn", runs_uri: "s3://acme/runs" }
batch_engine: { type: aws_batch, queue: feast, job_definition: feast${more} }
`,
    'feature_store.yaml',
    '/repo',
    {},
  )
const SCHEDULE =
  ', schedule: { cron: "0 3 * * *", timezone: Asia/Seoul }, scheduler_role_arn: "arn:aws:iam::123456789012:role/s"'

describe('materialization as a workflow', () => {
  it('asl-validator finds nothing', async () => {
    const { errors } = validate(await renderMaterialize(await configOf()), {
      checkPaths: true,
      checkArn: true,
    })
    expect(errors).toEqual([])
  })

  it.each([
    [0, ['Plan', 'ReadPlan', 'Commit']],
    [1, ['Plan', 'ReadPlan', 'LoadAll', 'Commit']],
    [4, ['Plan', 'ReadPlan', 'LoadShards', 'Commit']],
  ])('%i shards', async (shards, expected) => {
    const calls: TaskCall[] = []
    await runStateMachine({
      definition: await renderMaterialize(await configOf()),
      input: { end_ts: '2026-01-01T00:00:00Z' },
      execution: { id: 'e', name: 'nightly-1', startedAt: '' },
      task: async (call): Promise<Json> => {
        calls.push(call)
        return call.state === 'ReadPlan' ? { Body: JSON.stringify({ shards }) } : {}
      },
    })
    expect(calls.map(({ state }) => state)).toEqual(expected)
    expect(calls[0]!.parameters).toMatchObject({
      ContainerOverrides: {
        Command: [
          'feast',
          'materialize',
          'plan',
          '--incremental',
          '2026-01-01T00:00:00Z',
          '--run',
          'nightly-1',
          '--output',
          's3://acme/runs/nightly-1/plan.json',
        ],
      },
    })
    expect(calls[1]!.parameters).toEqual({ Bucket: 'acme', Key: 'runs/nightly-1/plan.json' })
    if (shards > 1) expect(calls[2]!.parameters).toMatchObject({ ArrayProperties: { Size: shards } })
  })

  it('is deployed with its schedule, once', async () => {
    expect(await deployMaterialize(await configOf(SCHEDULE), true)).toMatchObject({
      action: 'created',
      schedule: 'created',
    })
    expect([states.machines.size, scheduler.schedules.size]).toEqual([0, 0])
    const config = await configOf(SCHEDULE)
    expect(await deployMaterialize(config, false)).toMatchObject({ action: 'created', schedule: 'created' })
    expect(await deployMaterialize(config, false)).toMatchObject({
      action: 'unchanged',
      schedule: 'unchanged',
    })
    expect(scheduler.schedules.get('feast-rides-materialize')).toMatchObject({
      ScheduleExpression: 'cron(0 3 * * ? *)',
      ScheduleExpressionTimezone: 'Asia/Seoul',
      Target: {
        Arn: 'arn:aws:states:us-east-1:123456789012:stateMachine:feast-rides-materialize:live',
        Input: '{"end_ts":"<aws.scheduler.scheduled-time>"}',
      },
    })
  })

  it('what a person set on the schedule stays; one that is no longer configured goes', async () => {
    const name = 'feast-rides-materialize'
    scheduler.schedules.set(name, {
      ...scheduler.schedules.get(name),
      Description: 'ask ann first',
      State: 'DISABLED',
    })
    const later = await configOf(SCHEDULE.replace('0 3', '30 4'))
    expect(await deployMaterialize(later, false)).toMatchObject({ action: 'unchanged', schedule: 'updated' })
    expect(scheduler.schedules.get(name)).toMatchObject({
      Description: 'ask ann first',
      State: 'DISABLED',
      ScheduleExpression: 'cron(30 4 * * ? *)',
    })
    await deployMaterialize(await configOf(), false)
    expect(scheduler.schedules.size).toBe(0)
  })

  it('says what is missing', async () => {
    await expect(
      configOf(', schedule: { cron: "0 3 * * *" }').then((config) => deployMaterialize(config, false)),
    ).rejects.toThrow(/scheduler_role_arn/)
    const local = await parseRepoConfig(
      'project: p\nregistry: r.db\ntraining: { type: step_functions, role_arn: "arn:aws:iam::123456789012:role/x", runs_uri: "s3://a/b" }\naws: { region: r }\n',
      'feature_store.yaml',
      '/repo',
      {},
    )
    await expect(renderMaterialize(local)).rejects.toThrow(/AWS Batch is needed here/)
  })
})

describe('schedules', () => {
  it.each([
    ['0 3 * * *', 'cron(0 3 * * ? *)'],
    ['*/15 * * * *', 'cron(*/15 * * * ? *)'],
    ['0 3 1 * *', 'cron(0 3 1 * ? *)'],
    ['0 3 * * 0', 'cron(0 3 ? * 1 *)'],
    ['0 3 * * 1-5', 'cron(0 3 ? * 2-6 *)'],
    ['0 3 * * 7', 'cron(0 3 ? * 1 *)'],
    ['0 3 * * MON', 'cron(0 3 ? * MON *)'],
    ['rate(1 hour)', 'rate(1 hour)'],
  ])('%s is %s', (cron, expected) => {
    expect(scheduleExpression(cron)).toBe(expected)
  })

  it.each(['* * * *', '0 3 1 * 1', ''])('%j is refused', (cron) => {
    expect(() => scheduleExpression(cron)).toThrow(/is no schedule/)
  })
})
