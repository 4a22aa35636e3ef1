import type { EncodedRows } from '../codec/rows.js'
import type { ColumnBatch } from '../core/cell.js'
import type { OfflineStore, PullQuery } from '../offline-stores/offline-store.js'
import type { OnlineStore, OnlineTable } from '../online-stores/online-store.js'

/** What an engine moves rows from and to. */
export interface EngineStores {
  readonly offlineStore: OfflineStore
  readonly onlineStore: OnlineStore
}

/** Moves the rows of one view from the offline to the online store. */
export interface ComputeEngine {
  /**
   * Returns after the last row is in the online store. Repeatable: the newest row wins there.
   * @throws ABORTED, and what the stores throw; nothing is written any more once it has thrown
   */
  materialize(task: MaterializationTask, signal?: AbortSignal): Promise<MaterializedRows>
  /** The same for rows that were pulled before, by whomever. */
  load(rows: AsyncIterable<ColumnBatch>, task: LoadTask, signal?: AbortSignal): Promise<MaterializedRows>
}

export interface LoadTask {
  readonly view: string
  readonly table: OnlineTable
  readonly encode: (batch: ColumnBatch) => EncodedRows
  /** Rows of one write. */
  readonly writeRows: number
  /** Rows written since the last call. */
  readonly onRows: (rows: number) => void
}

export interface MaterializationTask extends LoadTask {
  readonly pull: PullQuery
  /** Where given, the rows to come are counted beside the run, and told once. */
  readonly onExpectedRows?: (rows: number) => void
}

export interface MaterializedRows {
  readonly rows: number
  /** Left out because of a null join key or event time (W3). */
  readonly skipped: number
}
