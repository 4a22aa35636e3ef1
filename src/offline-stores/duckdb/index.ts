import { z } from 'zod'
import type { BackendContext, BackendFactory } from '../../core/backend.js'
import type { OfflineStore } from '../offline-store.js'
import { sqlOfflineStore } from '../sql/sql-offline-store.js'
import { DuckDBEngine } from './duckdb-engine.js'

const config = z.strictObject({
  /** `512MB`, `4GB`: what DuckDB may hold in memory before it spills. */
  memory_limit: z.string().optional(),
  temp_directory: z.string().optional(),
  threads: z.number().int().positive().optional(),
  /** Feast's keys for remote export; nothing here uses them. */
  staging_location: z.string().nullish(),
  staging_location_endpoint_override: z.string().nullish(),
})

export type DuckDBConfig = z.infer<typeof config>

export const duckdbOfflineStore: BackendFactory<DuckDBConfig, OfflineStore> = {
  type: 'duckdb',
  config,
  create: async (block: DuckDBConfig, context: BackendContext) =>
    sqlOfflineStore(
      new DuckDBEngine(
        { memoryLimit: block.memory_limit, tempDirectory: block.temp_directory, threads: block.threads },
        context.repoPath,
      ),
      { ...(context.aws && { aws: context.aws }) },
    ),
}
