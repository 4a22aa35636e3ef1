import { type FeastError, feastError } from '../../core/errors.js'
import type { ErrorReply } from './resp.js'

/** How the reason of what took too long ends. */
export const IN_TIME = 'in time'

/** A node could not be asked, or did not answer. Never leaves this folder: the client tries again, or wraps it. */
export class NodeUnavailable extends Error {
  override readonly name = 'NodeUnavailable'
  constructor(
    readonly node: string,
    readonly why: string,
    /** Since when the node is known to be away, in ms since 1970. */
    readonly since: number,
    cause?: unknown,
  ) {
    super(`${node}: ${why}`, cause === undefined ? undefined : { cause })
  }

  toFeastError(): FeastError {
    return feastError('ONLINE_STORE_UNAVAILABLE', { store: storeName(this.node), why: this.why }, this.cause)
  }
}

export function storeName(node: string): string {
  return `Redis at ${node}`
}

/** States that pass by themselves: start-up, failover, resharding. */
const PASSING = new Set([
  'LOADING',
  'READONLY',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
  'BUSY',
])

/** The code of an error; that of an error inside a script stands in its text before Redis 7. */
export function codeOf({ code, message }: ErrorReply): string {
  if (code !== 'ERR') return code
  const inner = /@user_script: ?\d+: -?([A-Z]{3,}) /.exec(message)?.[1]
  if (inner !== undefined) return inner
  if (message.includes("command not allowed when used memory > 'maxmemory'")) return 'OOM'
  if (message.includes("user executing the script can't run this command")) return 'NOPERM'
  return /max number of clients/i.test(message) ? 'BUSY' : code
}

/** Worth another try shortly. */
export function isPassing(reply: ErrorReply): boolean {
  return PASSING.has(codeOf(reply))
}

/** Redis's own words, and how to mend it. They hold no secret: Redis does not repeat credentials. */
export function replyError(node: string, reply: ErrorReply): FeastError {
  const code = codeOf(reply)
  const store = storeName(node)
  if (PASSING.has(code)) {
    return feastError('ONLINE_STORE_UNAVAILABLE', { store, why: `${WHY[code] ?? ''}${reply.message}` })
  }
  const mend = MEND[code]
  return feastError('ONLINE_STORE_FAILED', { store, why: mend ? `${reply.message}. ${mend}` : reply.message })
}

const WHY: Readonly<Record<string, string>> = {
  LOADING: 'it is still loading its data: ',
  READONLY: 'it is a replica, not the master: ',
  CLUSTERDOWN: 'the cluster is down: ',
}

const CREDENTIALS = 'Set username= and password= in online_store.connection_string'

const MEND: Readonly<Record<string, string>> = {
  OOM: 'It is full: raise its maxmemory, or set key_ttl_seconds in online_store so that old entities expire',
  NOAUTH: CREDENTIALS,
  WRONGPASS: `${CREDENTIALS} to what the server expects`,
  NOPERM:
    'Grant its user the commands HMGET, HGET, HSET, EVAL, EVALSHA, EXISTS, EXPIRE, SCAN, HKEYS, HDEL and UNLINK on the keys',
  WRONGTYPE:
    'Something else keeps its data under the key of an entity; give the store a database of its own (db=)',
  MISCONF: 'It refuses writes because it cannot save its data to disk',
}
