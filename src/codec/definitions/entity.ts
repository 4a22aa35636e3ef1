import { DUMMY_ENTITY, type Entity, entity } from '../../core/entity.js'
import { VALUE_TYPE_NUMBERS, valueTypeOf } from '../../core/value-type.js'
import type { EntitySpecV2, Entity as Message } from '../messages.generated.js'
import type { EncodeContext } from './encode-context.js'

export function encodeEntity(definition: Entity, { project }: EncodeContext): EntitySpecV2 {
  const { name, joinKey, valueType, description, tags, owner } = definition
  return {
    name,
    // Feast leaves the type of its dummy open.
    valueType: name === DUMMY_ENTITY.name ? 0 : VALUE_TYPE_NUMBERS[valueType],
    description,
    joinKey,
    tags: new Map(Object.entries(tags)),
    project,
    owner,
  }
}

export function decodeEntity({ spec = {} }: Message): Entity {
  const valueType = valueTypeOf(spec.valueType ?? 0)
  if (valueType === undefined) throw new TypeError(`the unknown type ${spec.valueType}`)
  return entity({
    name: spec.name ?? '',
    joinKey: spec.joinKey || (spec.name ?? ''),
    valueType: spec.name === DUMMY_ENTITY.name ? { valueType: 'STRING' } : { valueType },
    description: spec.description ?? '',
    tags: Object.fromEntries(spec.tags ?? []),
    owner: spec.owner ?? '',
  })
}
