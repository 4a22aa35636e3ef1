import { ERROR_CODES, type ErrorCode, FeastError, type GrpcStatus } from '../core/errors.js'

/** An error that a feature server answered with. `http`, `grpc` and `feastClass` are what it sent. */
export class ServerError extends FeastError {
  override readonly http: number
  override readonly grpc: GrpcStatus
  override readonly feastClass: string
  override readonly retry: boolean

  constructor(message: string, answer: Pick<FeastError, 'code' | 'http' | 'grpc' | 'feastClass' | 'retry'>) {
    super(answer.code, message, undefined)
    this.http = answer.http
    this.grpc = answer.grpc
    this.feastClass = answer.feastClass
    this.retry = answer.retry
  }
}

/** An HTTP answer that is not 2xx. @param code what the server's own header says, if it has it */
export function httpError(status: number, body: Buffer, code: unknown): ServerError {
  const { message, feastClass } = describe(body, `The server answered with status ${status}.`)
  return new ServerError(message, {
    code: codeOf(code, feastClass),
    http: status,
    grpc: GRPC_OF_HTTP[status] ?? (status < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL'),
    feastClass,
    retry: isPassing(status),
  })
}

/** The server is overloaded, stopping or has lost its store; it may be well again soon. */
export function isPassing(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504
}

/** An RPC that did not end with OK. @param message as sent, percent-decoded @param code what the server's metadata say, if they have it */
export function grpcError(status: number, message: string, code: unknown): ServerError {
  const found = describe(Buffer.from(message), `The server answered with gRPC status ${status}.`)
  const known = codeOf(code, found.feastClass)
  const grpc = GRPC_STATUSES[status] ?? 'INTERNAL'
  return new ServerError(found.message, {
    code: known,
    http: known === 'SERVER_FAILED' ? (HTTP_OF_GRPC[grpc] ?? 500) : new FeastError(known, '', undefined).http,
    grpc,
    feastClass: found.feastClass,
    retry: grpc === 'UNAVAILABLE',
  })
}

interface Described {
  readonly message: string
  readonly feastClass: string
}

/** Finds class and message in the bodies of Feast, FastAPI and proxies. */
function describe(body: Buffer, fallback: string): Described {
  const text = body.toString('utf8')
  const parsed = parsedJson(text)
  // Feast's own is a JSON string that holds JSON.
  const inner = typeof parsed === 'string' ? (parsedJson(parsed) ?? parsed) : parsed
  if (typeof inner === 'string') return { message: inner || fallback, feastClass: 'FeastError' }
  if (typeof inner === 'object' && inner !== null) {
    const { message, class: feastClass, detail, error } = inner as Readonly<Record<string, unknown>>
    const found = [message, detailText(detail), error].find((one) => typeof one === 'string')
    return {
      message: typeof found === 'string' ? found : fallback,
      feastClass: typeof feastClass === 'string' ? feastClass : 'FeastError',
    }
  }
  const isText = parsed === undefined && text !== '' && !text.trimStart().startsWith('<')
  return { message: isText ? text.slice(0, 1000) : fallback, feastClass: 'FeastError' }
}

/** FastAPI's findings about a body. */
function detailText(detail: unknown): unknown {
  if (!Array.isArray(detail)) return detail
  const findings = detail as readonly { readonly loc?: readonly unknown[]; readonly msg?: unknown }[]
  return findings.map(({ loc, msg }) => `${loc?.join('.')}: ${msg}`).join('; ')
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function codeOf(sent: unknown, feastClass: string): ErrorCode {
  const known = ERROR_CODES.find((code) => code === sent)
  return known ?? codesByClass().get(feastClass) ?? 'SERVER_FAILED'
}

let byClass: ReadonlyMap<string, ErrorCode> | undefined

/** Classes that only one code has. */
function codesByClass(): ReadonlyMap<string, ErrorCode> {
  if (byClass === undefined) {
    const classes = ERROR_CODES.map((code) => new FeastError(code, '', undefined).feastClass)
    const unique = ERROR_CODES.map((code, i) => [classes[i]!, code] as const).filter(
      ([name]) => classes.indexOf(name) === classes.lastIndexOf(name),
    )
    byClass = new Map(unique)
  }
  return byClass
}

const GRPC_STATUSES: readonly (GrpcStatus | undefined)[] = [
  undefined,
  'ABORTED',
  'INTERNAL',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'INVALID_ARGUMENT',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'INTERNAL',
  'UNAUTHENTICATED',
]

const GRPC_OF_HTTP: Readonly<Record<number, GrpcStatus>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  413: 'RESOURCE_EXHAUSTED',
  429: 'RESOURCE_EXHAUSTED',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

const HTTP_OF_GRPC: Partial<Record<GrpcStatus, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  RESOURCE_EXHAUSTED: 429,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
}
