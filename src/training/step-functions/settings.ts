import type { RepoConfig } from '../../config/repo-config.js'
import { parseStoreBlock } from '../../config/store-block.js'
import { awsClientOptions } from '../../core/aws-settings.js'
import { feastError } from '../../core/errors.js'
import { type StepFunctionsConfig, stepFunctionsSchema } from './step-functions-config.js'

/** The `training` block, with what follows from it. */
export interface Settings {
  readonly block: StepFunctionsConfig
  readonly region: string
  readonly account: string
  readonly prefix: string
  readonly alias: string
  readonly runsUri: string
}

export async function readSettings(config: RepoConfig): Promise<Settings> {
  const block = await readBlock(config)
  const region = config.aws.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION']
  if (!region) {
    throw feastError('CONFIG_INVALID', {
      file: config.file,
      path: 'aws.region',
      problem: 'a region is required for Step Functions; write it here or set AWS_REGION',
    })
  }
  return {
    block,
    region,
    // arn:aws:iam::123456789012:role/name
    account: block.role_arn.split(':')[4]!,
    prefix: `${block.name_prefix ?? `feast-${config.project}-`}`,
    alias: block.alias,
    runsUri: block.runs_uri.replace(/\/*$/, '/'),
  }
}

/** The `training` block, as it is written. @throws CONFIG_INVALID when it is of another type, or wrong */
export async function readBlock({ training, file }: RepoConfig): Promise<StepFunctionsConfig> {
  if (training.type !== 'step_functions') {
    throw feastError('CONFIG_INVALID', {
      file,
      path: 'training',
      problem:
        'AWS Step Functions is needed here; write training: {type: step_functions, role_arn: …, runs_uri: s3://…, code_uri: s3://…, image: …}',
    })
  }
  return parseStoreBlock(training, await stepFunctionsSchema())
}

export function machineArn({ region, account, prefix }: Settings, name: string): string {
  return `arn:aws:states:${region}:${account}:stateMachine:${prefix}${name}`
}

export async function openClient({ aws }: RepoConfig) {
  const { SFNClient } = await import('@aws-sdk/client-sfn').catch((error) => {
    throw feastError(
      'BACKEND_PACKAGE_MISSING',
      { what: 'Step Functions', name: '@aws-sdk/client-sfn' },
      error,
    )
  })
  return new SFNClient(awsClientOptions(aws))
}
