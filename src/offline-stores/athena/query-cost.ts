import type { QueryExecution } from '@aws-sdk/client-athena'
import type { QueryCost } from '../offline-store.js'

const MB = 2 ** 20
const TB = 2 ** 40
/** Of each query that reads. */
const MINIMUM_BYTES = 10 * MB

/** What queries cost, added up. Data definitions are free, and so are queries that failed. */
export class CostLedger {
  readonly #queries = new Map<string, QueryExecution>()

  constructor(private readonly pricePerTb: number) {}

  add(execution: QueryExecution): void {
    this.#queries.set(execution.QueryExecutionId!, execution)
  }

  get total(): QueryCost {
    const queries = [...this.#queries.values()]
    const sum = (of: (execution: QueryExecution) => number) => queries.reduce((all, one) => all + of(one), 0)
    return {
      queryIds: [...this.#queries.keys()],
      scannedBytes: sum(scannedBytes),
      price: sum((execution) => (this.pricePerTb * chargedBytes(execution)) / TB),
      elapsedMs: sum(({ Statistics }) => Statistics?.TotalExecutionTimeInMillis ?? 0),
    }
  }
}

export function scannedBytes({ Statistics }: QueryExecution): number {
  return Statistics?.DataScannedInBytes ?? 0
}

/** Whole megabytes. */
function chargedBytes(execution: QueryExecution): number {
  if (execution.StatementType === 'DDL' || execution.Status?.State === 'FAILED') return 0
  const bytes = scannedBytes(execution)
  return bytes === 0 ? 0 : Math.max(MINIMUM_BYTES, Math.ceil(bytes / MB) * MB)
}
