import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ObjectStore } from '../../object-stores/object-store.js'
import type { TaskCall } from '../asl/run-state-machine.js'
import { type Json, StateError } from '../asl/state-machine.js'
import { type Pipeline, type PipelineStep, trainingStep } from '../pipeline.js'
import { registerRun } from '../register-run.js'
import {
  channelVariable,
  hyperparameterVariable,
  inputVariable,
  outputVariable,
  STATE,
} from '../render-definition.js'
import type { ModelCandidates } from '../training-trigger.js'
import { type ProcessMark, runStepProcess } from './step-process.js'

export interface LocalTaskOptions {
  readonly pipeline: Pipeline
  readonly runId: string
  readonly runFolder: string
  readonly codeFolder: string
  readonly objects: ObjectStore
  readonly candidates: ModelCandidates
  onSpawn(state: string, mark: ProcessMark): Promise<void>
  onLog(state: string, text: string): void
}

/** Does on this machine what a pipeline's states ask of SageMaker and S3: URIs are folders here. */
export function localTask(options: LocalTaskOptions): (call: TaskCall) => Promise<Json> {
  const { pipeline } = options
  return async (call) => {
    const step = pipeline.steps.find(({ name }) => name === call.state)
    if (step) return runStep(step, call, options)
    if (call.state === STATE.readMetrics) return { Body: await readMetrics(call) }
    return { ModelPackageArn: await register(call, options) }
  }
}

/** The parts of the jobs' requests that matter here. */
interface ProcessingJob {
  readonly ProcessingInputs: readonly {
    readonly InputName: string
    readonly S3Input: { readonly S3Uri: string }
  }[]
  readonly ProcessingOutputConfig: {
    readonly Outputs: readonly {
      readonly OutputName: string
      readonly S3Output: { readonly S3Uri: string }
    }[]
  }
}

interface TrainingJob {
  readonly HyperParameters: Readonly<Record<string, string>>
  readonly InputDataConfig: readonly {
    readonly ChannelName: string
    readonly DataSource: { readonly S3DataSource: { readonly S3Uri: string } }
  }[]
  readonly OutputDataConfig: { readonly S3OutputPath: string }
}

async function runStep(step: PipelineStep, call: TaskCall, options: LocalTaskOptions): Promise<Json> {
  const { state, signal } = call
  const folder = join(options.runFolder, state)
  const { environment, outputs, result } =
    step.kind === 'training'
      ? trainingWork(call.parameters as unknown as TrainingJob, folder)
      : processingWork(call.parameters as unknown as ProcessingJob)
  await runStepProcess({
    command: step.localCommand,
    folder: options.codeFolder,
    environment: { ...environment, FEAST_RUN_ID: options.runId },
    outputs,
    logPath: join(folder, 'log.txt'),
    signal,
    onSpawn: (mark) => options.onSpawn(state, mark),
    onLog: (text) => options.onLog(state, text),
  })
  return result
}

interface Work {
  readonly environment: Readonly<Record<string, string>>
  /** Folders to write. */
  readonly outputs: readonly string[]
  readonly result: Json
}

function processingWork({ ProcessingInputs, ProcessingOutputConfig }: ProcessingJob): Work {
  const inputs = ProcessingInputs.map((one) => [inputVariable(one.InputName), one.S3Input.S3Uri])
  const outputs = ProcessingOutputConfig.Outputs.map((one) => [
    outputVariable(one.OutputName),
    one.S3Output.S3Uri,
  ])
  return {
    environment: Object.fromEntries([...inputs, ...outputs]),
    outputs: outputs.map(([, path]) => path!),
    result: {},
  }
}

function trainingWork(
  { HyperParameters, InputDataConfig, OutputDataConfig }: TrainingJob,
  folder: string,
): Work {
  const model = OutputDataConfig.S3OutputPath
  const data = join(folder, 'data')
  const channels = InputDataConfig.map((one) => [one.ChannelName, one.DataSource.S3DataSource.S3Uri] as const)
  return {
    environment: {
      ...Object.fromEntries(channels.map(([name, path]) => [channelVariable(name), path])),
      ...Object.fromEntries(
        Object.entries(HyperParameters).map(([name, value]) => [hyperparameterVariable(name), value]),
      ),
      SM_HPS: JSON.stringify(HyperParameters),
      SM_CHANNELS: JSON.stringify(channels.map(([name]) => name)),
      SM_MODEL_DIR: model,
      SM_OUTPUT_DATA_DIR: data,
      SM_NUM_GPUS: '0',
      SM_CURRENT_HOST: 'algo-1',
      SM_HOSTS: '["algo-1"]',
    },
    outputs: [model, data],
    result: { ModelArtifacts: { S3ModelArtifacts: model } },
  }
}

async function readMetrics({ parameters }: TaskCall): Promise<string> {
  try {
    return await readFile(String(parameters['Key']), 'utf8')
  } catch (error) {
    throw new StateError('S3.NoSuchKeyException', (error as Error).message)
  }
}

async function register({ state }: TaskCall, options: LocalTaskOptions): Promise<string> {
  const { pipeline, runId, runFolder, objects, candidates } = options
  const model = join(runFolder, trainingStep(pipeline.steps).name, 'model')
  try {
    return await registerRun(candidates, objects, {
      pipeline,
      runId,
      runUri: runFolder,
      file: join(model, pipeline.register.artifact),
      rejected: state === STATE.registerRejected,
    })
  } catch (error) {
    throw new StateError('Feast.RegistrationFailed', (error as Error).message)
  }
}
