import type { FeatureRepo } from '../config/feature-repo.js'
import type { RepoConfig } from '../config/repo-config.js'
import type { ColumnBatch } from '../core/cell.js'
import type { RecordKey, RecordKind } from '../core/definition.js'
import type { Micros } from '../core/instant.js'
import type { EntityRows, OfflineStore, RetrievalJob } from '../offline-stores/offline-store.js'
import type { OnlineStore } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import type { ObjectChange } from '../registry/registry-diff.js'
import type { OnlineServing } from '../serving/online-serving.js'

export type { ObjectChange } from '../registry/registry-diff.js'

/** The facade: every verb of the product on one feature repo. Made by `openFeatureStore` (open.ts). */
export interface FeatureStore {
  readonly project: string
  readonly config: RepoConfig
  /** The current snapshot; refreshed in the background once its TTL has passed, never making a caller wait. */
  registry(): Promise<Registry>
  /** Reads the registry again now. */
  refreshRegistry(): Promise<Registry>
  /** Opened on first use. */
  onlineStore(): Promise<OnlineStore>
  offlineStore(): Promise<OfflineStore>
  /** The online read path; the server calls it directly. */
  serving(): Promise<OnlineServing>

  /** What `apply` would do; changes nothing, anywhere (R5). */
  plan(repo: FeatureRepo, options?: ApplyOptions): Promise<ApplyPlan>
  apply(repo: FeatureRepo, options?: ApplyOptions): Promise<ApplyPlan>
  /** Deletes the project's online data and its records from the registry. */
  teardown(): Promise<void>
  /** Removes the first object of that name, in Feast's order of kinds, with its online data. */
  deleteObject(name: string, kind?: RecordKind): Promise<RecordKey | undefined>
  setViewEnabled(name: string, enabled: boolean): Promise<void>
  setViewState(name: string, state: string): Promise<void>

  getHistoricalFeatures(request: HistoricalRequest): Promise<RetrievalJob>
  materialize(request: MaterializeRequest): Promise<MaterializeReport>
  /** Makes the vectors of feature services anew, for all entities. */
  precompute(request?: PrecomputeRequest): Promise<PrecomputeReport>
  push(request: PushRequest): Promise<void>
  writeToOnlineStore(
    view: string,
    rows: ColumnBatch,
  ): Promise<{ readonly rows: number; readonly skipped: number }>
  writeToOfflineStore(view: string, rows: ColumnBatch): Promise<{ readonly rows: number }>
  close(): Promise<void>
}

export interface ApplyOptions {
  /** Also delete what is in the registry and not in the repo (R4). */
  readonly prune?: boolean
  readonly skipSourceValidation?: boolean
  readonly skipFeatureViewValidation?: boolean
  readonly noPromote?: boolean
}

export interface ApplyPlan {
  readonly changes: readonly ObjectChange[]
  /** In the registry, not in the repo; deleted only with `prune`. */
  readonly orphans: readonly RecordKey[]
  readonly infra: readonly { readonly action: 'create' | 'delete'; readonly table: string }[]
  /** What was inferred from sources, one line each. */
  readonly inferred: readonly string[]
  readonly warnings: readonly string[]
}

export interface HistoricalRequest {
  readonly entityRows: EntityRows
  readonly features?: readonly string[]
  readonly featureService?: string
  readonly fullFeatureNames?: boolean
  readonly filterByCreatedTimestamp?: boolean
  readonly eventTimestampColumn?: string
}

export interface MaterializeRequest {
  /** `incremental`: start where the last run ended. */
  readonly mode: 'range' | 'incremental'
  readonly start?: Micros
  readonly end?: Micros
  readonly views?: readonly string[]
  readonly version?: string
  /** Stamp rows with now and read the whole history (Feast's --disable-event-timestamp as documented). */
  readonly disableEventTimestamp?: boolean
  readonly allowFuture?: boolean
  readonly lookbackSeconds?: number
  /** First incremental run of a view: start here (J7). */
  readonly since?: Micros
  readonly concurrency?: number
  readonly onProgress?: (progress: MaterializeProgress) => void
  readonly onPrecomputeProgress?: (progress: PrecomputeProgress) => void
  /** Tells `totalRows` in the progress, at the price of one more scan of the key columns. */
  readonly countRows?: boolean
  readonly signal?: AbortSignal
}

export interface MaterializeProgress {
  readonly view: string
  readonly phase: 'start' | 'rows' | 'done' | 'failed' | 'skipped'
  readonly start: Micros
  readonly end: Micros
  readonly rows: number
  /** How many there will be, where that is known; progress can then say how long it will take. */
  readonly totalRows?: number
  readonly elapsedMs: number
  readonly message?: string
}

export interface MaterializeReport {
  readonly views: readonly MaterializeViewReport[]
  /** Services that have features of these views and vectors, which were then made anew. */
  readonly services?: readonly PrecomputeServiceReport[]
}

export interface MaterializeViewReport {
  readonly view: string
  readonly start: Micros
  readonly end: Micros
  readonly outcome: 'done' | 'nothing to do' | 'already running' | 'failed'
  readonly rows: number
  /** Rows left out because of a null join key or event time (W3). */
  readonly skipped: number
  readonly elapsedMs: number
  readonly error?: string
  readonly notices: readonly string[]
}

export interface PrecomputeRequest {
  /** Default: all that ask for vectors. */
  readonly services?: readonly string[]
  readonly onProgress?: (progress: PrecomputeProgress) => void
  readonly signal?: AbortSignal
}

export interface PrecomputeProgress {
  readonly service: string
  readonly phase: 'running' | 'ended'
  /** Looked at, and those of them that have rows and so got a vector. */
  readonly entities: number
  readonly vectors: number
  readonly elapsedMs: number
}

export interface PrecomputeReport {
  readonly services: readonly PrecomputeServiceReport[]
}

export interface PrecomputeServiceReport extends Omit<PrecomputeProgress, 'phase'> {
  readonly outcome: 'done' | 'failed'
  readonly error?: string
}

export interface PushRequest {
  readonly pushSource: string
  readonly rows: ColumnBatch
  readonly to: 'online' | 'offline' | 'online_and_offline'
}
