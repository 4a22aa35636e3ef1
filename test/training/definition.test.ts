import { describe, expect, it } from '@jest/globals'
import validate from 'asl-validator'
import { runStateMachine, type TaskCall } from '../../src/training/asl/run-state-machine.js'
import { type Json, StateError } from '../../src/training/asl/state-machine.js'
import { pipeline } from '../../src/training/pipeline.js'
import {
  type JobSettings,
  renderDefinition,
  type TrainingInput,
} from '../../src/training/render-definition.js'
import { FRAUD } from './pipelines.js'

const AWS: JobSettings = {
  roleArn: 'arn:aws:iam::123456789012:role/feast',
  image: 'registry.example/train:abc',
  codeUri: 's3://bucket/code/123.tar.gz',
  register: { kind: 'sagemaker' },
}

const INPUT: TrainingInput = {
  run_id: 'fraud-1',
  job_prefix: 'fraud-1',
  run_uri: 's3://bucket/runs/fraud-1',
  run_bucket: 'bucket',
  run_key: 'runs/fraud-1',
  dataset_uri: 's3://bucket/runs/fraud-1/dataset/',
  params: { eta: '0.2' },
  hyperparameters: { max_depth: '5', eta: '0.2' },
  gate: { auc_min: 0.75, auc_of_champion: 0.8 },
  client_token: 'abc',
}

const VARIANTS = {
  sagemaker: renderDefinition(pipeline(FRAUD), AWS),
  batch: renderDefinition(pipeline(FRAUD), {
    ...AWS,
    codeUri: undefined,
    register: { kind: 'batch', queue: 'q', jobDefinition: 'd' },
  }),
  rejecting: renderDefinition(
    pipeline({ ...FRAUD, register: { model: 'fraud', on_gate_fail: 'register_rejected' } }),
    AWS,
  ),
  ungated: renderDefinition(pipeline({ ...FRAUD, gate: undefined }), AWS),
}

describe('rendered definitions', () => {
  it.each(Object.entries(VARIANTS))('%s: asl-validator finds nothing', (_, definition) => {
    const { isValid, errors } = validate(definition, { checkPaths: true, checkArn: true })
    expect(errors).toEqual([])
    expect(isValid).toBe(true)
  })

  /** What SageMaker and S3 would answer. */
  const tasks =
    (metrics: Json, calls: TaskCall[] = [], broken?: string) =>
    async (call: TaskCall): Promise<Json> => {
      calls.push(call)
      if (call.state === broken) throw new StateError('States.TaskFailed', 'AlgorithmError: exit code 1')
      if (call.resource.includes('createTrainingJob')) {
        return { ModelArtifacts: { S3ModelArtifacts: 's3://bucket/m.tar.gz' } }
      }
      if (call.resource.includes('getObject')) return { Body: JSON.stringify(metrics) }
      return { ModelPackageArn: 'arn:package/1', JobId: 'job' }
    }
  const outcome = (variant: keyof typeof VARIANTS, metrics: Json, calls?: TaskCall[], broken?: string) =>
    runStateMachine({
      definition: VARIANTS[variant],
      input: INPUT,
      execution: { id: 'e', name: 'e', startedAt: '' },
      task: tasks(metrics, calls, broken),
      pause: async () => undefined,
    })

  it('passes the gate, registers', async () => {
    const calls: TaskCall[] = []
    expect(await outcome('sagemaker', { auc: 0.9 }, calls)).toMatchObject({
      outcome: 'registered',
      model: { ref: 'arn:package/1' },
      metrics: { values: { auc: 0.9 } },
    })
    expect(calls.map(({ state }) => state)).toEqual([
      'preprocess',
      'train',
      'evaluate',
      'ReadMetrics',
      'Register',
    ])
    expect(calls[1]!.parameters).toMatchObject({
      TrainingJobName: 'fraud-1-train-0',
      HyperParameters: { max_depth: '5', eta: '0.2' },
      Environment: {
        SM_CHANNEL_TRAIN: '/opt/ml/input/data/train',
        SM_HP_ETA: '0.2',
        SM_HPS: '{"max_depth":"5","eta":"0.2"}',
      },
    })
    expect(calls[2]!.parameters).toMatchObject({
      ProcessingInputs: [
        { InputName: 'model', S3Input: { S3Uri: 's3://bucket/m.tar.gz' } },
        { InputName: 'data', S3Input: { S3Uri: 's3://bucket/runs/fraud-1/preprocess/validation' } },
        { InputName: 'code', S3Input: { S3Uri: 's3://bucket/code/123.tar.gz' } },
      ],
    })
    expect(calls[4]!.parameters).toMatchObject({
      ModelPackageGroupName: 'fraud',
      ClientToken: 'abc',
      ModelApprovalStatus: 'PendingManualApproval',
    })
  })

  it.each([
    ['too low', { auc: 0.7 }],
    ['no better than the champion', { auc: 0.8 }],
    ['not measured', {}],
    ['not a number', { auc: 'NaN' }],
  ])('%s: no version, and no failure', async (_, metrics) => {
    const calls: TaskCall[] = []
    expect(await outcome('batch', metrics, calls)).toMatchObject({ outcome: 'gate_failed' })
    expect(calls.map(({ state }) => state)).not.toContain('Register')
  })

  it('registers as rejected where that is asked for', async () => {
    const calls: TaskCall[] = []
    expect(await outcome('rejecting', { auc: 0.1 }, calls)).toMatchObject({ outcome: 'gate_failed' })
    expect(calls.at(-1)!.parameters).toMatchObject({ ModelApprovalStatus: 'Rejected' })
  })

  it('without a gate every model is registered', async () => {
    expect(await outcome('ungated', { auc: 0.1 })).toMatchObject({ outcome: 'registered' })
  })

  it('a registry of our own gets the model from a Batch job', async () => {
    const calls: TaskCall[] = []
    await outcome('batch', { auc: 0.9 }, calls)
    const job = calls.at(-1)!.parameters as unknown as { ContainerOverrides: { Command: readonly string[] } }
    expect(job.ContainerOverrides.Command).toEqual([
      'feast',
      'pipeline',
      'register',
      'fraud',
      '--run',
      'fraud-1',
      '--run-uri',
      's3://bucket/runs/fraud-1',
      '--artifact',
      's3://bucket/m.tar.gz',
    ])
  })

  it('a job that fails ends the run with what it said', async () => {
    await expect(outcome('sagemaker', {}, [], 'train')).rejects.toMatchObject({
      name: 'Feast.StepFailed',
      causeText: 'States.TaskFailed: AlgorithmError: exit code 1',
    })
  })
})
