import type { RepoConfig } from '../config/repo-config.js'
import { parseStoreBlock } from '../config/store-block.js'
import { feastError } from '../core/errors.js'

/** The `batch_engine` block of type `aws_batch`: where this program's container runs. */
export interface BatchEngine {
  readonly queue: string
  readonly jobDefinition: string
  /** Children of the array job that loads, unless `plan` is told otherwise. */
  readonly maxShards: number
  readonly schedule: { readonly cron: string; readonly timezone: string } | undefined
  /** Of the EventBridge Scheduler. */
  readonly schedulerRoleArn: string | undefined
}

/** @throws CONFIG_INVALID when the block is of another type, or wrong */
export async function openBatchEngine(config: RepoConfig): Promise<BatchEngine> {
  const { batchEngine, file } = config
  if (batchEngine.type !== 'aws_batch') {
    throw feastError('CONFIG_INVALID', {
      file,
      path: 'batch_engine',
      problem:
        'AWS Batch is needed here; write batch_engine: {type: aws_batch, queue: …, job_definition: …}, whose container has this program',
    })
  }
  const { z } = await import('zod')
  const text = z.string().min(1)
  const block = parseStoreBlock(
    batchEngine,
    z.strictObject({
      queue: text,
      job_definition: text,
      max_shards: z.int().min(1).max(10_000).default(16),
      schedule: z.strictObject({ cron: text, timezone: text.default('UTC') }).optional(),
      scheduler_role_arn: text.optional(),
    }),
  )
  return {
    queue: block.queue,
    jobDefinition: block.job_definition,
    maxShards: block.max_shards,
    schedule: block.schedule,
    schedulerRoleArn: block.scheduler_role_arn,
  }
}
