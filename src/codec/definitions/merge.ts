import { type FieldShape, shapeOf } from '../proto.js'

type Message = Readonly<Record<string, unknown>>

/**
 * `fresh` laid over what is stored: a field that `fresh` has, even as undefined, replaces the stored one; a field
 * it does not speak of stays, as do the unknown ones (R1). Elements of lists are told by their names. When
 * something was made stays what it was.
 */
export function overlay(type: string, stored: Message | undefined, fresh: Message): Message {
  if (stored === undefined) return fresh
  const { fields } = shapeOf(type)
  const merged: Record<string | symbol, unknown> = { ...stored }
  for (const field of fields) {
    if (!(field.name in fresh)) continue
    merged[field.name] = overlayField(field, stored[field.name], fresh[field.name])
    if (field.oneof !== undefined && fresh[field.name] !== undefined)
      clearOthers(merged, fields, field, fresh)
  }
  return merged as Message
}

function clearOthers(
  merged: Record<string, unknown>,
  fields: readonly FieldShape[],
  arm: FieldShape,
  fresh: Message,
): void {
  for (const { name, oneof } of fields) {
    if (oneof === arm.oneof && name !== arm.name && fresh[name] === undefined) merged[name] = undefined
  }
}

function overlayField(field: FieldShape, stored: unknown, fresh: unknown): unknown {
  if (field.name === 'createdTimestamp') return stored ?? fresh
  if (stored === undefined || fresh === undefined || !field.isMessage) return fresh
  if (field.map) return overlayMap(field.type, stored as Map<string, Message>, fresh as Map<string, Message>)
  if (field.repeated)
    return overlayList(field.type, stored as readonly Message[], fresh as readonly Message[])
  return overlay(field.type, stored as Message, fresh as Message)
}

function overlayMap(type: string, stored: ReadonlyMap<string, Message>, fresh: ReadonlyMap<string, Message>) {
  return new Map([...fresh].map(([key, value]) => [key, overlay(type, stored.get(key), value)]))
}

function overlayList(
  type: string,
  stored: readonly Message[],
  fresh: readonly Message[],
): readonly Message[] {
  const byName = new Map(stored.map((message) => [nameOf(message), message]))
  return fresh.map((message) => {
    const name = nameOf(message)
    return overlay(type, name === undefined ? undefined : byName.get(name), message)
  })
}

function nameOf({ name, featureViewName, featureViewNameAlias }: Message): string | undefined {
  if (typeof name === 'string') return name
  return typeof featureViewName === 'string' ? `${featureViewName} ${featureViewNameAlias ?? ''}` : undefined
}
