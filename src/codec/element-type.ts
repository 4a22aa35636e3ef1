import { elementTypeOf, type FeastType } from '../core/value-type.js'

/** Full type of an element of a list or set, nested ones and fields included; undefined for other types. */
export function elementOf(type: FeastType): FeastType | undefined {
  if (type.element) return type.element
  const valueType = elementTypeOf(type.valueType)
  if (valueType === undefined) return undefined
  return type.fields ? { valueType, fields: type.fields } : { valueType }
}
