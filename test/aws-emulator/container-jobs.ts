import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { TaskCall } from '../../src/training/asl/run-state-machine.js'
import { type Json, StateError } from '../../src/training/asl/state-machine.js'
import type { EmulatedS3 } from './s3.js'

const run = promisify(execFile)

export interface ContainerJobsOptions {
  readonly s3: EmulatedS3
  /** What stands in for the program of this project in a Batch container. */
  readonly program: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** The `node_modules` that the containers' image has. */
  readonly packages?: string
  /** `createModelPackage` of the SageMaker that is emulated. @returns its ARN */
  readonly createModelPackage?: (input: Json) => Promise<string>
}

/**
 * What Step Functions asks of SageMaker, Batch and S3, with a process where they have a container: `/opt/ml` is a
 * folder made for the job, filled from and emptied to S3 as SageMaker does.
 */
export function containerJobs(options: ContainerJobsOptions): (call: TaskCall) => Promise<Json> {
  return async ({ resource, parameters, signal }) => {
    const job = parameters as never
    if (resource.endsWith('sagemaker:createProcessingJob.sync')) return processingJob(job, options, signal)
    if (resource.endsWith('sagemaker:createTrainingJob.sync')) return trainingJob(job, options, signal)
    if (resource.endsWith('aws-sdk:s3:getObject')) return readObject(job, options)
    if (resource.endsWith('batch:submitJob.sync')) return batchJob(job, options, signal)
    if (resource.endsWith('aws-sdk:sagemaker:createModelPackage') && options.createModelPackage) {
      return { ModelPackageArn: await options.createModelPackage(parameters) }
    }
    throw new StateError('States.Runtime', `${resource} is not emulated`)
  }
}

interface ProcessingJob {
  readonly ProcessingJobName: string
  readonly AppSpecification: { readonly ContainerEntrypoint: readonly string[] }
  readonly Environment: Readonly<Record<string, string>>
  readonly ProcessingInputs: readonly {
    readonly S3Input: { readonly S3Uri: string; readonly LocalPath: string }
  }[]
  readonly ProcessingOutputConfig: {
    readonly Outputs: readonly { readonly S3Output: { readonly S3Uri: string; readonly LocalPath: string } }[]
  }
}

async function processingJob(
  job: ProcessingJob,
  options: ContainerJobsOptions,
  signal: AbortSignal,
): Promise<Json> {
  checkName(job.ProcessingJobName)
  return inContainer(options, async (at) => {
    for (const { S3Input } of job.ProcessingInputs) fromS3(options.s3, S3Input.S3Uri, at(S3Input.LocalPath))
    const outputs = job.ProcessingOutputConfig.Outputs.map(({ S3Output }) => S3Output)
    for (const { LocalPath } of outputs) mkdirSync(at(LocalPath), { recursive: true })
    await start(job.AppSpecification.ContainerEntrypoint, job.Environment, at, options, signal)
    for (const { S3Uri, LocalPath } of outputs) toS3(options.s3, at(LocalPath), S3Uri)
    return { ProcessingJobStatus: 'Completed' }
  })
}

interface TrainingJob {
  readonly TrainingJobName: string
  readonly AlgorithmSpecification: { readonly ContainerEntrypoint: readonly string[] }
  readonly Environment: Readonly<Record<string, string>>
  readonly InputDataConfig: readonly {
    readonly ChannelName: string
    readonly DataSource: { readonly S3DataSource: { readonly S3Uri: string } }
  }[]
  readonly OutputDataConfig: { readonly S3OutputPath: string }
}

async function trainingJob(
  job: TrainingJob,
  options: ContainerJobsOptions,
  signal: AbortSignal,
): Promise<Json> {
  checkName(job.TrainingJobName)
  return inContainer(options, async (at) => {
    for (const { ChannelName, DataSource } of job.InputDataConfig) {
      fromS3(options.s3, DataSource.S3DataSource.S3Uri, at(`/opt/ml/input/data/${ChannelName}`))
    }
    for (const folder of ['/opt/ml/model', '/opt/ml/output/data']) mkdirSync(at(folder), { recursive: true })
    await start(job.AlgorithmSpecification.ContainerEntrypoint, job.Environment, at, options, signal)
    const packed = at('/opt/ml/model.tar.gz')
    await run('tar', ['-czf', packed, '-C', at('/opt/ml/model'), '.'])
    const artifact = `${job.OutputDataConfig.S3OutputPath}/${job.TrainingJobName}/output/model.tar.gz`
    put(options.s3, packed, artifact)
    return { TrainingJobStatus: 'Completed', ModelArtifacts: { S3ModelArtifacts: artifact } }
  })
}

async function readObject(
  { Bucket, Key }: { Bucket: string; Key: string },
  { s3 }: ContainerJobsOptions,
): Promise<Json> {
  const path = s3.pathOf(`s3://${Bucket}/${Key}`)
  if (!existsSync(path)) throw new StateError('S3.NoSuchKeyException', 'The specified key does not exist.')
  return { Body: readFileSync(path, 'utf8') }
}

interface BatchJob {
  readonly JobName: string
  readonly ArrayProperties?: { readonly Size: number }
  readonly ContainerOverrides: { readonly Command: readonly string[] }
}

async function batchJob(
  job: BatchJob,
  { program, environment }: ContainerJobsOptions,
  signal: AbortSignal,
): Promise<Json> {
  const size = job.ArrayProperties?.Size ?? 1
  const [, ...args] = job.ContainerOverrides.Command
  await Promise.all(
    Array.from({ length: size }, async (_, index) => {
      const env = {
        ...process.env,
        ...environment,
        ...(job.ArrayProperties && {
          AWS_BATCH_JOB_ARRAY_INDEX: String(index),
          AWS_BATCH_JOB_ARRAY_SIZE: String(size),
        }),
      }
      await exec(program[0]!, [...program.slice(1), ...args], { env, signal })
    }),
  )
  return { JobId: `${job.JobName}-id`, Status: 'SUCCEEDED' }
}

async function inContainer(
  { packages }: ContainerJobsOptions,
  work: (at: (path: string) => string) => Promise<Json>,
): Promise<Json> {
  const root = mkdtempSync(join(tmpdir(), 'feast-container-'))
  try {
    if (packages !== undefined) symlinkSync(packages, join(root, 'node_modules'))
    return await work((path) => path.replaceAll('/opt/ml', root))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

async function start(
  entryPoint: readonly string[],
  environment: Readonly<Record<string, string>>,
  at: (path: string) => string,
  options: ContainerJobsOptions,
  signal: AbortSignal,
): Promise<void> {
  const [program, ...args] = entryPoint.map(at)
  const env = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, at(value)]))
  await exec(program!, args, { env: { ...process.env, ...options.environment, ...env }, signal })
}

async function exec(
  program: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; signal: AbortSignal },
) {
  await run(program, args, options).catch((error: Error & { stderr?: string }) => {
    throw new StateError('States.TaskFailed', `${error.message}\n${error.stderr ?? ''}`)
  })
}

/** An object goes into the folder under its own name, a prefix with all below it. */
function fromS3(s3: EmulatedS3, uri: string, folder: string): void {
  const path = s3.pathOf(uri.replace(/\/$/, ''))
  mkdirSync(folder, { recursive: true })
  if (!existsSync(path))
    throw new StateError('States.TaskFailed', `NoSuchKey: no S3 objects found under ${uri}`)
  if (statSync(path).isFile()) cpSync(path, join(folder, basename(path)))
  else cpSync(path, folder, { recursive: true })
}

function toS3(s3: EmulatedS3, folder: string, uri: string): void {
  mkdirSync(s3.pathOf(uri), { recursive: true })
  cpSync(folder, s3.pathOf(uri), { recursive: true })
}

function put(s3: EmulatedS3, path: string, uri: string): void {
  mkdirSync(dirname(s3.pathOf(uri)), { recursive: true })
  cpSync(path, s3.pathOf(uri))
}

/** SageMaker's rule for the names of jobs. */
function checkName(name: string): void {
  if (name.length <= 63 && /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(name)) return
  throw new StateError('SageMaker.ValidationException', `"${name}" is no name of a job`)
}
