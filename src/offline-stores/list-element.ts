import { elementTypeOf, type FeastType } from '../core/value-type.js'

/** The type of a list's or set's elements; undefined for a type that is neither, or a nested one of unknown elements. */
export function listElementOf(type: FeastType): FeastType | undefined {
  if (type.element) return type.element
  const valueType = elementTypeOf(type.valueType)
  if (valueType === undefined) return undefined
  return type.fields ? { valueType, fields: type.fields } : { valueType }
}
