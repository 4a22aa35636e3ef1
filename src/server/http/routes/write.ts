import type { FastifyPluginAsync } from 'fastify'
import { feastError } from '../../../core/errors.js'
import type { StoredView } from '../../../core/feature-view.js'
import type { FeatureStore, PushRequest } from '../../../feature-store/feature-store.js'
import { columns, optional, readBody, required, text, truth } from '../body-shape.js'
import { columnBatch } from '../column-batch.js'
import { sendJson } from '../send-json.js'
import type { ServerMetrics } from '../server-metrics.js'

interface Deps {
  readonly store: FeatureStore
  readonly metrics: ServerMetrics
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
export const writeRoutes: FastifyPluginAsync<Deps> = async (app, { store, metrics }) => {
  app.post('/push', async (request, reply) => {
    const body = readBody(PUSH_BODY, request.body)
    const to = pushTarget(body.to)
    const views = await viewsOf(store, body.push_source_name)
    const rows = columnBatch(body.df, views, { keepUnknown: to !== 'online' })
    // A frame without rows need not have the columns that rows must have.
    if (rows.rowCount > 0) await store.push({ pushSource: body.push_source_name, rows, to })
    metrics.countPush(body.push_source_name, to)
    return reply.code(200).send()
  })

  app.post('/write-to-online-store', async (request, reply) => {
    const body = readBody(WRITE_BODY, request.body)
    const view = await storedView(store, body.feature_view_name)
    const rows = columnBatch(body.df, [view], { keepUnknown: false })
    if (rows.rowCount > 0) await store.writeToOnlineStore(view.name, rows)
    return sendJson(reply, 200, 'null')
  })
}

const TARGETS: readonly string[] = ['online', 'offline', 'online_and_offline'] satisfies PushRequest['to'][]

function pushTarget(to: string): PushRequest['to'] {
  if (TARGETS.includes(to)) return to as PushRequest['to']
  throw feastError('INVALID_VALUE', {
    message: `"${to}" is not a place to push to; "to" is one of ${TARGETS.join(', ')}.`,
  })
}

async function viewsOf(store: FeatureStore, pushSource: string): Promise<readonly StoredView[]> {
  const views = (await store.registry()).storedViews(store.project)
  const fed = views.filter(({ streamSource }) => isPushSource(streamSource, pushSource))
  if (fed.length > 0) return fed
  const known = views.flatMap(({ streamSource }) =>
    streamSource?.kind === 'pushSource' ? [streamSource.name] : [],
  )
  throw feastError('PUSH_SOURCE_NOT_FOUND', { name: pushSource, known })
}

function isPushSource(source: StoredView['streamSource'], name: string): boolean {
  return source?.kind === 'pushSource' && source.name === name
}

async function storedView(store: FeatureStore, name: string): Promise<StoredView> {
  const view = (await store.registry()).view(store.project, name)
  if (view.kind !== 'onDemandFeatureView') return view
  throw feastError('INVALID_REQUEST', {
    message: `"${name}" is an on demand feature view: it is computed when it is read and holds no rows.`,
  })
}
