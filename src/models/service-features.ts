import { outputName } from '../core/feature-ref.js'
import { isEntityless } from '../core/feature-view.js'
import { nameToUse } from '../core/projection.js'
import type { ValueType } from '../core/value-type.js'
import type { Registry } from '../registry/registry.js'

/** What a model can be fed with when a feature service is looked up. */
export interface ServiceFeatures {
  readonly service: string
  /** In the order of the service. */
  readonly features: readonly ServiceFeature[]
  /** Entity columns that a lookup needs. */
  readonly joinKeys: readonly NamedType[]
  /** Columns of request sources that its on demand views need. */
  readonly requestColumns: readonly NamedType[]
}

export interface NamedType {
  readonly name: string
  readonly type: ValueType
}

export interface ServiceFeature extends NamedType {
  /** `view__feature`. */
  readonly fullName: string
}

/** @throws FEATURE_SERVICE_NOT_FOUND, FEATURE_VIEW_NOT_FOUND */
export function serviceFeatures(registry: Registry, project: string, service: string): ServiceFeatures {
  const features: ServiceFeature[] = []
  const joinKeys = new Map<string, ValueType>()
  const requestColumns = new Map<string, ValueType>()
  const addKeys = (view: string, joinKeyMap: Readonly<Record<string, string>>) => {
    const stored = registry.view(project, view)
    if (stored.kind === 'onDemandFeatureView' || isEntityless(stored)) return
    for (const { name, type } of stored.entityColumns) joinKeys.set(joinKeyMap[name] ?? name, type.valueType)
  }
  for (const projection of registry.featureService(project, service).projections) {
    const view = registry.view(project, projection.view)
    const wanted = projection.features ?? view.features.map(({ name }) => name)
    for (const name of wanted) {
      const field = view.features.find((one) => one.name === name)
      if (field === undefined) continue
      const fullName = outputName(nameToUse(projection), name, true)
      features.push({ name, fullName, type: field.type.valueType })
    }
    if (view.kind !== 'onDemandFeatureView') addKeys(view.name, projection.joinKeyMap)
    else {
      for (const source of view.projections) addKeys(source.view, source.joinKeyMap)
      for (const { schema } of view.requestSources) {
        for (const { name, type } of schema) requestColumns.set(name, type.valueType)
      }
    }
  }
  return { service, features, joinKeys: named(joinKeys), requestColumns: named(requestColumns) }
}

/** Columns that may stand for the join keys of a lookup, as it takes them: by themselves, and by the names of their entities. */
export function keyColumns(
  registry: Registry,
  project: string,
  { joinKeys }: ServiceFeatures,
): ReadonlyMap<string, string> {
  const names = joinKeys.map(({ name }) => name)
  const byEntity = registry
    .entities(project)
    .flatMap(({ name, joinKey }) => (names.includes(joinKey) ? [[name, joinKey] as const] : []))
  return new Map([...byEntity, ...names.map((name) => [name, name] as const)])
}

function named(types: ReadonlyMap<string, ValueType>): NamedType[] {
  return [...types].map(([name, type]) => ({ name, type }))
}
