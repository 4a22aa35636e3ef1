import type { ColumnBatch } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { LOG_DATE, LOG_REQUEST_ID, LOG_TIMESTAMP } from '../core/feature-service.js'
import { type FeastType, Int32, StringType, UnixTimestamp } from '../core/value-type.js'
import { writeBatches } from '../offline-stores/index.js'
import type { OfflineStore, PullColumn, RetrievalJob } from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import type { LoggedRequest } from './feature-store.js'
import { withoutPullTimes } from './pull-times.js'
import { joinKeyFields } from './source-columns.js'
import type { StoreParts } from './store-parts.js'

/**
 * What a server logged of a feature service: join keys and request values, each feature with its time and status, and
 * when it was asked for by which request. @throws FEATURE_SERVICE_NOT_FOUND, INVALID_REQUEST for one that is not logged
 */
export async function getLoggedFeatures(
  parts: StoreParts,
  { featureService, start, end }: LoggedRequest,
): Promise<RetrievalJob> {
  const registry = await (await parts.registryCache()).get()
  const { logging } = registry.featureService(parts.project, featureService)
  if (logging === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `Feature service "${featureService}" has no logging destination; give it one with \`logging\`, or in Python with logging_config.`,
    })
  }
  const store = await parts.offlineStore()
  const pull = store.pull({
    source: logging.destination,
    timestampColumn: LOG_TIMESTAMP,
    createdColumn: undefined,
    joinKeys: [],
    features: loggedColumns(registry, parts.project, featureService),
    start,
    end,
    latest: false,
  })
  return withoutTimes(pull, store)
}

/** In the order in which Feast's own schema has them. */
function loggedColumns(registry: Registry, project: string, service: string): readonly PullColumn[] {
  const columns = new Map<string, FeastType>()
  for (const projection of registry.featureService(project, service).projections) {
    const view = registry.view(project, projection.view)
    const inputs =
      view.kind === 'onDemandFeatureView'
        ? view.requestSources.flatMap(({ schema }) => schema)
        : joinKeyFields(registry, project, view)
    for (const { name, type } of inputs) columns.set(projection.joinKeyMap[name] ?? name, type)
    const wanted = projection.features ?? view.features.map(({ name }) => name)
    for (const { name, type } of view.features.filter((feature) => wanted.includes(feature.name))) {
      const column = `${projection.alias || view.name}__${name}`
      columns.set(column, type)
      columns.set(`${column}__timestamp`, UnixTimestamp)
      columns.set(`${column}__status`, Int32)
    }
  }
  columns.set(LOG_TIMESTAMP, UnixTimestamp)
  // A date, for which Feast has no type: as it is stored.
  columns.set(LOG_DATE, { valueType: 'INVALID' })
  columns.set(LOG_REQUEST_ID, StringType)
  return [...columns].map(([name, type]) => ({ column: name, name, type }))
}

/** The time of a row is one of its own columns. */
function withoutTimes(job: RetrievalJob, store: OfflineStore): RetrievalJob {
  const fields = async () => (await job.fields()).slice(0, -1)
  const batches = (signal?: AbortSignal): AsyncIterable<ColumnBatch> => withoutPullTimes(job.batches(signal))
  return {
    fields,
    batches,
    sql: () => job.sql(),
    cost: () => job.cost?.(),
    ...(job.dryRun && { dryRun: () => job.dryRun!() }),
    async persist(target, options) {
      const rows = batches(options?.signal)
      if (typeof target === 'string') return writeBatches(target, await fields(), rows, options)
      return store.save(target, await fields(), rows, options)
    },
  }
}
