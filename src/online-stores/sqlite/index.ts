import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import type { BackendContext, BackendFactory } from '../../core/backend.js'
import type { OnlineStore } from '../online-store.js'
import { SqliteOnlineStore } from './sqlite-online-store.js'

/** Feast's keys and defaults. */
const config = z.strictObject({
  path: z.string().default('data/online.db'),
  vector_enabled: z.boolean().nullish(),
  similarity: z.string().nullish(),
  text_search_enabled: z.boolean().default(false),
  enable_openai_compatible_store: z.boolean().default(false),
})

export type SqliteConfig = z.infer<typeof config>

export const sqliteOnlineStore: BackendFactory<SqliteConfig, OnlineStore> = {
  type: 'sqlite',
  config,
  async create(block: SqliteConfig, { project, repoPath, logger }: BackendContext) {
    if (block.vector_enabled) {
      logger.warn(
        { store: 'sqlite' },
        'online_store.vector_enabled: vectors are not searched or written here',
      )
    }
    return new SqliteOnlineStore({
      path: isAbsolute(block.path) ? block.path : join(repoPath, block.path),
      project,
      hasVectors: block.vector_enabled === true,
      hasNumbers: block.enable_openai_compatible_store,
    })
  },
}
