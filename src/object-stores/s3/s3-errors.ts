import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { S3Place } from './s3-place.js'

/** As the SDK throws it. */
interface S3Error {
  readonly name?: string
  readonly code?: string
  readonly message?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

export function statusOf(error: unknown): number | undefined {
  return (error as S3Error | undefined)?.$metadata?.httpStatusCode
}

export function nameOf(error: unknown): string {
  return (error as S3Error | undefined)?.name ?? ''
}

/** No such object; a bucket that is not there is something else, except to `HeadObject`, which cannot tell. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket'
}

/** What the SDK threw, for people: bucket, key, what is wrong, how to mend it. Never what a request was signed with. */
export function s3Problem(error: unknown, place: S3Place, customHost: string | undefined): Error {
  if (isFeastError(error)) return error
  const { uri } = place
  const host = customHost ?? 'S3'
  if (isTransient(error)) {
    return feastError('OBJECT_STORE_UNAVAILABLE', { uri, host, why: shortOf(error) }, error)
  }
  return feastError('OBJECT_STORE_REFUSED', { uri, why: reasonOf(error, place, host) }, error)
}

/** Codes of Node, and the texts of bodies that ended early or do not add up. */
const NO_ANSWER =
  /\b(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)|aborted|premature|hang up|checksum mismatch/i

function isTransient(error: unknown): boolean {
  const { code = '', name = '' } = error as S3Error
  const status = statusOf(error)
  if (status === 501) return false
  if (status !== undefined && status >= 400)
    return status >= 500 || status === 429 || /SlowDown|Thrott/.test(name)
  return /Timeout/.test(name) || NO_ANSWER.test(`${code} ${messageOf(error)}`)
}

function reasonOf(error: unknown, { bucket, key }: S3Place, host: string): string {
  const name = nameOf(error)
  if (/Credentials|ProviderError/.test(name) && statusOf(error) === undefined) {
    return 'no AWS credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile as aws.profile, or run this with a role'
  }
  if (/Expired|TokenRefreshRequired/.test(name)) return 'the AWS credentials have expired; renew them'
  if (/^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken)$/.test(name)) {
    return `${host} does not know these credentials (${name}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, aws.profile and aws.endpoint`
  }
  if (name === 'NoSuchBucket') {
    return `there is no bucket "${bucket}" at ${host}; create it, or correct the URI or aws.endpoint`
  }
  if (statusOf(error) === 403) {
    const folder = key.slice(0, key.lastIndexOf('/') + 1)
    return `access was denied. Allow s3:GetObject, s3:PutObject and s3:DeleteObject on arn:aws:s3:::${bucket}/${folder}* and s3:ListBucket on arn:aws:s3:::${bucket}; without the last S3 answers so for objects that are not there`
  }
  if (statusOf(error) === 301 || /Redirect|AuthorizationHeaderMalformed/.test(name)) {
    return `bucket "${bucket}" is in another region (${name}); correct aws.region`
  }
  if (statusOf(error) === 501 || /^(XAmzContent|MissingContent|MissingDigest)/.test(name)) {
    return `${host} does not take what was sent (${shortOf(error)}). If it is older than checksums after the body, set aws.request_checksum: when_required`
  }
  return shortOf(error)
}

function shortOf(error: unknown): string {
  const message = messageOf(error)
  const label = (error as S3Error).code ?? nameOf(error)
  const status = statusOf(error)
  const said = message === '' || message.includes(label) ? message || label : `${label}: ${message}`
  return status === undefined ? said : `${said} (HTTP ${status})`
}
