import type { FastifyPluginAsync } from 'fastify'
import { decodeOnlineRequest } from '../../../codec/online-request.js'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import type { OnlineRequest } from '../../../serving/online-serving.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { BODY_PARSERS } from '../body-parsers.js'
import { columns, optional, readBody, required, text, texts, truth } from '../body-shape.js'
import type { DirectAnswer, DirectRequest, DirectRoutes } from '../direct-routes.js'
import { type ExchangeOptions, errorAnswer } from '../http-exchange.js'
import { PROTOBUF_TYPES, wantsProtobuf } from '../protobuf-body.js'

interface Deps extends ExchangeOptions {
  readonly store: FeatureStore
  readonly access: AccessControl | undefined
  readonly direct: DirectRoutes
}

const PATH = '/get-online-features'
const NONE = {}

const BODY = {
  entities: required(columns),
  feature_service: optional(text),
  features: optional(texts, []),
  full_feature_names: optional(truth, false),
  include_feature_view_version_metadata: optional(truth, false),
}

/** POST /get-online-features (spec 7.3): JSON, or the messages of feast.serving.ServingService as they are. */
export const onlineFeaturesRoutes: FastifyPluginAsync<Deps> = async (app, deps) => {
  deps.direct.post(app, {
    url: PATH,
    match: (path) => (path === PATH ? NONE : undefined),
    parsers: BODY_PARSERS,
    answer: (request) => lookUp(deps, request),
    fail: (error, asked) => errorAnswer(deps, error, asked),
  })
}

async function lookUp({ store, access }: Deps, request: DirectRequest): Promise<DirectAnswer> {
  const { body, headers } = request
  const asked = Buffer.isBuffer(body) ? decodeOnlineRequest(body) : jsonLookup(body)
  if (access !== undefined) await access.demandRead(callerOf(request), asked)
  const serving = await store.serving()
  const isProtobuf = wantsProtobuf(headers.accept, body)
  const lookup = await serving.answer(asked, isProtobuf ? 'protobuf' : 'json')
  const type = isProtobuf ? PROTOBUF_TYPES[0] : 'application/json'
  return { headers: { 'content-type': type }, body: lookup.body, lookup }
}

function jsonLookup(given: unknown): OnlineRequest & Pick<Required<OnlineRequest>, 'features'> {
  const body = readBody(BODY, given)
  return {
    entities: body.entities,
    features: body.features,
    featureService: body.feature_service || undefined,
    fullFeatureNames: body.full_feature_names,
  }
}
