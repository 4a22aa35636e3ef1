import type { StoreBlock } from '../config/repo-config.js'
import { parseStoreBlock } from '../config/store-block.js'
import type { BackendContext, BackendFactory } from '../core/backend.js'
import { feastError } from '../core/errors.js'
import type { OfflineStore } from './offline-store.js'

type Load = () => Promise<BackendFactory<never, OfflineStore>>

const duckdb: Load = async () => (await import('./duckdb/index.js')).duckdbOfflineStore as never

/** `file` and `dask` are what Feast's own default writes; the same files are read by DuckDB here. */
const BACKENDS: Readonly<Record<string, Load>> = { duckdb, file: duckdb, dask: duckdb }

/** @throws BACKEND_UNKNOWN, CONFIG_INVALID */
export async function openOfflineStore(block: StoreBlock, context: BackendContext): Promise<OfflineStore> {
  const load = BACKENDS[block.type]
  if (!load) {
    throw feastError('BACKEND_UNKNOWN', {
      family: 'offline_store',
      type: block.type,
      known: Object.keys(BACKENDS),
    })
  }
  const factory = await load()
  return factory.create(parseStoreBlock(block, factory.config), context)
}

export { writeBatches } from './write-batches.js'
