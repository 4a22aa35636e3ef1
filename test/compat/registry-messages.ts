/** A registry message as protobuf JSON (snake_case names), decoded by Feast's own classes. */
export type RegistryMessage = Readonly<Record<string, unknown>>

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Feast's name of a registry list → our kind. */
export const LISTED_KINDS = {
  entities: 'entity',
  data_sources: 'dataSource',
  feature_views: 'featureView',
  stream_feature_views: 'streamFeatureView',
  on_demand_feature_views: 'onDemandFeatureView',
  label_views: 'labelView',
  feature_services: 'featureService',
  projects: 'project',
  permissions: 'permission',
  saved_datasets: 'savedDataset',
} as const

const LISTS = [
  'projects',
  'data_sources',
  'entities',
  'feature_views',
  'stream_feature_views',
  'on_demand_feature_views',
  'label_views',
  'feature_services',
  'saved_datasets',
  'validation_references',
  'permissions',
]

/**
 * What two registries of the same definitions must agree on: object by object, without times, uuids and pickles.
 * Lists whose order Feast itself leaves to chance are sorted.
 */
export function comparableRegistry(message: RegistryMessage): Record<string, Record<string, Json>> {
  return Object.fromEntries(
    LISTS.map((kind) => {
      const objects = (message[kind] ?? []) as { spec?: { name: string }; name?: string }[]
      return [
        kind,
        Object.fromEntries(
          objects.map((object) => [object.spec?.name ?? object.name, comparable(object as never)]),
        ),
      ]
    }),
  )
}

const VOLATILE = new Set([
  'created_timestamp',
  'last_updated_timestamp',
  'version_id',
  'materialization_intervals',
])

/** A message without what Feast stamps anew each time it loads or writes it. */
export function comparable(value: Json, key = ''): Json {
  if (Array.isArray(value)) {
    const items = value.map((item) => comparable(item as Json))
    return key === 'features' || key === 'feature_columns' ? [...items].sort(byText) : items
  }
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value as { readonly [key: string]: Json })
    .filter(([name]) => !VOLATILE.has(name))
    .map(([name, item]) => [name, comparable(item, name)] as const)
    // An empty message and no message mean the same for times that were left out.
    .filter(([name, item]) => !(name === 'meta' && JSON.stringify(item) === '{}'))
  return Object.fromEntries(entries)
}

function byText(a: Json, b: Json): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}
