import type { RecordKey, RecordKind } from '../core/definition.js'
import { DUMMY_ENTITY } from '../core/entity.js'
import { isEntityless, type StoredView } from '../core/feature-view.js'
import type { OnlineTable } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import { vectorTable } from '../serving/service-vector.js'

/**
 * Where a view's rows lie online.
 * @param versionNumber of the view's history; part of the name where online versioning is on, except version 0
 */
export function onlineTable(view: StoredView, versionNumber: number, versioning: boolean): OnlineTable {
  return {
    name: versioning && versionNumber > 0 ? `${view.name}_v${versionNumber}` : view.name,
    joinKeys: isEntityless(view) ? [DUMMY_ENTITY.joinKey] : view.entityColumns.map(({ name }) => name),
    features: view.features.map(({ name }) => name),
  }
}

/** Where a service's vectors lie, if it asks for any. Its views have the same join keys, or there are none. */
export function tablesOfService(registry: Registry, project: string, name: string): readonly OnlineTable[] {
  const service = registry.featureServices(project).find((one) => one.name === name)
  const [first] = service?.precomputeOnline ? service.projections : []
  const view = first && registry.findView(project, first.view)
  if (view === undefined || view.kind === 'onDemandFeatureView') return []
  return [vectorTable(name, onlineTable(view, 0, false).joinKeys)]
}

/** All tables of a record, if it is a view: of one that cannot be decoded, what its name tells. */
export function tablesOfRecord(
  registry: Registry,
  { kind, project, name }: RecordKey,
  versioning: boolean,
): readonly OnlineTable[] {
  if (!STORED_VIEW_KINDS.includes(kind) || !registry.record({ kind, project, name })) return []
  const view = registry.list(project, kind).find((one) => one.name === name)
  if (view === undefined) return [{ name, joinKeys: [], features: [] }]
  return tablesOfView(registry, project, view as StoredView, versioning)
}

const STORED_VIEW_KINDS: readonly RecordKind[] = ['featureView', 'streamFeatureView', 'labelView']

/** All that the view has or had: one, or one per version of its history. */
function tablesOfView(
  registry: Registry,
  project: string,
  view: StoredView,
  versioning: boolean,
): readonly OnlineTable[] {
  const current = onlineTable(view, registry.viewState(project, view.name).versionNumber, versioning)
  if (!versioning) return [current]
  const prefix = `${view.name}@v`
  const numbers = registry
    .recordsOf(project, 'featureViewVersion')
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name }) => Number(name.slice(prefix.length)))
  const earlier = numbers.flatMap((number) => {
    const version = registry.viewAtVersion(project, view.name, number)
    return version.kind === 'onDemandFeatureView' ? [] : [onlineTable(version, number, versioning)]
  })
  return [...new Map([...earlier, current].map((table) => [table.name, table])).values()]
}
