import type { DataSource } from './data-source.js'
import type { Entity } from './entity.js'
import type { FeatureService } from './feature-service.js'
import type { FeatureView, LabelView, StreamFeatureView } from './feature-view.js'
import type { Micros } from './instant.js'
import type { OnDemandFeatureView } from './on-demand-feature-view.js'
import type { Permission } from './permission.js'
import type { Project } from './project.js'

/** What a feature repo can hold. */
export type Definition =
  | Project
  | DataSource
  | Entity
  | FeatureView
  | StreamFeatureView
  | OnDemandFeatureView
  | LabelView
  | FeatureService
  | Permission

/** The repeated fields of Feast's Registry message that hold named objects. */
export type RecordKind =
  | 'project'
  | 'dataSource'
  | 'entity'
  | 'featureView'
  | 'onDemandFeatureView'
  | 'streamFeatureView'
  | 'labelView'
  | 'featureService'
  | 'savedDataset'
  | 'validationReference'
  | 'permission'
  /** Version history; named `<view>@v<number>`. */
  | 'featureViewVersion'
  /** Infra: one for the whole registry, project and name empty. */
  | 'infra'
  /** Deprecated by Feast, kept; named after its project. */
  | 'projectMetadata'

export interface RecordKey {
  readonly kind: RecordKind
  readonly project: string
  readonly name: string
}

/** One object of the registry as the bytes of its Feast message. */
export interface RegistryRecord extends RecordKey {
  readonly bytes: Uint8Array
}

/** What is written to a registry: records that replace or add, and keys of those that go. */
export type RegistryChange = { readonly put: RegistryRecord } | { readonly remove: RecordKey }

export function recordKeyText({ kind, project, name }: RecordKey): string {
  return `${kind}\0${project}\0${name}`
}

export interface Interval {
  readonly start: Micros
  readonly end: Micros
}

/** What the registry knows about a view beside its definition. Times are undefined where never set. */
export interface ViewState {
  readonly createdAt: Micros | undefined
  readonly lastUpdatedAt: Micros | undefined
  readonly intervals: readonly Interval[]
  readonly versionNumber: number
  readonly versionId: string
  readonly lifecycle: 'STATE_UNSPECIFIED' | 'CREATED' | 'GENERATED' | 'MATERIALIZING' | 'AVAILABLE_ONLINE'
}
