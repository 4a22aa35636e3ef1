import { decodeOnlineRequest } from '../../codec/online-request.js'
import { encodeMessage } from '../../codec/proto.js'
import { FEAST_VERSION } from '../../core/version.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import type { AccessControl } from '../auth/access-control.js'
import type { GrpcCall } from './grpc-call.js'
import type { GrpcMethod, UnaryMethod } from './grpc-method.js'

/** feast.serving.ServingService: stored values go out as they lie in the store. */
export function servingMethods(
  store: FeatureStore,
  access: AccessControl | undefined,
): readonly GrpcMethod[] {
  const info = encodeMessage('feast.serving.GetFeastServingInfoResponse', { version: FEAST_VERSION })
  return [
    {
      path: '/feast.serving.ServingService/GetFeastServingInfo',
      kind: 'unary',
      isBounded: false,
      answer: async () => info,
    },
    onlineFeaturesMethod('/feast.serving.ServingService/GetOnlineFeatures', store, access),
  ]
}

export function onlineFeaturesMethod(
  path: string,
  store: FeatureStore,
  access: AccessControl | undefined,
): UnaryMethod {
  return {
    path,
    kind: 'unary',
    isBounded: true,
    async answer(message: Buffer, call: GrpcCall): Promise<Buffer> {
      const request = decodeOnlineRequest(message)
      if (access !== undefined) await access.demandRead(call.caller, request)
      const serving = await store.serving()
      call.lookup = await serving.answer(request, 'protobuf')
      return call.lookup.body
    },
  }
}
