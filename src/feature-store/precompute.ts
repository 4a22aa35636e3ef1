import { BoundedWrites } from '../core/bounded-writes.js'
import { feastError, messageOf } from '../core/errors.js'
import type { Registry } from '../registry/registry.js'
import type { PrecomputeReport, PrecomputeRequest, PrecomputeServiceReport } from './feature-store.js'
import { openVectorBuilder, servicesToPrecompute, type VectorBuilder } from './precomputed-vectors.js'
import type { StoreParts } from './store-parts.js'

/** Batches of one service that may be read and written at once. */
const BATCHES_IN_FLIGHT = 4

/**
 * Makes the vectors of all entities, of the services named or of all that ask for them.
 * @throws FEATURE_SERVICE_NOT_FOUND, INVALID_REQUEST for a service named that cannot have vectors
 */
export async function precompute(parts: StoreParts, request: PrecomputeRequest): Promise<PrecomputeReport> {
  const registry = await (await parts.registryCache()).refresh()
  const names = request.services ?? servicesToPrecompute(registry, parts.project).map(({ name }) => name)
  // What is wrong with the request is said before anything is written.
  for (const name of request.services ?? []) await openVectorBuilder(parts, registry, name)
  const services: PrecomputeServiceReport[] = []
  for (const name of new Set(names)) {
    services.push(await precomputeService(parts, registry, name, request))
  }
  return { services }
}

/**
 * Never throws: what goes wrong is the service's outcome.
 * @param entityKeys whose vectors to make; default: those of all entities in the online store
 */
export async function precomputeService(
  parts: StoreParts,
  registry: Registry,
  service: string,
  { onProgress, signal }: Omit<PrecomputeRequest, 'services'>,
  entityKeys?: readonly Buffer[],
): Promise<PrecomputeServiceReport> {
  const started = performance.now()
  const run = { service, entities: 0, vectors: 0, elapsedMs: 0 }
  const say = (phase: 'running' | 'ended') => {
    run.elapsedMs = Math.round(performance.now() - started)
    onProgress?.({ ...run, phase })
  }
  const build = (builder: VectorBuilder) => async (keys: readonly Buffer[]) => {
    if (signal?.aborted) throw feastError('ABORTED', { what: `Precomputing "${service}"` }, signal.reason)
    const made = await builder.build(keys)
    run.vectors += made
    run.entities += keys.length
    say('running')
  }
  try {
    say('running')
    const builder = await openVectorBuilder(parts, registry, service)
    if (entityKeys) await build(builder)(entityKeys)
    else await eachBatch(builder, build(builder))
    say('ended')
    return { ...run, outcome: 'done' }
  } catch (error) {
    say('ended')
    return { ...run, outcome: 'failed', error: messageOf(error) }
  }
}

/** A scan finds few keys at a time where others lie between them. */
async function eachBatch(
  builder: VectorBuilder,
  build: (keys: readonly Buffer[]) => Promise<void>,
): Promise<void> {
  const batches = new BoundedWrites(BATCHES_IN_FLIGHT)
  let pending: Buffer[] = []
  const flush = async () => {
    const batch = pending
    pending = []
    await batches.add(() => build(batch))
  }
  try {
    await builder.eachKey(async (keys) => {
      pending.push(...keys)
      if (pending.length >= builder.batchSize) await flush()
    })
    if (pending.length > 0) await flush()
  } finally {
    await batches.settled()
  }
  batches.throwFailure()
}
