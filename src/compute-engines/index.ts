import type { OfflineStore } from '../offline-stores/offline-store.js'
import type { OnlineStore } from '../online-stores/online-store.js'
import type { ComputeEngine } from './compute-engine.js'

export interface EngineStores {
  readonly offlineStore: OfflineStore
  readonly onlineStore: OnlineStore
}

/** The engine that runs materializations; there is one so far, in this process. */
export async function openComputeEngine(stores: EngineStores): Promise<ComputeEngine> {
  return (await import('./local/index.js')).createLocalEngine(stores)
}
