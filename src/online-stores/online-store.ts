import type { EncodedRow } from '../codec/rows.js'
import type { OnlineRow } from './online-row.js'

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
  /** Of a store that keeps all rows of an entity in one place, where one value that holds them all saves time. */
  readonly vectors?: VectorStore
  /** What Feast's registry lists under `infra` for these tables. */
  infra(tables: readonly OnlineTable[]): readonly InfraObject[]
  close(): Promise<void>
}

/** Values made from rows of the same entities. They are read like rows. */
export interface VectorStore {
  /** Calls `visit` with all entities that have these join keys, some perhaps twice, and waits for it. */
  eachKey(joinKeys: readonly string[], visit: (entityKeys: readonly Buffer[]) => Promise<void>): Promise<void>
  /** Like the store's `write`, but neither brings back an entity that has expired nor prolongs its life. */
  write(batch: OnlineWriteBatch): Promise<void>
}

/**
 * `tables`: they were removed from a project that lives on. `project`: the whole project goes, and with it what may
 * be left of tables that nobody remembers.
 */
export type TeardownReach = 'tables' | 'project'

/** A view as an online store sees it. `name` carries the version suffix where online versioning is on. */
export interface OnlineTable {
  readonly name: string
  /** Empty: of a view that cannot be decoded, so nobody knows them. */
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

export interface OnlineWriteBatch {
  readonly table: OnlineTable
  readonly rows: readonly EncodedRow[]
}

export type { EncodedRow, OnlineRow }

export interface InfraObject {
  readonly type: 'sqliteTable'
  readonly path: string
  readonly name: string
}
