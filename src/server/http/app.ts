import { existsSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import {
  type FastifyContentTypeParser,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify'
import { feastError, messageOf } from '../../core/errors.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import type { Models } from '../../models/open-models.js'
import type { Admission } from '../admission.js'
import type { AccessControl } from '../auth/access-control.js'
import { requireCallers } from '../auth/http-access.js'
import { limitConnections } from '../connection-limit.js'
import { ConnectionWatch } from '../connection-watch.js'
import type { Readiness } from '../readiness.js'
import { REQUEST_ID_HEADER, requestId } from '../request-id.js'
import type { ServerLog } from '../server-log.js'
import type { RequestTracer } from '../tracing.js'
import { BODY_PARSERS, type BodyParser, parseBody } from './body-parsers.js'
import { BodyReader } from './body-reader.js'
import { DirectRoutes } from './direct-routes.js'
import { detailBody } from './error-reply.js'
import { askedOf, commonHeaders, errorAnswer, noteAnswer, pathOf } from './http-exchange.js'
import type { MaterializeJobs } from './materialize-jobs.js'
import { healthRoutes } from './routes/health.js'
import { materializeRoutes } from './routes/materialize.js'
import { metricsRoutes } from './routes/metrics.js'
import { onlineFeaturesRoutes } from './routes/online-features.js'
import { openapiRoutes } from './routes/openapi.js'
import { writeRoutes } from './routes/write.js'
import { sendJson } from './send-json.js'
import type { ServerMetrics } from './server-metrics.js'

export interface AppOptions {
  readonly store: FeatureStore
  readonly log: ServerLog
  readonly metrics: ServerMetrics
  readonly jobs: MaterializeJobs
  readonly admission: Admission
  /** None: everybody may do everything. */
  readonly access: AccessControl | undefined
  readonly readiness: Readiness
  readonly models?: Models | undefined
  /** Called after a change to models that is in force here; returns when it is wherever this server runs. */
  readonly modelsChanged?: (() => Promise<void>) | undefined
  readonly tracer?: RequestTracer | undefined
  readonly bodyLimitBytes: number
  readonly timeouts: HttpTimeouts
  readonly maxConnections: number
  readonly tls?: Tls | undefined
  /** The text of /metrics; of all workers where there are several. */
  readonly metricsText: () => Promise<string>
  /** True once the server is stopping: connections are then closed after their answer. */
  readonly stopping: () => boolean
}

/** PEM texts. */
export interface Tls {
  readonly key: Buffer | string
  readonly cert: Buffer | string
}

/** What a client may take its time for. */
export interface HttpTimeouts {
  /** Without a request. */
  readonly keepAliveMs: number
  /** From the connection, or the first byte of a request, to the end of its headers. */
  readonly headersMs: number
  /** To the end of its body. */
  readonly requestMs: number
  /** To take in an answer. */
  readonly answerMs: number
}

const MAX_HEADER_BYTES = 16_384
/** How often Node looks for requests that take too long. */
const CHECK_MS = 500
/** The HTTP application; it listens to nothing yet. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { admission } = options
  const watch = connectionWatch(options)
  const bodies = bodyReader(options)
  const direct = new DirectRoutes({ ...options, watch, bodies })
  const app = fastify({
    serverFactory: (handle) =>
      openServer(options, (request, response) => {
        if (!direct.take(request, response)) handle(request, response)
      }),
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    genReqId: (request) => requestId(request.headers[REQUEST_ID_HEADER]),
    clientErrorHandler: (error, socket) => refuse(error, socket, admission),
    frameworkErrors: (error, _request, reply) => {
      sendJson(reply, error.statusCode ?? 400, detailBody(error.message))
    },
  })
  watchConnections(app, options, watch)
  readBodies(app, bodies)
  const paths = answerErrors(app, options)
  observe(app, options)
  app.addHook('onRoute', ({ url }) => {
    paths.add(url)
  })
  if (options.access !== undefined) requireCallers(app, options.access)
  await app.register(async (bounded) => {
    boundInFlight(bounded, admission)
    await bounded.register(onlineFeaturesRoutes, { ...options, direct })
    await bounded.register(writeRoutes, options)
  })
  await app.register(materializeRoutes, options)
  await app.register(healthRoutes, options)
  await app.register(metricsRoutes, options)
  if (options.models !== undefined) await routeModels(app, { ...options, bodies, direct }, options.models)
  const withTraining = existsSync(join(options.store.config.repoPath, 'pipelines'))
  if (withTraining) {
    const { trainingRoutes } = await import('./routes/training.js')
    await app.register(trainingRoutes, options)
  }
  await app.register(openapiRoutes, { withModels: options.models !== undefined, withTraining })
  return app
}

/** Nobody pays for loading these who serves no models. */
async function routeModels(
  app: FastifyInstance,
  options: AppOptions & { readonly bodies: BodyReader; readonly direct: DirectRoutes },
  models: Models,
): Promise<void> {
  const [{ modelRoutes }, { predictRoutes }, { openInferenceRoutes }] = await Promise.all([
    import('./routes/models.js'),
    import('./routes/predict.js'),
    import('./routes/open-inference.js'),
  ])
  const bound = (bounded: FastifyInstance) => boundInFlight(bounded, options.admission)
  await app.register(async (bounded) => {
    bound(bounded)
    await bounded.register(predictRoutes, { ...options, models })
  })
  await app.register(openInferenceRoutes, { ...options, models, bound })
  await app.register(modelRoutes, { ...options, models })
}

function openServer({ tls, timeouts }: AppOptions, listener: RequestListener): Server {
  const http = {
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: timeouts.keepAliveMs,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: CHECK_MS,
  }
  if (tls === undefined) return createServer(http, listener)
  try {
    return createSecureServer({ ...http, ...tls, handshakeTimeout: timeouts.headersMs }, listener)
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path: 'TLS key and certificate', why: messageOf(error) }, error)
  }
}

function connectionWatch({ admission, timeouts }: AppOptions): ConnectionWatch {
  return new ConnectionWatch({
    answerTimeoutMs: timeouts.answerMs,
    // Node's own limits come first; they do not see empty lines, by which a client could hold a connection for ever.
    idleTimeoutMs: timeouts.keepAliveMs + timeouts.headersMs + 2 * CHECK_MS,
    onCut: (reason) => admission.count(reason),
  })
}

function watchConnections(app: FastifyInstance, options: AppOptions, watch: ConnectionWatch): void {
  const { admission, metrics, tls } = options
  watch.add(app.server, tls ? 'secureConnection' : 'connection')
  metrics.watchConnections('http', () => watch.openConnections)
  limitConnections(app.server, options.maxConnections, () => admission.count('connections'))
  app.addHook('onRequest', (request, _reply, done) => {
    watch.requestStarted(request.raw.socket)
    done()
  })
  app.addHook('onResponse', (request, _reply, done) => {
    watch.requestEnded(request.raw.socket)
    done()
  })
  app.addHook('onClose', async () => watch.close())
}

/** What is no HTTP, or comes too slowly, is answered on the bare socket. */
function refuse(error: Error & { code?: string }, socket: Socket, admission: Admission): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const [status, detail] = REFUSALS[error.code ?? ''] ?? ['400 Bad Request', 'Invalid HTTP request']
  if (status.startsWith('431')) admission.count('header_bytes')
  if (status.startsWith('408')) admission.count('slow_request')
  const body = detailBody(detail)
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

const REFUSALS: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    `The headers have more than ${MAX_HEADER_BYTES} bytes`,
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request took too long to arrive'],
}

function bodyReader({ admission, bodyLimitBytes }: AppOptions): BodyReader {
  return new BodyReader({ limitBytes: bodyLimitBytes, onDrop: () => admission.count('slow_request') })
}

function readBodies(app: FastifyInstance, bodies: BodyReader): void {
  const readAs =
    (parse: BodyParser): FastifyContentTypeParser =>
    (_request, payload, done) => {
      bodies.read(payload as FastifyRequest['raw'], (error, body) => {
        if (error) return done(error)
        try {
          done(null, parse(body))
        } catch (wrong) {
          done(wrong as Error)
        }
      })
    }
  app.removeAllContentTypeParsers()
  for (const [type, parse] of BODY_PARSERS) app.addContentTypeParser(type, readAs(parse))
  app.addContentTypeParser('*', readAs(parseBody))
}

function answerErrors(app: FastifyInstance, options: AppOptions): Set<string> {
  const paths = new Set<string>()
  app.setErrorHandler((error, request, reply) => {
    const { status, headers, body } = errorAnswer(options, error, askedOf(request))
    sendJson(reply.headers(headers), status, body)
  })
  app.setNotFoundHandler((request, reply) => {
    const known = paths.has(pathOf(request))
    sendJson(reply, known ? 405 : 404, detailBody(known ? 'Method Not Allowed' : 'Not Found'))
  })
  return paths
}

/** Lookups and writes count from when they are complete to when they are answered. */
function boundInFlight(app: FastifyInstance, admission: Admission): void {
  app.addHook('onRequest', (_request, _reply, done) => {
    admission.refuseWhenFull()
    done()
  })
  app.addHook('preHandler', (request, _reply, done) => {
    admission.enter()
    admitted.add(request)
    done()
  })
  app.addHook('onSend', (request, _reply, _payload, done) => {
    if (admitted.delete(request)) admission.leave()
    done()
  })
  const admitted = new Set<FastifyRequest>()
}

function observe(app: FastifyInstance, options: AppOptions): void {
  if (options.tracer !== undefined) trace(app, options.tracer)
  app.addHook('onSend', (request, reply, _payload, done) => {
    reply.headers(commonHeaders(options, request.id))
    done()
  })
  app.addHook('onResponse', (request, { elapsedTime: ms, statusCode: status }, done) => {
    const lookup = options.metrics.lookupOf(request)
    noteAnswer(options, askedOf(request), status, ms, request.ip, lookup)
    done()
  })
}

/** The request's span is the active one while it is handled. */
function trace(app: FastifyInstance, tracer: RequestTracer): void {
  const spans = new WeakMap<FastifyRequest, ReturnType<RequestTracer['startHttp']>>()
  app.addHook('onRequest', (request, _reply, done) => {
    const span = tracer.startHttp(request.raw, pathOf(request))
    spans.set(request, span)
    span.run(done)
  })
  app.addHook('onResponse', (request, reply: FastifyReply, done) => {
    spans.get(request)?.endHttp(request.routeOptions.url, reply.statusCode)
    done()
  })
}
