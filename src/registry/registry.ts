import type { DataSource } from '../core/data-source.js'
import type { Definition, RecordKey, RecordKind, RegistryRecord, ViewState } from '../core/definition.js'
import type { Entity } from '../core/entity.js'
import type { FeastError } from '../core/errors.js'
import type { FeatureService } from '../core/feature-service.js'
import type { StoredView } from '../core/feature-view.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'

/**
 * An immutable snapshot of a registry, every project in it. Records decode on first use and are kept decoded.
 * A record that does not decode is left out of lists, listed in `broken`, and thrown as RECORD_UNREADABLE when
 * it is asked for by name (R3).
 */
export interface Registry {
  readonly version: string
  readonly records: readonly RegistryRecord[]
  readonly projects: readonly string[]
  /** Decodes everything once to find out; cheap afterwards. */
  broken(): readonly { readonly key: RecordKey; readonly error: FeastError }[]

  /** In registry order. Kinds without a definition type (saved datasets, permissions, …) have records only. */
  list(project: string, kind: RecordKind): readonly Definition[]
  recordsOf(project: string, kind: RecordKind): readonly RegistryRecord[]
  record(key: RecordKey): RegistryRecord | undefined

  entities(project: string): readonly Entity[]
  dataSources(project: string): readonly DataSource[]
  /** Feature views, stream feature views and label views. */
  storedViews(project: string): readonly StoredView[]
  onDemandFeatureViews(project: string): readonly OnDemandFeatureView[]
  featureServices(project: string): readonly FeatureService[]

  /** @throws ENTITY_NOT_FOUND naming the nearest */
  entity(project: string, name: string): Entity
  dataSource(project: string, name: string): DataSource
  /** Any view by name, in Feast's order: feature view, stream, on demand, label. @throws FEATURE_VIEW_NOT_FOUND */
  view(project: string, name: string): StoredView | OnDemandFeatureView
  findView(project: string, name: string): StoredView | OnDemandFeatureView | undefined
  featureService(project: string, name: string): FeatureService
  /** What the registry records of a view beside its definition. */
  viewState(project: string, name: string): ViewState
  /** The view as it was at a version of its history. @throws VIEW_VERSION_NOT_FOUND */
  viewAtVersion(project: string, name: string, version: number): StoredView | OnDemandFeatureView
}
