import type { RegistryRecord } from '../../core/definition.js'
import type { Micros } from '../../core/instant.js'
import { decodeMessage, encodeMessage } from '../proto.js'
import { decodeTimestamp, encodeTimestamp } from '../proto-time.js'
import type { FieldDifference } from './differences.js'
import type { ViewKind } from './view-state.js'

/** One earlier or present definition of a view. */
export interface ViewVersion {
  readonly view: string
  readonly project: string
  readonly number: number
  readonly kind: ViewKind
  readonly createdAt: Micros
  readonly versionId: string
  /** The view's record as it was. */
  readonly bytes: Uint8Array
}

const TYPES: Readonly<Record<ViewKind, string>> = {
  featureView: 'feature_view',
  streamFeatureView: 'stream_feature_view',
  onDemandFeatureView: 'on_demand_feature_view',
  labelView: 'label_view',
}

export function encodeViewVersion(version: ViewVersion): RegistryRecord {
  const bytes = encodeMessage('feast.core.FeatureViewVersionRecord', {
    featureViewName: version.view,
    projectId: version.project,
    versionNumber: version.number,
    featureViewType: TYPES[version.kind],
    featureViewProto: version.bytes,
    createdTimestamp: encodeTimestamp(version.createdAt),
    versionId: version.versionId,
  })
  return {
    kind: 'featureViewVersion',
    project: version.project,
    name: `${version.view}@v${version.number}`,
    bytes,
  }
}

/** @throws an Error when the bytes are no version record */
export function decodeViewVersion(bytes: Uint8Array): ViewVersion {
  const record = decodeMessage('feast.core.FeatureViewVersionRecord', bytes)
  const kind = Object.entries(TYPES).find(([, type]) => type === record.featureViewType)?.[0]
  if (kind === undefined) throw new TypeError(`unknown type of view "${record.featureViewType}"`)
  return {
    view: record.featureViewName ?? '',
    project: record.projectId ?? '',
    number: record.versionNumber ?? 0,
    kind: kind as ViewKind,
    createdAt: decodeTimestamp(record.createdTimestamp ?? {}),
    versionId: record.versionId ?? '',
    bytes: record.featureViewProto ?? Buffer.alloc(0),
  }
}

const SIGNIFICANT: Readonly<Record<ViewKind, readonly string[]>> = {
  featureView: ['features', 'entities', 'entity_columns', 'source_views'],
  streamFeatureView: [
    'features',
    'entities',
    'entity_columns',
    'user_defined_function',
    'feature_transformation',
    'aggregations',
    'timestamp_field',
    'mode',
  ],
  onDemandFeatureView: [
    'features',
    'entity_columns',
    'sources',
    'user_defined_function',
    'feature_transformation',
    'aggregations',
    'mode',
  ],
  labelView: ['features', 'entities', 'entity_columns'],
}

/** Whether a change makes a new version: of what the view computes, not of how it is described or stored. */
export function needsNewVersion(kind: ViewKind, differences: readonly FieldDifference[]): boolean {
  return differences.some(({ field }) => SIGNIFICANT[kind].includes(field.split('.')[0]!))
}
