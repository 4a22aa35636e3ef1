import {
  decodeDefinition,
  type EncodeContext,
  type EncodedDefinition,
  encodeDefinition,
  kindOf,
} from '../codec/definitions/definition-codec.js'
import type { FieldDifference } from '../codec/definitions/differences.js'
import {
  decodeViewState,
  editViewState,
  restoreView,
  type ViewKind,
} from '../codec/definitions/view-state.js'
import {
  decodeViewVersion,
  encodeViewVersion,
  needsNewVersion,
  type ViewVersion,
} from '../codec/definitions/view-version.js'
import type { Definition, RecordKey, RecordKind, RegistryChange, RegistryRecord } from '../core/definition.js'
import { DUMMY_ENTITY } from '../core/entity.js'
import { feastError, isFeastError } from '../core/errors.js'
import type { Micros } from '../core/instant.js'
import type { AnyView } from '../core/projection.js'
import { type Registry, VIEW_KINDS } from './registry.js'

/** What one object's change is, for people. */
export interface ObjectChange {
  readonly action: 'create' | 'update' | 'delete'
  readonly kind: RecordKind
  readonly name: string
  /** For updates: what differs, as text. */
  readonly fields: readonly FieldDifference[]
}

export interface RegistryDiff {
  /** Nothing when nothing differs (R6). */
  readonly changes: readonly RegistryChange[]
  /** In Feast's order of kinds, then in the order given; deletions last. Feast's dummy entity is not spoken of. */
  readonly objects: readonly ObjectChange[]
  /** In the registry and not wanted, deleted or not (R4). */
  readonly orphans: readonly RecordKey[]
}

export interface DiffOptions {
  readonly project: string
  readonly now: Micros
  readonly newId: () => string
  /** Delete the orphans. */
  readonly prune?: boolean
  /** Keep changed views as they are and only record the new version. */
  readonly noPromote?: boolean
}

/** Feast's order. */
const KINDS = [
  'project',
  'dataSource',
  'entity',
  'featureView',
  'onDemandFeatureView',
  'streamFeatureView',
  'labelView',
  'featureService',
  'permission',
] as const

/**
 * What has to be written so that the registry's project holds these definitions: complete ones, with schemas
 * inferred and references checked. Views that are not among them may be projected from the registry.
 * @param registry undefined when there is none yet
 * @throws VIEW_PIN_CONFLICT for a view pinned to a version and edited at the same time
 */
export function diffRegistry(
  registry: Registry | undefined,
  wanted: readonly Definition[],
  options: DiffOptions,
): RegistryDiff {
  const differ = differOf(registry, wanted, options)
  const outcomes = KINDS.flatMap((kind) =>
    wanted
      .filter((definition) => kindOf(definition) === kind)
      .flatMap((definition) => applyOne(differ, definition)),
  )
  const orphans = orphansOf(registry, wanted, options.project)
  const removed = options.prune ? orphans : []
  return {
    changes: [
      ...outcomes.flatMap(({ puts }) => puts.map((put) => ({ put }))),
      ...removed.flatMap((key) => withHistory(differ, key)).map((remove) => ({ remove })),
    ],
    objects: [
      ...outcomes.map(({ change }) => change).filter(({ name }) => name !== DUMMY_ENTITY.name),
      ...removed.map(({ kind, name }): ObjectChange => ({ action: 'delete', kind, name, fields: [] })),
    ],
    orphans,
  }
}

interface Differ {
  readonly options: DiffOptions
  readonly context: EncodeContext
  readonly stored: (key: RecordKey) => RegistryRecord | undefined
  /** A view's history, by view name. */
  readonly history: ReadonlyMap<string, readonly RegistryRecord[]>
}

interface Outcome {
  readonly change: ObjectChange
  readonly puts: readonly RegistryRecord[]
}

function differOf(
  registry: Registry | undefined,
  wanted: readonly Definition[],
  options: DiffOptions,
): Differ {
  const { project, now } = options
  const views = new Map(wanted.filter(isView).map((view) => [view.name, view]))
  const findView = (name: string) => views.get(name) ?? registry?.findView(project, name)
  const history = new Map<string, RegistryRecord[]>()
  for (const record of registry?.recordsOf(project, 'featureViewVersion') ?? []) {
    const view = record.name.slice(0, record.name.lastIndexOf('@v'))
    history.set(view, [...(history.get(view) ?? []), record])
  }
  return { options, context: { project, now, findView }, stored: (key) => registry?.record(key), history }
}

function isView(definition: Definition): definition is AnyView {
  return (VIEW_KINDS as readonly string[]).includes(definition.kind)
}

function applyOne(differ: Differ, definition: Definition): readonly Outcome[] {
  const key = { kind: kindOf(definition), project: differ.options.project, name: definition.name }
  const stored = differ.stored(key)
  if (isView(definition)) return applyView(differ, definition, key, stored)
  const { bytes, differences } = encode(differ, definition, stored)
  if (bytes === stored?.bytes) return []
  return [outcome(key, stored, differences, [{ ...key, bytes }])]
}

/** A record that cannot be decoded is mended by writing it anew. */
function encode(
  differ: Differ,
  definition: Definition,
  stored: RegistryRecord | undefined,
): EncodedDefinition {
  try {
    return encodeDefinition(definition, differ.context, stored?.bytes)
  } catch (error) {
    if (stored === undefined || isFeastError(error)) throw error
    const { bytes } = encodeDefinition(definition, differ.context)
    return { bytes, differences: [{ field: 'record', from: 'unreadable', to: 'written anew' }] }
  }
}

function outcome(
  { kind, name }: RecordKey,
  stored: RegistryRecord | undefined,
  fields: readonly FieldDifference[],
  puts: readonly RegistryRecord[],
): Outcome {
  return { change: { action: stored ? 'update' : 'create', kind, name, fields }, puts }
}

/** Views have a history: a new one starts it, a change of what the view computes adds to it (spec 4.6). */
function applyView(
  differ: Differ,
  view: AnyView,
  key: RecordKey,
  stored: RegistryRecord | undefined,
): readonly Outcome[] {
  const pin = pinnedNumber(view)
  const known = knownVersions(differ, view.name)
  const snapshot = known.find(({ number }) => number === pin)
  if (snapshot && stored) return applyPin(differ, view, stored, snapshot, known)
  const { bytes, differences } = encode(differ, view, stored)
  if (bytes === stored?.bytes) return []
  const step: VersionStep = { ...differ.options, kind: view.kind, name: view.name }
  if (pin !== undefined) {
    const forward = editViewState(view.kind, bytes, { now: step.now, versionNumber: pin })
    return [
      outcome(key, stored, differences, [{ ...key, bytes: forward }, versionRecord(step, pin, forward)]),
    ]
  }
  if (stored === undefined)
    return [outcome(key, stored, [], [{ ...key, bytes }, versionRecord(step, 0, bytes)])]
  if (!needsNewVersion(view.kind, differences))
    return [outcome(key, stored, differences, [{ ...key, bytes }])]
  const { active, versions } = nextVersion(step, known, stored.bytes, bytes)
  const puts = differ.options.noPromote ? versions : [{ ...key, bytes: active }, ...versions]
  return [outcome(key, stored, differences, puts)]
}

interface VersionStep {
  readonly kind: ViewKind
  readonly name: string
  readonly project: string
  readonly now: Micros
  readonly newId: () => string
}

/**
 * The next number, and the old definition as number 0 when there is no history yet. Intervals stay, the lifecycle
 * state starts again.
 */
function nextVersion(
  step: VersionStep,
  known: readonly ViewVersion[],
  previous: Uint8Array,
  bytes: Uint8Array,
) {
  const number = Math.max(0, ...known.map((version) => version.number)) + 1
  const edits = { now: step.now, versionNumber: number, lifecycle: 'STATE_UNSPECIFIED' } as const
  const active = editViewState(step.kind, bytes, edits)
  const first = known.length === 0 ? [versionRecord(step, 0, previous)] : []
  return { active, versions: [...first, versionRecord(step, number, active)] }
}

function versionRecord({ kind, name, project, now, newId }: VersionStep, number: number, bytes: Uint8Array) {
  return encodeViewVersion({ view: name, project, number, kind, createdAt: now, versionId: newId(), bytes })
}

/** `v3` and `version3` pin, up to what an int32 holds; empty and `latest` follow. @throws INVALID_DEFINITION */
function pinnedNumber(view: AnyView): number | undefined {
  if (view.version === '' || /^latest$/i.test(view.version)) return undefined
  const number = /^v(?:ersion)?(\d{1,9})$/i.exec(view.version)?.[1]
  if (number !== undefined) return Number(number)
  throw feastError('INVALID_DEFINITION', {
    object: `Feature view "${view.name}"`,
    problem: `"${view.version}" is not a version`,
    mend: 'Write "latest", or "v2" to pin that one.',
  })
}

function knownVersions(differ: Differ, view: string): readonly ViewVersion[] {
  return (differ.history.get(view) ?? []).flatMap((record) => {
    try {
      return [decodeViewVersion(record.bytes)]
    } catch {
      // Broken history is reported where it is read; a new version is not to fail on it.
      return []
    }
  })
}

/** Brings an earlier definition back. The one in the repo must be known, so that no edit is lost silently. */
function applyPin(
  differ: Differ,
  view: AnyView,
  stored: RegistryRecord,
  snapshot: ViewVersion,
  known: readonly ViewVersion[],
): readonly Outcome[] {
  const candidates = [
    stored.bytes,
    ...known.filter(({ kind }) => kind === view.kind).map(({ bytes }) => bytes),
  ]
  if (!candidates.some((bytes) => unpinnedDifferences(differ, view, bytes).length === 0)) {
    throw feastError('VIEW_PIN_CONFLICT', { name: view.name, version: view.version })
  }
  const active = decodeViewState(view.kind, stored.bytes)
  const pinned = (decodeDefinition(view.kind, stored.bytes) as AnyView).version === view.version
  if (pinned && active.versionNumber === snapshot.number) return []
  const bytes = restoreView(view.kind, stored.bytes, snapshot.bytes, {
    now: differ.options.now,
    version: view.version,
    versionNumber: snapshot.number,
  })
  const fields = [{ field: 'version', from: `v${active.versionNumber}`, to: `v${snapshot.number}` }]
  return [outcome(stored, stored, fields, [{ ...stored, bytes }])]
}

function unpinnedDifferences(differ: Differ, view: AnyView, bytes: Uint8Array): readonly FieldDifference[] {
  const { differences } = encodeDefinition(view, differ.context, bytes)
  return differences.filter(({ field }) => field !== 'version')
}

function orphansOf(
  registry: Registry | undefined,
  wanted: readonly Definition[],
  project: string,
): readonly RecordKey[] {
  const kept = new Set(wanted.map((definition) => keyText(kindOf(definition), definition.name)))
  return KINDS.flatMap((kind) => (kind === 'project' ? [] : (registry?.recordsOf(project, kind) ?? [])))
    .filter(({ kind, name }) => name !== DUMMY_ENTITY.name && !kept.has(keyText(kind, name)))
    .map(({ kind, name }) => ({ kind, project, name }))
}

function keyText(kind: RecordKind, name: string): string {
  return `${kind} ${name}`
}

/** A view's history goes with it. */
function withHistory(differ: Differ, key: RecordKey): readonly RecordKey[] {
  if (!(VIEW_KINDS as readonly string[]).includes(key.kind)) return [key]
  const history = differ.history.get(key.name) ?? []
  return [key, ...history.map(({ kind, project, name }) => ({ kind, project, name }))]
}
