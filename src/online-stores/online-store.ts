import type { EncodedRow } from '../codec/rows.js'

/**
 * Keeps the newest row of every entity. Entity key bytes in, Feast `Value` bytes out; a store moves bytes and
 * knows no rules. The methods' contracts are held by `test/contract/online-store.ts`.
 */
export interface OnlineStore {
  /** Does all that can be done before keys are known; owns nothing to close. */
  prepareRead(shape: ReadShape): OnlineReader
  /**
   * Upserts rows; per row the newest event time wins, against the store and within the batch. An older or equal
   * one never overwrites. Features that the batch does not name are left alone.
   */
  write(batch: OnlineWriteBatch): Promise<void>
  /** Makes room for the tables; repeatable. */
  setup(tables: readonly OnlineTable[]): Promise<void>
  /** Deletes the tables' data and no one else's; repeatable. */
  teardown(tables: readonly OnlineTable[], reach?: TeardownReach): Promise<void>
  /** What Feast's registry lists under `infra` for these tables. */
  infra(tables: readonly OnlineTable[]): readonly InfraObject[]
  close(): Promise<void>
}

/**
 * `tables`: they were removed from a project that lives on. `project`: the whole project goes, and with it what may
 * be left of tables that nobody remembers.
 */
export type TeardownReach = 'tables' | 'project'

/** A view as an online store sees it. `name` carries the version suffix where online versioning is on. */
export interface OnlineTable {
  readonly name: string
  readonly joinKeys: readonly string[]
  readonly features: readonly string[]
}

export interface ReadShape {
  readonly features: readonly { readonly view: string; readonly feature: string }[]
  readonly views: readonly string[]
}

export interface OnlineReader {
  /** One row per key, in key order, repeats included. @throws ONLINE_STORE_UNAVAILABLE */
  read(entityKeys: readonly Buffer[]): Promise<readonly OnlineRow[]>
}

/**
 * A Value cell per `shape.features`, then a Timestamp message per `shape.views`.
 * null where absent; an empty cell is a stored null; a null timestamp means that the view has no row.
 */
export type OnlineRow = readonly (Buffer | null)[]

export interface OnlineWriteBatch {
  readonly table: OnlineTable
  readonly rows: readonly EncodedRow[]
}

export type { EncodedRow }

export interface InfraObject {
  readonly type: 'sqliteTable'
  readonly path: string
  readonly name: string
}
