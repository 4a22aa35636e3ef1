import type { ZodType } from 'zod'

/** The `training` block of type `step_functions`. */
export interface StepFunctionsConfig {
  /** Of the state machines. */
  readonly role_arn: string
  /** Of SageMaker's jobs; the same when left out. */
  readonly job_role_arn?: string | undefined
  /** `s3://…`: what runs make. */
  readonly runs_uri: string
  /** `s3://…`: published code; without it the code is in the image. */
  readonly code_uri?: string | undefined
  /** Of pipelines that name none. */
  readonly image?: string | undefined
  readonly name_prefix?: string | undefined
  readonly alias: string
  readonly keep_versions: number
}

export async function stepFunctionsSchema(): Promise<ZodType<StepFunctionsConfig>> {
  const { z } = await import('zod')
  const role = z.string().regex(/^arn:[\w-]+:iam::\d{12}:role\/.+$/, 'must be the ARN of a role')
  const s3 = z.string().regex(/^s3:\/\/[^/]+\/.+/, 'must be an s3:// URI with a prefix')
  return z.strictObject({
    role_arn: role,
    job_role_arn: role.optional(),
    runs_uri: s3,
    code_uri: s3.optional(),
    image: z.string().min(1).optional(),
    name_prefix: z
      .string()
      .regex(/^[\w-]{1,30}$/)
      .optional(),
    alias: z
      .string()
      .regex(/^(?!\d+$)[\w.-]{1,80}$/)
      .default('live'),
    keep_versions: z.int().min(1).max(900).default(20),
  })
}
