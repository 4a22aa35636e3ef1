import { feastError } from '../core/errors.js'
import { outputName, parseFeatureRef } from '../core/feature-ref.js'
import type { StoredView } from '../core/feature-view.js'
import type { Field } from '../core/field.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import type { Projection } from '../core/projection.js'
import type {
  EntityRows,
  HistoricalQuery,
  HistoricalView,
  RetrievalJob,
} from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import type { HistoricalRequest } from './feature-store.js'
import { type OnDemandOutputs, onDemandJob } from './on-demand-job.js'
import { joinKeyFields, rowsOf, sourceColumn } from './source-columns.js'
import type { StoreParts } from './store-parts.js'

/** Nothing runs until the job is asked for rows. @throws what {@link planHistorical} throws, PYTHON_TRANSFORMATION */
export async function getHistoricalFeatures(
  parts: StoreParts,
  request: HistoricalRequest,
): Promise<RetrievalJob> {
  const registry = await (await parts.registryCache()).get()
  const { versioning } = parts.config.registry
  const { query, onDemand } = planHistorical(request, { registry, project: parts.project, versioning })
  const store = await parts.offlineStore()
  const job = store.getHistoricalFeatures(query)
  return onDemand.length === 0 ? job : onDemandJob(job, store, onDemand, await parts.transformations())
}

export interface HistoricalPlan {
  readonly query: HistoricalQuery
  /** Computed over the joined rows, in order. */
  readonly onDemand: readonly OnDemandOutputs[]
}

export interface HistoricalContext {
  readonly registry: Registry
  readonly project: string
  /** `registry.enable_online_feature_view_versioning`. */
  readonly versioning: boolean
}

/**
 * Resolves a request against the registry (spec 1.1).
 * @throws NO_FEATURES, INVALID_FEATURE_REF, FEATURE_VIEW_NOT_FOUND, FEATURE_SERVICE_NOT_FOUND, FEATURE_NOT_FOUND,
 * VIEW_DISABLED, VERSIONED_READ_DISABLED, VIEW_VERSION_NOT_FOUND, FEATURE_NAME_COLLISION, INVALID_REQUEST
 */
export function planHistorical(request: HistoricalRequest, context: HistoricalContext): HistoricalPlan {
  const wanted = wantedProjections(request, context).map((projection) => openProjection(projection, context))
  const joined = new JoinedViews(request.fullFeatureNames ?? false)
  for (const { view, projection } of wanted) {
    if (view.kind !== 'onDemandFeatureView') joined.add(view, projection)
  }
  const onDemand = wanted.flatMap(({ view, projection }) =>
    view.kind === 'onDemandFeatureView' ? [onDemandOutputs(view, projection, joined, context)] : [],
  )
  refuseCollisions(joined, onDemand)
  const views = joined.all.map((view) => historicalView(view, context))
  if (request.entityRows.kind === 'range') refuseBadRange(request.entityRows, views)
  return {
    query: {
      entityRows: request.entityRows,
      eventTimestampColumn: request.eventTimestampColumn,
      views,
      requiredColumns: requestColumns(onDemand),
      filterByCreatedTimestamp: request.filterByCreatedTimestamp ?? false,
    },
    onDemand,
  }
}

/** One projection per view and version, in order of first reference; a service's own are kept apart. */
function wantedProjections(request: HistoricalRequest, context: HistoricalContext): Projection[] {
  if (request.featureService !== undefined) {
    if (request.features?.length) {
      throw feastError('INVALID_REQUEST', { message: 'Give features or a feature service, not both.' })
    }
    const service = context.registry.featureService(context.project, request.featureService)
    return service.projections.map((projection) =>
      context.versioning ? projection : { ...projection, versionTag: '' },
    )
  }
  if (!request.features?.length) throw feastError('NO_FEATURES', undefined)
  const features = new Map<string, { view: string; versionTag: string; names: string[] }>()
  for (const text of request.features) {
    const { view, versionTag, feature } = parseFeatureRef(text)
    if (versionTag !== '' && !context.versioning) {
      throw feastError('VERSIONED_READ_DISABLED', { ref: `${view}@${versionTag}` })
    }
    const key = `${view}@${versionTag}`
    const known = features.get(key)
    if (known === undefined) features.set(key, { view, versionTag, names: [feature] })
    else known.names.push(feature)
  }
  return [...features.values()].map(({ view, versionTag, names }) => ({
    kind: 'projection',
    view,
    versionTag,
    features: names,
    alias: '',
    joinKeyMap: {},
  }))
}

interface OpenProjection {
  readonly view: StoredView | OnDemandFeatureView
  readonly projection: Projection & { readonly features: readonly string[] }
}

/** A disabled view refuses; the lifecycle state never gates a read (R8). */
function openProjection(projection: Projection, { registry, project }: HistoricalContext): OpenProjection {
  const current = registry.view(project, projection.view)
  const view =
    projection.versionTag === ''
      ? current
      : registry.viewAtVersion(project, projection.view, Number(projection.versionTag.slice(1)))
  if (!current.enabled) throw feastError('VIEW_DISABLED', { name: view.name })
  const known = view.features.map(({ name }) => name)
  const features = projection.features ?? known
  const unknown = features.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw feastError('FEATURE_NOT_FOUND', { name: unknown, view: projection.view, known })
  }
  return { view, projection: { ...projection, features } }
}

interface JoinedFeature {
  readonly field: Field
  readonly output: string
  /** For messages. */
  readonly ref: string
}

interface JoinedView {
  readonly view: StoredView
  readonly name: string
  readonly joinKeyMap: Readonly<Record<string, string>>
  readonly features: JoinedFeature[]
}

/** The views to join, each once however often it is referred to, with their features in order (R14). */
class JoinedViews {
  readonly #views = new Map<string, JoinedView>()

  constructor(readonly fullNames: boolean) {}

  get all(): readonly JoinedView[] {
    return [...this.#views.values()]
  }

  add(view: StoredView, projection: OpenProjection['projection']): void {
    const joined = this.#open(view, projection)
    for (const name of projection.features) joined.features.push(this.#feature(joined, name))
  }

  /** Output column of a feature that is needed, whether or not it was asked for (J2). */
  need(view: StoredView, projection: OpenProjection['projection'], name: string): string {
    const joined = this.#open(view, projection)
    const known = joined.features.find(({ field }) => field.name === name)
    if (known !== undefined) return known.output
    const feature = this.#feature(joined, name)
    joined.features.push(feature)
    return feature.output
  }

  #open(view: StoredView, { alias, versionTag, joinKeyMap }: Projection): JoinedView {
    const key = JSON.stringify([view.name, alias, versionTag, Object.entries(joinKeyMap).sort()])
    let joined = this.#views.get(key)
    if (joined === undefined) {
      joined = { view, name: alias || view.name, joinKeyMap, features: [] }
      this.#views.set(key, joined)
    }
    return joined
  }

  #feature({ view, name }: JoinedView, feature: string): JoinedFeature {
    const field = view.features.find((known) => known.name === feature)!
    return { field, output: outputName(name, feature, this.fullNames), ref: `${name}:${feature}` }
  }
}

function onDemandOutputs(
  view: OnDemandFeatureView,
  wanted: OpenProjection['projection'],
  joined: JoinedViews,
  context: HistoricalContext,
): OnDemandOutputs {
  const inputs = view.projections.flatMap((source) => {
    const { view: stored, projection } = openProjection(source, context)
    if (stored.kind === 'onDemandFeatureView') {
      throw feastError('INVALID_DEFINITION', {
        object: `On demand feature view "${view.name}"`,
        problem: `its source "${stored.name}" is itself an on demand feature view`,
        mend: 'Take the features that it is computed from as sources instead.',
      })
    }
    return projection.features.map((name) => ({
      name,
      column: joined.need(stored, projection, name),
      type: stored.features.find((feature) => feature.name === name)!.type,
    }))
  })
  const requested = view.requestSources.flatMap(({ schema }) =>
    schema.map(({ name, type }) => ({ name, column: name, type })),
  )
  const outputs = wanted.features.map((name) => ({
    feature: view.features.find((feature) => feature.name === name)!,
    column: outputName(wanted.alias || view.name, name, joined.fullNames),
  }))
  return { view, inputs: [...inputs, ...requested], outputs }
}

function refuseCollisions(joined: JoinedViews, onDemand: readonly OnDemandOutputs[]): void {
  const refs = new Map<string, string[]>()
  const note = (output: string, ref: string) => refs.set(output, [...(refs.get(output) ?? []), ref])
  for (const view of joined.all) for (const { output, ref } of view.features) note(output, ref)
  for (const { view, outputs } of onDemand) {
    for (const { feature, column } of outputs) note(column, `${view.name}:${feature.name}`)
  }
  const twice = [...refs].filter(([, of]) => of.length > 1)
  if (twice.length === 0) return
  throw feastError('FEATURE_NAME_COLLISION', {
    names: twice.map(([output, of]) => `${output} (${of.join(', ')})`),
    full: joined.fullNames,
  })
}

function historicalView(joined: JoinedView, { registry, project }: HistoricalContext): HistoricalView {
  const { view, joinKeyMap } = joined
  const { source, timestampColumn, createdColumn } = rowsOf(view)
  return {
    name: joined.name,
    source,
    timestampColumn,
    createdColumn,
    joinKeys: joinKeyFields(registry, project, view).map(({ name, type }) => ({
      column: sourceColumn(source, name),
      entityColumn: joinKeyMap[name] ?? name,
      type,
    })),
    features: joined.features.map(({ field, output }) => ({
      column: sourceColumn(source, field.name),
      output,
      type: field.type,
    })),
    ttlSeconds: view.ttlSeconds,
  }
}

/** The views' own rows become the entity rows (J3), so all must be looked up by the same columns. */
function refuseBadRange(range: EntityRows & { kind: 'range' }, views: readonly HistoricalView[]): void {
  if (range.start > range.end) {
    throw feastError('INVALID_REQUEST', { message: 'The start of the range is after its end.' })
  }
  const keyed = views.filter(({ joinKeys }) => joinKeys.length > 0)
  const keysOf = (view: HistoricalView) =>
    view.joinKeys
      .map(({ entityColumn }) => entityColumn)
      .sort()
      .join(', ')
  const other = keyed.find((view) => keysOf(view) !== keysOf(keyed[0]!))
  if (other !== undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `Feature view "${keyed[0]!.name}" is looked up by ${keysOf(keyed[0]!)}, "${other.name}" by ${keysOf(other)}: without entity rows all views must have the same join keys. Give entity rows, or ask for the views one by one.`,
    })
  }
}

function requestColumns(onDemand: readonly OnDemandOutputs[]): HistoricalQuery['requiredColumns'] {
  return onDemand.flatMap(({ view }) =>
    view.requestSources.flatMap(({ schema }) => schema.map(({ name }) => ({ name, view: view.name }))),
  )
}
