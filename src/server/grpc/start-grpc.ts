import { GRPC_STATUS, type GrpcStatusName } from '../../codec/grpc-wire.js'
import { isFeastError } from '../../core/errors.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import type { Models } from '../../models/open-models.js'
import type { Admission } from '../admission.js'
import type { AccessControl } from '../auth/access-control.js'
import type { ServerMetrics } from '../http/server-metrics.js'
import type { Readiness } from '../readiness.js'
import type { ServerLog } from '../server-log.js'
import type { RequestTracer } from '../tracing.js'
import { featureServerMethods } from './feature-server-service.js'
import type { GrpcCall } from './grpc-call.js'
import type { GrpcMethod } from './grpc-method.js'
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from './grpc-server.js'
import { createHealthService } from './health-service.js'
import { reflectionMethods } from './reflection-service.js'
import { servingMethods } from './serving-service.js'

export interface GrpcOptions
  extends Pick<
    GrpcServerOptions,
    'host' | 'port' | 'tls' | 'messageLimitBytes' | 'maxConnections' | 'timeouts'
  > {
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly metrics: ServerMetrics
  readonly admission: Admission
  /** None: everybody may do everything. */
  readonly access: AccessControl | undefined
  readonly readiness: Readiness
  /** None: no inference service. */
  readonly models?: Models | undefined
  readonly tracer?: RequestTracer | undefined
  /** True once the server is stopping. */
  readonly stopping: () => boolean
}

const SERVICES = [
  'feast.serving.ServingService',
  'GrpcFeatureServer',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]

const INFERENCE_SERVICE = 'inference.GRPCInferenceService'

/** What a store's settings say about calls, and our patience with clients. */
export function grpcLimits(store: FeatureStore): Pick<GrpcOptions, 'messageLimitBytes' | 'timeouts'> {
  return { messageLimitBytes: store.config.featureServer.limits.bodyBytes, timeouts: TIMEOUTS }
}

/** gRPC clients hold connections for long, and open them again without being noticed. */
const TIMEOUTS = { handshakeMs: 15_000, requestMs: 60_000, answerMs: 30_000, idleMs: 300_000 }

/** All gRPC services over a store. @throws what listening throws; FILE_NOT_READABLE */
export async function startGrpc(options: GrpcOptions): Promise<GrpcServer> {
  const { store, metrics, admission, access, readiness, stopping } = options
  const inference = await inferenceOf(options)
  const services = inference.length > 0 ? [...SERVICES, INFERENCE_SERVICE] : SERVICES
  const health = createHealthService(services, async () => !stopping() && (await readiness.ask()).isReady)
  const server = await startGrpcServer({
    ...options,
    methods: [
      ...servingMethods(store, access),
      ...featureServerMethods({ store, metrics, access }),
      ...health.methods,
      ...reflectionMethods(services),
      ...inference,
    ],
    onFinished: (call, status, error) => observe(options, call, status, error),
    onCut: (reason) => admission.count(reason),
  })
  metrics.watchConnections('grpc', server.connectionCount)
  return {
    ...server,
    announceEnd() {
      void health.refresh()
      server.announceEnd()
    },
    close(drainMs) {
      health.close()
      return server.close(drainMs)
    },
  }
}

/** Loaded only where there are models. */
async function inferenceOf(options: GrpcOptions): Promise<readonly GrpcMethod[]> {
  const { models } = options
  if (models === undefined) return []
  const { inferenceMethods } = await import('./inference-service.js')
  return inferenceMethods({ ...options, models })
}

function observe(
  { metrics, log, admission }: GrpcOptions,
  call: GrpcCall,
  status: GrpcStatusName,
  error: unknown,
): void {
  const ms = performance.now() - call.startedAt
  const { path } = call.method
  metrics.observe(path, status === 'OK', ms / 1000, call.lookup)
  if (error !== undefined) admission.countError(error, status === 'INTERNAL' || status === 'UNAVAILABLE')
  if (log.access === undefined && status !== 'INTERNAL') return
  const { requestId: id } = call
  if (status === 'INTERNAL') log.logger.error(failureOf(error, id, path), 'call failed')
  log.access?.({ id, protocol: 'grpc', method: 'POST', path, status: GRPC_STATUS[status], ms, ip: call.ip })
}

/** Of an error that nobody foresaw, the class and where it was thrown: its message may hold a client's data. */
function failureOf(error: unknown, id: string, path: string): object {
  const call = { request_id: id, call: path }
  if (isFeastError(error)) return { ...call, code: error.code, error: error.message }
  if (!(error instanceof Error)) return { ...call, class: typeof error }
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return { ...call, class: error.constructor.name, stack: frames?.map((line) => line.trim()) }
}
