import { DEFAULT_AWS } from '../../core/aws-settings.js'
import type { BackendContext, BackendFactory } from '../../core/backend.js'
import type { OfflineStore } from '../offline-store.js'
import { warehouseOfflineStore } from '../sql/warehouse-offline-store.js'
import { appendToTable } from './athena-append.js'
import { athenaClient } from './athena-client.js'
import { athenaDialect } from './athena-dialect.js'
import { AthenaQueries } from './athena-queries.js'
import type { AthenaParts } from './athena-session.js'
import { type AthenaConfig, athenaConfig } from './athena-settings.js'
import { AthenaStaging } from './athena-staging.js'
import { AthenaWarehouse } from './athena-warehouse.js'
import { cleanUp } from './clean-up.js'

/** Busy or full, for so long. */
const PATIENCE_MS = 15 * 60_000

export const athenaOfflineStore: BackendFactory<AthenaConfig, OfflineStore> = {
  type: 'athena',
  config: athenaConfig,
  create: async (block: AthenaConfig, context: BackendContext) => {
    const aws = { ...(context.aws ?? DEFAULT_AWS), region: block.region }
    const parts: AthenaParts = {
      queries: new AthenaQueries(() => athenaClient(block.region, aws), {
        workgroup: block.workgroup,
        catalog: block.data_source,
        database: block.database,
        timeoutMs: block.query_timeout_seconds * 1000,
        patienceMs: PATIENCE_MS,
        maxScanBytes: block.max_scan_bytes,
      }),
      staging: new AthenaStaging(block.s3_staging_location, context.project, aws, context.logger),
      dialect: athenaDialect,
      catalog: block.data_source,
      scratchDatabase: block.scratch_database ?? block.database,
      pricePerTb: block.price_per_tb,
    }
    const warehouse = new AthenaWarehouse(
      parts,
      block.database,
      block.max_scan_bytes,
      (source, table, batches) => appendToTable(parts, source, table, batches),
    )
    return {
      ...warehouseOfflineStore(warehouse, aws),
      clean: () => cleanUp(parts, warehouse),
    }
  },
}
