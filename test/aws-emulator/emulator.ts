import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AwsSettings } from '../../src/core/aws-settings.js'

/** One AWS service on the emulator: it says which requests are its own and answers them. */
export interface EmulatedService {
  readonly name: string
  /** Called in order; the first that says yes gets the request. */
  matches(request: EmulatedRequest): boolean
  handle(request: EmulatedRequest): Promise<EmulatedAnswer>
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
  readonly body?: string | Buffer
}

/** What goes wrong, once each unless `times` says more. */
export interface Fault {
  /** Of the target or `METHOD /path`. */
  readonly match: RegExp
  /** Calls that match to let pass first. */
  readonly after?: number
  readonly times?: number
  /** `answer`: instead of doing it. `drop`: after it was done, the connection breaks without an answer. `delay`: done late. */
  readonly what: { readonly answer: EmulatedAnswer } | 'drop' | { readonly delayMs: number }
}

/**
 * AWS on this machine, for the untouched SDK clients: a port of 127.0.0.1 that speaks the wire protocols of the
 * services given. Test equipment, not a product.
 */
export class AwsEmulator {
  readonly #server = createServer((request, response) => {
    this.#answer(request).then(
      (answer) => {
        if (answer === undefined) return void request.socket.destroy()
        const body = answer.body ?? ''
        response.writeHead(answer.status, {
          'content-length': String(Buffer.byteLength(body)),
          ...answer.headers,
        })
        response.end(request.method === 'HEAD' ? undefined : body)
      },
      (error) => {
        response.writeHead(500, { 'content-type': 'text/plain' })
        response.end(String(error?.stack ?? error))
      },
    )
  })
  readonly #faults: (Fault & { seen: number; done: number })[] = []
  /** Targets, or `METHOD /path`, in the order they came. */
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

  fail(fault: Fault): void {
    this.#faults.push({ ...fault, seen: 0, done: 0 })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    for (const service of this.services) await service.close?.()
  }

  async #answer(incoming: IncomingMessage): Promise<EmulatedAnswer | undefined> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const headers = incoming.headers as Record<string, string>
    const target = headers['x-amz-target'] ?? ''
    const request: EmulatedRequest = {
      method: incoming.method!,
      url: incoming.url!,
      headers,
      target,
      signedFor: /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers['authorization'] ?? '')?.[1] ?? '',
      body: Buffer.concat(chunks),
    }
    const call = target || `${request.method} ${request.url.split('?')[0]}`
    this.calls.push(call)
    const service = this.services.find((candidate) => candidate.matches(request))
    if (!service) return { status: 404, body: `no emulated service takes ${call}` }
    const fault = this.#faultFor(call)
    if (fault === undefined) return service.handle(request)
    if (fault !== 'drop' && 'answer' in fault) return fault.answer
    if (fault !== 'drop') await new Promise((resolve) => setTimeout(resolve, fault.delayMs))
    const answer = await service.handle(request)
    return fault === 'drop' ? undefined : answer
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

/** Credentials that the emulator takes; the SDK finds them in the environment. */
export const EMULATOR_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
