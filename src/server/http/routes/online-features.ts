import type { FastifyPluginAsync } from 'fastify'
import { decodeOnlineRequest } from '../../../codec/online-request.js'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import type { OnlineRequest } from '../../../serving/online-serving.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { columns, optional, readBody, required, text, texts, truth } from '../body-shape.js'
import { protobufBody, sendProtobuf, wantsProtobuf } from '../protobuf-body.js'
import { sendJson } from '../send-json.js'
import type { ServerMetrics } from '../server-metrics.js'

interface Deps {
  readonly store: FeatureStore
  readonly metrics: ServerMetrics
  readonly access: AccessControl | undefined
}

const BODY = {
  entities: required(columns),
  feature_service: optional(text),
  features: optional(texts, []),
  full_feature_names: optional(truth, false),
  include_feature_view_version_metadata: optional(truth, false),
}

/** POST /get-online-features (spec 7.3): JSON, or the messages of feast.serving.ServingService as they are. */
export const onlineFeaturesRoutes: FastifyPluginAsync<Deps> = async (app, { store, metrics, access }) => {
  app.post('/get-online-features', async (request, reply) => {
    const message = protobufBody(request)
    const lookup = message ? decodeOnlineRequest(message) : jsonLookup(request.body)
    if (access !== undefined) await access.demandRead(callerOf(request), lookup)
    const serving = await store.serving()
    const format = wantsProtobuf(request) ? 'protobuf' : 'json'
    const answer = await serving.answer(lookup, format)
    metrics.countLookup(request, answer)
    // All of it is with the operating system then. Of an answer that does not get there the buffer is lost.
    reply.raw.once('finish', answer.release)
    return format === 'json' ? sendJson(reply, 200, answer.body) : sendProtobuf(reply, answer.body)
  })
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
