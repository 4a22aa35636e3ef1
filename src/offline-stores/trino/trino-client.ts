import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { type AgentOptions, Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { feastError, messageOf } from '../../core/errors.js'
import { type Json, parseTrinoJson } from './trino-json.js'

export interface TrinoConnection {
  /** `http://host:8080` */
  readonly url: string
  readonly user: string
  readonly catalog: string
  readonly schema: string
  /** Shown in Trino's list of queries. */
  readonly source: string
  /** Besides what names the session: authorization, extra credentials. */
  readonly headers: Readonly<Record<string, string>>
  /** For https: whom to trust, who to be. */
  readonly tls: AgentOptions
}

/** Some rows of a result; the first page that knows them brings the columns. */
export interface TrinoPage {
  readonly columns: readonly TrinoColumn[]
  readonly rows: readonly (readonly Json[])[]
}

export interface TrinoColumn {
  readonly name: string
  /** As Trino writes it: `array(row("a" bigint))`. */
  readonly type: string
}

/** What Trino says of a statement that failed. `type`: USER_ERROR, INTERNAL_ERROR, INSUFFICIENT_RESOURCES, EXTERNAL. */
export class TrinoError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly type: string,
    readonly queryId: string,
  ) {
    super(message)
  }
}

interface Answer {
  readonly id: string
  readonly nextUri?: string
  readonly columns?: readonly TrinoColumn[]
  readonly data?: readonly (readonly Json[])[]
  readonly error?: { readonly message?: string; readonly errorName?: string; readonly errorType?: string }
}

/** Tries after the first, when the server is busy or the connection breaks: some 30 s in all. */
const RETRIES = 8
const LONGEST_PAUSE_MS = 8_000
const IDLE_TIMEOUT_MS = 120_000

/** Trino's client protocol: a statement is posted, and its result is followed page by page. */
export class TrinoClient {
  readonly #agent: HttpAgent
  readonly #request: typeof httpRequest
  readonly #headers: Readonly<Record<string, string>>

  constructor(private readonly connection: TrinoConnection) {
    const isHttps = connection.url.startsWith('https:')
    const options = { keepAlive: true, maxSockets: 16 }
    this.#agent = isHttps ? new HttpsAgent({ ...options, ...connection.tls }) : new HttpAgent(options)
    this.#request = isHttps ? httpsRequest : httpRequest
    this.#headers = {
      'X-Trino-User': connection.user,
      'X-Trino-Catalog': connection.catalog,
      'X-Trino-Schema': connection.schema,
      'X-Trino-Source': connection.source,
      'X-Trino-Time-Zone': 'UTC',
      // Without it, times come with milliseconds only.
      'X-Trino-Client-Capabilities': 'PARAMETRIC_DATETIME',
      ...connection.headers,
    }
  }

  /**
   * Runs one statement. When the signal fires or the reader leaves, Trino stops it.
   * @throws TrinoError; OFFLINE_STORE_FAILED when Trino cannot be reached; ABORTED
   */
  async *run(sql: string, signal?: AbortSignal): AsyncGenerator<TrinoPage> {
    // Trino starts a statement when its first page is asked for: one that was posted twice runs once.
    let answer = await this.#answer('POST', new URL('/v1/statement', this.connection.url), sql, signal)
    try {
      for (;;) {
        if (answer.error) throw failureOf(answer)
        if (answer.data?.length || answer.columns) {
          yield { columns: answer.columns ?? [], rows: answer.data ?? [] }
        }
        if (answer.nextUri === undefined) return
        answer = await this.#answer('GET', this.#reachable(answer.nextUri), undefined, signal)
      }
    } finally {
      if (answer.nextUri !== undefined && !answer.error) await this.#cancel(answer.nextUri)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  /** A server behind a proxy may name itself otherwise than it is reached. */
  #reachable(uri: string): URL {
    const { pathname, search } = new URL(uri)
    return new URL(`${pathname}${search}`, this.connection.url)
  }

  async #cancel(nextUri: string): Promise<void> {
    await this.#send('DELETE', this.#reachable(nextUri), undefined, undefined).catch(() => undefined)
  }

  async #answer(
    method: string,
    url: URL,
    body: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#send(method, url, body, signal).catch((error: unknown) => {
        if (signal?.aborted) throw feastError('ABORTED', { what: 'The query' }, error)
        return { status: 0, text: messageOf(error) }
      })
      if (outcome.status === 200) return parseTrinoJson(outcome.text) as unknown as Answer
      if (attempt === RETRIES || ![0, 429, 502, 503, 504].includes(outcome.status))
        throw this.#refusal(outcome)
      const pause = Math.min(LONGEST_PAUSE_MS, 100 * 2 ** attempt) * (0.5 + Math.random() / 2)
      await sleep(pause, undefined, signal ? { signal } : {}).catch((error) => {
        throw feastError('ABORTED', { what: 'The query' }, error)
      })
    }
  }

  #refusal({ status, text }: { readonly status: number; readonly text: string }) {
    const where = `Trino at ${this.connection.url}`
    const why =
      status === 0
        ? `${where} cannot be reached: ${text}`
        : status === 401 || status === 403
          ? `${where} refused user "${this.connection.user}" (HTTP ${status}); see \`user\` and \`auth\` of offline_store`
          : `${where} answered HTTP ${status}: ${text.slice(0, 300)}`
    return feastError('OFFLINE_STORE_FAILED', { store: 'Trino', why })
  }

  #send(
    method: string,
    url: URL,
    body: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly status: number; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const options = { method, agent: this.#agent, headers: this.#headers, ...(signal ? { signal } : {}) }
      const request = this.#request(url, options, (response) => {
        textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject)
      })
      request.setTimeout(IDLE_TIMEOUT_MS, () => request.destroy(new Error('no answer')))
      request.on('error', reject)
      request.end(body)
    })
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function failureOf({ error, id }: Answer): TrinoError {
  const { message = 'no reason given', errorName = '', errorType = '' } = error!
  return new TrinoError(message, errorName, errorType, id)
}
