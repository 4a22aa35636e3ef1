import { join } from 'node:path'
import type { RepoConfig } from '../../config/repo-config.js'
import { feastError } from '../../core/errors.js'
import { openObjectStore } from '../../object-stores/index.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import { openBatchEngine } from '../batch-engine.js'
import type { Pipeline } from '../pipeline.js'
import { publishCode } from '../publish-code.js'
import { type JobSettings, renderDefinition } from '../render-definition.js'
import type { DeployOptions, DeployReport, TrainingTrigger } from '../training-trigger.js'
import { deployWorkflow } from './deploy-workflow.js'
import { machineArn, openClient, readBlock, readSettings } from './settings.js'
import { StepFunctionsTrigger } from './step-functions-trigger.js'

export { deployMaterialize, renderMaterialize } from './deploy-materialize.js'

/** The `training` block of type `step_functions`, and what it is made of. */
export interface StepFunctions {
  readonly trigger: TrainingTrigger
  readonly objects: ObjectStore
}

/** @throws CONFIG_INVALID, BACKEND_PACKAGE_MISSING */
export async function openStepFunctions(config: RepoConfig): Promise<StepFunctions> {
  const settings = await readSettings(config)
  const client = await openClient(config)
  const objects = await openObjectStore(settings.runsUri, 'training', config.aws)
  const trigger = new StepFunctionsTrigger({
    client,
    objects,
    ...settings,
    deploy,
  })
  return { trigger, objects }

  async function deploy(pipeline: Pipeline, { dryRun, gitSha }: DeployOptions): Promise<DeployReport> {
    const { prefix, alias, block } = settings
    const code = block.code_uri
    const codeUri = code && (await publishCode(join(config.repoPath, pipeline.code), code, objects, dryRun))
    const definition = renderDefinition(pipeline, await jobSettings(config, pipeline, codeUri, gitSha))
    const workflow = {
      name: `${prefix}${pipeline.name}`,
      arn: machineArn(settings, pipeline.name),
      roleArn: block.role_arn,
      definition,
      alias,
      keepVersions: block.keep_versions,
    }
    return { ...(await deployWorkflow(client, workflow, dryRun)), codeUri }
  }
}

/** Where the pipeline's code would be published. */
export async function codePlace(config: RepoConfig, pipeline: Pipeline): Promise<string | undefined> {
  const { code_uri } = await readBlock(config)
  if (code_uri === undefined) return undefined
  const objects = await openObjectStore(code_uri, 'training', config.aws)
  try {
    return await publishCode(join(config.repoPath, pipeline.code), code_uri, objects, true)
  } finally {
    await objects.close()
  }
}

/** What the pipeline's jobs on AWS need, by the configuration. @throws CONFIG_INVALID, INVALID_REQUEST */
export async function jobSettings(
  config: RepoConfig,
  pipeline: Pipeline,
  codeUri: string | undefined,
  gitSha: string | undefined,
): Promise<JobSettings> {
  const block = await readBlock(config)
  const image = pipeline.image ?? block.image
  if (image === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `Pipeline "${pipeline.name}" has no image for its containers; give it \`image\`, or set training.image.`,
    })
  }
  if (image.includes('{{git_sha}}') && gitSha === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `The image ${image} needs the commit; deploy from a git checkout, or give --git-sha.`,
    })
  }
  return {
    roleArn: block.job_role_arn ?? block.role_arn,
    image: image.replaceAll('{{git_sha}}', gitSha ?? ''),
    codeUri,
    register: await registerBy(config),
  }
}

async function registerBy(config: RepoConfig): Promise<JobSettings['register']> {
  const registry = config.models?.options['registry'] as { readonly type?: unknown } | undefined
  if (registry?.type === 'sagemaker') return { kind: 'sagemaker' }
  const { queue, jobDefinition } = await openBatchEngine(config)
  return { kind: 'batch', queue, jobDefinition }
}
