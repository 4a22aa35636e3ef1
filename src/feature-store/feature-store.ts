import type { FeatureRepo } from '../config/feature-repo.js'
import type { RepoConfig } from '../config/repo-config.js'
import type { ColumnBatch } from '../core/cell.js'
import type { RecordKey, RecordKind } from '../core/definition.js'
import type { Micros } from '../core/instant.js'
import type {
  EntityRows,
  OfflineStore,
  QueryCost,
  RetrievalJob,
  StagedFile,
} from '../offline-stores/offline-store.js'
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
  /** What was served of a feature service, from where it is logged. */
  getLoggedFeatures(request: LoggedRequest): Promise<RetrievalJob>
  materialize(request: MaterializeRequest): Promise<MaterializeReport>
  /** The first of three steps of a run over several processes: one query per view, its rows staged in files. */
  planMaterialization(request: PlanRequest): Promise<PlanReport>
  /** The second: brings files online. Repeatable, by many processes side by side. */
  loadMaterialization(request: LoadRequest): Promise<LoadReport>
  /** The third: records the intervals, once all files are online. Repeatable. @throws MATERIALIZATION_INCOMPLETE */
  commitMaterialization(request: CommitRequest): Promise<MaterializeReport>
  /** Gives a run up: its views are free for others, and what it staged is gone. */
  abandonMaterialization(run: string): Promise<void>
  /** Runs that go on, and the last that ended, newest first. */
  materializations(): Promise<readonly RunStatus[]>
  materializationStatus(run: string): Promise<RunStatus>
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

export interface LoggedRequest {
  readonly featureService: string
  /** Closed bounds on when it was served. */
  readonly start?: Micros
  readonly end?: Micros
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
  /** Of the query, where the offline store charges for it. */
  readonly cost?: QueryCost
}

export interface PlanRequest extends Omit<MaterializeRequest, 'onPrecomputeProgress' | 'countRows'> {
  /** Of letters, digits, `.`, `_` and `-`. Default: that of the same request where it has not ended, else a new one. */
  readonly run?: string
  /** Processes that will load; default: by the size of the result. */
  readonly shards?: number
  /** The most that the size of the result may ask for. */
  readonly maxShards?: number
}

export interface PlanReport {
  readonly run: string
  /** Processes worth starting; no more than there are files, and none when there is nothing to load. */
  readonly shards: number
  readonly files: readonly PlannedFile[]
  readonly views: readonly MaterializeViewReport[]
}

/** Rows and bytes as {@link StagedFile} has them. */
export interface PlannedFile extends StagedFile {
  readonly view: string
}

export interface LoadRequest {
  readonly run: string
  /** Takes the files whose place in the plan, modulo `of`, is `number`. Default: all. */
  readonly shard?: { readonly number: number; readonly of: number }
  readonly onProgress?: (progress: MaterializeProgress) => void
  readonly signal?: AbortSignal
}

export interface LoadReport {
  readonly run: string
  /** Of this shard: loaded now, loaded before, failed. */
  readonly files: { readonly loaded: number; readonly before: number; readonly failed: number }
  readonly rows: number
  readonly skipped: number
  readonly elapsedMs: number
  readonly failures: readonly { readonly view: string; readonly file: string; readonly error: string }[]
}

export interface CommitRequest {
  readonly run: string
  readonly onPrecomputeProgress?: (progress: PrecomputeProgress) => void
  readonly signal?: AbortSignal
}

/** Times are ISO 8601 in UTC. */
export interface RunStatus {
  readonly run: string
  readonly request: string
  readonly state: 'running' | 'planned' | 'committed' | 'failed' | 'abandoned'
  readonly startedAt: string
  /** While it goes on: when it was last heard of. */
  readonly lastSignAt?: string
  readonly endedAt?: string
  readonly by: string
  readonly views: readonly RunViewStatus[]
}

export interface RunViewStatus {
  readonly view: string
  readonly start: string
  readonly end: string
  readonly state: 'querying' | 'loading' | 'loaded' | 'recorded' | 'failed'
  /** Absent: its rows were streamed. */
  readonly files?: { readonly loaded: number; readonly total: number }
  readonly rows: number
  /** Where it is known. */
  readonly totalRows?: number
  readonly skipped: number
  /** Of the staged files: online, and all. */
  readonly bytes?: { readonly loaded: number; readonly total: number }
  readonly scannedBytes?: number
  /** US dollars. */
  readonly price?: number
  readonly rowsPerSecond?: number
  readonly secondsLeft?: number
  /** `file`: its number; absent where the query failed. */
  readonly failures: readonly { readonly at: string; readonly error: string; readonly file?: number }[]
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
