import { createHash } from 'node:crypto'
import { feastError, isFeastError } from '../core/errors.js'
import type { ObjectStore } from '../object-stores/object-store.js'

/** What a run was asked for and is made of: `request.json` in its folder, written once. */
export interface RunRequest {
  readonly pipeline: string
  readonly params: Readonly<Record<string, string>>
  readonly datasetUri: string
  readonly datasetRows: number
  /** The query that gave the dataset. */
  readonly sql: string
  /** Of the feature registry that the query was made with. */
  readonly registryVersion: string
  readonly gitSha: string | undefined
  /** Who asked for it, and so registers its model. */
  readonly startedBy: string
  /** What the run must reach: settled once, whatever becomes of the champion meanwhile. */
  readonly gate: Readonly<Record<string, number>>
  readonly createdAt: string
}

const uriOf = (runUri: string) => `${runUri}/request.json`

/** @throws OBJECT_NOT_FOUND */
export async function readRequest(objects: ObjectStore, runUri: string): Promise<RunRequest> {
  const found = await findRequest(objects, runUri)
  if (found === undefined) throw feastError('OBJECT_NOT_FOUND', { uri: uriOf(runUri) })
  return found
}

export async function findRequest(objects: ObjectStore, runUri: string): Promise<RunRequest | undefined> {
  const found = await objects.read(uriOf(runUri))
  return found && (JSON.parse(found.bytes.toString()) as RunRequest)
}

/** @returns what stands there: somebody else may have been first */
export async function writeRequest(
  objects: ObjectStore,
  runUri: string,
  request: RunRequest,
): Promise<RunRequest> {
  try {
    await objects.write(uriOf(runUri), Buffer.from(JSON.stringify(request, undefined, 2)), undefined)
    return request
  } catch (error) {
    if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
    return readRequest(objects, runUri)
  }
}

/** SageMaker takes up to 36 characters; a run's id may be longer. */
export function clientToken(runId: string): string {
  return createHash('sha256').update(runId).digest('hex').slice(0, 32)
}

/** `<pipeline>-<UTC time>-<hash of the inputs>`. */
export function makeRunId(pipeline: string, params: Readonly<Record<string, string>>, now: Date): string {
  const time = now
    .toISOString()
    .replaceAll(/[-:]|\.\d+/g, '')
    .toLowerCase()
  const hash = createHash('sha256').update(JSON.stringify(params)).digest('hex').slice(0, 8)
  return `${pipeline}-${time}-${hash}`
}

const JOB_PREFIX = 38

/** The run's id cut to what leaves room for a step's name in SageMaker's 63 characters. */
export function jobPrefix(runId: string): string {
  if (runId.length <= JOB_PREFIX) return runId
  const hash = createHash('sha256').update(runId).digest('hex').slice(0, 8)
  return `${runId.slice(0, JOB_PREFIX - 9).replace(/-+$/, '')}-${hash}`
}
