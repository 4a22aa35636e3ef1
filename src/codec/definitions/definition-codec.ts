import assert from 'node:assert'
import type { Definition, RecordKind } from '../../core/definition.js'
import { decodeMessage, encodeMessage, type MessageName } from '../proto.js'
import { encodeTimestamp } from '../proto-time.js'
import { decodeDataSource, encodeDataSource } from './data-source.js'
import { differencesOf, type FieldDifference } from './differences.js'
import type { EncodeContext } from './encode-context.js'
import { decodeEntity, encodeEntity } from './entity.js'
import { decodeFeatureService, encodeFeatureService } from './feature-service.js'
import {
  decodeFeatureView,
  decodeLabelView,
  decodeStreamFeatureView,
  encodeFeatureView,
  encodeLabelView,
  encodeStreamFeatureView,
} from './feature-view.js'
import { overlay } from './merge.js'
import { decodeOnDemandFeatureView, encodeOnDemandFeatureView } from './on-demand-feature-view.js'
import { decodePermission, encodePermission } from './permission.js'
import { decodeProject, encodeProject } from './project.js'

export type { FieldDifference } from './differences.js'
export type { EncodeContext } from './encode-context.js'

/** Feast's message for each kind of record. */
export const MESSAGE_NAMES = {
  project: 'feast.core.Project',
  dataSource: 'feast.core.DataSource',
  entity: 'feast.core.Entity',
  featureView: 'feast.core.FeatureView',
  onDemandFeatureView: 'feast.core.OnDemandFeatureView',
  streamFeatureView: 'feast.core.StreamFeatureView',
  labelView: 'feast.core.LabelView',
  featureService: 'feast.core.FeatureService',
  savedDataset: 'feast.core.SavedDataset',
  validationReference: 'feast.core.ValidationReference',
  permission: 'feast.core.Permission',
  featureViewVersion: 'feast.core.FeatureViewVersionRecord',
  infra: 'feast.core.Infra',
  projectMetadata: 'feast.core.ProjectMetadata',
} as const satisfies Readonly<Record<RecordKind, MessageName>>

const DECODERS = {
  project: decodeProject,
  dataSource: decodeDataSource,
  entity: decodeEntity,
  featureView: decodeFeatureView,
  onDemandFeatureView: decodeOnDemandFeatureView,
  streamFeatureView: decodeStreamFeatureView,
  labelView: decodeLabelView,
  featureService: decodeFeatureService,
  permission: decodePermission,
} as const

export type DefinitionKind = keyof typeof DECODERS

export function isDefinitionKind(kind: RecordKind): kind is DefinitionKind {
  return kind in DECODERS
}

export function kindOf(definition: Definition): DefinitionKind {
  return definition.kind in DECODERS ? (definition.kind as DefinitionKind) : 'dataSource'
}

/** @throws an Error saying why the bytes are no such definition; the caller knows whose they are */
export function decodeDefinition(kind: DefinitionKind, bytes: Uint8Array): Definition {
  const decode = DECODERS[kind] as (message: Fields) => Definition
  return decode(decodeMessage(MESSAGE_NAMES[kind], bytes))
}

export interface EncodedDefinition {
  /** Exactly the previous bytes when nothing differs. */
  readonly bytes: Uint8Array
  readonly differences: readonly FieldDifference[]
}

/**
 * The record's bytes. With `previous`, everything we do not model stays as it is there: unknown fields, the time
 * of creation, materialization intervals, state and version; `last_updated` moves only when something differs.
 */
export function encodeDefinition(
  definition: Definition,
  context: EncodeContext,
  previous?: Uint8Array,
): EncodedDefinition {
  const kind = kindOf(definition)
  const type = MESSAGE_NAMES[kind]
  if (previous === undefined)
    return { bytes: encodeMessage(type, encodeNew(definition, context)), differences: [] }
  const fresh = encodeFresh(definition, context)
  const stored = decodeMessage(type, previous)
  const merged = overlay(type, stored, fresh)
  const differences =
    kind === 'dataSource' ? differencesOf(type, stored, merged) : specDifferences(type, stored, merged)
  return { bytes: differences.length === 0 ? previous : encodeMessage(type, merged), differences }
}

type Fields = Readonly<Record<string, unknown>>

/** What Feast writes by default and definitions do not speak of. */
function encodeNew(definition: Definition, context: EncodeContext): Fields {
  const fresh = encodeFresh(definition, context)
  if (definition.kind !== 'streamFeatureView') return fresh
  return { ...fresh, spec: { ...(fresh['spec'] as Fields), mode: 'python' } }
}

function encodeFresh(definition: Definition, context: EncodeContext): Fields {
  const now = encodeTimestamp(context.now)
  const meta = { createdTimestamp: now, lastUpdatedTimestamp: now }
  switch (definition.kind) {
    case 'project':
      return { spec: encodeProject(definition), meta }
    case 'entity':
      return { spec: encodeEntity(definition, context), meta }
    case 'featureView':
      return { spec: encodeFeatureView(definition, context), meta }
    case 'streamFeatureView':
      return { spec: encodeStreamFeatureView(definition, context), meta }
    case 'labelView':
      return { spec: encodeLabelView(definition, context), meta }
    case 'onDemandFeatureView':
      return { spec: encodeOnDemandFeatureView(definition, context), meta }
    case 'featureService':
      return { spec: encodeFeatureService(definition, context), meta }
    case 'permission':
      return { spec: encodePermission(definition, context), meta }
    default:
      return encodeDataSource(definition, context, 'record')
  }
}

function specDifferences(type: MessageName, stored: Fields, merged: Fields): readonly FieldDifference[] {
  const spec = SPECS[type]
  assert(spec, `${type} has no spec`)
  return differencesOf(spec, (stored['spec'] ?? {}) as Fields, (merged['spec'] ?? {}) as Fields)
}

const SPECS: Partial<Record<MessageName, MessageName>> = {
  'feast.core.Project': 'feast.core.ProjectSpec',
  'feast.core.Entity': 'feast.core.EntitySpecV2',
  'feast.core.FeatureView': 'feast.core.FeatureViewSpec',
  'feast.core.OnDemandFeatureView': 'feast.core.OnDemandFeatureViewSpec',
  'feast.core.StreamFeatureView': 'feast.core.StreamFeatureViewSpec',
  'feast.core.LabelView': 'feast.core.LabelViewSpec',
  'feast.core.FeatureService': 'feast.core.FeatureServiceSpec',
  'feast.core.Permission': 'feast.core.PermissionSpec',
}
