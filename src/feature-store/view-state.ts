import { editViewState, type ViewStateEdits } from '../codec/definitions/view-state.js'
import type { ViewState } from '../core/definition.js'
import { feastError } from '../core/errors.js'
import { nowMicros } from '../core/instant.js'
import type { Registry } from '../registry/registry.js'
import { updateRegistry } from './registry-update.js'
import type { StoreParts } from './store-parts.js'

type Lifecycle = ViewState['lifecycle']

/** Feast's transitions (spec 4.7). */
const ALLOWED: Readonly<Record<Lifecycle, readonly Lifecycle[]>> = {
  STATE_UNSPECIFIED: ['CREATED'],
  CREATED: ['GENERATED'],
  GENERATED: ['MATERIALIZING'],
  MATERIALIZING: ['AVAILABLE_ONLINE', 'GENERATED'],
  AVAILABLE_ONLINE: ['MATERIALIZING'],
}

/** @throws FEATURE_VIEW_NOT_FOUND; INVALID_REQUEST for a label view, which Feast cannot disable */
export async function setViewEnabled(parts: StoreParts, name: string, enabled: boolean): Promise<void> {
  await editView(parts, name, (registry) => {
    const view = registry.view(parts.project, name)
    if (view.kind === 'labelView') {
      throw feastError('INVALID_REQUEST', {
        message: `"${name}" is a label view, which has no enabled flag.`,
      })
    }
    return view.enabled === enabled ? undefined : { enabled }
  })
}

/** @throws FEATURE_VIEW_NOT_FOUND; INVALID_REQUEST for an unknown state and for a transition that is not allowed */
export async function setViewState(parts: StoreParts, name: string, state: string): Promise<void> {
  const target = state.toUpperCase()
  if (!isLifecycle(target)) {
    throw feastError('INVALID_REQUEST', {
      message: `"${state}" is not a state; the states are ${Object.keys(ALLOWED).join(', ')}.`,
    })
  }
  await editView(parts, name, (registry) => {
    registry.view(parts.project, name)
    const { lifecycle } = registry.viewState(parts.project, name)
    const allowed = ALLOWED[lifecycle]
    if (!allowed.includes(target)) {
      throw feastError('INVALID_REQUEST', {
        message: `Invalid state transition: ${lifecycle} -> ${target}. Allowed transitions from ${lifecycle}: ${allowed.join(', ')}.`,
      })
    }
    return { lifecycle: target }
  })
}

function isLifecycle(state: string): state is Lifecycle {
  return Object.hasOwn(ALLOWED, state)
}

async function editView(
  parts: StoreParts,
  name: string,
  editsOf: (registry: Registry) => Omit<ViewStateEdits, 'now'> | undefined,
): Promise<void> {
  const { project } = parts
  await updateRegistry(parts, (registry) => {
    const edits = editsOf(registry)
    if (edits === undefined) return []
    const { kind } = registry.view(project, name)
    const record = registry.record({ kind, project, name })!
    return [{ put: { ...record, bytes: editViewState(kind, record.bytes, { now: nowMicros(), ...edits }) } }]
  })
}
