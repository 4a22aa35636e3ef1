import { decodeOnlineRequest } from '../../codec/online-request.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import type { LookupAnswer, OnlineRequest } from '../../serving/online-serving.js'
import type { AccessControl, Caller } from '../auth/access-control.js'
import { columns, optional, readBody, required, text, texts, truth } from './body-shape.js'
import { PROTOBUF_TYPES, wantsProtobuf } from './protobuf-body.js'

export const LOOKUP_PATH = '/get-online-features'

export interface LookupDeps {
  readonly store: FeatureStore
  readonly access: AccessControl | undefined
}

export interface TypedAnswer {
  readonly answer: LookupAnswer
  readonly contentType: string
}

const BODY = {
  entities: required(columns),
  feature_service: optional(text),
  features: optional(texts, []),
  full_feature_names: optional(truth, false),
  include_feature_view_version_metadata: optional(truth, false),
}

/**
 * POST /get-online-features (spec 7.3): JSON, or the messages of feast.serving.ServingService as they are.
 * @param body a message, or parsed JSON
 * @param callerOf who asks; not called where everybody may do everything
 */
export async function lookUp(
  { store, access }: LookupDeps,
  body: unknown,
  accept: string | undefined,
  callerOf: () => Caller,
): Promise<TypedAnswer> {
  const request = Buffer.isBuffer(body) ? decodeOnlineRequest(body) : jsonLookup(body)
  if (access !== undefined) await access.demandRead(callerOf(), request)
  const serving = await store.serving()
  const isProtobuf = wantsProtobuf(accept, body)
  const answer = await serving.answer(request, isProtobuf ? 'protobuf' : 'json')
  return { answer, contentType: isProtobuf ? PROTOBUF_TYPES[0] : 'application/json' }
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
