import type { StoreBlock } from '../config/repo-config.js'
import { parseStoreBlock } from '../config/store-block.js'
import type { BackendContext, BackendFactory } from '../core/backend.js'
import { feastError } from '../core/errors.js'
import type { OnlineStore } from './online-store.js'

type Load = () => Promise<BackendFactory<never, OnlineStore>>

const BACKENDS: Readonly<Record<string, Load>> = {
  redis: async () => (await import('./redis/index.js')).redisOnlineStore as never,
  sqlite: async () => (await import('./sqlite/index.js')).sqliteOnlineStore as never,
}

/** @throws BACKEND_UNKNOWN, CONFIG_INVALID */
export async function openOnlineStore(block: StoreBlock, context: BackendContext): Promise<OnlineStore> {
  const load = Object.hasOwn(BACKENDS, block.type) ? BACKENDS[block.type] : undefined
  if (!load) {
    const known = Object.keys(BACKENDS)
    throw feastError('BACKEND_UNKNOWN', { family: 'online_store', type: block.type, known })
  }
  const factory = await load()
  return factory.create(parseStoreBlock(block, factory.config), context)
}
