import type { FastifyPluginAsync } from 'fastify'
import type { StoredView } from '../../../core/feature-view.js'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { pushTarget, storedView, viewsFedBy } from '../../write-target.js'
import { columns, optional, readBody, required, text, truth } from '../body-shape.js'
import { columnBatch } from '../column-batch.js'
import { sendJson } from '../send-json.js'
import type { ServerMetrics } from '../server-metrics.js'

interface Deps {
  readonly store: FeatureStore
  readonly metrics: ServerMetrics
  readonly access: AccessControl | undefined
}

const PUSH_BODY = {
  push_source_name: required(text),
  df: required(columns),
  allow_registry_cache: optional(truth, true),
  to: optional(text, 'online'),
  transform_on_write: optional(truth, true),
}

const WRITE_BODY = {
  feature_view_name: required(text),
  df: required(columns),
  allow_registry_cache: optional(truth, true),
  transform_on_write: optional(truth, true),
}

/** POST /push and /write-to-online-store (spec 7.5). */
export const writeRoutes: FastifyPluginAsync<Deps> = async (app, { store, metrics, access }) => {
  app.post('/push', async (request, reply) => {
    const body = readBody(PUSH_BODY, request.body)
    const to = pushTarget(body.to)
    await access?.demandPush(callerOf(request), body.push_source_name, to)
    const views = await viewsFedBy(store, body.push_source_name)
    const rows = columnBatch(body.df, views, { keepUnknown: to !== 'online' })
    // A frame without rows need not have the columns that rows must have.
    if (rows.rowCount > 0) await store.push({ pushSource: body.push_source_name, rows, to })
    metrics.countPush(body.push_source_name, to)
    return reply.code(200).send()
  })

  app.post('/write-to-online-store', async (request, reply) => {
    const body = readBody(WRITE_BODY, request.body)
    await access?.demandWrite(callerOf(request), [body.feature_view_name])
    const view = await storedView(store, body.feature_view_name)
    const rows = columnBatch(withSourceTimes(body.df, view), [view], { keepUnknown: false })
    if (rows.rowCount > 0) await store.writeToOnlineStore(view.name, rows)
    return sendJson(reply, 200, 'null')
  })
}

/** Python's remote store calls the times of every view `event_timestamp` and `created`, whatever its source does. */
function withSourceTimes<Frame extends Readonly<Record<string, unknown>>>(
  df: Frame,
  view: StoredView,
): Frame {
  const { timestampField, createdTimestampColumn } = view.batchSource ?? {}
  const own = new Set([...view.features, ...view.entityColumns].map(({ name }) => name))
  const added = [
    ['event_timestamp', timestampField],
    ['created', createdTimestampColumn],
  ] as const
  const times = added.flatMap(([sent, name]) =>
    name && df[sent] !== undefined && df[name] === undefined && !own.has(sent) ? [[name, df[sent]]] : [],
  )
  return times.length === 0 ? df : { ...df, ...Object.fromEntries(times) }
}
