import type { FeastType, ValueType } from './value-type.js'

/** A thing that features describe, found by one join key. */
export interface Entity {
  readonly kind: 'entity'
  readonly name: string
  readonly joinKey: string
  /** INVALID until known: it is then inferred from the source's column at apply. */
  readonly valueType: ValueType
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
}

export interface EntityOptions {
  readonly name: string
  /** Default: the name. */
  readonly joinKey?: string
  /** String, Bytes, Int32, Int64 or UnixTimestamp. */
  readonly valueType?: FeastType
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
}

export function entity(options: EntityOptions): Entity {
  return Object.freeze({
    kind: 'entity',
    name: options.name,
    joinKey: options.joinKey ?? options.name,
    valueType: options.valueType?.valueType ?? 'INVALID',
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
  })
}

/** What Feast puts in place of an entity when a view has none: one row, for everybody. */
export const DUMMY_ENTITY: Entity = entity({
  name: '__dummy',
  joinKey: '__dummy_id',
  valueType: { valueType: 'STRING' },
})
export const DUMMY_ENTITY_VALUE = ''
