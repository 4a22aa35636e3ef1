import type { JsonObject, State, StateMachine, TaskState } from './asl/state-machine.js'
import {
  type GateRule,
  metricsStep,
  type Pipeline,
  type PipelineStep,
  type ProcessingStep,
  type TrainingStep,
  trainingStep,
} from './pipeline.js'

/** What a definition has besides the pipeline: where its jobs run. A local run has no use for it. */
export interface JobSettings {
  /** Of SageMaker's jobs. */
  readonly roleArn: string
  /** Container of the steps, with its tag. */
  readonly image: string
  /** The published bundle of the steps' code; undefined: it is in the image. */
  readonly codeUri: string | undefined
  /** Where the model goes: SageMaker's registry itself, or a Batch job of this program's container, which registers it. */
  readonly register:
    | { readonly kind: 'sagemaker' }
    | { readonly kind: 'batch'; readonly queue: string; readonly jobDefinition: string }
}

/** How a run fails whose step did. */
export const STEP_FAILED = 'Feast.StepFailed'

/** States besides those of the steps, which bear the steps' names (lower case). */
export const STATE = {
  readMetrics: 'ReadMetrics',
  gate: 'Gate',
  register: 'Register',
  registerRejected: 'RegisterRejected',
  notGoodEnough: 'NotGoodEnough',
  registered: 'Registered',
  failed: 'Failed',
} as const

const TASK = {
  processing: 'arn:aws:states:::sagemaker:createProcessingJob.sync',
  training: 'arn:aws:states:::sagemaker:createTrainingJob.sync',
  readObject: 'arn:aws:states:::aws-sdk:s3:getObject',
  modelPackage: 'arn:aws:states:::aws-sdk:sagemaker:createModelPackage',
  batch: 'arn:aws:states:::batch:submitJob.sync',
} as const

/** What a metric must beat is in the input, so that the definition changes with the pipeline alone. */
export interface TrainingInput extends JsonObject {
  readonly run_id: string
  /** The run's id, short enough for the names of jobs. */
  readonly job_prefix: string
  /** Folder or S3 prefix of all that the run makes, without `/` at its end; and the same as bucket and key. */
  readonly run_uri: string
  readonly run_bucket: string
  readonly run_key: string
  readonly dataset_uri: string
  /** The run's inputs. */
  readonly params: JsonObject
  readonly hyperparameters: JsonObject
  /** Bound by name of {@link gateBound}. */
  readonly gate: JsonObject
  readonly client_token: string
}

/** The workflow of a pipeline, the same wherever it runs. */
export function renderDefinition(pipeline: Pipeline, settings: JobSettings): StateMachine {
  const { steps, gate } = pipeline
  const measured = metricsStep(steps)
  const afterSteps = measured === undefined ? STATE.register : STATE.readMetrics
  const afterMetrics = gate.length > 0 ? STATE.gate : STATE.register
  const rejects = pipeline.register.onGateFail === 'register_rejected'
  const states: [string, State][] = [
    ...steps.map((step, index): [string, State] => [
      step.name,
      { ...stepState(step, pipeline, settings), Next: steps[index + 1]?.name ?? afterSteps },
    ]),
    ...(measured === undefined
      ? []
      : [[STATE.readMetrics, readMetrics(measured, afterMetrics)] as [string, State]]),
    ...(gate.length === 0 ? [] : gateStates(gate, rejects)),
    ...(rejects && gate.length > 0
      ? [
          [STATE.registerRejected, registerState(pipeline, settings, 'Rejected', STATE.notGoodEnough)] as [
            string,
            State,
          ],
        ]
      : []),
    [STATE.register, registerState(pipeline, settings, 'PendingManualApproval', STATE.registered)],
    [STATE.registered, { Type: 'Pass', Result: 'registered', ResultPath: '$.outcome', End: true }],
    [
      STATE.failed,
      // Names that begin with States. are not for others to give.
      {
        Type: 'Fail',
        Error: STEP_FAILED,
        CausePath: "States.Format('{}: {}', $.error.Error, $.error.Cause)",
      },
    ],
  ]
  return { StartAt: steps[0]!.name, TimeoutSeconds: 86_400, States: Object.fromEntries(states) }
}

function stepState(
  step: PipelineStep,
  pipeline: Pipeline,
  settings: JobSettings,
): Omit<TaskState, 'Next' | 'End'> {
  const job =
    step.kind === 'processing'
      ? processingJob(step, pipeline, settings)
      : trainingJob(step, pipeline, settings)
  return {
    Type: 'Task',
    Resource: TASK[step.kind],
    Parameters: job,
    ...(step.kind === 'training'
      ? {
          ResultSelector: { 'artifact.$': '$.ModelArtifacts.S3ModelArtifacts' },
          ResultPath: `$.steps.${step.name}`,
        }
      : { ResultPath: null }),
    // The job has its own limit; this one is for a job that never ends.
    TimeoutSeconds: step.maxSeconds + 900,
    Retry: [
      {
        ErrorEquals: ['SageMaker.AmazonSageMakerException'],
        IntervalSeconds: 15,
        MaxAttempts: 5,
        BackoffRate: 2,
      },
    ],
    ...CAUGHT,
  }
}

const CAUGHT = {
  Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: STATE.failed }],
} as const

/** A tried job needs a new name. */
const jobName = (step: string) => `States.Format('{}-${step}-{}', $.job_prefix, $$.State.RetryCount)`

const IN = '/opt/ml/processing/input'
const OUT = '/opt/ml/processing/output'

/** Brings the published code and packed models to where a local run has them, then becomes the step's command. */
const UNPACK = (code: string, models: string) =>
  [
    'set -e',
    'mkdir -p /opt/ml/code',
    `for f in ${code}/*.tar.gz; do if [ -e "$f" ]; then tar -xzf "$f" -C /opt/ml/code; fi; done`,
    `for f in ${models}/*/model.tar.gz; do if [ -e "$f" ]; then tar -xzf "$f" -C "$(dirname "$f")"; fi; done`,
    'cd /opt/ml/code',
    'exec "$@"',
  ].join('; ')

function entryPoint(step: PipelineStep, code: string, models: string): readonly string[] {
  return ['sh', '-c', UNPACK(code, models), 'sh', ...step.command]
}

function processingJob(step: ProcessingStep, pipeline: Pipeline, settings: JobSettings): JsonObject {
  const inputs = Object.entries(step.inputs).map(([name, from]) =>
    processingInput(name, sourceOf(from, pipeline)),
  )
  const code = settings.codeUri === undefined ? [] : [processingInput('code', { S3Uri: settings.codeUri })]
  const names = Object.keys(step.inputs)
  return {
    'ProcessingJobName.$': jobName(step.name),
    RoleArn: settings.roleArn,
    AppSpecification: { ImageUri: settings.image, ContainerEntrypoint: entryPoint(step, `${IN}/code`, IN) },
    ProcessingResources: {
      ClusterConfig: { InstanceCount: 1, InstanceType: step.instance, VolumeSizeInGB: 30 },
    },
    Environment: {
      ...Object.fromEntries(names.map((name) => [inputVariable(name), `${IN}/${name}`])),
      ...Object.fromEntries(step.outputs.map((name) => [outputVariable(name), `${OUT}/${name}`])),
      'FEAST_RUN_ID.$': '$.run_id',
    },
    ProcessingInputs: [...inputs, ...code],
    ProcessingOutputConfig: {
      Outputs: step.outputs.map((name) => ({
        OutputName: name,
        S3Output: {
          'S3Uri.$': stepUri(step.name, name),
          LocalPath: `${OUT}/${name}`,
          S3UploadMode: 'EndOfJob',
        },
      })),
    },
    StoppingCondition: { MaxRuntimeInSeconds: step.maxSeconds },
  }
}

/** Names in the environment of a step, the same here and on SageMaker. */
export const inputVariable = (name: string) => `FEAST_INPUT_${variable(name)}`
export const outputVariable = (name: string) => `FEAST_OUTPUT_${variable(name)}`
/** Of SageMaker's own training containers. */
export const channelVariable = (name: string) => `SM_CHANNEL_${variable(name)}`
export const hyperparameterVariable = (name: string) => `SM_HP_${variable(name)}`

function variable(name: string): string {
  return name.replaceAll(/\W/g, '_').toUpperCase()
}

function processingInput(name: string, source: JsonObject): JsonObject {
  return {
    InputName: name,
    S3Input: { ...source, LocalPath: `${IN}/${name}`, S3DataType: 'S3Prefix', S3InputMode: 'File' },
  }
}

function trainingJob(step: TrainingStep, pipeline: Pipeline, settings: JobSettings): JsonObject {
  const channels = Object.entries(step.inputs).map(([name, from]) => channel(name, sourceOf(from, pipeline)))
  const code = settings.codeUri === undefined ? [] : [channel('code', { S3Uri: settings.codeUri })]
  const data = '/opt/ml/input/data'
  return {
    'TrainingJobName.$': jobName(step.name),
    RoleArn: settings.roleArn,
    AlgorithmSpecification: {
      TrainingImage: settings.image,
      TrainingInputMode: 'File',
      ContainerEntrypoint: entryPoint(step, `${data}/code`, data),
    },
    'HyperParameters.$': '$.hyperparameters',
    Environment: {
      ...Object.fromEntries(
        Object.keys(step.inputs).map((name) => [channelVariable(name), `${data}/${name}`]),
      ),
      SM_MODEL_DIR: '/opt/ml/model',
      SM_OUTPUT_DATA_DIR: '/opt/ml/output/data',
      'SM_HPS.$': 'States.JsonToString($.hyperparameters)',
      ...Object.fromEntries(
        Object.keys(step.hyperparameters).map((name) => [
          `${hyperparameterVariable(name)}.$`,
          `$.hyperparameters['${name}']`,
        ]),
      ),
      'FEAST_RUN_ID.$': '$.run_id',
    },
    InputDataConfig: [...channels, ...code],
    OutputDataConfig: { 'S3OutputPath.$': stepUri(step.name, 'model') },
    ResourceConfig: { InstanceCount: 1, InstanceType: step.instance, VolumeSizeInGB: 30 },
    StoppingCondition: { MaxRuntimeInSeconds: step.maxSeconds },
  }
}

function channel(name: string, source: JsonObject): JsonObject {
  return {
    ChannelName: name,
    DataSource: {
      S3DataSource: { S3DataType: 'S3Prefix', S3DataDistributionType: 'FullyReplicated', ...source },
    },
  }
}

function sourceOf(from: string, { steps }: Pipeline): JsonObject {
  if (from === 'dataset') return { 'S3Uri.$': '$.dataset_uri' }
  const [step, output] = from.split('.') as [string, string]
  const isModel = step === trainingStep(steps).name
  return { 'S3Uri.$': isModel ? `$.steps.${step}.artifact` : stepUri(step, output) }
}

/** Where a step's output lies. */
function stepUri(step: string, output: string): string {
  return `States.Format('{}/${step}/${output}', $.run_uri)`
}

function readMetrics(step: ProcessingStep, next: string): State {
  return {
    Type: 'Task',
    Resource: TASK.readObject,
    Parameters: {
      'Bucket.$': '$.run_bucket',
      'Key.$': `States.Format('{}/${step.name}/metrics/${step.metrics}', $.run_key)`,
    },
    ResultSelector: { 'values.$': 'States.StringToJson($.Body)' },
    ResultPath: '$.metrics',
    ...CAUGHT,
    Next: next,
  }
}

/** Name of a rule's bound in the run's input. */
export function gateBound(rule: GateRule): string {
  return rule.rule === 'better_than' ? `${rule.metric}_of_${rule.alias}` : `${rule.metric}_${rule.rule}`
}

function gateStates(gate: readonly GateRule[], rejects: boolean): [string, State][] {
  const conditions = gate.flatMap((rule) => {
    const metric = `$.metrics.values['${rule.metric}']`
    return [
      // A metric that was not measured fails the gate instead of the run.
      { Variable: metric, IsPresent: true },
      { Variable: metric, [operatorOf(rule)]: `$.gate['${gateBound(rule)}']` },
    ]
  })
  return [
    [
      STATE.gate,
      {
        Type: 'Choice',
        Choices: [{ And: conditions, Next: STATE.register }],
        Default: rejects ? STATE.registerRejected : STATE.notGoodEnough,
      },
    ],
    [STATE.notGoodEnough, { Type: 'Pass', Result: 'gate_failed', ResultPath: '$.outcome', End: true }],
  ]
}

function operatorOf(rule: GateRule): string {
  if (rule.rule === 'better_than')
    return rule.higherIsBetter ? 'NumericGreaterThanPath' : 'NumericLessThanPath'
  return rule.rule === 'min' ? 'NumericGreaterThanEqualsPath' : 'NumericLessThanEqualsPath'
}

type Approval = 'PendingManualApproval' | 'Rejected'

function registerState(pipeline: Pipeline, settings: JobSettings, approval: Approval, next: string): State {
  const task =
    settings.register.kind === 'sagemaker'
      ? modelPackage(pipeline, settings, approval)
      : registeringJob(pipeline, settings.register, approval)
  return { Type: 'Task', ...task, ResultPath: '$.model', ...CAUGHT, Next: next }
}

function modelPackage(pipeline: Pipeline, settings: JobSettings, approval: Approval) {
  const { steps, register } = pipeline
  const measured = metricsStep(steps)
  return {
    Resource: TASK.modelPackage,
    Parameters: {
      ModelPackageGroupName: register.model,
      ModelApprovalStatus: approval,
      'ClientToken.$': '$.client_token',
      ...(measured && {
        ModelMetrics: {
          ModelQuality: {
            Statistics: {
              ContentType: 'application/json',
              'S3Uri.$': `States.Format('{}/${measured.name}/metrics/${measured.metrics}', $.run_uri)`,
            },
          },
        },
      }),
      InferenceSpecification: {
        Containers: [
          { Image: settings.image, 'ModelDataUrl.$': `$.steps.${trainingStep(steps).name}.artifact` },
        ],
        SupportedContentTypes: ['application/json'],
        SupportedResponseMIMETypes: ['application/json'],
      },
      CustomerMetadataProperties: {
        'feast.run_id.$': '$.run_id',
        'feast.pipeline': pipeline.name,
        'feast.feature_service': pipeline.dataset.featureService,
        'feast.artifact': register.artifact,
        'feast.dataset_uri.$': '$.dataset_uri',
      },
    },
    ResultSelector: { 'ref.$': '$.ModelPackageArn' },
  }
}

/** `feast pipeline register` in this program's container; what it needs is in its arguments. */
function registeringJob(
  pipeline: Pipeline,
  { queue, jobDefinition }: { readonly queue: string; readonly jobDefinition: string },
  approval: Approval,
) {
  const rejected = approval === 'Rejected' ? ", '--rejected'" : ''
  const artifact = `$.steps.${trainingStep(pipeline.steps).name}.artifact`
  return {
    Resource: TASK.batch,
    Parameters: {
      'JobName.$': jobName('register'),
      JobQueue: queue,
      JobDefinition: jobDefinition,
      ContainerOverrides: {
        'Command.$': `States.Array('feast', 'pipeline', 'register', '${pipeline.name}', '--run', $.run_id, '--run-uri', $.run_uri, '--artifact', ${artifact}${rejected})`,
      },
    },
    ResultSelector: { 'ref.$': '$.JobId' },
  }
}
