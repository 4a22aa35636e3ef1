import type {
  Columns,
  ProjectSchema,
  RowSchema,
  ServiceSchema,
  TypeSpec,
  ViewSchema,
} from '../client/project-schema.js'
import { isEntityless, type StoredView } from '../core/feature-view.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import { nameToUse, type Projection } from '../core/projection.js'
import type { FeastType } from '../core/value-type.js'
import type { Registry } from '../registry/registry.js'

export interface SchemaContext {
  readonly registry: Registry
  readonly project: string
  /** `registry.enable_online_feature_view_versioning`. */
  readonly versioning: boolean
}

type AnyView = StoredView | OnDemandFeatureView

/**
 * What a client can ask of a project's server, in the order of names. Views that are not online are left out.
 * @throws FEATURE_VIEW_NOT_FOUND, VIEW_VERSION_NOT_FOUND, ENTITY_NOT_FOUND for a registry that contradicts itself
 */
export function clientSchema(context: SchemaContext): ProjectSchema {
  const { registry, project } = context
  const stored = registry.storedViews(project)
  const views = [...stored.filter(({ online }) => online), ...registry.onDemandFeatureViews(project)]
  return {
    views: byName(views, (view) => viewSchema(context, view)),
    services: byName(registry.featureServices(project), ({ projections }) =>
      serviceSchema(context, projections),
    ),
    pushSources: pushSources(context, stored),
  }
}

function byName<T extends { readonly name: string }, To>(
  items: readonly T[],
  make: (item: T) => To,
): Readonly<Record<string, To>> {
  const names = [...new Set(items.map(({ name }) => name))].sort()
  // Of two with one name the first is the one that is served.
  return Object.fromEntries(names.map((name) => [name, make(items.find((item) => item.name === name)!)]))
}

function viewSchema(context: SchemaContext, view: AnyView): ViewSchema {
  const features = columnsOf(view.features)
  if (view.kind === 'onDemandFeatureView') return { ...neededFor(context, [[view, {}]]), features }
  const rows = rowSchema(context, [view])
  return { entities: keysOf(context, view, {}), requestData: {}, features, ...(rows && { rows }) }
}

function serviceSchema(context: SchemaContext, projections: readonly Projection[]): ServiceSchema {
  const parts = projections.map((projection) => ({
    label: nameToUse(projection),
    view: projectedView(context, projection),
    projection,
  }))
  const features = parts.flatMap(({ label, view, projection }) =>
    (projection.features ?? view.features.map(({ name }) => name)).map((name) => {
      const type = view.features.find((feature) => feature.name === name)?.type
      return { ref: `${label}:${name}`, name, spec: specOf(type ?? { valueType: 'INVALID' }) }
    }),
  )
  const isAmbiguous = new Set(features.map(({ name }) => name)).size < features.length
  return {
    ...neededFor(
      context,
      parts.map(({ view, projection }) => [view, projection.joinKeyMap] as const),
    ),
    features: Object.fromEntries(features.map(({ ref, spec }) => [ref, spec])),
    ...(isAmbiguous && { needsFullNames: true as const }),
  }
}

/** As a lookup finds it: the version counts only where versions are served. */
function projectedView(
  { registry, project, versioning }: SchemaContext,
  { view, versionTag }: Projection,
): AnyView {
  if (!versioning || versionTag === '') return registry.view(project, view)
  return registry.viewAtVersion(project, view, Number(versionTag.slice(1)))
}

type JoinKeyMap = Projection['joinKeyMap']

/** Entity columns and request data of views, those that on demand views are computed from included. */
function neededFor(
  context: SchemaContext,
  views: readonly (readonly [AnyView, JoinKeyMap])[],
): { readonly entities: Columns; readonly requestData: Columns } {
  const entities: Record<string, TypeSpec> = {}
  const requestData: Record<string, TypeSpec> = {}
  for (const [view, joinKeyMap] of views) {
    if (view.kind !== 'onDemandFeatureView') {
      Object.assign(entities, keysOf(context, view, joinKeyMap))
      continue
    }
    for (const source of view.requestSources) Object.assign(requestData, columnsOf(source.schema))
    for (const projection of view.projections) {
      const source = context.registry.view(context.project, projection.view)
      if (source.kind !== 'onDemandFeatureView')
        Object.assign(entities, keysOf(context, source, projection.joinKeyMap))
    }
  }
  // A value that is given once may be a join key and request data.
  return { entities, requestData }
}

function keysOf(context: SchemaContext, view: StoredView, joinKeyMap: JoinKeyMap): Columns {
  return Object.fromEntries(joinKeys(context, view).map(([name, spec]) => [joinKeyMap[name] ?? name, spec]))
}

/** A registry of an early Feast has no entity columns; the entities then know their types. */
function joinKeys(
  { registry, project }: SchemaContext,
  view: StoredView,
): readonly (readonly [string, TypeSpec])[] {
  if (isEntityless(view)) return []
  if (view.entityColumns.length >= view.entities.length) {
    return view.entityColumns.map(({ name, type }) => [name, specOf(type)])
  }
  return view.entities.map((name) => {
    const { joinKey, valueType } = registry.entity(project, name)
    return [joinKey, valueType]
  })
}

function pushSources(context: SchemaContext, views: readonly StoredView[]): ProjectSchema['pushSources'] {
  const names = views.flatMap(({ streamSource }) =>
    streamSource?.kind === 'pushSource' ? [streamSource.name] : [],
  )
  const schemas = [...new Set(names)].sort().map((name) => {
    const fed = views.filter(
      ({ streamSource }) => streamSource?.kind === 'pushSource' && streamSource.name === name,
    )
    return [name, rowSchema(context, fed)] as const
  })
  return Object.fromEntries(
    schemas.filter((entry): entry is readonly [string, RowSchema] => entry[1] !== undefined),
  )
}

/** What a row has that is written to all of these views; undefined where one takes no rows. */
function rowSchema(context: SchemaContext, views: readonly StoredView[]): RowSchema | undefined {
  const columns: Record<string, TypeSpec> = {}
  const times = new Set<string>()
  const created = new Set<string>()
  for (const view of views) {
    const { timestampField = '', createdTimestampColumn = '' } = view.batchSource ?? {}
    if (timestampField === '') return undefined
    Object.assign(columns, Object.fromEntries(joinKeys(context, view)), columnsOf(view.features))
    times.add(timestampField)
    if (createdTimestampColumn !== '') created.add(createdTimestampColumn)
  }
  const optional = [...created].filter((name) => !times.has(name) && columns[name] === undefined)
  for (const name of [...times, ...optional]) columns[name] = 'UNIX_TIMESTAMP'
  return { columns, times: [...times, ...optional], optional }
}

function columnsOf(fields: readonly { readonly name: string; readonly type: FeastType }[]): Columns {
  return Object.fromEntries(fields.map(({ name, type }) => [name, specOf(type)]))
}

/** The name alone where it says it all. */
function specOf(type: FeastType): TypeSpec {
  return type.element || type.fields ? plainType(type) : type.valueType
}

function plainType({ valueType, element, fields }: FeastType): FeastType {
  return {
    valueType,
    ...(element && { element: plainType(element) }),
    ...(fields && {
      fields: Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, plainType(type)])),
    }),
  }
}
