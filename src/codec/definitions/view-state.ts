import type { Interval, ViewState } from '../../core/definition.js'
import type { Micros } from '../../core/instant.js'
import type {
  FeatureViewMeta,
  MaterializationInterval,
  OnDemandFeatureViewMeta,
} from '../messages.generated.js'
import { decodeMessage, encodeMessage, type MessageName } from '../proto.js'
import { decodeTimestamp, encodeTimestamp } from '../proto-time.js'
import { eachField, encodeBytesField, encodeVarintField } from '../wire.js'
import { overlay } from './merge.js'

export type ViewKind = 'featureView' | 'streamFeatureView' | 'labelView' | 'onDemandFeatureView'
export type Lifecycle = ViewState['lifecycle']

const LIFECYCLES: readonly Lifecycle[] = [
  'STATE_UNSPECIFIED',
  'CREATED',
  'GENERATED',
  'MATERIALIZING',
  'AVAILABLE_ONLINE',
]
const MESSAGES = {
  featureView: 'feast.core.FeatureView',
  streamFeatureView: 'feast.core.StreamFeatureView',
  labelView: 'feast.core.LabelView',
  onDemandFeatureView: 'feast.core.OnDemandFeatureView',
} as const satisfies Record<ViewKind, MessageName>

const META_MESSAGES = {
  featureView: 'feast.core.FeatureViewMeta',
  streamFeatureView: 'feast.core.FeatureViewMeta',
  labelView: 'feast.core.LabelViewMeta',
  onDemandFeatureView: 'feast.core.OnDemandFeatureViewMeta',
} as const satisfies Record<ViewKind, MessageName>

const SPEC_FIELD = 1
const META_FIELD = 2
const DISABLED_FIELDS: Partial<Record<ViewKind, number>> = {
  featureView: 20,
  streamFeatureView: 23,
  onDemandFeatureView: 19,
}

/** Feast keeps every interval for ever; more than these are of no use to anybody (R9). */
const MAX_INTERVALS = 100

export function decodeViewState(kind: ViewKind, bytes: Uint8Array): ViewState {
  const { meta = {} } = decodeMessage(MESSAGES[kind], bytes) as {
    meta?: FeatureViewMeta & OnDemandFeatureViewMeta
  }
  return {
    createdAt: meta.createdTimestamp && decodeTimestamp(meta.createdTimestamp),
    lastUpdatedAt: meta.lastUpdatedTimestamp && decodeTimestamp(meta.lastUpdatedTimestamp),
    intervals: (meta.materializationIntervals ?? []).map(decodeInterval),
    versionNumber: meta.currentVersionNumber ?? 0,
    versionId: meta.versionId ?? '',
    lifecycle: LIFECYCLES[meta.state ?? 0] ?? 'STATE_UNSPECIFIED',
  }
}

export interface ViewStateEdits {
  readonly now: Micros
  /** A finished materialization. */
  readonly addInterval?: Interval
  readonly lifecycle?: Lifecycle
  readonly versionNumber?: number
  readonly enabled?: boolean
}

/** The view's record with these edits; every other byte as it is. */
export function editViewState(kind: ViewKind, bytes: Uint8Array, edits: ViewStateEdits): Uint8Array {
  const pieces: Uint8Array[] = []
  const metas: Uint8Array[] = []
  eachField(bytes, 0, bytes.length, (field, _wireType, start, valueStart, end) => {
    if (field === META_FIELD) metas.push(bytes.subarray(valueStart, end))
    else if (field === SPEC_FIELD && edits.enabled !== undefined) {
      const spec = withDisabled(bytes.subarray(valueStart, end), DISABLED_FIELDS[kind], !edits.enabled)
      pieces.push(encodeBytesField(SPEC_FIELD, spec))
    } else pieces.push(bytes.subarray(start, end))
  })
  const [first, ...rest] = pieces
  const meta = encodeBytesField(META_FIELD, editMeta(META_MESSAGES[kind], Buffer.concat(metas), edits))
  return Buffer.concat([first ?? Buffer.alloc(0), meta, ...rest])
}

function editMeta(type: MessageName, bytes: Buffer, edits: ViewStateEdits): Buffer {
  const stored = decodeMessage(type, bytes) as FeatureViewMeta
  const { now, addInterval, lifecycle, versionNumber } = edits
  const old = stored.materializationIntervals ?? []
  const fresh: FeatureViewMeta = {
    lastUpdatedTimestamp: encodeTimestamp(now),
    ...(addInterval && {
      materializationIntervals: mergeIntervals([...old.map(decodeInterval), addInterval]).map(encodeInterval),
    }),
    ...(lifecycle !== undefined && { state: LIFECYCLES.indexOf(lifecycle) }),
    ...(versionNumber !== undefined && { currentVersionNumber: versionNumber }),
  }
  return encodeMessage(type, overlay(type, stored, fresh))
}

/** `disabled` has the highest number of its spec, so it stands last. Label views have none. */
function withDisabled(spec: Uint8Array, disabledField: number | undefined, disabled: boolean): Uint8Array {
  if (disabledField === undefined) return spec
  const kept: Uint8Array[] = []
  eachField(spec, 0, spec.length, (field, _wireType, start, _valueStart, end) => {
    if (field !== disabledField) kept.push(spec.subarray(start, end))
  })
  return Buffer.concat([...kept, ...(disabled ? [encodeVarintField(disabledField, 1)] : [])])
}

/**
 * An earlier definition of the view as its present one, pinned. Its time of creation and intervals are those of
 * the present record.
 */
export function restoreView(
  kind: ViewKind,
  present: Uint8Array,
  snapshot: Uint8Array,
  {
    now,
    version,
    versionNumber,
  }: { readonly now: Micros; readonly version: string; readonly versionNumber: number },
): Uint8Array {
  const message = MESSAGES[kind]
  const { spec } = decodeMessage(message, snapshot) as { spec?: object }
  const { meta } = decodeMessage(message, present) as { meta?: object }
  const pinned = encodeMessage(message, { meta, spec: { ...spec, ...(kind !== 'labelView' && { version }) } })
  return editViewState(kind, pinned, { now, versionNumber })
}

/** Overlapping and adjacent intervals become one; of too many, the latest stay (R9). In order of their starts. */
export function mergeIntervals(intervals: readonly Interval[]): readonly Interval[] {
  const merged: Interval[] = []
  for (const next of [...intervals].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))) {
    const last = merged.at(-1)
    if (last === undefined || next.start > last.end) merged.push(next)
    else if (next.end > last.end) merged[merged.length - 1] = { start: last.start, end: next.end }
  }
  return merged.slice(-MAX_INTERVALS)
}

function decodeInterval({ startTime, endTime }: MaterializationInterval): Interval {
  return { start: decodeTimestamp(startTime ?? {}), end: decodeTimestamp(endTime ?? {}) }
}

function encodeInterval({ start, end }: Interval): MaterializationInterval {
  return { startTime: encodeTimestamp(start), endTime: encodeTimestamp(end) }
}
