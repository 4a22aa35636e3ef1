import type { EntityKeyVersion } from '../../codec/entity-key.js'
import { ownKeys } from './own-keys.js'
import type { RedisClient } from './redis-client.js'
import { NodeUnavailable, replyError } from './redis-failure.js'
import type { RedisLink } from './redis-link.js'
import { ErrorReply, encodeCommand } from './resp.js'

export interface ScanOptions {
  readonly client: RedisClient
  readonly project: string
  readonly entityKeyVersion: EntityKeyVersion
  readonly writeTimeoutMs: number
}

/** How many keys Redis looks at per step: a fraction of a millisecond. */
const SCAN_COUNT = 1000

/** Visits this project's keys of these join keys a few at a time; the next are asked for when `visit` is done. */
export async function eachOwnKeys(
  joinKeys: readonly string[],
  options: ScanOptions,
  visit: (keys: readonly Buffer[]) => Promise<void>,
): Promise<void> {
  const { pattern, isOwn } = ownKeys(joinKeys, options.project, options.entityKeyVersion)
  try {
    for (const link of await options.client.router.masters()) {
      let cursor = '0'
      do {
        const [next, found] = await scan(link, cursor, pattern, options)
        cursor = next
        const keys = found.filter(isOwn)
        if (keys.length > 0) await visit(keys)
      } while (cursor !== '0')
    }
  } catch (error) {
    throw error instanceof NodeUnavailable ? error.toFeastError() : error
  }
}

async function scan(
  link: RedisLink,
  cursor: string,
  pattern: Buffer,
  { writeTimeoutMs }: ScanOptions,
): Promise<readonly [string, readonly Buffer[]]> {
  const command = encodeCommand(['SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT])
  const [reply] = await link.request(() => command, 1, Date.now() + writeTimeoutMs)
  if (reply instanceof ErrorReply) throw replyError(link.node, reply)
  const [next, keys] = reply as readonly [Buffer, readonly Buffer[]]
  return [next.toString(), keys]
}
