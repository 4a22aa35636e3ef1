import type { RecordKey, RecordKind } from '../core/definition.js'
import type { OnlineStore, OnlineTable } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import { infraChange } from './infra-change.js'
import { tablesOfRecord, tablesOfService } from './online-table.js'
import { updateRegistry } from './registry-update.js'
import type { StoreParts } from './store-parts.js'

/** The order in which `feast delete` looks for a name; what it cannot find comes last. */
const SEARCH: readonly RecordKind[] = [
  'entity',
  'featureView',
  'featureService',
  'dataSource',
  'savedDataset',
  'validationReference',
  'streamFeatureView',
  'onDemandFeatureView',
  'labelView',
  'permission',
  'project',
]

/** @returns what was deleted; undefined if there is no such object */
export async function deleteObject(
  parts: StoreParts,
  name: string,
  kind?: RecordKind,
): Promise<RecordKey | undefined> {
  const { project, config } = parts
  const onlineStore = config.onlineStore && (await parts.onlineStore())
  let key: RecordKey | undefined
  let tables: readonly OnlineTable[] = []
  await updateRegistry(parts, (registry) => {
    key = (kind ? [kind] : SEARCH)
      .map((one): RecordKey => ({ kind: one, project, name }))
      .find((one) => registry.record(one) !== undefined)
    if (key === undefined) return []
    tables = tablesOf(registry, key, config.registry.versioning, onlineStore)
    return [
      { remove: key },
      ...historyOf(registry, key).map((remove) => ({ remove })),
      ...infraChange(registry, onlineStore, [], tables),
    ]
  })
  // Only now that no record refers to it.
  if (tables.length > 0) await onlineStore?.teardown(tables)
  return key
}

function tablesOf(
  registry: Registry,
  { kind, project, name }: RecordKey,
  versioning: boolean,
  onlineStore: OnlineStore | undefined,
): readonly OnlineTable[] {
  if (kind === 'featureService' && onlineStore?.vectors) return tablesOfService(registry, project, name)
  return tablesOfRecord(registry, { kind, project, name }, versioning)
}

/** A view's history goes with it. */
function historyOf(registry: Registry, { kind, project, name }: RecordKey): readonly RecordKey[] {
  if (!kind.endsWith('View')) return []
  return registry
    .recordsOf(project, 'featureViewVersion')
    .filter((record) => record.name.startsWith(`${name}@v`))
    .map((record) => ({ kind: record.kind, project, name: record.name }))
}
