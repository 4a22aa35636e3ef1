import type { AthenaError, QueryExecution } from '@aws-sdk/client-athena'
import { type FeastError, feastError, isFeastError, messageOf } from '../../core/errors.js'

const STORE = 'Athena'

/** What became of one call. */
export type CallProblem =
  /** Come back later, for minutes if need be: calls a second, queries at once. */
  | 'throttled'
  /** The answer may have been lost on the way: ask again. */
  | 'lost'
  | 'final'

/** As the SDK throws it. */
interface SdkError {
  readonly name?: string
  readonly code?: string
  readonly AthenaErrorCode?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $retryable?: object
}

const DENIED =
  /^(AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|InvalidClientTokenId|IncompleteSignature|MissingAuthentication|CredentialsProvider)/

export function callProblem(error: unknown): CallProblem {
  const { name = '', $metadata } = error as SdkError
  if (/^(Throttl|TooManyRequests|RequestLimitExceeded)/.test(name)) return 'throttled'
  if (isFeastError(error) || DENIED.test(name)) return 'final'
  const status = $metadata?.httpStatusCode
  if (status === undefined) return isNetwork(error) ? 'lost' : 'final'
  return status >= 500 || name === 'InternalServerException' ? 'lost' : 'final'
}

function isNetwork(error: unknown): boolean {
  const { name = '', code = '' } = error as SdkError
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)/.test(code) ||
    /Timeout|NetworkingError/.test(name) ||
    /socket hang up|aborted|ECONNRESET/.test(messageOf(error))
  )
}

/** A call that was refused, or given up, as one of our errors. Never holds what a request was signed with. */
export function callError(error: unknown, what: string): FeastError {
  if (isFeastError(error)) return error
  const { name = '', AthenaErrorCode: athenaCode } = error as SdkError
  const text = messageOf(error)
  if (callProblem(error) !== 'final')
    return feastError('OFFLINE_STORE_UNAVAILABLE', { store: STORE, why: `${what}: ${name}: ${text}` }, error)
  if (DENIED.test(name) || /not authorized|credential/i.test(text))
    return feastError('OFFLINE_STORE_DENIED', { store: STORE, what, why: text }, error)
  if (athenaCode === 'MALFORMED_QUERY' || name === 'InvalidRequestException')
    return feastError('QUERY_REFUSED', { store: STORE, why: text, queryId: undefined }, error)
  return feastError('OFFLINE_STORE_FAILED', { store: STORE, why: `${what}: ${name}: ${text}` }, error)
}

/** A query that ended badly. */
export function queryError(execution: QueryExecution): FeastError {
  const { QueryExecutionId: queryId, Status: status } = execution
  const why = status?.StateChangeReason ?? status?.AthenaError?.ErrorMessage ?? 'no reason given'
  if (/Bytes scanned limit/i.test(why))
    return feastError('SCAN_LIMIT_EXCEEDED', {
      what: `the workgroup's own limit stopped query ${queryId}`,
      mend: 'Ask for less time or fewer views, or raise the limit of the workgroup.',
    })
  if (/^(TABLE_NOT_FOUND|SCHEMA_NOT_FOUND|CATALOG_NOT_FOUND)|EntityNotFound|Table not found/.test(why))
    return feastError('OFFLINE_TABLE_NOT_FOUND', { store: STORE, why, queryId })
  if (/AccessDenied|Access Denied|PERMISSION_DENIED|not authorized/i.test(why))
    return feastError('OFFLINE_STORE_DENIED', { store: STORE, what: `query ${queryId}`, why })
  if (/^(EXCEEDED_|QUERY_EXCEEDED|QUERY_TIMED_OUT)|exhausted resources|time limit/i.test(why))
    return feastError('QUERY_REFUSED', {
      store: STORE,
      why: `it needs more than Athena gives one query: ${why}`,
      queryId,
    })
  if (isUsersMistake(status?.AthenaError, why))
    return feastError('QUERY_REFUSED', { store: STORE, why, queryId })
  return feastError('OFFLINE_STORE_FAILED', { store: STORE, why: `query ${queryId}: ${why}` })
}

const USER = 2

function isUsersMistake(error: AthenaError | undefined, why: string): boolean {
  return (
    error?.ErrorCategory === USER ||
    /^(SYNTAX_ERROR|COLUMN_NOT_FOUND|TYPE_MISMATCH|INVALID_|NOT_SUPPORTED)/.test(why)
  )
}

/** True when the same statement may do better next time. */
export function isWorthAnother({ Status: status }: QueryExecution): boolean {
  const why = status?.StateChangeReason ?? ''
  return (
    status?.State === 'FAILED' &&
    (status.AthenaError?.Retryable === true ||
      /SlowDown|Please reduce your request rate|Internal error|NO_NODES_AVAILABLE/i.test(why))
  )
}
