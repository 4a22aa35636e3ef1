import { ERROR_CODE_KEY } from '../codec/grpc-wire.js'
import type { Call } from './call.js'
import { featureReader } from './feature-value.js'
import { type HttpAnswer, type HttpRequest, type HttpTransport, refuseFailed } from './http-transport.js'
import { jsonColumns } from './json-answer.js'
import { columnJson } from './json-text.js'
import { encodeLookup, type Lookup, lookupJson } from './lookup.js'
import type { OnlineColumn } from './online-features.js'
import { misshapen, protoColumns } from './proto-answer.js'
import type { Materialization, Reading, ServerLink, Write, WrittenColumn } from './server-link.js'

const JSON_TYPE = 'application/json'
const PROTOBUF_TYPE = 'application/x-protobuf'
/** With which a server may say that it reads no protobuf; Python's fails on the bytes. */
const NOT_UNDERSTOOD = [400, 406, 415, 422, 500]

export interface HttpLinkOptions {
  readonly transport: HttpTransport
  /** Made anew for every attempt. */
  headers(): Promise<Readonly<Record<string, string>>>
  /** Never ask for protobuf. */
  readonly jsonOnly: boolean
}

/** Feast's HTTP routes, of our server and of Python's. */
export class HttpLink implements ServerLink {
  readonly #options: HttpLinkOptions
  /**
   * Set by the first answer. Until then requests are JSON, which every server reads, and ask for protobuf, which
   * those that do not know it ignore.
   */
  #speaksProtobuf = false

  constructor(options: HttpLinkOptions) {
    this.#options = options
  }

  async lookup(lookup: Lookup, reading: Reading, call: Call): Promise<readonly OnlineColumn<unknown>[]> {
    let answer = await this.#ask(lookup, this.#speaksProtobuf, call)
    if (this.#speaksProtobuf && isNotUnderstood(answer)) {
      // Another server by now.
      this.#speaksProtobuf = false
      answer = await this.#ask(lookup, false, call)
    }
    refuseFailed(answer)
    const { body, headers } = answer
    if (headers['content-type']?.startsWith(PROTOBUF_TYPE)) {
      this.#speaksProtobuf = true
      return protoColumns(body, lookup.rowCount, (name) =>
        featureReader(name, reading.typeOf(name), reading.int64),
      )
    }
    return jsonColumns(body, lookup.rowCount, reading.typeOf, reading.int64)
  }

  writes(write: Write): readonly ((call: Call) => Promise<void>)[] {
    const body = Buffer.from(writeJson(write))
    const path = 'pushSource' in write.target ? '/push' : '/write-to-online-store'
    return [
      async (call) => {
        refuseFailed(await this.#post(path, body, !write.repeatable, call))
      },
    ]
  }

  async materialize(request: Materialization, call: Call): Promise<readonly string[] | undefined> {
    const { start, end, featureViews, version, force } = request
    const query = request.async ? `?async=true${force ? '&force=true' : ''}` : ''
    const path = `${start === undefined ? '/materialize-incremental' : '/materialize'}${query}`
    const body = JSON.stringify({ start_ts: start, end_ts: end, feature_views: featureViews, version })
    const answer = await this.#post(path, Buffer.from(body), true, call)
    refuseFailed(answer)
    return request.async ? acceptedViews(answer) : undefined
  }

  async isWell(what: 'alive' | 'ready', call: Call): Promise<boolean> {
    const path = what === 'ready' ? '/ready' : '/health'
    const answer = await this.#send({ method: 'GET', path, headers: {}, fresh: false }, call)
    // Python's server has no /ready.
    return answer.status === 404 && what === 'ready' ? this.isWell('alive', call) : answer.status === 200
  }

  close(): void {
    this.#options.transport.close()
  }

  #ask(lookup: Lookup, isProtobuf: boolean, call: Call): Promise<HttpAnswer> {
    const headers = {
      'content-type': isProtobuf ? PROTOBUF_TYPE : JSON_TYPE,
      accept: this.#options.jsonOnly ? JSON_TYPE : `${PROTOBUF_TYPE}, ${JSON_TYPE};q=0.5`,
    }
    const body = isProtobuf ? encodeLookup(lookup) : Buffer.from(lookupJson(lookup))
    return this.#send({ method: 'POST', path: '/get-online-features', headers, body, fresh: false }, call)
  }

  #post(path: string, body: Buffer, fresh: boolean, call: Call): Promise<HttpAnswer> {
    return this.#send({ method: 'POST', path, headers: { 'content-type': JSON_TYPE }, body, fresh }, call)
  }

  async #send(request: HttpRequest, call: Call): Promise<HttpAnswer> {
    const { transport, headers } = this.#options
    return transport.send({ ...request, headers: { ...request.headers, ...(await headers()) } }, call)
  }
}

/** A server that reads protobuf names the code of what is wrong. */
function isNotUnderstood({ status, headers }: HttpAnswer): boolean {
  return NOT_UNDERSTOOD.includes(status) && headers[ERROR_CODE_KEY] === undefined
}

function acceptedViews({ body }: HttpAnswer): readonly string[] {
  try {
    const { feature_views: views } = JSON.parse(body.toString('utf8')) as {
      feature_views?: readonly string[]
    }
    return views ?? []
  } catch {
    throw misshapen('it is not JSON')
  }
}

function writeJson({ target, columns }: Write): string {
  const df = columns.map((column) => `${JSON.stringify(column.name)}:${writtenJson(column)}`).join(',')
  const head =
    'pushSource' in target
      ? `"push_source_name":${JSON.stringify(target.pushSource)},"to":${JSON.stringify(target.to)}`
      : `"feature_view_name":${JSON.stringify(target.featureView)}`
  return `{${head},"df":{${df}}}`
}

function writtenJson({ name, values, type, isTime }: WrittenColumn): string {
  const where = `Column "${name}"`
  if (!isTime && type !== undefined) return columnJson(values, type, where)
  // Without a schema a Date is a time of the row.
  return columnJson(values.map(isoText), undefined, where)
}

export function isoText(value: unknown): unknown {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : value
}
