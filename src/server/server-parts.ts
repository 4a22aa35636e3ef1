import { messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import type { Models } from '../models/open-models.js'
import { Admission } from './admission.js'
import type { AccessControl } from './auth/access-control.js'
import type { ServerMetrics } from './http/server-metrics.js'
import { Readiness } from './readiness.js'
import type { ServerLog } from './server-log.js'
import type { RequestTracer } from './tracing.js'

export const MAX_CONNECTIONS = 10_000

/** Docker kills what has not ended 10 s after it was told to. */
export const DRAIN_SECONDS = 8

/**
 * Time in which what is under way to the server arrives and is answered, and in which clients learn that it is
 * going: each answer closes its connection (HTTP), a GOAWAY says so (gRPC), and /health is 503.
 */
export const FAREWELL_MS = 150

/** What the servers of a process share, whatever their protocol. */
export interface ServerParts {
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly admission: Admission
  readonly metrics: ServerMetrics
  readonly tracer: RequestTracer | undefined
  readonly access: AccessControl | undefined
  readonly readiness: Readiness
  /** None without a `models` block. */
  readonly models: Models | undefined
  close(): Promise<void>
}

/** @throws REGISTRY_NOT_FOUND, REGISTRY_UNREADABLE, and CONFIG_INVALID for the auth block */
export async function openServerParts(store: FeatureStore, log: ServerLog): Promise<ServerParts> {
  const [{ createServerMetrics }, { openTracer }, { openAccessControl }] = await Promise.all([
    import('./http/server-metrics.js'),
    import('./tracing.js'),
    import('./auth/access-control.js'),
    store.registry(),
    warmUp(store, log.logger),
  ])
  const admission = new Admission(store.config.featureServer.limits.inFlight)
  const metrics = createServerMetrics(store, admission)
  const tracer = await openTracer(store.config.onlineStore?.type ?? 'none')
  const access = await openAccessControl(store, log.logger)
  const models = await modelsOf(store, log.logger)
  if (models !== undefined) metrics.watchModels(models)
  return {
    store,
    log,
    admission,
    metrics,
    tracer,
    access,
    readiness: new Readiness(store),
    models,
    async close() {
      await models?.close()
      metrics.close()
      tracer?.close()
    },
  }
}

async function modelsOf(store: FeatureStore, logger: Logger): Promise<Models | undefined> {
  if (store.config.models === undefined) return undefined
  const { openModels } = await import('../models/open-models.js')
  return openModels(store, logger)
}

/** Opens the online store before the first request comes; a store that is away now may be there later. */
async function warmUp(store: FeatureStore, logger: Logger): Promise<void> {
  try {
    await store.serving()
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'the online store cannot be opened yet')
  }
}
