import { type EntityKeyEncoder, entityKeyEncoder, type JoinKey } from '../codec/entity-key.js'
import { DUMMY_ENTITY, DUMMY_ENTITY_VALUE } from '../core/entity.js'
import { type FeastError, feastError, isFeastError } from '../core/errors.js'
import { outputName, parseFeatureRef } from '../core/feature-ref.js'
import type { FeatureService } from '../core/feature-service.js'
import { isEntityless, type StoredView } from '../core/feature-view.js'
import type { Field } from '../core/field.js'
import type { OnDemandFeatureView, RowFunction } from '../core/on-demand-feature-view.js'
import { nameToUse } from '../core/projection.js'
import type { FeastType } from '../core/value-type.js'
import type { OnlineReader, OnlineStore, ReadShape } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import { jsonNames, protoNames, protoVersions } from './answer-names.js'
import { rowFunctionOf } from './on-demand.js'
import { type ServiceVector, serviceVector, vectorReader } from './service-vector.js'

/** What a request asks for, without its entities: the key of a plan. */
export interface RequestShape {
  readonly features: readonly string[]
  /** Wins over `features`. */
  readonly featureService: string | undefined
  readonly fullFeatureNames: boolean
}

export interface PlanContext {
  readonly project: string
  readonly registry: Registry
  readonly onlineStore: OnlineStore
  /** `registry.enable_online_feature_view_versioning`: tables carry their version. */
  readonly versioning: boolean
  readonly entityKeyVersion: 2 | 3
  /** Functions of the loaded feature repo by on demand view name. */
  readonly transformations: ReadonlyMap<string, RowFunction>
}

/** All that can be known before entities are: made once per registry snapshot and shape. */
export interface OnlinePlan {
  readonly outputs: readonly PlanOutput[]
  readonly groups: readonly ReadGroup[]
  readonly onDemand: readonly OnDemandStep[]
  /** Entity columns that a request may hold: join keys of the project and of the projections. */
  readonly joinKeys: ReadonlySet<string>
  /** Deprecated spelling: entity name → join key. */
  readonly joinKeyOfEntity: ReadonlyMap<string, string>
  /** Types of the entity columns this plan looks up by; others are echoed as they came. */
  readonly keyTypes: ReadonlyMap<string, FeastType>
  readonly requestColumns: ReadonlyMap<string, { readonly field: Field; readonly view: string }>
  /** Names of the views that are asked for, for metrics. */
  readonly views: readonly string[]
  readonly viewCount: number
  /** Of all groups together. */
  readonly storedViewCount: number
  /** The names of the outputs as answers write them. */
  readonly names: { readonly json: Buffer; readonly proto: Buffer; readonly protoVersions: Buffer }
  /** Of a feature service that one vector per entity can hold. Where the service asks for it, it is read. */
  readonly vector: ServiceVector | undefined
}

/** A column of the answer; `view` is its place in the plan's `views`. */
export type PlanOutput =
  | { readonly kind: 'stored'; readonly name: string; readonly view: number; readonly cell: CellPlace }
  | {
      readonly kind: 'onDemand'
      readonly name: string
      readonly view: number
      readonly step: number
      /** Position in the on demand view's features. */
      readonly feature: number
    }

/** Where a stored feature is found: `groups[group]`, cell `cell` of its rows, row times of `views[view]`. */
export interface CellPlace {
  readonly group: number
  readonly cell: number
  readonly view: number
  /** Number of that view among those of all groups. */
  readonly storedView: number
  readonly type: FeastType
}

/** The cell with the event time of a stored feature. */
export function timeCell({ groups }: OnlinePlan, { group, view }: CellPlace): number {
  return groups[group]!.features.length + view
}

/** Views that are looked up by the same entity columns: one reader, one key per entity row. */
export interface ReadGroup {
  readonly keys: readonly KeyColumn[]
  readonly encodeKey: EntityKeyEncoder
  /** The key of views without entity, which have one row for everybody. */
  readonly constantKey: Buffer | undefined
  readonly reader: OnlineReader
  readonly features: readonly { readonly view: string; readonly feature: string }[]
  readonly views: readonly GroupView[]
}

export interface KeyColumn {
  readonly joinKey: string
  /** Entity column that holds it: the join key, or what the projection maps it to. */
  readonly column: string
  readonly type: FeastType
}

export interface GroupView {
  readonly name: string
  /** Name in the online store. */
  readonly table: string
  readonly ttlSeconds: number
  /** Among the views of all groups. */
  readonly number: number
}

export interface OnDemandStep {
  readonly view: OnDemandFeatureView
  readonly run: RowFunction | undefined
  /** Why it cannot be computed here. Its outputs are then INVALID, and asking for nothing else is this error. */
  readonly unavailable: FeastError | undefined
  readonly inputs: readonly { readonly name: string; readonly cell: CellPlace }[]
  readonly requestInputs: readonly Field[]
}

/**
 * @throws NO_FEATURES, INVALID_FEATURE_REF, FEATURE_VIEW_NOT_FOUND, FEATURE_SERVICE_NOT_FOUND, FEATURE_NOT_FOUND,
 * VIEW_DISABLED, VERSIONED_READ_DISABLED, VIEW_VERSION_NOT_FOUND, FEATURE_NAME_COLLISION, PYTHON_TRANSFORMATION,
 * TRANSFORMATION_UNAVAILABLE
 */
export function planOnline(shape: RequestShape, context: PlanContext): OnlinePlan {
  const wanted = wantedFeatures(shape, context)
  if (wanted.length === 0) throw feastError('NO_FEATURES', undefined)
  refuseCollisions(wanted, shape.fullFeatureNames)
  const draft = newDraft(context)
  const views = [...new Set(wanted.map(({ source }) => source.view.name))]
  const outputs = wanted.map((feature) => ({
    ...placeOutput(draft, feature),
    view: views.indexOf(feature.source.view.name),
  }))
  refuseWhenNothingCanBeComputed(draft, outputs)
  const names = wanted.map(({ output }) => output)
  const service = shape.featureService === undefined ? undefined : serviceOf(shape.featureService, context)
  const vector = service && vectorOf(service, wanted, outputs, draft)
  const read = service?.precomputeOnline && context.onlineStore.vectors ? vector : undefined
  return {
    outputs,
    groups: draft.groups.map((group) => finishGroup(group, context, read)),
    onDemand: draft.steps,
    joinKeys: draft.joinKeys,
    joinKeyOfEntity: draft.joinKeyOfEntity,
    keyTypes: draft.keyTypes,
    requestColumns: draft.requestColumns,
    views,
    storedViewCount: draft.storedViewCount,
    viewCount: new Set(wanted.map(({ source }) => source.label)).size,
    names: {
      json: jsonNames(names),
      proto: protoNames(names),
      protoVersions: protoVersions(draft.versions),
    },
    vector,
  }
}

/** A view as one projection of it is read. */
interface Source {
  /** Name that outputs carry: alias, or view, with `@v2` where a version was asked for. */
  readonly label: string
  readonly view: StoredView | OnDemandFeatureView
  readonly versionNumber: number
  readonly joinKeyMap: Readonly<Record<string, string>>
}

interface Wanted {
  readonly source: Source
  readonly feature: string
  readonly output: string
}

function wantedFeatures(shape: RequestShape, context: PlanContext): Wanted[] {
  const sourceOf = memoized((view: string, versionTag: string) => openSource(view, versionTag, context))
  const want = (source: Source, feature: string): Wanted => ({
    source,
    feature,
    output: outputName(source.label, feature, shape.fullFeatureNames),
  })
  if (shape.featureService !== undefined) {
    return serviceSources(shape.featureService, context).flatMap(({ source, features }) =>
      features.map((feature) => want(source, feature)),
    )
  }
  return shape.features.map((text) => {
    if (text.includes('\0')) throw feastError('INVALID_FEATURE_REF', { ref: text })
    const ref = parseFeatureRef(text)
    if (ref.versionTag !== '' && !context.versioning) {
      throw feastError('VERSIONED_READ_DISABLED', { ref: `${ref.view}@${ref.versionTag}` })
    }
    return want(sourceOf(ref.view, ref.versionTag), ref.feature)
  })
}

function memoized<T>(open: (view: string, versionTag: string) => T): typeof open {
  const known = new Map<string, T>()
  return (view, versionTag) => {
    const key = `${view}@${versionTag}`
    const opened = known.get(key) ?? open(view, versionTag)
    known.set(key, opened)
    return opened
  }
}

function serviceSources(
  name: string,
  context: PlanContext,
): { readonly source: Source; readonly features: readonly string[] }[] {
  return serviceOf(name, context).projections.map((projection) => {
    // Where online versioning is off, Feast serves the current rows under the versioned name.
    const opened = openSource(projection.view, context.versioning ? projection.versionTag : '', context)
    return {
      source: { ...opened, label: nameToUse(projection), joinKeyMap: projection.joinKeyMap },
      features: projection.features ?? opened.view.features.map((feature) => feature.name),
    }
  })
}

function serviceOf(name: string, { registry, project }: PlanContext): FeatureService {
  return registry.featureService(project, name)
}

function openSource(name: string, versionTag: string, { registry, project }: PlanContext): Source {
  if (versionTag !== '') {
    const versionNumber = Number(versionTag.slice(1))
    const view = registry.viewAtVersion(project, name, versionNumber)
    refuseDisabled(registry.findView(project, name) ?? view)
    return { label: `${name}@${versionTag}`, view, versionNumber, joinKeyMap: {} }
  }
  const view = registry.view(project, name)
  refuseDisabled(view)
  return { label: name, view, versionNumber: registry.viewState(project, name).versionNumber, joinKeyMap: {} }
}

/** The lifecycle state never gates a read (R8). */
function refuseDisabled(view: StoredView | OnDemandFeatureView): void {
  if (!view.enabled) throw feastError('VIEW_DISABLED', { name: view.name })
}

function refuseCollisions(wanted: readonly Wanted[], full: boolean): void {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const { output } of wanted) (seen.has(output) ? twice : seen).add(output)
  if (twice.size > 0) throw feastError('FEATURE_NAME_COLLISION', { names: [...twice], full })
}

interface Draft {
  readonly context: PlanContext
  readonly groups: GroupDraft[]
  storedViewCount: number
  readonly steps: OnDemandStep[]
  readonly joinKeys: Set<string>
  readonly joinKeyOfEntity: Map<string, string>
  readonly keyTypes: Map<string, FeastType>
  readonly requestColumns: Map<string, { field: Field; view: string }>
  /** Alias or name of a view that is read → its version. */
  readonly versions: Map<string, number>
}

interface GroupDraft {
  readonly signature: string
  readonly keys: readonly KeyColumn[]
  readonly entityless: boolean
  readonly features: { view: string; feature: string }[]
  readonly views: GroupView[]
}

function newDraft(context: PlanContext): Draft {
  const entities = context.registry
    .entities(context.project)
    .filter((entity) => entity.name !== DUMMY_ENTITY.name)
  return {
    context,
    groups: [],
    storedViewCount: 0,
    steps: [],
    joinKeys: new Set(entities.map((entity) => entity.joinKey)),
    joinKeyOfEntity: new Map(entities.map((entity) => [entity.name, entity.joinKey])),
    keyTypes: new Map(),
    requestColumns: new Map(),
    versions: new Map(),
  }
}

function placeOutput(draft: Draft, { source, feature, output }: Wanted): PlacedOutput {
  if (source.view.kind !== 'onDemandFeatureView') {
    return { kind: 'stored', name: output, cell: placeCell(draft, source, source.view, feature) }
  }
  const position = source.view.features.findIndex(({ name }) => name === feature)
  if (position < 0) throw unknownFeature(source.view, feature)
  return { kind: 'onDemand', name: output, step: stepOf(draft, source.view), feature: position }
}

/** Without the place of its view. */
type PlacedOutput = PlanOutput extends infer Output
  ? Output extends PlanOutput
    ? Omit<Output, 'view'>
    : never
  : never

function placeCell(draft: Draft, source: Source, view: StoredView, feature: string): CellPlace {
  const field = view.features.find(({ name }) => name === feature)
  if (field === undefined) throw unknownFeature(view, feature)
  const label = source.label.split('@', 1)[0]!
  if (!draft.versions.has(label)) draft.versions.set(label, source.versionNumber)
  const group = groupOf(draft, source, view)
  const { versioning } = draft.context
  const table = versioning && source.versionNumber > 0 ? `${view.name}_v${source.versionNumber}` : view.name
  const groupDraft = draft.groups[group]!
  const places = groupDraft.features
  let cell = places.findIndex((place) => place.view === table && place.feature === feature)
  if (cell < 0) cell = places.push({ view: table, feature }) - 1
  let viewIndex = groupDraft.views.findIndex((known) => known.table === table)
  if (viewIndex < 0) {
    const { name, ttlSeconds } = view
    viewIndex = groupDraft.views.push({ name, table, ttlSeconds, number: draft.storedViewCount++ }) - 1
  }
  const storedView = groupDraft.views[viewIndex]!.number
  return { group, cell, view: viewIndex, storedView, type: field.type }
}

function groupOf(draft: Draft, source: Source, view: StoredView): number {
  const entityless = isEntityless(view)
  const keys = entityless ? [] : keyColumns(draft, source, view)
  const signature = entityless
    ? ''
    : JSON.stringify(keys.map(({ joinKey, column, type }) => [joinKey, column, type.valueType]))
  const known = draft.groups.findIndex((group) => group.signature === signature)
  return known >= 0 ? known : draft.groups.push({ signature, keys, entityless, features: [], views: [] }) - 1
}

function keyColumns(draft: Draft, source: Source, view: StoredView): KeyColumn[] {
  return joinKeyFields(draft.context, view).map(({ name, type }) => {
    const column = source.joinKeyMap[name] ?? name
    draft.joinKeys.add(column)
    draft.keyTypes.set(column, type)
    return { joinKey: name, column, type }
  })
}

/** A registry of an early Feast has no entity columns; the entities then know their types. */
function joinKeyFields(
  { registry, project }: PlanContext,
  view: StoredView,
): readonly { readonly name: string; readonly type: FeastType }[] {
  if (view.entityColumns.length >= view.entities.length) return view.entityColumns
  return view.entities.map((name) => {
    const { joinKey, valueType } = registry.entity(project, name)
    return { name: joinKey, type: { valueType } }
  })
}

function stepOf(draft: Draft, view: OnDemandFeatureView): number {
  const known = draft.steps.findIndex((step) => step.view.name === view.name)
  if (known >= 0) return known
  const found = rowFunctionOf(view, draft.context.transformations.get(view.name))
  const [run, unavailable] = isFeastError(found) ? [undefined, found] : [found, undefined]
  const requestInputs = view.requestSources.flatMap((source) => source.schema)
  if (unavailable === undefined) {
    for (const field of requestInputs) draft.requestColumns.set(field.name, { field, view: view.name })
  }
  return (
    draft.steps.push({
      view,
      run,
      unavailable,
      inputs: unavailable === undefined ? inputsOf(draft, view) : [],
      requestInputs,
    }) - 1
  )
}

/** Dependencies are read under the source view's own name, whatever alias a service gives it, as in Feast. */
function inputsOf(draft: Draft, view: OnDemandFeatureView): OnDemandStep['inputs'] {
  return view.projections.flatMap((projection) => {
    const opened = openSource(projection.view, '', draft.context)
    const stored = opened.view
    if (stored.kind === 'onDemandFeatureView') {
      throw feastError('INVALID_DEFINITION', {
        object: `On demand feature view "${view.name}"`,
        problem: `its source "${stored.name}" is itself an on demand feature view`,
        mend: 'Take the features that it is computed from as sources instead.',
      })
    }
    const source = { ...opened, joinKeyMap: projection.joinKeyMap }
    const names = projection.features ?? stored.features.map((feature) => feature.name)
    return names.map((name) => ({ name, cell: placeCell(draft, source, stored, name) }))
  })
}

function refuseWhenNothingCanBeComputed(draft: Draft, outputs: readonly PlanOutput[]): void {
  const errors = outputs.map((output) =>
    output.kind === 'onDemand' ? draft.steps[output.step]!.unavailable : undefined,
  )
  if (errors.every((error) => error !== undefined)) throw errors[0]
}

/**
 * A vector stands for one entity, and nothing in it is computed. Feast looks up all views of a vector by the keys of
 * the first, and a view of a given version at its current one: such vectors hold what a read would not find.
 */
function vectorOf(
  service: FeatureService,
  wanted: readonly Wanted[],
  outputs: readonly PlanOutput[],
  { groups, context }: Draft,
): ServiceVector | undefined {
  const [group, ...others] = groups
  if (group === undefined || others.length > 0) return undefined
  if (context.versioning && service.projections.some(({ versionTag }) => versionTag !== '')) return undefined
  const features = outputs.flatMap((output, index) => {
    const { source, feature } = wanted[index]!
    return output.kind === 'stored' ? [{ label: source.label, feature, ...output.cell }] : []
  })
  if (features.length < outputs.length) return undefined
  return serviceVector(
    service,
    features,
    joinKeysOf(group).map(({ name }) => name),
    shapeOf(group),
  )
}

function joinKeysOf({ entityless, keys }: GroupDraft): readonly JoinKey[] {
  if (entityless) return [{ name: DUMMY_ENTITY.joinKey, type: { valueType: DUMMY_ENTITY.valueType } }]
  return keys.map(({ joinKey, type }) => ({ name: joinKey, type }))
}

function shapeOf({ features, views }: GroupDraft): ReadShape {
  return { features, views: views.map(({ table }) => table) }
}

function finishGroup(
  group: GroupDraft,
  { onlineStore, entityKeyVersion }: PlanContext,
  vector: ServiceVector | undefined,
): ReadGroup {
  const encodeKey = entityKeyEncoder(joinKeysOf(group), entityKeyVersion)
  const shape = shapeOf(group)
  return {
    keys: group.keys,
    encodeKey,
    constantKey: group.entityless ? encodeKey([DUMMY_ENTITY_VALUE]) : undefined,
    reader: vector ? vectorReader(vector, shape, onlineStore) : onlineStore.prepareRead(shape),
    features: group.features,
    views: group.views,
  }
}

function unknownFeature(view: StoredView | OnDemandFeatureView, feature: string): FeastError {
  return feastError('FEATURE_NOT_FOUND', {
    name: feature,
    view: view.name,
    known: view.features.map(({ name }) => name),
  })
}
