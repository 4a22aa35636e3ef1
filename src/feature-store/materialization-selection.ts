import { feastError } from '../core/errors.js'
import type { StoredView } from '../core/feature-view.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import type { Registry } from '../registry/registry.js'
import type { MaterializeRequest } from './feature-store.js'
import type { StoreParts } from './store-parts.js'

export interface SelectedView {
  readonly view: StoredView
  /** The version whose table is written. */
  readonly versionNumber: number
  /** False for a view that keeps rows offline only. */
  readonly online: boolean
  readonly notices: readonly string[]
}

export const PYTHON_WRITTEN = 'its function is Python; materialize it with Python Feast'

/**
 * The views of a run (spec 3.1): those named, or all that are online and enabled.
 * @throws FEATURE_VIEW_NOT_FOUND, VIEW_DISABLED, VIEW_NOT_ONLINE, VIEW_VERSION_NOT_FOUND, INVALID_REQUEST
 */
export function selectViews(
  registry: Registry,
  { project, config }: Pick<StoreParts, 'project' | 'config'>,
  { views, version }: Pick<MaterializeRequest, 'views' | 'version'>,
): readonly SelectedView[] {
  const versionNumber = requestedVersion(version, views, config.registry.versioning)
  if (views === undefined || views.length === 0) {
    return registry
      .storedViews(project)
      .filter((view) => view.kind !== 'labelView' && view.online && view.enabled)
      .map((view) => selected(view, registry.viewState(project, view.name).versionNumber))
  }
  return [...new Set(views)].map((name) => {
    const current = refuseUnfit(registry.view(project, name))
    if (versionNumber === undefined) return selected(current, registry.viewState(project, name).versionNumber)
    const view = refuseUnfit(registry.viewAtVersion(project, name, versionNumber))
    return selected(view, versionNumber)
  })
}

/** On demand views that Python Feast would compute and write now, of those that a run would take. */
export function pythonWrittenViews(
  registry: Registry,
  project: string,
  { views }: Pick<MaterializeRequest, 'views'>,
): readonly string[] {
  if (views !== undefined && views.length > 0) return []
  return registry
    .onDemandFeatureViews(project)
    .filter((view) => view.enabled && isWritten(view))
    .map(({ name }) => name)
}

function isWritten({ transformation }: OnDemandFeatureView): boolean {
  return transformation.language === 'python' && transformation.writeToOnlineStore === true
}

function selected(view: StoredView, versionNumber: number): SelectedView {
  // Feast appends the rows to the very source that they were read from; they are there already.
  const notices = view.offline
    ? ['offline is on: its rows are in its batch source already, none were appended']
    : []
  return { view, versionNumber, online: view.online, notices }
}

function requestedVersion(
  version: string | undefined,
  views: readonly string[] | undefined,
  versioning: boolean,
): number | undefined {
  if (version === undefined || version === '' || /^latest$/i.test(version)) return undefined
  const number = /^v(?:ersion)?(\d+)$/i.exec(version)
  const message =
    number === null
      ? `${JSON.stringify(version)} is not a version; write "latest", or a number as in "v2".`
      : views?.length !== 1
        ? 'A version can be materialized of one view at a time: name exactly one.'
        : versioning
          ? undefined
          : 'Versions are materialized only where registry.enable_online_feature_view_versioning is true in feature_store.yaml.'
  if (message !== undefined) throw feastError('INVALID_REQUEST', { message })
  return Number(number![1])
}

function refuseUnfit(view: StoredView | OnDemandFeatureView): StoredView {
  const { name } = view
  if (view.kind === 'onDemandFeatureView') {
    const why = isWritten(view) ? PYTHON_WRITTEN : 'it is computed on demand and stored nowhere'
    throw feastError('VIEW_NOT_ONLINE', { name, why })
  }
  if (view.kind === 'labelView') {
    throw feastError('VIEW_NOT_ONLINE', { name, why: 'it is a label view; its rows come by push' })
  }
  if (!view.enabled) throw feastError('VIEW_DISABLED', { name })
  if (!view.online && !view.offline) {
    throw feastError('VIEW_NOT_ONLINE', {
      name,
      why: 'it is not served online (its definition says online: false)',
    })
  }
  return view
}
