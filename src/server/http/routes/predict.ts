import type { FastifyPluginAsync } from 'fastify'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import type { ProxiedAnswer, ProxiedRequest } from '../../../models/model-proxy.js'
import type { Models } from '../../../models/open-models.js'
import { jsonText } from '../../../serving/json-text.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { BODY_PARSERS } from '../body-parsers.js'
import { columns, object, optional, positive, readBody, required, text, truth } from '../body-shape.js'
import type { DirectAnswer, DirectRequest, DirectRoutes } from '../direct-routes.js'
import { type ExchangeOptions, errorAnswer } from '../http-exchange.js'

interface Deps extends ExchangeOptions {
  readonly store: FeatureStore
  readonly models: Models
  readonly access: AccessControl | undefined
  readonly direct: DirectRoutes
}

const PATH = '/predict'
const NONE = {}

const OPTIONS = {
  explain: optional(truth, false),
  features: optional(truth, false),
  statuses: optional(truth, false),
  partial: optional(truth, false),
  timeout_ms: optional(positive),
}

const BODY = {
  model: required(text),
  version: optional(text),
  entities: required(columns),
  request_data: optional(columns),
  overrides: optional(columns),
  options: optional(object(OPTIONS)),
}

/** POST /predict: the features of some entities, and what a model makes of them. */
export const predictRoutes: FastifyPluginAsync<Deps> = async (app, deps) => {
  deps.direct.post(app, {
    url: PATH,
    match: (path) => (path === PATH ? NONE : undefined),
    parsers: BODY_PARSERS,
    answer: (request) => predict(deps, request),
    fail: (error, asked) => errorAnswer(deps, error, asked),
  })
}

async function predict({ store, models, access }: Deps, request: DirectRequest): Promise<DirectAnswer> {
  const { model, version, entities, request_data, overrides, options } = readBody(BODY, request.body)
  const asked: ProxiedRequest = {
    requestId: request.id,
    model,
    version: version ?? versionOf(request),
    entities,
    requestData: request_data,
    overrides,
    options: {
      explain: options !== undefined && (options.explain || options.features || options.statuses),
      partial: options?.partial ?? false,
      timeoutMs: options?.timeout_ms ?? timeoutOf(request),
    },
    authorize: access && ((featureService) => access.demandRead(callerOf(request), { featureService })),
  }
  const answer = await models.proxy.predict(asked)
  const statusesOnly = options?.statuses === true && !options.explain && !options.features
  const metadata = await metadataOf(answer, statusesOnly, store)
  const headers = { 'content-type': 'application/json' }
  return { headers, body: Buffer.from(predictionText(answer, metadata)) }
}

/** For testers: a version, or one of its aliases. */
function versionOf({ headers }: DirectRequest): string | undefined {
  const asked = headers['x-feast-model-version']
  return typeof asked === 'string' && asked !== '' ? asked : undefined
}

/** The time that a caller gives in a header. */
export function timeoutOf({ headers }: DirectRequest): number | undefined {
  const ms = Number(headers['x-request-timeout-ms'] ?? Number.NaN)
  return ms > 0 ? ms : undefined
}

function predictionText(answer: ProxiedAnswer, metadata: object): string {
  const { model, version, role } = answer
  const predictions = answer.predictions.map((one) => jsonText('error' in one ? one : one.outputs))
  const head = jsonText({ model, version, role }).slice(1, -1)
  return `{${head},"predictions":[${predictions.join()}],"metadata":${jsonText(metadata)}}`
}

async function metadataOf(
  { features, imputed, isDegraded, shares }: ProxiedAnswer,
  statusesOnly: boolean,
  store: FeatureStore,
): Promise<object> {
  return {
    ...(imputed.length > 0 && { imputed }),
    ...(isDegraded && { degraded: true }),
    ...(shares && { versions: shares.map(({ version, role, rows }) => ({ version, role, rows })) }),
    ...(features && {
      registry_version: (await store.registry()).version,
      ...(statusesOnly
        ? {
            feature_statuses: Object.fromEntries(
              features.columns.map(({ name, statuses }) => [name, statuses]),
            ),
          }
        : { features: Object.fromEntries(features.columns.map((one) => [one.name, explained(one)])) }),
    }),
  }
}

type Column = NonNullable<ProxiedAnswer['features']>['columns'][number]

function explained({ values, statuses, eventTimestamps }: Column): object {
  const now = Date.now()
  const times = eventTimestamps.map((micros) => (micros === 0n ? undefined : Number(micros) / 1000))
  return {
    values,
    statuses,
    event_timestamps: times.map((ms) => (ms === undefined ? null : new Date(ms).toISOString())),
    age_seconds: times.map((ms) => (ms === undefined ? null : Math.round((now - ms) / 1000))),
  }
}
