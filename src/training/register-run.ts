import { feastError } from '../core/errors.js'
import type { ObjectStore } from '../object-stores/object-store.js'
import { metricsStep, type Pipeline } from './pipeline.js'
import { clientToken, readRequest } from './run-request.js'
import type { ModelCandidates } from './training-trigger.js'

export interface FinishedRun {
  readonly pipeline: Pipeline
  readonly runId: string
  readonly runUri: string
  /** The model on this machine. */
  readonly file: string
  readonly rejected: boolean
}

/** Registers the model that a run made, with what the run measured. Once per run. @returns the version */
export async function registerRun(
  candidates: ModelCandidates,
  objects: ObjectStore,
  { pipeline, runId, runUri, file, rejected }: FinishedRun,
): Promise<string> {
  const request = await readRequest(objects, runUri)
  return candidates.register({
    model: pipeline.register.model,
    file,
    featureService: pipeline.dataset.featureService,
    metrics: await metricsOf(pipeline, objects, runUri),
    params: request.params,
    run: {
      runId,
      pipeline: pipeline.name,
      datasetUri: request.datasetUri,
      datasetRows: request.datasetRows,
      gitSha: request.gitSha,
    },
    author: request.startedBy,
    rejected,
    clientToken: clientToken(runId),
  })
}

async function metricsOf({ steps }: Pipeline, objects: ObjectStore, runUri: string) {
  const step = metricsStep(steps)
  if (step === undefined) return {}
  const uri = `${runUri}/${step.name}/metrics/${step.metrics}`
  const found = await objects.read(uri)
  if (found === undefined) throw feastError('OBJECT_NOT_FOUND', { uri })
  const values = Object.entries(JSON.parse(found.bytes.toString()) as Record<string, unknown>)
  return Object.fromEntries(values.filter((entry): entry is [string, number] => typeof entry[1] === 'number'))
}
