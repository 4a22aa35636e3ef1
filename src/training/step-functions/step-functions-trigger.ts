import type { HistoryEvent, SFNClient } from '@aws-sdk/client-sfn'
import { feastError, messageOf } from '../../core/errors.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import type { JsonObject } from '../asl/state-machine.js'
import type { Pipeline } from '../pipeline.js'
import { STATE, type TrainingInput } from '../render-definition.js'
import { findRequest } from '../run-request.js'
import type {
  DeployOptions,
  DeployReport,
  RunEvent,
  RunStatus,
  RunStepState,
  TrainingRun,
  TrainingTrigger,
} from '../training-trigger.js'

export interface StepFunctionsOptions {
  readonly client: SFNClient
  readonly objects: ObjectStore
  /** `s3://…/`. */
  readonly runsUri: string
  readonly region: string
  readonly account: string
  /** Of the state machines' names. */
  readonly prefix: string
  readonly alias: string
  deploy(pipeline: Pipeline, options: DeployOptions): Promise<DeployReport>
}

/** Pipelines as AWS Step Functions; the executions there are the only record of the runs. */
export class StepFunctionsTrigger implements TrainingTrigger {
  readonly runsUri: string
  readonly #options: StepFunctionsOptions

  constructor(options: StepFunctionsOptions) {
    this.#options = options
    this.runsUri = options.runsUri
  }

  placeOf(runUri: string): { readonly bucket: string; readonly key: string } {
    const [, bucket, key] = /^s3:\/\/([^/]+)\/(.*)$/.exec(runUri)!
    return { bucket: bucket!, key: key! }
  }

  deploy(pipeline: Pipeline, options: DeployOptions): Promise<DeployReport> {
    return this.#options.deploy(pipeline, options)
  }

  async start(pipeline: Pipeline, input: TrainingInput): Promise<TrainingRun> {
    const { StartExecutionCommand } = await sdk()
    const text = JSON.stringify(input)
    const stateMachineArn = `${this.#machineArn(pipeline.name)}:${this.#options.alias}`
    try {
      await this.#options.client.send(
        new StartExecutionCommand({ stateMachineArn, name: input.run_id, input: text }),
      )
    } catch (error) {
      const { name } = error as Error
      if (name === 'StateMachineDoesNotExist' || name === 'ResourceNotFound')
        throw notDeployed(pipeline.name, error)
      if (name !== 'ExecutionAlreadyExists') throw failed(`Run "${input.run_id}"`, error)
      const { input: earlier } = await this.#execution(pipeline.name, input.run_id)
      if (earlier !== text) {
        throw feastError('TRAINING_RUN_CONFLICT', {
          run: input.run_id,
          why: 'was started with another input; give another id',
        })
      }
    }
    return this.describe(input.run_id)
  }

  async describe(runId: string): Promise<TrainingRun> {
    const pipeline = await this.#pipelineOf(runId)
    const found = await this.#execution(pipeline, runId)
    const history = await this.#history(found.executionArn!)
    const output = JSON.parse(found.output ?? '{}') as JsonObject
    return {
      runId,
      pipeline,
      status: STATUSES[found.status ?? ''] ?? 'running',
      outcome: output['outcome'] as TrainingRun['outcome'],
      startedAt: found.startDate!.toISOString(),
      endedAt: found.stopDate?.toISOString(),
      input: JSON.parse(found.input ?? '{}') as JsonObject,
      metrics: (output['metrics'] as { values?: Record<string, number> } | undefined)?.values,
      model: (output['model'] as { ref?: string } | undefined)?.ref,
      error: found.error === undefined ? undefined : `${found.error}: ${found.cause ?? ''}`,
      steps: stepsOf(history),
      url: this.#url(found.executionArn!),
    }
  }

  async list(pipeline: string | undefined): Promise<readonly TrainingRun[]> {
    const machines = pipeline === undefined ? await this.#machines() : [pipeline]
    const runs = (await Promise.all(machines.map((name) => this.#runsOf(name)))).flat()
    return runs.sort((a, b) => b.startedAt.localeCompare(a.startedAt)).slice(0, LISTED)
  }

  async events(runId: string): Promise<readonly RunEvent[]> {
    const arn = this.#executionArn(await this.#pipelineOf(runId), runId)
    let state = ''
    return (await this.#history(arn)).map((event) => {
      state = event.stateEnteredEventDetails?.name ?? state
      const failure = failureOf(event)
      return {
        at: event.timestamp!.toISOString(),
        state: event.stateExitedEventDetails?.name ?? state,
        event: event.type!,
        ...(failure && { details: failure }),
      }
    })
  }

  async stop(runId: string): Promise<void> {
    const { StopExecutionCommand } = await sdk()
    const { status } = await this.describe(runId)
    if (status !== 'running')
      throw feastError('TRAINING_RUN_CONFLICT', { run: runId, why: `is not running: ${status}` })
    const executionArn = this.#executionArn(await this.#pipelineOf(runId), runId)
    await this.#options.client
      .send(new StopExecutionCommand({ executionArn, cause: 'feast pipeline stop' }))
      .catch((error) => {
        throw failed(`Stopping run "${runId}"`, error)
      })
  }

  async retry(pipeline: Pipeline, runId: string): Promise<TrainingRun> {
    const { RedriveExecutionCommand } = await sdk()
    const { executionArn, redriveStatus, redriveStatusReason } = await this.#execution(pipeline.name, runId)
    if (redriveStatus !== 'REDRIVABLE') {
      const why = `cannot be gone on with (${redriveStatusReason ?? redriveStatus}); start another`
      throw feastError('TRAINING_RUN_CONFLICT', { run: runId, why })
    }
    await this.#options.client.send(new RedriveExecutionCommand({ executionArn })).catch((error) => {
      throw failed(`Retrying run "${runId}"`, error)
    })
    return this.describe(runId)
  }

  async close(): Promise<void> {
    this.#options.client.destroy()
    await this.#options.objects.close()
  }

  async #machines(): Promise<readonly string[]> {
    const { paginateListStateMachines } = await sdk()
    const { client, prefix } = this.#options
    const names: string[] = []
    for await (const { stateMachines = [] } of paginateListStateMachines({ client }, {})) {
      for (const { name } of stateMachines)
        if (name!.startsWith(prefix)) names.push(name!.slice(prefix.length))
    }
    return names
  }

  async #runsOf(pipeline: string): Promise<readonly TrainingRun[]> {
    const { ListExecutionsCommand } = await sdk()
    const command = new ListExecutionsCommand({
      stateMachineArn: this.#machineArn(pipeline),
      maxResults: LISTED,
    })
    const { executions = [] } = await this.#options.client.send(command).catch((error: Error) => {
      if (error.name === 'StateMachineDoesNotExist') return { executions: [] }
      throw failed(`Listing runs of "${pipeline}"`, error)
    })
    return executions.map((found) => ({
      runId: found.name!,
      pipeline,
      status: STATUSES[found.status ?? ''] ?? 'running',
      outcome: undefined,
      startedAt: found.startDate!.toISOString(),
      endedAt: found.stopDate?.toISOString(),
      input: {},
      metrics: undefined,
      model: undefined,
      error: undefined,
      steps: [],
      url: this.#url(found.executionArn!),
    }))
  }

  /** A run's folder says whose it is: an execution can only be found by the name of its state machine. */
  async #pipelineOf(runId: string): Promise<string> {
    const request = /^[\w-]+$/.test(runId)
      ? await findRequest(this.#options.objects, `${this.runsUri}${runId}`)
      : undefined
    if (request === undefined) throw feastError('TRAINING_RUN_NOT_FOUND', { run: runId })
    return request.pipeline
  }

  async #execution(pipeline: string, runId: string) {
    const { DescribeExecutionCommand } = await sdk()
    const executionArn = this.#executionArn(pipeline, runId)
    return this.#options.client.send(new DescribeExecutionCommand({ executionArn })).catch((error: Error) => {
      if (error.name === 'ExecutionDoesNotExist') throw feastError('TRAINING_RUN_NOT_FOUND', { run: runId })
      throw failed(`Looking at run "${runId}"`, error)
    })
  }

  async #history(executionArn: string): Promise<readonly HistoryEvent[]> {
    const { paginateGetExecutionHistory } = await sdk()
    const { client } = this.#options
    const input = { executionArn, includeExecutionData: false, maxResults: 1000 }
    const events: HistoryEvent[] = []
    for await (const page of paginateGetExecutionHistory({ client }, input))
      events.push(...(page.events ?? []))
    return events
  }

  #machineArn(pipeline: string): string {
    const { region, account, prefix } = this.#options
    return `arn:aws:states:${region}:${account}:stateMachine:${prefix}${pipeline}`
  }

  #executionArn(pipeline: string, runId: string): string {
    const { region, account, prefix } = this.#options
    return `arn:aws:states:${region}:${account}:execution:${prefix}${pipeline}:${runId}`
  }

  #url(executionArn: string): string {
    const { region } = this.#options
    return `https://${region}.console.aws.amazon.com/states/home?region=${region}#/v2/executions/details/${executionArn}`
  }
}

const LISTED = 100

const STATUSES: Readonly<Record<string, RunStatus>> = {
  RUNNING: 'running',
  PENDING_REDRIVE: 'running',
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  TIMED_OUT: 'failed',
  ABORTED: 'stopped',
}

async function sdk() {
  return import('@aws-sdk/client-sfn')
}

/** A state that leads to the failing end was not done. */
function stepsOf(history: readonly HistoryEvent[]): readonly RunStepState[] {
  const steps = new Map<string, RunStepState>()
  let isFailing = false
  for (const event of history) {
    const at = event.timestamp!.toISOString()
    const entered = event.stateEnteredEventDetails?.name
    const exited = event.stateExitedEventDetails?.name
    if (entered !== undefined) {
      steps.set(entered, { name: entered, status: 'running', startedAt: at, endedAt: undefined })
      isFailing = false
    }
    if (failureOf(event) !== undefined) isFailing = true
    if (exited !== undefined) {
      const step = steps.get(exited)!
      steps.set(exited, { ...step, status: isFailing ? 'failed' : 'done', endedAt: at })
    }
  }
  steps.delete(STATE.failed)
  return [...steps.values()]
}

function failureOf(event: HistoryEvent): string | undefined {
  const details =
    event.taskFailedEventDetails ?? event.taskTimedOutEventDetails ?? event.executionFailedEventDetails
  return details && `${details.error ?? ''}: ${details.cause ?? ''}`
}

function notDeployed(pipeline: string, cause: unknown): Error {
  const message = `Pipeline "${pipeline}" is not on Step Functions yet; run \`feast pipeline deploy ${pipeline}\` first.`
  return feastError('INVALID_REQUEST', { message }, cause)
}

function failed(what: string, error: unknown): Error {
  return feastError('TRAINING_FAILED', { what, why: messageOf(error) }, error)
}
