import type { JsonObject } from './asl/state-machine.js'
import type { Pipeline } from './pipeline.js'
import type { TrainingInput } from './render-definition.js'

/** Runs pipelines, and is the only record of their runs. */
export interface TrainingTrigger {
  /** Folder or `s3://…/`, ending in `/`, where the runs keep what they make. */
  readonly runsUri: string
  /** The bucket and key that a run's URI is to the workflow. */
  placeOf(runUri: string): { readonly bucket: string; readonly key: string }
  /** One run per id: started again with the same input, it is the same run. @throws TRAINING_RUN_CONFLICT */
  start(pipeline: Pipeline, input: TrainingInput): Promise<TrainingRun>
  /** @throws TRAINING_RUN_NOT_FOUND */
  describe(runId: string): Promise<TrainingRun>
  /** Newest first, at most 100. */
  list(pipeline: string | undefined): Promise<readonly TrainingRun[]>
  /** All that happened so far, oldest first. @throws TRAINING_RUN_NOT_FOUND */
  events(runId: string): Promise<readonly RunEvent[]>
  /** @throws TRAINING_RUN_NOT_FOUND, TRAINING_RUN_CONFLICT when it is not running */
  stop(runId: string): Promise<void>
  /** Goes on at the step that failed or was interrupted. @throws TRAINING_RUN_CONFLICT when there is nothing to go on with */
  retry(pipeline: Pipeline, runId: string): Promise<TrainingRun>
  /** Brings the workflow that runs the pipeline up to date. Undefined where runs take it from the feature repo. */
  deploy?(pipeline: Pipeline, options: DeployOptions): Promise<DeployReport>
  /** Waits for a run to end. Undefined where runs do not live in the process that starts them. */
  ended?(runId: string): Promise<void>
  /** Ends runs that live in this process; they can be retried. */
  close(): Promise<void>
}

export type RunStatus = 'running' | 'succeeded' | 'failed' | 'stopped' | 'interrupted'

export interface TrainingRun {
  readonly runId: string
  readonly pipeline: string
  /** `interrupted`: whatever ran it is gone; `retry` goes on. */
  readonly status: RunStatus
  /** Of a run that succeeded. */
  readonly outcome: 'registered' | 'gate_failed' | undefined
  /** RFC 3339. */
  readonly startedAt: string
  readonly endedAt: string | undefined
  readonly input: JsonObject
  readonly metrics: Readonly<Record<string, number>> | undefined
  /** The version that was registered, as its registry names it. */
  readonly model: string | undefined
  readonly error: string | undefined
  readonly steps: readonly RunStepState[]
  /** Where a person can look. */
  readonly url: string | undefined
}

export interface RunStepState {
  readonly name: string
  readonly status: 'running' | 'done' | 'failed'
  readonly startedAt: string
  readonly endedAt: string | undefined
}

export interface RunEvent {
  /** RFC 3339. */
  readonly at: string
  readonly state: string
  readonly event: string
  readonly details?: string | undefined
}

export interface DeployOptions {
  readonly dryRun: boolean
  readonly gitSha: string | undefined
}

export interface DeployReport {
  readonly name: string
  readonly action: 'created' | 'updated' | 'unchanged'
  /** Of the definition. */
  readonly sha256: string
  readonly version: string | undefined
  readonly codeUri: string | undefined
}

/** Where models go; made by who knows a model registry. */
export interface ModelCandidates {
  /** Metrics of the version that the alias names; undefined when there is none. */
  metricsOf(model: string, alias: string): Promise<Readonly<Record<string, number>> | undefined>
  /** Registers once per client token. @returns the version as its registry names it */
  register(candidate: ModelCandidate): Promise<string>
}

export interface ModelCandidate {
  readonly model: string
  /** The model file on this machine. */
  readonly file: string
  readonly featureService: string
  readonly metrics: Readonly<Record<string, number>>
  readonly params: Readonly<Record<string, string>>
  readonly run: {
    readonly runId: string
    readonly pipeline: string
    readonly datasetUri: string
    readonly datasetRows: number | undefined
    readonly gitSha: string | undefined
  }
  /** Who started the run. */
  readonly author: string
  /** It did not pass the gate: kept for the record, and not to be served. */
  readonly rejected: boolean
  readonly clientToken: string
}
