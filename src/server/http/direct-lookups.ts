import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { LookupAnswer } from '../../serving/online-serving.js'
import { challengeOf } from '../auth/http-access.js'
import type { ConnectionWatch } from '../connection-watch.js'
import { REQUEST_ID_HEADER, requestId } from '../request-id.js'
import type { HttpSpan, RequestTracer } from '../tracing.js'
import { BODY_PARSERS, type BodyParser } from './body-parsers.js'
import type { BodyReader } from './body-reader.js'
import { type Asked, commonHeaders, type ExchangeOptions, errorAnswer, noteAnswer } from './http-exchange.js'
import { LOOKUP_PATH, type LookupDeps, lookUp } from './online-lookup.js'

export interface DirectOptions extends ExchangeOptions, LookupDeps {
  readonly watch: ConnectionWatch
  readonly bodies: BodyReader
  readonly tracer?: RequestTracer | undefined
}

/**
 * Lookups as nearly all of them come, without fastify: its routing and hooks take a fifth of the time of one with 50
 * features (measured). Each step is the function that fastify's hooks call as well, and in their order.
 * @returns false for a request that is left to fastify: it is no lookup, or anything about it is out of the ordinary
 */
export function directLookups(
  options: DirectOptions,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    if (request.url !== LOOKUP_PATH || request.method !== 'POST') return false
    const { headers } = request
    const parse = BODY_PARSERS.get(headers['content-type'] ?? 'application/json')
    if (parse === undefined || headers['content-length'] === undefined) return false
    new DirectLookup(options, request, response).run(parse)
    return true
  }
}

interface Outcome {
  readonly status: number
  /** Its own, to which others are added. */
  readonly headers: OutgoingHttpHeaders
  readonly body: Buffer
}

class DirectLookup {
  readonly #options: DirectOptions
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #asked: Asked
  readonly #startedAt = performance.now()
  #span: HttpSpan | undefined
  #answer: LookupAnswer | undefined
  /** Who sent something wrong may send more of it. */
  #isReading = false
  #isOver = false

  constructor(options: DirectOptions, request: IncomingMessage, response: ServerResponse) {
    this.#options = options
    this.#request = request
    this.#response = response
    this.#asked = { id: requestId(request.headers[REQUEST_ID_HEADER]), method: 'POST', path: LOOKUP_PATH }
  }

  run(parse: BodyParser): void {
    const { watch, tracer } = this.#options
    watch.requestStarted(this.#request.socket)
    this.#response.on('finish', () => this.#sent())
    // As after the client has gone.
    this.#response.on('error', () => this.#over())
    this.#span = tracer?.startHttp(this.#request, LOOKUP_PATH)
    if (this.#span === undefined) void this.#run(parse)
    else void this.#span.run(() => this.#run(parse))
  }

  async #run(parse: BodyParser): Promise<void> {
    const { status, headers, body } = await this.#outcome(parse)
    const common = commonHeaders(this.#options, this.#asked.id)
    Object.assign(headers, common, { 'content-length': body.length })
    this.#response.writeHead(status, headers).end(body)
  }

  async #outcome(parse: BodyParser): Promise<Outcome> {
    try {
      return await this.#lookUp(parse)
    } catch (error) {
      const { status, headers, body } = errorAnswer(this.#options, error, this.#asked)
      const own = this.#isReading
        ? { connection: 'close' }
        : challengeOf(error, this.#request.headers.authorization)
      const type = { 'content-type': 'application/json' }
      return { status, headers: { ...own, ...headers, ...type }, body: Buffer.from(body) }
    }
  }

  async #lookUp(parse: BodyParser): Promise<Outcome> {
    const { access, admission, bodies } = this.#options
    const { authorization, accept } = this.#request.headers
    const caller = access && (await access.authenticate(authorization))
    admission.refuseWhenFull()
    this.#isReading = true
    const body = parse(await bodies.whole(this.#request))
    this.#isReading = false
    admission.enter()
    try {
      const { answer, contentType } = await lookUp(this.#options, body, accept, () => caller!)
      this.#answer = answer
      return { status: 200, headers: { 'content-type': contentType }, body: answer.body }
    } finally {
      admission.leave()
    }
  }

  /** All of the answer is with the operating system. Of one that does not get there the buffer is lost. */
  #sent(): void {
    this.#answer?.release()
    this.#over()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { socket } = this.#request
    const { statusCode: status } = this.#response
    const ms = performance.now() - this.#startedAt
    this.#options.watch.requestEnded(socket)
    this.#span?.endHttp(LOOKUP_PATH, status)
    noteAnswer(this.#options, this.#asked, status, ms, String(socket.remoteAddress), this.#answer)
  }
}
