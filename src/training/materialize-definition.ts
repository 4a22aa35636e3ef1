import type { StateMachine, TaskState } from './asl/state-machine.js'
import type { BatchEngine } from './batch-engine.js'

export interface MaterializePlace {
  /** `s3://bucket/prefix/`: where plans are kept. */
  readonly bucket: string
  readonly prefix: string
}

/**
 * Materialization on AWS Batch: one job queries and plans, an array of jobs loads the files it planned, one records
 * what was loaded. The execution's name is the run's id, so that a step that is tried again goes on; its input is
 * `{"end_ts": …}`.
 */
export function materializeDefinition(
  engine: BatchEngine,
  { bucket, prefix }: MaterializePlace,
): StateMachine {
  const key = `States.Format('${prefix}{}/plan.json', $$.Execution.Name)`
  const uri = `States.Format('s3://${bucket}/${prefix}{}/plan.json', $$.Execution.Name)`
  const load = (more: object) =>
    job(engine, 'load', "States.Array('feast', 'materialize', 'load', '--run', $$.Execution.Name)", more)
  const plan = [
    "States.Array('feast', 'materialize', 'plan', '--incremental', $.end_ts",
    "'--run', $$.Execution.Name",
    `'--output', ${uri})`,
  ].join(', ')
  return {
    StartAt: 'Plan',
    TimeoutSeconds: 86_400,
    States: {
      Plan: { ...job(engine, 'plan', plan), Next: 'ReadPlan' },
      ReadPlan: {
        Type: 'Task',
        Resource: 'arn:aws:states:::aws-sdk:s3:getObject',
        Parameters: { Bucket: bucket, 'Key.$': key },
        ResultSelector: { 'plan.$': 'States.StringToJson($.Body)' },
        ResultPath: '$.read',
        Retry: [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 2, MaxAttempts: 3, BackoffRate: 2 }],
        Next: 'Shards',
      },
      Shards: {
        Type: 'Choice',
        Choices: [
          { Variable: '$.read.plan.shards', NumericEquals: 0, Next: 'Commit' },
          // An array job has at least two children.
          { Variable: '$.read.plan.shards', NumericEquals: 1, Next: 'LoadAll' },
        ],
        Default: 'LoadShards',
      },
      LoadAll: { ...load({}), Next: 'Commit' },
      LoadShards: { ...load({ ArrayProperties: { 'Size.$': '$.read.plan.shards' } }), Next: 'Commit' },
      Commit: {
        ...job(
          engine,
          'commit',
          "States.Array('feast', 'materialize', 'commit', '--run', $$.Execution.Name)",
        ),
        End: true,
      },
    },
  }
}

/** Every step may be repeated, so whatever goes wrong is tried again. */
function job(
  engine: BatchEngine,
  step: string,
  command: string,
  more: object = {},
): Omit<TaskState, 'Next' | 'End'> {
  return {
    Type: 'Task',
    Resource: 'arn:aws:states:::batch:submitJob.sync',
    Parameters: {
      'JobName.$': `States.Format('feast-materialize-${step}-{}', $$.State.RetryCount)`,
      JobQueue: engine.queue,
      JobDefinition: engine.jobDefinition,
      ContainerOverrides: { 'Command.$': command },
      RetryStrategy: { Attempts: 3 },
      ...more,
    },
    ResultPath: null,
    Retry: [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 30, MaxAttempts: 2, BackoffRate: 2 }],
  }
}
