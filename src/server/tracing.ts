import type { IncomingMessage } from 'node:http'
import type { Attributes, Context, Span, SpanKind, SpanStatusCode, Tracer } from '@opentelemetry/api'
import {
  type OnDemandEvent,
  type OnlineReadEvent,
  onDemandRun,
  onlineRead,
  type StoreFailureEvent,
  storeFailure,
  type ViewMaterializedEvent,
  viewMaterialized,
} from '../core/diagnostics.js'

/** Spans for the requests of a server. There is none where nobody records them. */
export interface RequestTracer {
  /** The span of a request, a child of what its `traceparent` names. */
  startHttp(request: IncomingMessage, path: string): HttpSpan
  /** @param metadata of the call, as text */
  startGrpc(service: string, method: string, metadata: Readonly<Record<string, string>>): GrpcSpan
  /** Stops listening to what the layers below publish. */
  close(): void
}

interface ActiveSpan {
  /** Runs what belongs to the request: spans that begin there are children of this one. */
  run<Result>(work: () => Result): Result
}

export interface HttpSpan extends ActiveSpan {
  /** @param route undefined where there is none at that path */
  endHttp(route: string | undefined, status: number): void
}

export interface GrpcSpan extends ActiveSpan {
  /** @param status number of the gRPC status */
  endGrpc(status: number): void
}

type Api = typeof import('@opentelemetry/api')

/**
 * Looked at once, when a server starts: without an OpenTelemetry SDK (loaded before us, as with `node --import`)
 * there is no tracer, and nothing is done for traces from then on.
 * @param system of the online store, such as `redis`
 */
export async function openTracer(system: string): Promise<RequestTracer | undefined> {
  if (!hasSdk()) return undefined
  const api = await import('@opentelemetry/api')
  const tracer = api.trace.getTracer('feast-node')
  const close = traceLayersBelow(api, tracer, system)
  return {
    startHttp: (request, path) => startHttp(api, tracer, request, path),
    startGrpc: (service, method, metadata) => startGrpc(api, tracer, service, method, metadata),
    close,
  }
}

/** Where version 1 of the API keeps what was registered with it: asking there first spares loading it for nothing. */
function hasSdk(): boolean {
  const registered = (globalThis as Record<symbol, { readonly trace?: unknown } | undefined>)[
    Symbol.for('opentelemetry.js.api.1')
  ]
  return registered?.trace !== undefined
}

function startHttp(api: Api, tracer: Tracer, request: IncomingMessage, path: string): HttpSpan {
  const method = request.method ?? 'GET'
  const { localPort, remoteAddress } = request.socket
  const { span, context } = start(api, tracer, method, request.headers, {
    'http.request.method': method,
    'url.path': path,
    'url.scheme': 'encrypted' in request.socket ? 'https' : 'http',
    'network.protocol.version': request.httpVersion,
    ...(localPort !== undefined && { 'server.port': localPort }),
    ...(remoteAddress !== undefined && { 'client.address': remoteAddress }),
    ...(request.headers['user-agent'] && { 'user_agent.original': request.headers['user-agent'] }),
  })
  return {
    run: (work) => api.context.with(context, work),
    endHttp(route, status) {
      span.setAttribute('http.response.status_code', status)
      if (route !== undefined) span.setAttribute('http.route', route).updateName(`${method} ${route}`)
      if (status >= 500) fail(span, String(status))
      span.end()
    },
  }
}

function startGrpc(
  api: Api,
  tracer: Tracer,
  service: string,
  method: string,
  metadata: Readonly<Record<string, string>>,
): GrpcSpan {
  const { span, context } = start(api, tracer, `${service}/${method}`, metadata, {
    'rpc.system': 'grpc',
    'rpc.service': service,
    'rpc.method': method,
  })
  return {
    run: (work) => api.context.with(context, work),
    endGrpc(status) {
      span.setAttribute('rpc.grpc.status_code', status)
      if (SERVER_FAULTS.has(status)) fail(span, String(status))
      span.end()
    },
  }
}

/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS; others are the caller's. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15])
const ERROR: SpanStatusCode.ERROR = 2
const SERVER: SpanKind.SERVER = 1
const CLIENT: SpanKind.CLIENT = 2
const INTERNAL: SpanKind.INTERNAL = 0

function start(
  { context, propagation, trace }: Api,
  tracer: Tracer,
  name: string,
  carrier: object,
  attributes: Attributes,
): { readonly span: Span; readonly context: Context } {
  const parent = propagation.extract(context.active(), carrier)
  const span = tracer.startSpan(name, { kind: SERVER, attributes }, parent)
  return { span, context: trace.setSpan(parent, span) }
}

function fail(span: Span, type: string): void {
  span.setAttribute('error.type', type).setStatus({ code: ERROR })
}

/** What they publish is over by then: their spans are written down with the times at which it happened. */
function traceLayersBelow({ context }: Api, tracer: Tracer, system: string): () => void {
  const write = (name: string, kind: SpanKind, seconds: number, attributes: Attributes, error?: string) => {
    const end = Date.now()
    const startTime = end - seconds * 1000
    const span = tracer.startSpan(name, { kind, startTime, attributes }, context.active())
    if (error !== undefined) fail(span, error)
    span.end(end)
  }
  const store = { 'db.system.name': system }
  const onRead = (message: unknown) => {
    const { rowCount, featureCount, views, seconds } = message as OnlineReadEvent
    write('online_store.read', CLIENT, seconds, {
      ...store,
      'feast.entity_rows': rowCount,
      'feast.features': featureCount,
      'feast.feature_views': [...views],
    })
  }
  const onFailure = (message: unknown) => {
    const { reason, seconds } = message as StoreFailureEvent
    write('online_store.call', CLIENT, seconds, store, reason)
  }
  const onTransform = (message: unknown) => {
    const { view, mode, seconds } = message as OnDemandEvent
    write('on_demand', INTERNAL, seconds, { 'feast.feature_view': view, 'feast.mode': mode })
  }
  const onMaterialized = (message: unknown) => {
    const { view, outcome, rows, seconds } = message as ViewMaterializedEvent
    const attributes = { 'feast.feature_view': view, 'feast.outcome': outcome, 'feast.rows': rows }
    write('materialize', INTERNAL, seconds, attributes, outcome === 'failed' ? 'failed' : undefined)
  }
  const heard = [
    [onlineRead, onRead],
    [storeFailure, onFailure],
    [onDemandRun, onTransform],
    [viewMaterialized, onMaterialized],
  ] as const
  for (const [channel, hear] of heard) channel.subscribe(hear)
  return () => {
    for (const [channel, hear] of heard) channel.unsubscribe(hear)
  }
}
