import type { ZodType } from 'zod'
import { feastError } from '../core/errors.js'

/** A training pipeline: a point-in-time dataset, steps that make a model of it, a gate, and where the model goes. */
export interface Pipeline {
  readonly kind: 'pipeline'
  /** Letters, digits and `-`; part of the names of jobs and runs. */
  readonly name: string
  readonly description: string
  /** What a run may be given. */
  readonly inputs: Readonly<Record<string, PipelineInput>>
  readonly dataset: PipelineDataset
  /** Folder of the steps' code, relative to the feature repo; published once by content. Steps run in it. */
  readonly code: string
  /** Container of the steps on AWS. `{{git_sha}}` stands for the commit that was deployed. */
  readonly image: string | undefined
  readonly steps: readonly PipelineStep[]
  /** All must hold for the model to be registered. */
  readonly gate: readonly GateRule[]
  readonly register: PipelineModel
}

export interface PipelineInput {
  readonly type: InputType
  /** Without one a run must be given a value. */
  readonly default: InputValue | undefined
  readonly description: string
}

export type InputType = 'string' | 'int' | 'float' | 'bool' | 'timestamp'
export type InputValue = string | number | boolean

export interface PipelineDataset {
  readonly featureService: string
  /** Rows with labels; `{{name}}` in SQL stands for a run's input, as a literal of its type. */
  readonly entities: { readonly sql: string } | { readonly file: string }
  readonly eventTimestampColumn: string | undefined
}

export type PipelineStep = ProcessingStep | TrainingStep

interface Step {
  readonly name: string
  /** Name → where it comes from: `dataset`, `<step>.<output>`, or `<training step>.model`. */
  readonly inputs: Readonly<Record<string, string>>
  /** What is run; the local run takes `localCommand`. */
  readonly command: readonly string[]
  readonly localCommand: readonly string[]
  readonly instance: string
  readonly maxSeconds: number
}

/** A subprocess, or a SageMaker processing job. */
export interface ProcessingStep extends Step {
  readonly kind: 'processing'
  readonly outputs: readonly string[]
  /** File in the output `metrics` with the numbers that the gate looks at. */
  readonly metrics: string | undefined
}

/** A subprocess, or a SageMaker training job; its output is `model`. */
export interface TrainingStep extends Step {
  readonly kind: 'training'
  /** `{{inputs.x}}` stands for a run's input. */
  readonly hyperparameters: Readonly<Record<string, InputValue>>
}

export type GateRule = { readonly metric: string } & (
  | { readonly rule: 'min' | 'max'; readonly value: number }
  /** Better than the same metric of the version with this alias; holds where there is none yet. */
  | { readonly rule: 'better_than'; readonly alias: string; readonly higherIsBetter: boolean }
)

export interface PipelineModel {
  readonly model: string
  /** File in the training step's model folder. */
  readonly artifact: string
  /** What becomes of a model that does not pass the gate. */
  readonly onGateFail: 'stop' | 'register_rejected'
}

/** Whether `name` is that of a pipeline; SageMaker's and Step Functions' names allow no more. */
export const PIPELINE_NAME = /^[a-zA-Z0-9](-?[a-zA-Z0-9])*$/

/** The pipeline that materialization is on AWS; no other may have its name. */
export const MATERIALIZE = 'materialize'

/** What a pipeline looks like to who writes one, in YAML and in TypeScript. Defaults are filled in by {@link pipeline}. */
export interface PipelineText {
  readonly name: string
  readonly description?: string | undefined
  readonly inputs?: Readonly<
    Record<
      string,
      {
        readonly type: InputType
        readonly default?: InputValue | undefined
        readonly description?: string | undefined
      }
    >
  >
  readonly dataset: {
    readonly feature_service: string
    readonly entities: { readonly sql: string } | { readonly file: string }
    readonly event_timestamp_column?: string | undefined
  }
  readonly code?: string | undefined
  readonly image?: string | undefined
  readonly steps: readonly Readonly<Record<string, StepText>>[]
  readonly gate?: { readonly all: readonly GateText[] } | undefined
  readonly register: {
    readonly model: string
    readonly artifact?: string | undefined
    readonly on_gate_fail?: 'stop' | 'register_rejected' | undefined
  }
}

interface StepText {
  readonly command: readonly string[]
  readonly local?: { readonly command: readonly string[] } | undefined
  readonly inputs?: Readonly<Record<string, string>> | undefined
  readonly outputs?: readonly string[] | undefined
  readonly metrics?: string | undefined
  readonly hyperparameters?: Readonly<Record<string, InputValue>> | undefined
  readonly instance?: string | undefined
  readonly max_seconds?: number | undefined
}

type GateText = { readonly metric: string } & (
  | { readonly min: number }
  | { readonly max: number }
  | { readonly better_than: string; readonly higher_is_better?: boolean | undefined }
)

/**
 * A pipeline of the feature repo: `export const fraud = pipeline({ name: 'fraud', … })`, with the keys that
 * `pipelines/*.yaml` has. @throws INVALID_DEFINITION
 */
export function pipeline(text: PipelineText): Pipeline {
  const steps = text.steps.flatMap((one) => Object.entries(one).map(([name, step]) => stepOf(name, step)))
  const made: Pipeline = {
    kind: 'pipeline',
    name: text.name,
    description: text.description ?? '',
    inputs: Object.fromEntries(
      Object.entries(text.inputs ?? {}).map(([name, input]) => [
        name,
        { type: input.type, default: input.default, description: input.description ?? '' },
      ]),
    ),
    dataset: {
      featureService: text.dataset.feature_service,
      entities: text.dataset.entities,
      eventTimestampColumn: text.dataset.event_timestamp_column,
    },
    code: text.code ?? 'pipelines',
    image: text.image,
    steps: steps.map((step, index) => withDefaultInput(step, index)),
    gate: (text.gate?.all ?? []).map(gateRule),
    register: {
      model: text.register.model,
      artifact: text.register.artifact ?? 'model.onnx',
      onGateFail: text.register.on_gate_fail ?? 'stop',
    },
  }
  check(made)
  return Object.freeze(made)
}

function stepOf(name: string, step: StepText): PipelineStep {
  const shared = {
    name,
    inputs: step.inputs ?? {},
    command: step.command,
    localCommand: step.local?.command ?? step.command,
    instance: step.instance ?? 'ml.m5.xlarge',
    maxSeconds: step.max_seconds ?? 3600,
  }
  if (step.hyperparameters) return { ...shared, kind: 'training', hyperparameters: step.hyperparameters }
  const outputs = [...(step.outputs ?? []), ...(step.metrics === undefined ? [] : ['metrics'])]
  return { ...shared, kind: 'processing', outputs, metrics: step.metrics }
}

/** The first step of a pipeline reads the dataset, unless it says otherwise. */
function withDefaultInput(step: PipelineStep, index: number): PipelineStep {
  return index === 0 && Object.keys(step.inputs).length === 0
    ? { ...step, inputs: { dataset: 'dataset' } }
    : step
}

function gateRule(text: GateText): GateRule {
  const { metric } = text
  if ('min' in text) return { metric, rule: 'min', value: text.min }
  if ('max' in text) return { metric, rule: 'max', value: text.max }
  return {
    metric,
    rule: 'better_than',
    alias: text.better_than,
    higherIsBetter: text.higher_is_better ?? true,
  }
}

function check({ name, inputs, dataset, steps, gate }: Pipeline): void {
  const fail = (problem: string, mend: string) => {
    throw feastError('INVALID_DEFINITION', { object: `Pipeline "${name}"`, problem, mend })
  }
  if (!PIPELINE_NAME.test(name) || name.length > 40) {
    fail('the name is not one', 'Use up to 40 letters, digits and "-", such as "fraud-weekly".')
  }
  if (name === MATERIALIZE)
    fail('the name is taken', 'It is that of the workflow that materializes; use another.')
  const training = steps.filter(({ kind }) => kind === 'training')
  if (training.length !== 1) {
    fail(
      `it has ${training.length} training steps`,
      'Give exactly one step `hyperparameters` (they may be empty: {}).',
    )
  }
  const outputs = new Set(['dataset'])
  for (const step of steps) {
    if (!/^[a-z](-?[a-z0-9])*$/.test(step.name) || step.name.length > 16) {
      fail(`"${step.name}" is no name of a step`, 'Use up to 16 small letters, digits and "-".')
    }
    if (outputs.has(step.name)) fail(`"${step.name}" names two steps`, 'Rename one.')
    for (const [input, from] of Object.entries(step.inputs)) {
      if (outputs.has(from)) continue
      fail(
        `input "${input}" of step "${step.name}" comes from "${from}", which nothing before it makes`,
        `There are ${[...outputs].filter((one) => one !== step.name).join(', ')}.`,
      )
    }
    for (const output of step.kind === 'training' ? ['model'] : step.outputs)
      outputs.add(`${step.name}.${output}`)
  }
  if (gate.length > 0 && metricsStep(steps) === undefined) {
    fail(
      'the gate looks at metrics that no step after training writes',
      'Give a later step `metrics: metrics.json`.',
    )
  }
  for (const { metric } of gate) {
    if (!/^[\w.@-]+$/.test(metric))
      fail(`"${metric}" is no name of a metric`, 'Use letters, digits, "_", ".", "@" and "-".')
  }
  const sql = 'sql' in dataset.entities ? dataset.entities.sql : ''
  const texts = [
    sql,
    ...training.flatMap((step) => Object.values((step as TrainingStep).hyperparameters).map(String)),
  ]
  for (const used of texts.flatMap(placeholdersOf)) {
    if (!Object.hasOwn(inputs, used))
      fail(
        `"{{inputs.${used}}}" is no input of the pipeline`,
        `Its inputs are ${Object.keys(inputs).join(', ') || 'none'}.`,
      )
  }
}

/** The step whose metrics the gate looks at: the last that writes any, after training. */
export function metricsStep(steps: readonly PipelineStep[]): ProcessingStep | undefined {
  const after = steps.slice(steps.findIndex(({ kind }) => kind === 'training') + 1)
  return after.findLast(
    (step): step is ProcessingStep => step.kind === 'processing' && step.metrics !== undefined,
  )
}

export function trainingStep(steps: readonly PipelineStep[]): TrainingStep {
  return steps.find((step): step is TrainingStep => step.kind === 'training')!
}

const PLACEHOLDER = /\{\{\s*inputs\.([A-Za-z_]\w*)\s*\}\}/g

export function placeholdersOf(text: string): readonly string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name]) => name!)
}

/** The text with each `{{inputs.name}}` replaced. */
export function fillPlaceholders(text: string, valueOf: (name: string) => string): string {
  return text.replaceAll(PLACEHOLDER, (_, name: string) => valueOf(name))
}

/** What `pipelines/*.yaml` may say. */
export async function pipelineSchema(): Promise<ZodType<PipelineText>> {
  const { z } = await import('zod')
  const text = z.string().min(1)
  const value = z.union([z.string(), z.number(), z.boolean()])
  const command = z.array(z.string()).min(1)
  const step = z.strictObject({
    command,
    local: z.strictObject({ command }).optional(),
    inputs: z.record(z.string(), text).optional(),
    outputs: z.array(text).optional(),
    metrics: text.optional(),
    hyperparameters: z.record(z.string(), value).optional(),
    instance: text.optional(),
    max_seconds: z.int().min(60).optional(),
  })
  return z.strictObject({
    name: text,
    description: z.string().optional(),
    inputs: z
      .record(
        z.string(),
        z.strictObject({
          type: z.enum(['string', 'int', 'float', 'bool', 'timestamp']),
          default: value.optional(),
          description: z.string().optional(),
        }),
      )
      .optional(),
    dataset: z.strictObject({
      feature_service: text,
      entities: z.union([z.strictObject({ sql: text }), z.strictObject({ file: text })]),
      event_timestamp_column: text.optional(),
    }),
    code: text.optional(),
    image: text.optional(),
    steps: z.array(z.record(z.string(), step)).min(1),
    gate: z
      .strictObject({
        all: z.array(
          z.union([
            z.strictObject({ metric: text, min: z.number() }),
            z.strictObject({ metric: text, max: z.number() }),
            z.strictObject({ metric: text, better_than: text, higher_is_better: z.boolean().optional() }),
          ]),
        ),
      })
      .optional(),
    register: z.strictObject({
      model: text,
      artifact: text.optional(),
      on_gate_fail: z.enum(['stop', 'register_rejected']).optional(),
    }),
  }) as ZodType<PipelineText>
}
