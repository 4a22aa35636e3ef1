import type { FastifyPluginAsync } from 'fastify'
import { feastError } from '../../../core/errors.js'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import { columns, optional, readBody, required, text, texts, truth } from '../body-shape.js'
import { sendJson } from '../send-json.js'
import type { ServerMetrics } from '../server-metrics.js'

interface Deps {
  readonly store: FeatureStore
  readonly metrics: ServerMetrics
}

const BODY = {
  entities: required(columns),
  feature_service: optional(text),
  features: optional(texts, []),
  full_feature_names: optional(truth, false),
  include_feature_view_version_metadata: optional(truth, false),
}

/** More references than any model has; each costs planning. */
const MAX_FEATURES = 10_000

/** POST /get-online-features (spec 7.3). */
export const onlineFeaturesRoutes: FastifyPluginAsync<Deps> = async (app, { store, metrics }) => {
  app.post('/get-online-features', async (request, reply) => {
    const body = readBody(BODY, request.body)
    if (body.features.length > MAX_FEATURES) {
      throw feastError('PAYLOAD_TOO_LARGE', { what: 'features', limit: MAX_FEATURES })
    }
    const serving = await store.serving()
    const lookup = {
      entities: body.entities,
      features: body.features,
      fullFeatureNames: body.full_feature_names,
      ...(body.feature_service ? { featureService: body.feature_service } : {}),
    }
    const answer = await serving.answer(lookup, 'json')
    metrics.countLookup(request, answer)
    return sendJson(reply, 200, answer.body)
  })
}
