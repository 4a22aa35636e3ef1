import type { SchedulerClient } from '@aws-sdk/client-scheduler'
import type { RepoConfig } from '../../config/repo-config.js'
import { awsClientOptions } from '../../core/aws-settings.js'
import { feastError } from '../../core/errors.js'
import type { StateMachine } from '../asl/state-machine.js'
import { type BatchEngine, openBatchEngine } from '../batch-engine.js'
import { materializeDefinition } from '../materialize-definition.js'
import { MATERIALIZE } from '../pipeline.js'
import { scheduleExpression } from '../schedule-expression.js'
import type { DeployReport } from '../training-trigger.js'
import { deployWorkflow } from './deploy-workflow.js'
import { machineArn, openClient, readSettings } from './settings.js'

export interface MaterializeReport extends Omit<DeployReport, 'codeUri'> {
  readonly schedule: 'created' | 'updated' | 'unchanged' | undefined
}

/** The workflow that materializes. @throws CONFIG_INVALID */
export async function renderMaterialize(config: RepoConfig): Promise<StateMachine> {
  const { runsUri } = await readSettings(config)
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/(.*)$/.exec(runsUri)!
  return materializeDefinition(await openBatchEngine(config), { bucket: bucket!, prefix: prefix! })
}

/** Brings the workflow and its schedule up to date; a schedule that is no longer configured is deleted. */
export async function deployMaterialize(config: RepoConfig, dryRun: boolean): Promise<MaterializeReport> {
  const settings = await readSettings(config)
  const engine = await openBatchEngine(config)
  const workflow = {
    name: `${settings.prefix}${MATERIALIZE}`,
    arn: machineArn(settings, MATERIALIZE),
    roleArn: settings.block.role_arn,
    definition: await renderMaterialize(config),
    alias: settings.alias,
    keepVersions: settings.block.keep_versions,
  }
  const client = await openClient(config)
  const scheduler = await openScheduler(config)
  try {
    const deployed = await deployWorkflow(client, workflow, dryRun)
    const target = `${workflow.arn}:${workflow.alias}`
    return {
      ...deployed,
      schedule: await bringUpToDate(scheduler, workflow.name, wanted(config, engine, target), dryRun),
    }
  } finally {
    client.destroy()
    scheduler.destroy()
  }
}

function wanted({ file }: RepoConfig, { schedule, schedulerRoleArn }: BatchEngine, targetArn: string) {
  if (schedule === undefined) return undefined
  if (schedulerRoleArn === undefined) {
    throw feastError('CONFIG_INVALID', {
      file,
      path: 'batch_engine.scheduler_role_arn',
      problem:
        'a role is required that EventBridge Scheduler starts the workflow by; `feast iam render --role scheduler` says what it needs',
    })
  }
  return {
    ScheduleExpression: scheduleExpression(schedule.cron),
    ScheduleExpressionTimezone: schedule.timezone,
    FlexibleTimeWindow: { Mode: 'OFF' as const },
    Target: {
      Arn: targetArn,
      RoleArn: schedulerRoleArn,
      // The time that was planned, not the one at which it happens to run: a late run reads the same window.
      Input: '{"end_ts":"<aws.scheduler.scheduled-time>"}',
      RetryPolicy: { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 3600 },
    },
  }
}

async function openScheduler({ aws }: RepoConfig): Promise<SchedulerClient> {
  const { SchedulerClient } = await import('@aws-sdk/client-scheduler').catch((error) => {
    throw feastError(
      'BACKEND_PACKAGE_MISSING',
      { what: 'Schedules on AWS', name: '@aws-sdk/client-scheduler' },
      error,
    )
  })
  return new SchedulerClient(awsClientOptions(aws))
}

async function bringUpToDate(
  client: SchedulerClient,
  name: string,
  schedule: ReturnType<typeof wanted>,
  dryRun: boolean,
): Promise<MaterializeReport['schedule']> {
  const { CreateScheduleCommand, DeleteScheduleCommand, GetScheduleCommand, UpdateScheduleCommand } =
    await import('@aws-sdk/client-scheduler')
  const there = await client.send(new GetScheduleCommand({ Name: name })).catch((error: Error) => {
    if (error.name === 'ResourceNotFoundException') return undefined
    throw error
  })
  if (schedule === undefined) {
    if (there !== undefined && !dryRun) await client.send(new DeleteScheduleCommand({ Name: name }))
    return undefined
  }
  if (there === undefined) {
    if (!dryRun) await client.send(new CreateScheduleCommand({ Name: name, ...schedule }))
    return 'created'
  }
  const same =
    there.ScheduleExpression === schedule.ScheduleExpression &&
    there.ScheduleExpressionTimezone === schedule.ScheduleExpressionTimezone &&
    there.Target?.Arn === schedule.Target.Arn &&
    there.Target.RoleArn === schedule.Target.RoleArn &&
    there.Target.Input === schedule.Target.Input
  if (same) return 'unchanged'
  // An update forgets all that it does not carry: what a person set besides is carried along.
  const { Description, EndDate, GroupName, KmsKeyArn, StartDate, State } = there
  const kept = { Description, EndDate, GroupName, KmsKeyArn, StartDate, State }
  if (!dryRun) await client.send(new UpdateScheduleCommand({ ...kept, Name: name, ...schedule }))
  return 'updated'
}
