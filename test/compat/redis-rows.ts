import { RedisAsker, type RedisServer } from '../redis-server.js'

/** All hashes of a database as the bytes they hold: key → field → value, all in hex. */
export async function redisRows(
  { port }: Pick<RedisServer, 'port'>,
  database = 0,
): Promise<Record<string, Record<string, string>>> {
  const asker = new RedisAsker(port)
  try {
    if (database !== 0) await asker.call('SELECT', database)
    const keys = ((await asker.call('KEYS', '*')) as readonly Buffer[]).map((key) => Buffer.from(key))
    const rows = await Promise.all(
      keys.map(async (key) => [key.toString('hex'), fieldsOf(await asker.call('HGETALL', key))] as const),
    )
    return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)))
  } finally {
    asker.close()
  }
}

function fieldsOf(reply: unknown): Record<string, string> {
  const parts = (reply as readonly Buffer[]).map((part) => Buffer.from(part).toString('hex'))
  const fields: Record<string, string> = {}
  for (let i = 0; i < parts.length; i += 2) fields[parts[i]!] = parts[i + 1]!
  return fields
}
