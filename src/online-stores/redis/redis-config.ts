import { z } from 'zod'
import { ConnectionStringMistake, parseConnectionString } from './connection-string.js'

const connectionString = z
  .string()
  .default('localhost:6379')
  .transform((text, context) => {
    try {
      return parseConnectionString(text)
    } catch (error) {
      if (!(error instanceof ConnectionStringMistake)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  })

/** Feast's keys and defaults. */
export const redisConfig = z
  .strictObject({
    redis_type: z.enum(['redis', 'redis_cluster', 'redis_sentinel']).default('redis'),
    sentinel_master: z.string().min(1).default('mymaster'),
    connection_string: connectionString,
    key_ttl_seconds: z.int().min(0).nullish(),
    full_scan_for_deletion: z.boolean().nullable().default(true),
    skip_dedup: z.boolean().default(false),
  })
  .superRefine(({ redis_type, connection_string: { options } }, context) => {
    if (redis_type !== 'redis_cluster' || !options.db) return
    const message = 'A cluster has no numbered databases; leave "db" out.'
    context.addIssue({ code: 'custom', message, path: ['connection_string'] })
  })

export type RedisConfig = z.infer<typeof redisConfig>
