import { feastError } from '../../core/errors.js'
import type { Field } from '../../core/field.js'
import type { AnyView, Projection } from '../../core/projection.js'
import type { FeatureViewProjection as Message } from '../messages.generated.js'
import { encodeEmbedded } from './data-source.js'
import type { EncodeContext } from './encode-context.js'
import { encodeField } from './field.js'

/** Writes into the projection what Feast wants to find there of the view: columns, types and the batch source. */
export function encodeProjection(projection: Projection, context: EncodeContext): Message {
  const view = context.findView(projection.view)
  if (view === undefined)
    throw feastError('FEATURE_VIEW_NOT_FOUND', { name: projection.view, project: context.project })
  const source = view.kind === 'onDemandFeatureView' ? undefined : view.batchSource
  const created = source?.createdTimestampColumn ?? ''
  return {
    featureViewName: view.name,
    featureColumns: projectedFields(projection, view).map(encodeField),
    featureViewNameAlias: projection.alias,
    joinKeyMap: new Map(Object.entries(projection.joinKeyMap)),
    // Feast writes the created column into both, and so must who wants to be equal to it.
    timestampField: created,
    createdTimestampColumn: created,
    datePartitionColumn: source?.datePartitionColumn ?? '',
    batchSource: source && encodeEmbedded(source, context),
    versionTag: projection.versionTag === '' ? undefined : Number(projection.versionTag.slice(1)),
    viewType: view.kind === 'labelView' ? 'labelView' : 'featureView',
  }
}

function projectedFields(projection: Projection, view: AnyView): readonly Field[] {
  if (projection.features === undefined) return view.features
  return projection.features.map((name) => {
    const field = view.features.find((candidate) => candidate.name === name)
    if (field) return field
    throw feastError('FEATURE_NOT_FOUND', {
      name,
      view: view.name,
      known: view.features.map((candidate) => candidate.name),
    })
  })
}

export function decodeProjection(message: Message): Projection {
  return Object.freeze({
    kind: 'projection',
    view: message.featureViewName ?? '',
    features: Object.freeze((message.featureColumns ?? []).map(({ name }) => name ?? '')),
    alias: message.featureViewNameAlias ?? '',
    joinKeyMap: Object.freeze(Object.fromEntries(message.joinKeyMap ?? [])),
    versionTag: message.versionTag === undefined ? '' : `v${message.versionTag}`,
  })
}
