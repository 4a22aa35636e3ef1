import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { ERROR_CODE_KEY } from '../../codec/grpc-wire.js'
import { isFeastError } from '../../core/errors.js'
import type { Admission } from '../admission.js'
import { REQUEST_ID_HEADER } from '../request-id.js'
import type { ServerLog } from '../server-log.js'
import { errorReply } from './error-reply.js'
import type { LookupSize, ServerMetrics } from './server-metrics.js'

/** What holds for every answer, whether fastify sends it or not. */

export interface ExchangeOptions {
  readonly log: ServerLog
  readonly metrics: ServerMetrics
  readonly admission: Admission
  /** True once the server is stopping: connections are then closed after their answer. */
  readonly stopping: () => boolean
}

/** A request as logs and metrics know it. */
export interface Asked {
  readonly id: string
  readonly method: string
  /** Without the query: what stands there may be secret. */
  readonly path: string
}

export function askedOf(request: FastifyRequest): Asked {
  return { id: request.id, method: request.method, path: pathOf(request) }
}

export function pathOf({ url }: FastifyRequest): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

export interface ErrorAnswer {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  /** JSON text. */
  readonly body: string
}

/** After a 503; a store that is away is tried again by then. */
const RETRY_AFTER_SECONDS = '1'

/** Headers of every answer. */
export function commonHeaders({ stopping }: ExchangeOptions, id: string): OutgoingHttpHeaders {
  return stopping() ? { [REQUEST_ID_HEADER]: id, connection: 'close' } : { [REQUEST_ID_HEADER]: id }
}

/** Counts what was thrown, and says what to answer. */
export function errorAnswer(options: ExchangeOptions, error: unknown, asked: Asked): ErrorAnswer {
  const { status, body } = errorReply(error)
  countError(options, error, asked, status)
  return { status, headers: errorHeaders(error, status), body }
}

export function errorHeaders(error: unknown, status: number): OutgoingHttpHeaders {
  return {
    ...(status === 503 && { 'retry-after': RETRY_AFTER_SECONDS }),
    ...(isFeastError(error) && { [ERROR_CODE_KEY]: error.code }),
  }
}

export function countError(
  { log, admission }: ExchangeOptions,
  error: unknown,
  asked: Asked,
  status: number,
): void {
  admission.countError(error, status >= 500)
  if (status >= 500) log.logger.error(failureOf(error, asked), 'request failed')
}

/** Of an error that nobody foresaw, the class and where it was thrown: its message may hold a client's data. */
function failureOf(error: unknown, { id, method, path }: Asked): object {
  const asked = { request_id: id, request: `${method} ${path}` }
  if (isFeastError(error)) return { ...asked, code: error.code, error: error.message }
  if (!(error instanceof Error)) return { ...asked, class: typeof error }
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return { ...asked, class: error.constructor.name, stack: frames?.map((line) => line.trim()) }
}

/** Once all of an answer has been handed on. @param lookup what a lookup asked for */
export function noteAnswer(
  { metrics, log }: ExchangeOptions,
  { id, method, path }: Asked,
  status: number,
  ms: number,
  ip: string,
  lookup: LookupSize | undefined,
): void {
  metrics.observe(path, status < 400, ms / 1000, lookup)
  log.access?.({ id, protocol: 'http', method, path, status, ms, ip })
}
