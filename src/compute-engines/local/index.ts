import { BoundedWrites } from '../../core/bounded-writes.js'
import type { ColumnBatch } from '../../core/cell.js'
import { feastError } from '../../core/errors.js'
import type { EncodedRow } from '../../online-stores/online-store.js'
import type {
  ComputeEngine,
  EngineStores,
  LoadTask,
  MaterializationTask,
  MaterializedRows,
} from '../compute-engine.js'

/** Writes of one view that may be on their way to the online store at once. */
const WRITES_IN_FLIGHT = 3

/**
 * Streams in this process: pull, encode, write, a few writes at a time. The slower side sets the pace, so memory
 * holds one pulled batch and {@link WRITES_IN_FLIGHT} + 1 writes, however long the source is.
 */
export function createLocalEngine(stores: EngineStores): ComputeEngine {
  return {
    materialize: (task, signal) => materialize(stores, task, signal),
    load: (rows, task, signal) => load(stores, rows, task, signal),
  }
}

async function materialize(
  stores: EngineStores,
  task: MaterializationTask,
  signal: AbortSignal | undefined,
): Promise<MaterializedRows> {
  const pull = stores.offlineStore.pull(task.pull)
  // Only for people to see what is left: when counting fails, so does the pull, which says why.
  if (task.onExpectedRows) void pull.expectedRows(signal).then(task.onExpectedRows, () => undefined)
  const { rows, skipped } = await load(stores, pull.batches(signal), task, signal)
  return { rows, skipped: skipped + (await pull.skippedRows(signal)) }
}

async function load(
  { onlineStore }: Pick<EngineStores, 'onlineStore'>,
  batches: AsyncIterable<ColumnBatch>,
  task: LoadTask,
  signal: AbortSignal | undefined,
): Promise<MaterializedRows> {
  const writes = new BoundedWrites(WRITES_IN_FLIGHT)
  const totals = { rows: 0, skipped: 0 }
  const write = (rows: readonly EncodedRow[]) =>
    writes.add(async () => {
      await onlineStore.write({ table: task.table, rows })
      totals.rows += rows.length
      task.onRows(rows.length)
    })
  try {
    const chunks = new RowChunks(task.writeRows)
    for await (const batch of batches) {
      const { rows, skipped } = task.encode(batch)
      totals.skipped += skipped
      for (const chunk of chunks.push(rows)) {
        refuseAborted(task, signal)
        await write(chunk)
      }
    }
    refuseAborted(task, signal)
    const rest = chunks.rest()
    if (rest.length > 0) await write(rest)
  } finally {
    await writes.settled()
  }
  writes.throwFailure()
  return totals
}

function refuseAborted(task: LoadTask, signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw feastError('ABORTED', { what: `Materialization of "${task.view}"` }, signal.reason)
}

/** Cuts batches of any size into writes of one size. */
class RowChunks {
  #pending: EncodedRow[] = []

  constructor(readonly size: number) {}

  *push(rows: readonly EncodedRow[]): Iterable<readonly EncodedRow[]> {
    for (const row of rows) {
      this.#pending.push(row)
      if (this.#pending.length >= this.size) yield this.rest()
    }
  }

  rest(): readonly EncodedRow[] {
    const rest = this.#pending
    this.#pending = []
    return rest
  }
}
