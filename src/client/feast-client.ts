import { feastError, isFeastError } from '../core/errors.js'
import { Call, type CallOptions } from './call.js'
import type { Int64Form } from './feature-value.js'
import { GrpcLink } from './grpc-link.js'
import { GrpcTransport } from './grpc-transport.js'
import { HttpLink } from './http-link.js'
import { type ClientTls, HttpTransport } from './http-transport.js'
import { InFlight } from './in-flight.js'
import { type Lookup, type NamedColumn, NO_ENTITY, tableColumns, wrong } from './lookup.js'
import { Answer, type OnlineFeatures } from './online-features.js'
import {
  type AnyTable,
  type FeatureRefOf,
  type FeaturesRequest,
  type FeaturesRow,
  type ProjectSchema,
  type PushSourceName,
  type RowSchema,
  type RowsOf,
  type ServiceName,
  type ServiceRequest,
  type ServiceRow,
  typeOfSpec,
  type WritableViewName,
} from './project-schema.js'
import { AttemptFailed, withRetries } from './retry.js'
import { SchemaTypes } from './schema-types.js'
import type { PushTarget, ServerLink, Write, WrittenColumn } from './server-link.js'

export interface ClientOptions<Int64 extends Int64Form = 'bigint'> {
  /** `http://`, `https://`, `grpc://` (plain) or `grpcs://` (TLS), with host and port. */
  readonly url: string
  /** Sent as `Authorization: Bearer`. A function is asked at every attempt: let it keep what it costs to get. */
  readonly token?: string | (() => string | Promise<string>)
  /** Of a call, all of its attempts included; 0: no limit. Default 10 000. Materialize has no limit of its own. */
  readonly timeoutMs?: number
  /** Attempts after the first, where a call may be repeated. Default 3. */
  readonly retries?: number
  /** Requests under way at the same time, and connections kept open. Default 50. */
  readonly maxInFlight?: number
  /** Calls that wait while so many are under way; more are refused. Default 1000. */
  readonly maxWaiting?: number
  /** How INT64 values are given; a number is refused where it would be rounded. Default `'bigint'`. */
  readonly int64?: Int64
  readonly tls?: ClientTls
  /** `'json'`: never ask for protobuf, so that answers can be read on the wire. Only over HTTP. */
  readonly format?: 'protobuf' | 'json'
}

type IntOf<Int64 extends Int64Form> = Int64 extends 'number' ? number : bigint

export interface MaterializeOptions extends CallOptions {
  /** ISO 8601, or a Date. */
  readonly end: Date | string
  /** All of the project's views when left out. */
  readonly featureViews?: readonly string[]
  readonly version?: string
  /** Return when the server has begun; its log and metrics tell how it ends. */
  readonly async?: boolean
  /** With `async`: begin though a run of the same views is under way. */
  readonly force?: boolean
}

export interface MaterializeRangeOptions extends MaterializeOptions {
  readonly start: Date | string
}

export type MaterializeOutcome =
  | { readonly status: 'done' }
  | { readonly status: 'accepted'; readonly featureViews: readonly string[] }

const DEFAULT_TIMEOUT_MS = 10_000
const HEALTH_TIMEOUT_MS = 3000
const DEFAULT_RETRIES = 3
const DEFAULT_IN_FLIGHT = 50
const DEFAULT_WAITING = 1000

/**
 * A client of a feature server, ours or Python Feast's. It connects when it is first asked.
 * @param options with the `schema` that `feast generate client` writes, names and values are checked by the compiler
 * @throws INVALID_REQUEST for options that cannot be
 */
export function createFeastClient<
  const S extends ProjectSchema = ProjectSchema,
  Int64 extends Int64Form = 'bigint',
>(options: ClientOptions<Int64> & { readonly schema?: S }): FeastClient<S, IntOf<Int64>> {
  return new FeastClient(options)
}

/** Every call throws a FeastError: ServerError for what a server answered, else SERVER_UNREACHABLE and the like. */
export class FeastClient<S extends ProjectSchema = ProjectSchema, Int = bigint> {
  readonly #link: ServerLink
  readonly #inFlight: InFlight
  readonly #types: SchemaTypes
  readonly #options: ClientOptions<Int64Form>
  readonly #calls = new Set<Call>()
  #isClosed = false

  /** Use {@link createFeastClient}. */
  constructor(options: ClientOptions<Int64Form> & { readonly schema?: ProjectSchema }) {
    this.#options = options
    this.#link = openLink(options)
    this.#inFlight = new InFlight(
      options.maxInFlight ?? DEFAULT_IN_FLIGHT,
      options.maxWaiting ?? DEFAULT_WAITING,
    )
    this.#types = new SchemaTypes(options.schema)
  }

  /** Looks up the features of a service, or features by reference, for entities given as rows or as columns. */
  getOnlineFeatures<const N extends ServiceName<S>, const Full extends boolean = false>(
    request: ServiceRequest<S, N, Full>,
    options?: CallOptions,
  ): Promise<OnlineFeatures<ServiceRow<S, N, Full, Int>>>
  getOnlineFeatures<const Ref extends FeatureRefOf<S>, const Full extends boolean = false>(
    request: FeaturesRequest<S, Ref, Full>,
    options?: CallOptions,
  ): Promise<OnlineFeatures<FeaturesRow<S, Ref, Full, Int>>>
  async getOnlineFeatures(request: AnyLookup, options: CallOptions = {}): Promise<OnlineFeatures<never>> {
    const lookup = this.#lookupOf(request)
    const reading = {
      typeOf: this.#types.ofColumns(lookup),
      int64: this.#options.int64 ?? 'bigint',
    } as const
    const columns = await this.#call('The lookup', options, (call) =>
      this.#retried(call, true, () => this.#link.lookup(lookup, reading, call)),
    )
    return new Answer(
      lookup.rowCount,
      lookup.entities[0]?.name === NO_ENTITY ? withoutDummy(columns) : columns,
    )
  }

  /**
   * Rows to all views that a push source feeds. Online rows may be sent again after a failure, as the newest event
   * time wins; rows to the offline store only where it is certain that nothing was done.
   * Over gRPC each row is a call of its own: after a failure some may be written.
   */
  push<const N extends PushSourceName<S>>(
    request: {
      readonly pushSource: N
      readonly rows: RowsOf<S, S['pushSources'][N]>
      readonly to?: PushTarget
    },
    options: CallOptions = {},
  ): Promise<void> {
    const { pushSource, rows, to = 'online' } = request
    return this.#write({ pushSource, to }, rows, this.#types.rowsOf('pushSources', pushSource), options)
  }

  /** Rows to one view. */
  writeToOnlineStore<const V extends WritableViewName<S>>(
    request: { readonly featureView: V; readonly rows: RowsOf<S, S['views'][V]['rows']> },
    options: CallOptions = {},
  ): Promise<void> {
    const { featureView, rows } = request
    return this.#write({ featureView }, rows, this.#types.rowsOf('views', featureView), options)
  }

  /** Materializes a range of time; waits until it is done, unless `async`. Not over gRPC. */
  materialize(options: MaterializeRangeOptions): Promise<MaterializeOutcome> {
    return this.#materialize(options, options.start)
  }

  /** Materializes from where the last run of each view ended. Not over gRPC. */
  materializeIncremental(options: MaterializeOptions): Promise<MaterializeOutcome> {
    return this.#materialize(options, undefined)
  }

  /** Whether the server is there and alive; never throws for a server that is not. */
  health(options: CallOptions = {}): Promise<boolean> {
    return this.#isWell('alive', options)
  }

  /** Whether the server's registry and store can be used as well. */
  ready(options: CallOptions = {}): Promise<boolean> {
    return this.#isWell('ready', options)
  }

  /** Ends all connections. Calls under way throw CLIENT_CLOSED. */
  close(): void {
    this.#isClosed = true
    for (const call of [...this.#calls]) call.stop(feastError('CLIENT_CLOSED', undefined))
    this.#link.close()
  }

  #lookupOf(request: AnyLookup): Lookup {
    const { features, featureService, fullFeatureNames = false } = request
    const { columns, rowCount } = tableColumns(request.entities, 'entities')
    const data = request.requestData
      ? tableColumns(request.requestData, 'requestData')
      : { columns: [], rowCount }
    if (data.columns.length > 0 && data.rowCount !== rowCount) {
      throw wrong(`requestData has ${data.rowCount} rows, entities has ${rowCount}.`)
    }
    const asked = { features: features ?? [], featureService }
    const rows = rowCount || data.rowCount
    if (rows === 0) throw wrong('There are no entity rows; give at least one.')
    const dummy = { name: NO_ENTITY, values: new Array<string>(rows).fill('') }
    return {
      ...asked,
      fullFeatureNames,
      entities: columns.length > 0 ? columns : [dummy],
      requestData: data.columns.map((column) => ({
        ...column,
        type: this.#types.ofRequestData(asked, column.name),
      })),
      rowCount: rows,
    }
  }

  async #write(
    target: Write['target'],
    rows: readonly Readonly<Record<string, unknown>>[],
    schema: RowSchema | undefined,
    options: CallOptions,
  ): Promise<void> {
    if (rows.length === 0) return
    const { columns, rowCount } = tableColumns(rows, 'rows')
    const repeatable = !('to' in target) || target.to === 'online'
    const write = {
      target,
      rowCount,
      repeatable,
      columns: columns.map((column) => writtenColumn(column, schema)),
    }
    const parts = this.#link.writes(write)
    await this.#call('The write', options, (call) =>
      eachBounded(parts, this.#inFlight.limit, (part) => this.#retried(call, repeatable, () => part(call))),
    )
  }

  async #materialize(
    options: MaterializeOptions,
    start: Date | string | undefined,
  ): Promise<MaterializeOutcome> {
    const { featureViews, version, async: isAsync = false, force = false } = options
    const request = {
      start: start === undefined ? undefined : isoTime(start),
      end: isoTime(options.end),
      featureViews,
      version,
      async: isAsync,
      force,
    }
    const views = await this.#call(
      'The materialization',
      { ...options, timeoutMs: options.timeoutMs ?? 0 },
      (call) => this.#retried(call, false, () => this.#link.materialize(request, call)),
    )
    return views === undefined ? { status: 'done' } : { status: 'accepted', featureViews: views }
  }

  async #isWell(what: 'alive' | 'ready', options: CallOptions): Promise<boolean> {
    const limits = { ...options, timeoutMs: options.timeoutMs ?? HEALTH_TIMEOUT_MS }
    try {
      return await this.#call('The health check', limits, (call) => this.#link.isWell(what, call))
    } catch (error) {
      if (error instanceof AttemptFailed || isFeastError(error, 'DEADLINE_EXCEEDED')) return false
      throw error
    }
  }

  async #call<T>(what: string, options: CallOptions, run: (call: Call) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw feastError('CLIENT_CLOSED', undefined)
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const call = new Call(what, timeoutMs, options.signal)
    this.#calls.add(call)
    try {
      return await run(call)
    } finally {
      this.#calls.delete(call)
      call.end()
    }
  }

  /** Attempts take their turns; waiting before the next takes no place. */
  #retried<T>(call: Call, repeatable: boolean, attempt: () => Promise<T>): Promise<T> {
    const rule = { retries: this.#options.retries ?? DEFAULT_RETRIES, repeatable }
    return withRetries(call, rule, () => this.#inFlight.run(call, attempt))
  }
}

interface AnyLookup {
  readonly features?: readonly string[] | undefined
  readonly featureService?: string | undefined
  readonly fullFeatureNames?: boolean
  readonly entities: AnyTable
  readonly requestData?: AnyTable | undefined
}

function openLink(options: ClientOptions<Int64Form>): ServerLink {
  const url = parseUrl(options.url)
  const headers = () => authorization(options.token)
  if (url.protocol === 'grpc:' || url.protocol === 'grpcs:') {
    return new GrpcLink({ transport: new GrpcTransport(url, options.tls), headers })
  }
  const transport = new HttpTransport(url, options.tls, options.maxInFlight ?? DEFAULT_IN_FLIGHT)
  return new HttpLink({ transport, headers, jsonOnly: options.format === 'json' })
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && url.host !== '' && /^(https?|grpcs?):$/.test(url.protocol)) return url
  throw wrong(
    `url: "${text}" is no address; write http://, https://, grpc:// or grpcs://, then host and port.`,
  )
}

async function authorization(token: ClientOptions['token']): Promise<Readonly<Record<string, string>>> {
  if (token === undefined) return {}
  const text = typeof token === 'string' ? token : await token()
  // Not shown: it is a secret.
  if (!/^[\x21-\x7e]+$/.test(text)) throw wrong('The token is empty or has characters that no token has.')
  return { authorization: `Bearer ${text}` }
}

function withoutDummy<C extends { readonly name: string }>(columns: readonly C[]): readonly C[] {
  return columns.filter(({ name }) => name !== NO_ENTITY)
}

function writtenColumn(column: NamedColumn, schema: RowSchema | undefined): WrittenColumn {
  if (schema === undefined) return { ...column, isTime: false }
  const { columns, times } = schema
  const spec = Object.hasOwn(columns, column.name) ? columns[column.name] : undefined
  return { ...column, type: spec && typeOfSpec(spec), isTime: times.includes(column.name) }
}

function isoTime(time: Date | string): string {
  if (typeof time === 'string') return time
  if (Number.isNaN(time.getTime())) throw wrong('The start or end of a materialization is no valid Date.')
  return time.toISOString()
}

/** Runs `work` for all items, so many at a time; after a failure begins no more, ends those begun, and throws it. */
async function eachBounded<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const worker = async () => {
    while (next < items.length && failure === undefined) {
      try {
        await work(items[next++]!)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  if (failure !== undefined) throw failure.error
}
