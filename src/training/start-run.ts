import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { feastError } from '../core/errors.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import type { ObjectStore } from '../object-stores/object-store.js'
import { gateBounds } from './gate-bounds.js'
import { fillPlaceholders, type Pipeline, trainingStep } from './pipeline.js'
import type { TrainingInput } from './render-definition.js'
import { paramsOf, sqlLiteral } from './run-params.js'
import {
  clientToken,
  findRequest,
  jobPrefix,
  makeRunId,
  type RunRequest,
  writeRequest,
} from './run-request.js'
import type { ModelCandidates, TrainingRun, TrainingTrigger } from './training-trigger.js'

export interface TrainingParts {
  readonly store: FeatureStore
  readonly trigger: TrainingTrigger
  /** Of the trigger's runs. */
  readonly objects: ObjectStore
  readonly candidates: ModelCandidates
}

export interface StartRequest {
  readonly pipeline: Pipeline
  readonly params?: Readonly<Record<string, unknown>>
  /** Given again with the same parameters, it is the same run. Made of the time when left out. */
  readonly runId?: string | undefined
  readonly gitSha?: string | undefined
  readonly startedBy: string
  readonly signal?: AbortSignal
  readonly onPhase?: (phase: 'dataset' | 'start', runId: string) => void
}

/** 80 is the limit of Step Functions. */
const RUN_ID = /^[a-z0-9](-?[a-z0-9])*$/

/**
 * Joins the dataset point-in-time, keeps it with the run, and starts the pipeline on it. What is wrong with the
 * request is said before anything is made; a call that was interrupted can be made again with its run id.
 * @throws INVALID_REQUEST, TRAINING_RUN_CONFLICT, and what the join and the trigger throw
 */
export async function startRun(parts: TrainingParts, request: StartRequest): Promise<TrainingRun> {
  const { pipeline } = request
  const { trigger, objects } = parts
  const params = paramsOf(pipeline, request.params ?? {})
  const runId = request.runId ?? makeRunId(pipeline.name.toLowerCase(), params, new Date())
  if (!RUN_ID.test(runId) || runId.length > 80) {
    throw feastError('INVALID_REQUEST', {
      message: `"${runId}" is no id of a run; use up to 80 small letters, digits and single "-".`,
    })
  }
  const runUri = `${trigger.runsUri}${runId}`
  const prepared =
    (await findRequest(objects, runUri)) ?? (await prepare(parts, request, { params, runId, runUri }))
  if (prepared.pipeline !== pipeline.name || !sameParams(prepared.params, params)) {
    throw feastError('TRAINING_RUN_CONFLICT', {
      run: runId,
      why: `was asked for with pipeline "${prepared.pipeline}" and ${JSON.stringify(prepared.params)}; give another id`,
    })
  }
  request.onPhase?.('start', runId)
  const { bucket, key } = trigger.placeOf(runUri)
  const input: TrainingInput = {
    run_id: runId,
    job_prefix: jobPrefix(runId),
    run_uri: runUri,
    run_bucket: bucket,
    run_key: key,
    dataset_uri: prepared.datasetUri,
    params,
    hyperparameters: hyperparametersOf(pipeline, params),
    gate: prepared.gate,
    client_token: clientToken(runId),
  }
  return trigger.start(pipeline, input)
}

async function prepare(
  parts: TrainingParts,
  { pipeline, gitSha, startedBy, signal, onPhase }: StartRequest,
  { params, runId, runUri }: { params: Readonly<Record<string, string>>; runId: string; runUri: string },
): Promise<RunRequest> {
  const { store, objects, candidates } = parts
  onPhase?.('dataset', runId)
  const job = await store.getHistoricalFeatures({
    entityRows: entityRows(pipeline, params, store.config.repoPath),
    featureService: pipeline.dataset.featureService,
    ...(pipeline.dataset.eventTimestampColumn && {
      eventTimestampColumn: pipeline.dataset.eventTimestampColumn,
    }),
  })
  const folder = await mkdtemp(join(tmpdir(), 'feast-dataset-'))
  try {
    const path = join(folder, 'data.parquet')
    const { rows } = await job.persist(path, { ...(signal && { signal }) })
    if (rows === 0) {
      throw feastError('INVALID_REQUEST', {
        message: `Pipeline "${pipeline.name}": the dataset has no rows; look at its entities.`,
      })
    }
    const datasetUri = `${runUri}/dataset/`
    await objects.upload(path, `${datasetUri}data.parquet`, signal)
    return writeRequest(objects, runUri, {
      pipeline: pipeline.name,
      params,
      datasetUri,
      datasetRows: rows,
      sql: await job.sql(),
      registryVersion: (await store.registry()).version,
      gitSha,
      startedBy,
      gate: await gateBounds(pipeline, candidates),
      createdAt: new Date().toISOString(),
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function entityRows(
  { dataset, inputs }: Pipeline,
  params: Readonly<Record<string, string>>,
  repoPath: string,
) {
  const { entities } = dataset
  if ('file' in entities) {
    const path = isAbsolute(entities.file) ? entities.file : join(repoPath, entities.file)
    return { kind: 'file', path } as const
  }
  const sql = fillPlaceholders(entities.sql, (name) => sqlLiteral(inputs[name]!.type, params[name]!))
  return { kind: 'sql', sql } as const
}

/** SageMaker takes texts alone. */
function hyperparametersOf({ steps }: Pipeline, params: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(trainingStep(steps).hyperparameters).map(([name, value]) => [
      name,
      fillPlaceholders(String(value), (input) => params[input]!),
    ]),
  )
}

function sameParams(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}
