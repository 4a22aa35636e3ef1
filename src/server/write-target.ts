import { feastError } from '../core/errors.js'
import type { StoredView } from '../core/feature-view.js'
import type { FeatureStore, PushRequest } from '../feature-store/feature-store.js'

const TARGETS: readonly string[] = ['online', 'offline', 'online_and_offline'] satisfies PushRequest['to'][]

/** @throws INVALID_VALUE */
export function pushTarget(to: string): PushRequest['to'] {
  if (TARGETS.includes(to)) return to as PushRequest['to']
  throw feastError('INVALID_VALUE', {
    message: `"${to}" is not a place to push to; "to" is one of ${TARGETS.join(', ')}.`,
  })
}

/** @throws PUSH_SOURCE_NOT_FOUND */
export async function viewsFedBy(store: FeatureStore, pushSource: string): Promise<readonly StoredView[]> {
  const views = (await store.registry()).storedViews(store.project)
  const fed = views.filter(({ streamSource }) => isPushSource(streamSource, pushSource))
  if (fed.length > 0) return fed
  const known = views.flatMap(({ streamSource }) =>
    streamSource?.kind === 'pushSource' ? [streamSource.name] : [],
  )
  throw feastError('PUSH_SOURCE_NOT_FOUND', { name: pushSource, known })
}

function isPushSource(source: StoredView['streamSource'], name: string): boolean {
  return source?.kind === 'pushSource' && source.name === name
}

/** A view that holds rows. @throws FEATURE_VIEW_NOT_FOUND, INVALID_REQUEST */
export async function storedView(store: FeatureStore, name: string): Promise<StoredView> {
  const view = (await store.registry()).view(store.project, name)
  if (view.kind !== 'onDemandFeatureView') return view
  throw feastError('INVALID_REQUEST', {
    message: `"${name}" is an on demand feature view: it is computed when it is read and holds no rows.`,
  })
}
