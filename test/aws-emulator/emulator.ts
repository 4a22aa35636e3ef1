import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AwsSettings } from '../../src/core/aws-settings.js'

/** One AWS service on the emulator: it says which requests are its own and answers them. */
export interface EmulatedService {
  readonly name: string
  /** Called in order; the first that says yes gets the request. */
  matches(request: EmulatedRequest): boolean
  handle(request: EmulatedRequest): Promise<EmulatedAnswer>
  /** What faults and `calls` know the request by; default: the target, or `METHOD /path`. */
  callOf?(request: EmulatedRequest): string
  close?(): Promise<void>
}

export interface EmulatedRequest {
  readonly method: string
  /** With the query. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** `AmazonAthena.StartQueryExecution`, or '' for REST services. */
  readonly target: string
  /** Of the credential scope in the signature: `s3`, `athena`, `states`, …; '' when unsigned. */
  readonly signedFor: string
  readonly body: Buffer
}

export interface EmulatedAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** A stream comes with its own `content-length`. */
  readonly body?: string | Buffer | Readable
}

/** What goes wrong, once each unless `times` says more. */
export interface Fault {
  /** Of `AmazonAthena.StartQueryExecution`, `S3.PutObject /bucket/key`, or `METHOD /path`. */
  readonly match: RegExp
  /** Calls that match to let pass first. */
  readonly after?: number
  readonly times?: number
  /**
   * `answer`: instead of doing it. `drop`: after it was done, the connection breaks without an answer; `refuse`: before
   * it was done. `delayMs`: done late. `cutAfter`: the connection breaks after so many bytes of the answer's body.
   */
  readonly what:
    | 'drop'
    | 'refuse'
    | { readonly answer: EmulatedAnswer }
    | { readonly delayMs: number }
    | { readonly cutAfter: number }
}

/**
 * AWS on this machine, for the untouched SDK clients: a port of 127.0.0.1 that speaks the wire protocols of the
 * services given. Test equipment, not a product.
 */
export class AwsEmulator {
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error) => {
      // What the client ended itself is no fault of the emulator.
      if (response.headersSent || request.socket.destroyed) return void request.socket.destroy()
      response.writeHead(500, { 'content-type': 'text/plain' })
      response.end(String(error?.stack ?? error))
    })
  })
  readonly #faults: (Fault & { seen: number; done: number })[] = []
  readonly #watchers: ((request: EmulatedRequest) => unknown)[] = []
  /** In the order they came; named as faults match them. */
  readonly calls: string[] = []

  constructor(readonly services: readonly EmulatedService[]) {}

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get settings(): AwsSettings {
    return {
      region: 'us-east-1',
      endpoint: this.endpoint,
      profile: undefined,
      pathStyle: true,
      requestChecksum: 'when_supported',
    }
  }

  /** How often calls that match came. */
  count(match: RegExp): number {
    return this.calls.filter((call) => match.test(call)).length
  }

  /** Shows each request that comes from now on. */
  watch(look: (request: EmulatedRequest) => unknown): void {
    this.#watchers.push(look)
  }

  fail(fault: Fault): void {
    this.#faults.push({ ...fault, seen: 0, done: 0 })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    for (const service of this.services) await service.close?.()
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await received(incoming)
    for (const look of this.#watchers) look(request)
    const service = this.services.find((candidate) => candidate.matches(request))
    const call = service?.callOf?.(request) ?? (request.target || `${request.method} ${pathOf(request)}`)
    this.calls.push(call)
    if (!service) return send(request, response, { status: 404, body: `no emulated service takes ${call}` })
    const fault = this.#faultFor(call)
    if (fault === 'refuse') return void incoming.socket.destroy()
    const how: Readonly<Partial<{ answer: EmulatedAnswer; delayMs: number; cutAfter: number }>> =
      typeof fault === 'object' ? fault : {}
    if (how.answer) return send(request, response, how.answer)
    if (how.delayMs !== undefined) await sleep(how.delayMs)
    const answer = await service.handle(request)
    if (fault === 'drop') return void incoming.socket.destroy()
    await send(request, response, answer, how.cutAfter)
  }

  #faultFor(call: string): Fault['what'] | undefined {
    for (const fault of this.#faults) {
      if (!fault.match.test(call)) continue
      if (fault.seen++ < (fault.after ?? 0) || fault.done >= (fault.times ?? 1)) continue
      fault.done++
      return fault.what
    }
    return undefined
  }
}

async function received(incoming: IncomingMessage): Promise<EmulatedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const headers = incoming.headers as Record<string, string>
  return {
    method: incoming.method!,
    url: incoming.url!,
    headers,
    target: headers['x-amz-target'] ?? '',
    signedFor: /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers['authorization'] ?? '')?.[1] ?? '',
    body: Buffer.concat(chunks),
  }
}

const pathOf = ({ url }: EmulatedRequest) => url.split('?')[0]!

async function send(
  { method }: EmulatedRequest,
  response: ServerResponse,
  { status, headers, body = '' }: EmulatedAnswer,
  cutAfter = Number.POSITIVE_INFINITY,
): Promise<void> {
  const isWhole = typeof body === 'string' || Buffer.isBuffer(body)
  const length = isWhole ? { 'content-length': String(Buffer.byteLength(body)) } : {}
  response.writeHead(status, { ...length, ...headers })
  if (method === 'HEAD' || status === 204 || status === 304) return void response.end()
  if (cutAfter === Number.POSITIVE_INFINITY) {
    if (isWhole) response.end(body)
    else await pipeline(body, response)
    return
  }
  let left = cutAfter
  for await (const chunk of isWhole ? [Buffer.from(body)] : body) {
    response.write(chunk.subarray(0, left))
    left -= chunk.length
    if (left <= 0) break
  }
  // What was written goes out first.
  setImmediate(() => response.destroy())
}

/** Credentials that the emulator takes; the SDK finds them in the environment. */
export const EMULATOR_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
