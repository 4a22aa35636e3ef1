import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { feastError } from '../../../core/errors.js'
import { formatInstant, parseInstant } from '../../../core/instant.js'
import type { FeatureStore, MaterializeRequest } from '../../../feature-store/feature-store.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { InvalidShape, optional, readBody, required, text, texts, truth } from '../body-shape.js'
import type { MaterializeJobs } from '../materialize-jobs.js'
import { sendJson } from '../send-json.js'

interface Deps {
  readonly store: FeatureStore
  readonly jobs: MaterializeJobs
  readonly access: AccessControl | undefined
}

const RANGE_BODY = {
  start_ts: optional(text),
  end_ts: optional(text),
  feature_views: optional(texts),
  disable_event_timestamp: optional(truth, false),
  full_feature_names: optional(truth, false),
  version: optional(text),
}

const INCREMENTAL_BODY = {
  end_ts: required(text),
  feature_views: optional(texts),
  full_feature_names: optional(truth, false),
  version: optional(text),
}

/** POST /materialize and /materialize-incremental, `?async=true` included (spec 7.7). */
export const materializeRoutes: FastifyPluginAsync<Deps> = async (app, deps) => {
  app.post('/materialize', async (request, reply) => {
    const body = readBody(RANGE_BODY, request.body)
    return answer(deps, request, reply, body.feature_views, {
      mode: 'range',
      ...rangeOf(body.start_ts, body.end_ts, body.disable_event_timestamp),
      ...(body.version !== undefined && { version: body.version }),
    })
  })

  app.post('/materialize-incremental', async (request, reply) => {
    const body = readBody(INCREMENTAL_BODY, request.body)
    return answer(deps, request, reply, body.feature_views, {
      mode: 'incremental',
      end: parseInstant(body.end_ts, 'end_ts'),
      ...(body.version !== undefined && { version: body.version }),
    })
  })
}

function rangeOf(
  startText: string | undefined,
  endText: string | undefined,
  disableEventTimestamp: boolean,
): Partial<MaterializeRequest> {
  if (disableEventTimestamp) return { disableEventTimestamp }
  if (!startText || !endText) {
    throw feastError('INVALID_VALUE', {
      message: 'start_ts and end_ts are required when disable_event_timestamp is false.',
    })
  }
  const [start, end] = [parseInstant(startText, 'start_ts'), parseInstant(endText, 'end_ts')]
  if (start < end) return { start, end }
  throw feastError('INVALID_VALUE', {
    message: `start_ts (${formatInstant(start)}) must be before end_ts (${formatInstant(end)}).`,
  })
}

async function answer(
  { store, jobs, access }: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  named: readonly string[] | undefined,
  run: MaterializeRequest,
): Promise<FastifyReply> {
  const [isAsync, force] = [flag(request, 'async'), flag(request, 'force')]
  const views = named ?? (await eligibleViews(store))
  await access?.demandWrite(callerOf(request), views)
  await refuseUnknown(store, views)
  if (!isAsync) {
    // An empty list is nothing to do, not everything.
    if (views.length > 0) await jobs.run({ ...run, views })
    return sendJson(reply, 200, 'null')
  }
  const busy = force ? [] : jobs.busy(views)
  if (busy.length > 0) {
    return sendJson(reply, 409, JSON.stringify({ error: conflictText(busy), feature_views: busy }))
  }
  if (views.length > 0) jobs.start(views, { ...run, views })
  return sendJson(reply, 202, JSON.stringify({ status: 'accepted', feature_views: views }))
}

function flag({ query }: FastifyRequest, name: string): boolean {
  const value = (query as Readonly<Record<string, unknown>>)[name]
  if (value === undefined) return false
  const findings: ConstructorParameters<typeof InvalidShape>[0][number][] = []
  const last = Array.isArray(value) ? value.at(-1) : value
  const found = truth(last, ['query', name], (finding) => findings.push(finding))
  if (findings.length > 0) throw new InvalidShape(findings)
  return found ?? false
}

/** What a run without names materializes. */
async function eligibleViews(store: FeatureStore): Promise<readonly string[]> {
  const views = (await store.registry()).storedViews(store.project)
  return views
    .filter((view) => view.kind !== 'labelView' && view.online && view.enabled)
    .map(({ name }) => name)
}

/** @throws FEATURE_VIEW_NOT_FOUND, VIEW_DISABLED */
async function refuseUnknown(store: FeatureStore, names: readonly string[]): Promise<void> {
  const registry = await store.registry()
  for (const name of names) {
    if (!registry.view(store.project, name).enabled) throw feastError('VIEW_DISABLED', { name })
  }
}

function conflictText(views: readonly string[]): string {
  const list = views.map((view) => `'${view}'`).join(', ')
  return `Cannot start async materialization — the following feature views are already being materialized: [${list}]. Use ?force=true to override.`
}
