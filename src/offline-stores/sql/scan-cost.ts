import type { BatchSource } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import type { QueryCost, RetrievalJob, SourceScan } from '../offline-store.js'
import type { TimeBounds } from './sql-dialect.js'
import type { SqlWarehouse } from './sql-warehouse.js'

/** A source and the times of it that a statement reads. */
export interface SourceRead {
  readonly source: BatchSource
  readonly bounds: TimeBounds
}

/** The costs of a job's sessions. */
export class Spending {
  #total: QueryCost | undefined

  get total(): QueryCost | undefined {
    return this.#total
  }

  add(cost: QueryCost | undefined): void {
    if (cost === undefined) return
    const before = this.#total
    this.#total = before
      ? {
          queryIds: [...before.queryIds, ...cost.queryIds],
          scannedBytes: before.scannedBytes + cost.scannedBytes,
          price: before.price + cost.price,
          elapsedMs: before.elapsedMs + cost.elapsedMs,
        }
      : cost
  }
}

interface Shown {
  readonly statements: readonly string[]
  readonly reads: readonly SourceRead[]
}

/** A job's dry run, where the warehouse can tell what it would read. */
export function dryRunOf(warehouse: SqlWarehouse, show: () => Promise<Shown>): Pick<RetrievalJob, 'dryRun'> {
  if (warehouse.scanOf === undefined) return {}
  return {
    async dryRun() {
      const { statements, reads } = await show()
      return { statements, sources: await scansOf(warehouse, reads) }
    },
  }
}

/** @throws SCAN_LIMIT_EXCEEDED when the files that would be read are known to hold more than the warehouse may read */
export async function refuseWideScans(warehouse: SqlWarehouse, reads: readonly SourceRead[]): Promise<void> {
  const { maxScanBytes } = warehouse
  if (maxScanBytes === undefined) return
  const scans = await scansOf(warehouse, reads)
  const bytes = scans.reduce((sum, scan) => sum + (scan.bytes ?? 0), 0)
  if (bytes <= maxScanBytes) return
  const sources = scans.map(({ source, bytes: own }) => `${source}: ${own ?? 'unknown'}`).join(', ')
  throw feastError('SCAN_LIMIT_EXCEEDED', {
    what: `the files of the partitions it would read hold ${bytes} bytes (${sources}); max_scan_bytes is ${maxScanBytes}`,
    mend: 'Ask for less time or fewer views, declare datePartitions, or raise max_scan_bytes.',
  })
}

async function scansOf(
  warehouse: SqlWarehouse,
  reads: readonly SourceRead[],
): Promise<readonly SourceScan[]> {
  const scans: SourceScan[] = []
  for (const { source, bounds } of reads) {
    const scan = await warehouse.scanOf?.(source, bounds)
    if (scan) scans.push(scan)
  }
  return scans
}
