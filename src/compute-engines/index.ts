import type { ComputeEngine, EngineStores } from './compute-engine.js'

/** The engine that runs materializations; there is one so far, in this process. */
export async function openComputeEngine(stores: EngineStores): Promise<ComputeEngine> {
  return (await import('./local/index.js')).createLocalEngine(stores)
}
