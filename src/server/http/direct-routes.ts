import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { LookupAnswer } from '../../serving/online-serving.js'
import type { AccessControl, Caller } from '../auth/access-control.js'
import { challengeOf } from '../auth/http-access.js'
import type { ConnectionWatch } from '../connection-watch.js'
import { REQUEST_ID_HEADER, requestId } from '../request-id.js'
import type { HttpSpan, RequestTracer } from '../tracing.js'
import type { BodyParser } from './body-parsers.js'
import type { BodyReader } from './body-reader.js'
import {
  type Asked,
  commonHeaders,
  type ErrorAnswer,
  type ExchangeOptions,
  noteAnswer,
} from './http-exchange.js'

/** A route of a server's daily bread: answered without fastify where a request is as nearly all of them are. */
export interface DirectRoute {
  /** As fastify has it. */
  readonly url: string
  /** The parameters of a path without anything that would have to be decoded; undefined: it is left to fastify. */
  match(path: string): Readonly<Record<string, string>> | undefined
  /** By content type; others are left to fastify. */
  readonly parsers: ReadonlyMap<string, BodyParser>
  answer(request: DirectRequest): Promise<DirectAnswer>
  /** As fastify's error handler says there. */
  fail(error: unknown, asked: Asked): ErrorAnswer
}

/** What a route needs to know of a request; those of fastify have it as well. */
export interface DirectRequest {
  readonly id: string
  readonly headers: IncomingHttpHeaders
  readonly params: unknown
  readonly body: unknown
  readonly caller: Caller | undefined
}

export interface DirectAnswer {
  /** Its own, to which others are added. */
  readonly headers: OutgoingHttpHeaders
  readonly body: Buffer
  /** Where the body is that of a lookup. */
  readonly lookup?: LookupAnswer
}

export interface DirectOptions extends ExchangeOptions {
  readonly watch: ConnectionWatch
  readonly bodies: BodyReader
  readonly access: AccessControl | undefined
  readonly tracer?: RequestTracer | undefined
}

/**
 * Fastify's routing and hooks take a fifth of the time of a lookup of 50 features, and of a model that is run on one row
 * (measured). Each step here is the function that its hooks call as well, and in their order.
 */
export class DirectRoutes {
  readonly #options: DirectOptions
  readonly #routes: DirectRoute[] = []

  constructor(options: DirectOptions) {
    this.#options = options
  }

  /** Also with fastify, for requests that are out of the ordinary. */
  post(app: FastifyInstance, route: DirectRoute): void {
    this.#routes.push(route)
    app.post(route.url, async (request, reply) => {
      const { headers, body, lookup } = await route.answer(request)
      if (lookup !== undefined) {
        this.#options.metrics.countLookup(request, lookup)
        // All of it is with the operating system then. Of an answer that does not get there the buffer is lost.
        reply.raw.once('finish', lookup.release)
      }
      return reply.code(200).headers(headers).send(body)
    })
  }

  /** @returns false for a request that is left to fastify */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'POST') return false
    const { headers, url = '' } = request
    for (const route of this.#routes) {
      const params = route.match(url)
      if (params === undefined) continue
      const parse = route.parsers.get(headers['content-type'] ?? 'application/json')
      if (parse === undefined || headers['content-length'] === undefined) return false
      new DirectExchange(this.#options, route, request, response).run(params, parse)
      return true
    }
    return false
  }
}

interface Outcome {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: Buffer
}

class DirectExchange {
  readonly #options: DirectOptions
  readonly #route: DirectRoute
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #asked: Asked
  readonly #startedAt = performance.now()
  #span: HttpSpan | undefined
  #lookup: LookupAnswer | undefined
  /** Who sent something wrong may send more of it. */
  #isReading = false
  #isOver = false

  constructor(
    options: DirectOptions,
    route: DirectRoute,
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    this.#options = options
    this.#route = route
    this.#request = request
    this.#response = response
    const id = requestId(request.headers[REQUEST_ID_HEADER])
    this.#asked = { id, method: 'POST', path: request.url! }
  }

  run(params: DirectRequest['params'], parse: BodyParser): void {
    const { watch, tracer } = this.#options
    watch.requestStarted(this.#request.socket)
    this.#response.on('finish', () => this.#sent())
    // As after the client has gone.
    this.#response.on('error', () => this.#over())
    this.#span = tracer?.startHttp(this.#request, this.#asked.path)
    const running =
      this.#span === undefined ? this.#run(params, parse) : this.#span.run(() => this.#run(params, parse))
    // What goes wrong while an answer is handed on is one request's, not the server's.
    running.catch((error) => this.#response.destroy(error))
  }

  async #run(params: DirectRequest['params'], parse: BodyParser): Promise<void> {
    const { status, headers, body } = await this.#outcome(params, parse)
    const common = commonHeaders(this.#options, this.#asked.id)
    Object.assign(headers, common, { 'content-length': body.length })
    this.#response.writeHead(status, headers).end(body)
  }

  async #outcome(params: DirectRequest['params'], parse: BodyParser): Promise<Outcome> {
    try {
      const { headers, body, lookup } = await this.#answer(params, parse)
      this.#lookup = lookup
      return { status: 200, headers, body }
    } catch (error) {
      const { status, headers, body } = this.#route.fail(error, this.#asked)
      const own = this.#isReading
        ? { connection: 'close' }
        : challengeOf(error, this.#request.headers.authorization)
      const type = { 'content-type': 'application/json' }
      return { status, headers: { ...own, ...headers, ...type }, body: Buffer.from(body) }
    }
  }

  async #answer(params: DirectRequest['params'], parse: BodyParser): Promise<DirectAnswer> {
    const { access, admission, bodies } = this.#options
    const { headers } = this.#request
    const caller = access && (await access.authenticate(headers.authorization))
    admission.refuseWhenFull()
    this.#isReading = true
    const body = parse(await bodies.whole(this.#request))
    this.#isReading = false
    admission.enter()
    try {
      return await this.#route.answer({ id: this.#asked.id, headers, params, body, caller })
    } finally {
      admission.leave()
    }
  }

  /** All of the answer is with the operating system. Of one that does not get there the buffer is lost. */
  #sent(): void {
    this.#lookup?.release()
    this.#over()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { socket } = this.#request
    const { statusCode: status } = this.#response
    const ms = performance.now() - this.#startedAt
    this.#options.watch.requestEnded(socket)
    this.#span?.endHttp(this.#route.url, status)
    noteAnswer(this.#options, this.#asked, status, ms, String(socket.remoteAddress), this.#lookup)
  }
}
