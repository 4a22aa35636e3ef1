import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a statement answers: pages of rows, or an error after them. */
export interface Script {
  readonly columns?: readonly (readonly [name: string, type: string])[]
  /** Each as JSON text, as Trino would write it. */
  readonly pages?: readonly string[]
  readonly error?: { readonly message: string; readonly errorName: string; readonly errorType: string }
}

/** A server that speaks Trino's client protocol and answers by script; it runs no SQL. */
export class ScriptedTrino {
  readonly statements: string[] = []
  readonly headers: IncomingMessage['headers'][] = []
  /** Queries that were stopped before their end. */
  readonly cancelled: string[] = []
  /** For the next requests: a status to answer with, or a connection to break. */
  readonly faults: (number | 'drop')[] = []
  readonly #queries = new Map<string, Script>()
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  private constructor(private readonly script: (sql: string) => Script) {}

  static async start(script: (sql: string) => Script): Promise<ScriptedTrino> {
    const trino = new ScriptedTrino(script)
    await new Promise<void>((resolve) => trino.#server.listen(0, '127.0.0.1', resolve))
    return trino
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += chunk
    const fault = this.faults.shift()
    if (fault === 'drop') return void request.socket.destroy()
    if (fault !== undefined) return void response.writeHead(fault).end('busy')
    if (request.method === 'POST') {
      const id = `q${this.statements.length}`
      this.statements.push(body)
      this.headers.push(request.headers)
      this.#queries.set(id, this.script(body))
      return void response.end(
        `{"id":"${id}","nextUri":"${this.#uri(id, 0)}","stats":{"progressPercentage":0.1234567890123456789}}`,
      )
    }
    const [id = '', page = ''] = request.url!.split('/').slice(3)
    if (request.method === 'DELETE') {
      this.cancelled.push(id)
      return void response.writeHead(204).end()
    }
    response.end(this.#page(id, Number(page)))
  }

  #page(id: string, number: number): string {
    const { columns = [], pages = [], error } = this.#queries.get(id)!
    const shape = JSON.stringify(columns.map(([name, type]) => ({ name, type })))
    const parts = [`"id":"${id}"`, ...(columns.length > 0 ? [`"columns":${shape}`] : [])]
    if (number < pages.length) parts.push(`"data":${pages[number]}`)
    if (number + 1 < pages.length || (error && number < pages.length))
      parts.push(`"nextUri":"${this.#uri(id, number + 1)}"`)
    else if (error) parts.push(`"error":${JSON.stringify(error)}`)
    return `{${parts.join(',')}}`
  }

  #uri(id: string, page: number): string {
    return `http://another-name:1/v1/statement/${id}/${page}`
  }
}
