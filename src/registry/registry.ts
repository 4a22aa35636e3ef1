import {
  type DefinitionKind,
  decodeDefinition,
  isDefinitionKind,
  MESSAGE_NAMES,
} from '../codec/definitions/definition-codec.js'
import { decodeViewState, type ViewKind } from '../codec/definitions/view-state.js'
import { decodeViewVersion } from '../codec/definitions/view-version.js'
import { decodeMessage } from '../codec/proto.js'
import type { DataSource } from '../core/data-source.js'
import type { Definition, RecordKey, RecordKind, RegistryRecord, ViewState } from '../core/definition.js'
import { recordKeyText } from '../core/definition.js'
import type { Entity } from '../core/entity.js'
import { type FeastError, feastError, messageOf } from '../core/errors.js'
import type { FeatureService } from '../core/feature-service.js'
import type { StoredView } from '../core/feature-view.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import type { Permission } from '../core/permission.js'
import type { RegistryContents } from './registry-store.js'

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

  /** In registry order. Kinds without a definition type (saved datasets, infra, …) have records only. */
  list(project: string, kind: RecordKind): readonly Definition[]
  recordsOf(project: string, kind: RecordKind): readonly RegistryRecord[]
  record(key: RecordKey): RegistryRecord | undefined

  entities(project: string): readonly Entity[]
  dataSources(project: string): readonly DataSource[]
  /** Feature views, stream feature views and label views. */
  storedViews(project: string): readonly StoredView[]
  onDemandFeatureViews(project: string): readonly OnDemandFeatureView[]
  featureServices(project: string): readonly FeatureService[]
  permissions(project: string): readonly Permission[]

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

export function createRegistry(contents: RegistryContents): Registry {
  return new RegistrySnapshot(contents)
}

/** Kinds as messages name them. */
export const KIND_TEXTS: Readonly<Record<RecordKind, string>> = {
  project: 'project',
  dataSource: 'data source',
  entity: 'entity',
  featureView: 'feature view',
  onDemandFeatureView: 'on demand feature view',
  streamFeatureView: 'stream feature view',
  labelView: 'label view',
  featureService: 'feature service',
  savedDataset: 'saved dataset',
  validationReference: 'validation reference',
  permission: 'permission',
  featureViewVersion: 'feature view version',
  infra: 'infra',
  projectMetadata: 'project metadata',
}

/** Feast's order when it looks for a view of whatever kind. */
export const VIEW_KINDS = ['featureView', 'streamFeatureView', 'onDemandFeatureView', 'labelView'] as const

class RegistrySnapshot implements Registry {
  readonly version: string
  readonly records: readonly RegistryRecord[]
  readonly projects: readonly string[]
  readonly #byKey = new Map<string, RegistryRecord>()
  readonly #byKind = new Map<string, RegistryRecord[]>()
  readonly #decoded = new Map<RegistryRecord, Definition | FeastError>()
  readonly #lists = new Map<string, readonly Definition[]>()
  readonly #states = new Map<RegistryRecord, ViewState>()

  constructor({ version, records }: RegistryContents) {
    this.version = version
    this.records = records
    for (const record of records) {
      const key = recordKeyText(record)
      // Of two with one name Feast takes the first.
      if (!this.#byKey.has(key)) this.#byKey.set(key, record)
      const list = this.#byKind.get(listKey(record.project, record.kind))
      if (list) list.push(record)
      else this.#byKind.set(listKey(record.project, record.kind), [record])
    }
    const named = records.filter(({ kind }) => kind === 'project' || kind === 'projectMetadata')
    this.projects = [...new Set([...named, ...records].map(({ project }) => project))].filter(
      (name) => name !== '',
    )
  }

  broken() {
    return this.records.flatMap((record) => {
      const error = this.#brokenness(record)
      return error ? [{ key: { kind: record.kind, project: record.project, name: record.name }, error }] : []
    })
  }

  list(project: string, kind: RecordKind): readonly Definition[] {
    const key = listKey(project, kind)
    let list = this.#lists.get(key)
    if (!list) {
      list = this.recordsOf(project, kind).flatMap((record) => {
        const definition = isDefinitionKind(record.kind) ? this.#decode(record, record.kind) : []
        return definition instanceof Error ? [] : definition
      })
      this.#lists.set(key, list)
    }
    return list
  }

  recordsOf(project: string, kind: RecordKind): readonly RegistryRecord[] {
    return this.#byKind.get(listKey(project, kind)) ?? []
  }

  record(key: RecordKey): RegistryRecord | undefined {
    return this.#byKey.get(recordKeyText(key))
  }

  entities(project: string): readonly Entity[] {
    return this.list(project, 'entity') as readonly Entity[]
  }

  dataSources(project: string): readonly DataSource[] {
    return this.list(project, 'dataSource') as readonly DataSource[]
  }

  storedViews(project: string): readonly StoredView[] {
    const kinds = VIEW_KINDS.filter((kind) => kind !== 'onDemandFeatureView')
    return kinds.flatMap((kind) => this.list(project, kind) as readonly StoredView[])
  }

  onDemandFeatureViews(project: string): readonly OnDemandFeatureView[] {
    return this.list(project, 'onDemandFeatureView') as readonly OnDemandFeatureView[]
  }

  featureServices(project: string): readonly FeatureService[] {
    return this.list(project, 'featureService') as readonly FeatureService[]
  }

  permissions(project: string): readonly Permission[] {
    return this.list(project, 'permission') as readonly Permission[]
  }

  entity(project: string, name: string): Entity {
    const found = this.#find({ kind: 'entity', project, name })
    if (found) return found as Entity
    throw feastError('ENTITY_NOT_FOUND', { name, project, known: this.#names(project, ['entity']) })
  }

  dataSource(project: string, name: string): DataSource {
    const found = this.#find({ kind: 'dataSource', project, name })
    if (found) return found as DataSource
    throw feastError('DATA_SOURCE_NOT_FOUND', { name, project, known: this.#names(project, ['dataSource']) })
  }

  view(project: string, name: string): StoredView | OnDemandFeatureView {
    const found = this.findView(project, name)
    if (found) return found
    throw feastError('FEATURE_VIEW_NOT_FOUND', { name, project, known: this.#names(project, VIEW_KINDS) })
  }

  findView(project: string, name: string): StoredView | OnDemandFeatureView | undefined {
    const record = this.#viewRecord(project, name)
    return record && (this.#find(record) as StoredView | OnDemandFeatureView)
  }

  featureService(project: string, name: string): FeatureService {
    const found = this.#find({ kind: 'featureService', project, name })
    if (found) return found as FeatureService
    throw feastError('FEATURE_SERVICE_NOT_FOUND', {
      name,
      project,
      known: this.#names(project, ['featureService']),
    })
  }

  viewState(project: string, name: string): ViewState {
    const record = this.#viewRecord(project, name)
    if (!record)
      throw feastError('FEATURE_VIEW_NOT_FOUND', { name, project, known: this.#names(project, VIEW_KINDS) })
    const state =
      this.#states.get(record) ?? orUnreadable(record, () => decodeViewState(record.kind, record.bytes))
    this.#states.set(record, state)
    return state
  }

  viewAtVersion(project: string, name: string, version: number): StoredView | OnDemandFeatureView {
    const record = this.record({ kind: 'featureViewVersion', project, name: `${name}@v${version}` })
    if (!record) throw feastError('VIEW_VERSION_NOT_FOUND', { name, project, version: `v${version}` })
    return orUnreadable(record, () => {
      const { kind, bytes } = decodeViewVersion(record.bytes)
      return decodeDefinition(kind, bytes) as StoredView | OnDemandFeatureView
    })
  }

  #viewRecord(project: string, name: string): ViewRecord | undefined {
    for (const kind of VIEW_KINDS) {
      const record = this.record({ kind, project, name })
      if (record) return record as ViewRecord
    }
    return undefined
  }

  #find(key: RecordKey): Definition | undefined {
    const record = this.record(key)
    if (!record || !isDefinitionKind(record.kind)) return undefined
    const definition = this.#decode(record, record.kind)
    if (definition instanceof Error) throw definition
    return definition
  }

  #decode(record: RegistryRecord, kind: DefinitionKind): Definition | FeastError {
    let decoded = this.#decoded.get(record)
    if (decoded === undefined) {
      try {
        decoded = decodeDefinition(kind, record.bytes)
        if (decoded.name !== record.name) decoded = unreadable(record, 'it has no name')
      } catch (error) {
        decoded = unreadable(record, error)
      }
      this.#decoded.set(record, decoded)
    }
    return decoded
  }

  #brokenness(record: RegistryRecord): FeastError | undefined {
    if (isDefinitionKind(record.kind)) {
      const decoded = this.#decode(record, record.kind)
      return decoded instanceof Error ? decoded : undefined
    }
    try {
      decodeMessage(MESSAGE_NAMES[record.kind], record.bytes)
      return undefined
    } catch (error) {
      return unreadable(record, error)
    }
  }

  #names(project: string, kinds: readonly RecordKind[]): readonly string[] {
    return kinds.flatMap((kind) => this.recordsOf(project, kind).map(({ name }) => name))
  }
}

type ViewRecord = RegistryRecord & { readonly kind: ViewKind }

function listKey(project: string, kind: RecordKind): string {
  return `${kind}\0${project}`
}

function orUnreadable<T>(record: RegistryRecord, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw unreadable(record, error)
  }
}

function unreadable({ kind, name, project }: RecordKey, error: unknown): FeastError {
  return feastError(
    'RECORD_UNREADABLE',
    { kind: KIND_TEXTS[kind], name, project, why: messageOf(error) },
    error,
  )
}
