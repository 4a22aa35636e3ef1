import type { FeatureView, LabelView, StoredView, StreamFeatureView } from '../../core/feature-view.js'
import type {
  DataSource,
  Duration,
  FeatureSpecV2,
  FeatureViewSpec,
  LabelView as LabelViewMessage,
  LabelViewSpec,
  FeatureView as Message,
  StreamFeatureViewSpec,
  StreamFeatureView as StreamMessage,
} from '../messages.generated.js'
import { decodeDuration, encodeDuration } from '../proto-time.js'
import { decodeBatchSource, decodeStreamSource, encodeDataSource } from './data-source.js'
import type { EncodeContext } from './encode-context.js'
import { decodeField, encodeField } from './field.js'

export function encodeFeatureView(view: FeatureView, context: EncodeContext): FeatureViewSpec {
  return {
    ...encodeCommon(view, context),
    ...encodeSources(view, context),
    features: view.features.map(encodeField),
    offline: view.offline,
    version: view.version,
    disabled: !view.enabled,
  }
}

/** Its message has no `offline`, and lists the join keys among the features. */
export function encodeStreamFeatureView(
  view: StreamFeatureView,
  context: EncodeContext,
): StreamFeatureViewSpec {
  return {
    ...encodeCommon(view, context),
    ...encodeSources(view, context),
    features: [...view.features, ...view.entityColumns].map(encodeField),
    version: view.version,
    disabled: !view.enabled,
  }
}

export function encodeLabelView(view: LabelView, context: EncodeContext): LabelViewSpec {
  const source = view.streamSource ?? view.batchSource
  return {
    ...encodeCommon(view, context),
    features: view.features.map(encodeField),
    source: source && encodeDataSource(source, context, 'view'),
    labelerField: view.labelerField,
  }
}

function encodeCommon(view: StoredView, { project }: EncodeContext) {
  return {
    name: view.name,
    project,
    entities: view.entities,
    entityColumns: view.entityColumns.map(encodeField),
    tags: new Map(Object.entries(view.tags)),
    ttl: encodeDuration(view.ttlSeconds),
    online: view.online,
    description: view.description,
    owner: view.owner,
  }
}

function encodeSources(view: StoredView, context: EncodeContext) {
  return {
    batchSource: view.batchSource && encodeDataSource(view.batchSource, context, 'view'),
    streamSource: view.streamSource && encodeDataSource(view.streamSource, context, 'view'),
  }
}

export function decodeFeatureView({ spec = {} }: Message): FeatureView {
  return Object.freeze({
    kind: 'featureView',
    ...decodeCommon(spec),
    offline: spec.offline ?? false,
    enabled: !spec.disabled,
    batchSource: decodeBatchSource(spec.batchSource),
    streamSource: decodeStreamSource(spec.streamSource),
    version: spec.version || 'latest',
  })
}

export function decodeStreamFeatureView({ spec = {} }: StreamMessage): StreamFeatureView {
  return Object.freeze({
    kind: 'streamFeatureView',
    ...decodeCommon(spec),
    offline: false,
    enabled: !spec.disabled,
    batchSource: decodeBatchSource(spec.batchSource),
    streamSource: decodeStreamSource(spec.streamSource),
    version: spec.version || 'latest',
  })
}

export function decodeLabelView({ spec = {} }: LabelViewMessage): LabelView {
  const streamSource = decodeStreamSource(spec.source)
  return Object.freeze({
    kind: 'labelView',
    ...decodeCommon(spec),
    offline: false,
    enabled: true,
    batchSource: streamSource ? streamSource.batchSource : decodeBatchSource(spec.source),
    streamSource,
    version: 'latest',
    labelerField: spec.labelerField || 'labeler',
  })
}

interface CommonSpec {
  readonly name?: string | undefined
  readonly entities?: readonly string[] | undefined
  readonly features?: readonly FeatureSpecV2[] | undefined
  readonly entityColumns?: readonly FeatureSpecV2[] | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  readonly ttl?: Duration | undefined
  readonly online?: boolean | undefined
  readonly description?: string | undefined
  readonly owner?: string | undefined
  readonly batchSource?: DataSource | undefined
}

function decodeCommon(spec: CommonSpec) {
  const entityColumns = Object.freeze((spec.entityColumns ?? []).map(decodeField))
  const joinKeys = new Set(entityColumns.map(({ name }) => name))
  const features = (spec.features ?? []).map(decodeField)
  return {
    name: spec.name ?? '',
    entities: Object.freeze([...(spec.entities ?? [])]),
    entityColumns,
    features: Object.freeze(features.filter(({ name }) => !joinKeys.has(name))),
    ttlSeconds: decodeDuration(spec.ttl),
    online: spec.online ?? false,
    description: spec.description ?? '',
    tags: Object.freeze(Object.fromEntries(spec.tags ?? [])),
    owner: spec.owner ?? '',
  }
}
