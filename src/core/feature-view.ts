import type { BatchSource, DataSource, KafkaSource, PushSource, StreamSource } from './data-source.js'
import { type Duration, parseDuration } from './duration.js'
import { DUMMY_ENTITY, type Entity } from './entity.js'
import { feastError } from './errors.js'
import { type Field, field, fieldsOf, type Schema } from './field.js'
import { StringType } from './value-type.js'

interface ViewCommon {
  readonly name: string
  /** Entity names; `['__dummy']` for a view without entity. */
  readonly entities: readonly string[]
  /** Join keys with their types, in entity order; those not known yet are filled at apply. */
  readonly entityColumns: readonly Field[]
  /** Empty until inferred from the source at apply. */
  readonly features: readonly Field[]
  /** 0 = no limit. */
  readonly ttlSeconds: number
  readonly online: boolean
  readonly offline: boolean
  readonly enabled: boolean
  readonly batchSource: BatchSource | undefined
  readonly streamSource: StreamSource | undefined
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
  /** `latest`, or `v3` to pin that version. */
  readonly version: string
}

/** Features of an entity from one source of rows. */
export interface FeatureView extends ViewCommon {
  readonly kind: 'featureView'
}

/** A feature view that a stream keeps fresh. */
export interface StreamFeatureView extends ViewCommon {
  readonly kind: 'streamFeatureView'
}

/** Feast's view of labels; read and carried along, served like a feature view. */
export interface LabelView extends ViewCommon {
  readonly kind: 'labelView'
  readonly labelerField: string
}

/** Every view whose rows lie in a store. */
export type StoredView = FeatureView | StreamFeatureView | LabelView

export interface TypedFeatureView<S extends Schema> extends FeatureView {
  readonly __schema?: S
}

export interface TypedStreamFeatureView<S extends Schema> extends StreamFeatureView {
  readonly __schema?: S
}

export interface FeatureViewOptions<S extends Schema> {
  readonly name: string
  /** Entities, or their names. None: one row for everybody. */
  readonly entities?: readonly (Entity | string)[]
  /** Features, and join keys if wanted, by name. Left out: inferred from the source at apply. */
  readonly schema?: S
  readonly source: BatchSource | StreamSource
  /** How long a value may be used after its event time: `'90d'`, or seconds. Default 0: for ever. */
  readonly ttl?: Duration
  readonly online?: boolean
  readonly offline?: boolean
  readonly enabled?: boolean
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
  readonly version?: string
}

export function featureView<S extends Schema = Schema>(options: FeatureViewOptions<S>): TypedFeatureView<S> {
  return Object.freeze({ kind: 'featureView', ...viewOf('Feature view', options) })
}

export function streamFeatureView<S extends Schema>(
  options: FeatureViewOptions<S> & {
    readonly schema: S
    /** Feast has no stream feature views of other sources, and cannot list a project that holds one. */
    readonly source: PushSource | KafkaSource
  },
): TypedStreamFeatureView<S> {
  const { name, source } = options
  if (source.kind !== 'pushSource' && source.kind !== 'kafkaSource') {
    throw feastError('INVALID_DEFINITION', {
      object: `Stream feature view "${name}"`,
      problem: `"${(source as DataSource).name}" is neither a push source nor a Kafka source`,
      mend: 'Make it a featureView, which takes every source.',
    })
  }
  return Object.freeze({ kind: 'streamFeatureView', ...viewOf('Stream feature view', options) })
}

function viewOf<S extends Schema>(what: string, options: FeatureViewOptions<S>): ViewCommon {
  const entities = options.entities?.length ? options.entities : [DUMMY_ENTITY]
  const declared = fieldsOf(options.schema ?? {})
  const joinKeys = entities.map((entity) => (typeof entity === 'string' ? entity : entity.joinKey))
  return {
    name: options.name,
    entities: Object.freeze(entities.map((entity) => (typeof entity === 'string' ? entity : entity.name))),
    entityColumns: Object.freeze(entities.flatMap((entity) => entityColumn(entity, declared))),
    features: Object.freeze(declared.filter(({ name }) => !joinKeys.includes(name))),
    ttlSeconds: parseDuration(options.ttl ?? 0, `${what} "${options.name}": ttl`),
    online: options.online ?? true,
    offline: options.offline ?? false,
    enabled: options.enabled ?? true,
    batchSource: batchSourceOf(options.source),
    streamSource: isStream(options.source) ? options.source : undefined,
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
    version: options.version ?? 'latest',
  }
}

/** An entity given by name has its join key looked up at apply, so only a declared column is known here. */
function entityColumn(entity: Entity | string, declared: readonly Field[]): readonly Field[] {
  const joinKey = typeof entity === 'string' ? entity : entity.joinKey
  const column = declared.find(({ name }) => name === joinKey)
  if (column) return [column]
  if (typeof entity === 'string' || entity.valueType === 'INVALID') return []
  return [field(joinKey, entity === DUMMY_ENTITY ? StringType : { valueType: entity.valueType })]
}

function isStream(source: DataSource): source is StreamSource {
  return source.kind === 'pushSource' || source.kind === 'kafkaSource' || source.kind === 'kinesisSource'
}

function batchSourceOf(source: BatchSource | StreamSource): BatchSource | undefined {
  return isStream(source) ? source.batchSource : source
}

export function isEntityless(view: StoredView): boolean {
  return view.entities.length === 1 && view.entities[0] === DUMMY_ENTITY.name
}
