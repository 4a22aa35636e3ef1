import { randomBytes } from 'node:crypto'

/** HTTP header, and gRPC metadata key, by which callers follow a request through logs. */
export const REQUEST_ID_HEADER = 'x-request-id'

/** No more than a log line and a header bear; nothing that would have to be escaped in either. */
const SANE = /^[\w.:=+/@-]{1,128}$/

const process = randomBytes(6).toString('base64url')
let made = 0

/** The caller's id where it is sane (1 to 128 letters, digits and `_.:=+/@-`), else one of ours. */
export function requestId(given: unknown): string {
  return typeof given === 'string' && SANE.test(given) ? given : `${process}-${(++made).toString(36)}`
}
