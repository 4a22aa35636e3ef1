import { editViewState } from '../codec/definitions/view-state.js'
import type { Interval } from '../core/definition.js'
import { nowMicros } from '../core/instant.js'
import { updateRegistry } from './registry-update.js'
import type { StoreParts } from './store-parts.js'

/**
 * Records a finished run in the view's record, whoever else writes to the registry meanwhile. A state that keeps
 * Python Feast from serving the view is healed; one that was never set stays so (R8).
 * @returns false if the view was deleted meanwhile
 */
export async function recordMaterialization(
  parts: StoreParts,
  name: string,
  { start, end }: Interval,
): Promise<boolean> {
  const { project } = parts
  let found = false
  await updateRegistry(parts, (registry) => {
    const view = registry.findView(project, name)
    found = view !== undefined
    if (view === undefined) return []
    const record = registry.record({ kind: view.kind, project, name })!
    const { lifecycle } = registry.viewState(project, name)
    const heal = lifecycle === 'MATERIALIZING' || lifecycle === 'GENERATED'
    const bytes = editViewState(view.kind, record.bytes, {
      now: nowMicros(),
      addInterval: { start, end },
      ...(heal && { lifecycle: 'AVAILABLE_ONLINE' }),
    })
    return [{ put: { ...record, bytes } }]
  })
  return found
}
