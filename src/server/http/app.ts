import { isUtf8 } from 'node:buffer'
import { createSecureContext } from 'node:tls'
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { Logger } from '../../core/logger.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import { detailBody, errorReply, translateFastify } from './error-reply.js'
import { parseJsonBody } from './json-body.js'
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
  readonly logger: Logger
  readonly metrics: ServerMetrics
  readonly jobs: MaterializeJobs
  readonly accessLog: boolean
  readonly bodyLimitBytes: number
  readonly keepAliveTimeoutMs: number
  readonly tls?: Tls | undefined
  /** True once the server is stopping: connections are then closed after their answer. */
  readonly stopping: () => boolean
}

/** PEM texts. */
export interface Tls {
  readonly key: Buffer | string
  readonly cert: Buffer | string
}

/** 16 KiB of headers, and a minute to send a request in. */
const MAX_HEADER_BYTES = 16_384
const REQUEST_TIMEOUT_MS = 60_000

/** The HTTP application; it listens to nothing yet. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { bodyLimitBytes, keepAliveTimeoutMs } = options
  const app = fastify({
    ...secure(options.tls),
    logger: false,
    bodyLimit: bodyLimitBytes,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => {
      sendJson(reply, error.statusCode ?? 400, detailBody(error.message))
    },
  })
  acceptJsonBodies(app)
  const paths = answerErrors(app, options)
  observe(app, options)
  app.addHook('onRoute', ({ url }) => {
    paths.add(url)
  })
  await app.register(onlineFeaturesRoutes, options)
  await app.register(writeRoutes, options)
  await app.register(materializeRoutes, options)
  await app.register(healthRoutes, options)
  await app.register(metricsRoutes, options)
  await app.register(openapiRoutes)
  return app
}

/** Fastify's types tell plain from secure servers apart; to the routes they are the same. */
function secure(tls: Tls | undefined): object {
  if (tls === undefined) return {}
  try {
    createSecureContext(tls)
    return { https: tls }
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path: 'TLS key and certificate', why: messageOf(error) }, error)
  }
}

/** Bodies are JSON whatever they are called: `curl -d` calls them a form. */
function acceptJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseBody(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  if (!isUtf8(body)) throw new NotUtf8()
  return parseJsonBody(body.toString('utf8'))
}

class NotUtf8 extends Error {
  readonly code = 'FST_NOT_UTF8'
  readonly statusCode = 400
  constructor() {
    super('There was an error parsing the body')
  }
}

function answerErrors(app: FastifyInstance, { logger, bodyLimitBytes }: AppOptions): Set<string> {
  const paths = new Set<string>()
  app.setErrorHandler((thrown, request, reply) => {
    const error = translateFastify(thrown, bodyLimitBytes)
    const { status, body } = errorReply(error)
    if (status >= 500) logger.error(failureOf(error, request), 'request failed')
    sendJson(reply, status, body)
  })
  app.setNotFoundHandler((request, reply) => {
    const known = paths.has(request.url.split('?', 1)[0]!)
    sendJson(reply, known ? 405 : 404, detailBody(known ? 'Method Not Allowed' : 'Not Found'))
  })
  return paths
}

/** Of an error that nobody foresaw, the class and where it was thrown: its message may hold a client's data. */
function failureOf(error: unknown, { method, url }: FastifyRequest): object {
  const request = `${method} ${url.split('?', 1)[0]}`
  if (isFeastError(error)) return { request, code: error.code, error: error.message }
  if (!(error instanceof Error)) return { request, class: typeof error }
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return { request, class: error.constructor.name, stack: frames?.map((line) => line.trim()) }
}

function observe(app: FastifyInstance, { metrics, logger, accessLog, stopping }: AppOptions): void {
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (stopping()) reply.header('connection', 'close')
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    metrics.observeResponse(request.routeOptions.url, reply.statusCode, reply.elapsedTime / 1000, request)
    if (accessLog) {
      const { method, url, ip } = request
      const ms = Math.round(reply.elapsedTime * 100) / 100
      logger.info({ method, url, status: reply.statusCode, ms, ip }, 'request')
    }
    done()
  })
}
