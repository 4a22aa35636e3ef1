import { type Field, field } from '../../core/field.js'
import {
  ArrayOf,
  elementTypeOf,
  type FeastType,
  isListType,
  SetOf,
  Struct,
  VALUE_TYPE_NUMBERS,
  type ValueType,
  valueTypeOf,
} from '../../core/value-type.js'
import type { FeatureSpecV2 } from '../messages.generated.js'

/** Feast keeps in tags what its value type numbers cannot say. */
const STRUCT_TAG = 'feast:struct_schema'
const NESTED_TAG = 'feast:nested_inner_type'

export function encodeField({ name, type, description, tags, vector }: Field): FeatureSpecV2 {
  return {
    name,
    valueType: VALUE_TYPE_NUMBERS[type.valueType],
    tags: new Map([...Object.entries(tags), ...typeTags(type)]),
    description,
    // Without settings of our own, those that Python Feast has written stay.
    ...(vector && {
      vectorIndex: vector.index,
      vectorSearchMetric: vector.metric,
      vectorLength: vector.length,
    }),
  }
}

function typeTags(type: FeastType): readonly (readonly [string, string])[] {
  if (type.fields) return [[STRUCT_TAG, pythonJson(fieldTexts(type.fields))]]
  return type.element ? [[NESTED_TAG, feastTypeText(type)]] : []
}

export function decodeField(spec: FeatureSpecV2): Field {
  const tags = Object.fromEntries(
    [...(spec.tags ?? [])].filter(([tag]) => tag !== STRUCT_TAG && tag !== NESTED_TAG),
  )
  const decoded = field(spec.name ?? '', decodeType(spec), { description: spec.description ?? '', tags })
  if (!spec.vectorIndex && !spec.vectorSearchMetric && !spec.vectorLength) return decoded
  const vector = {
    index: spec.vectorIndex ?? false,
    metric: spec.vectorSearchMetric ?? '',
    length: spec.vectorLength ?? 0,
  }
  return Object.freeze({ ...decoded, vector: Object.freeze(vector) })
}

function decodeType(spec: FeatureSpecV2): FeastType {
  const valueType = valueTypeOf(spec.valueType ?? 0)
  if (valueType === undefined)
    throw new TypeError(`field "${spec.name}" has the unknown type ${spec.valueType}`)
  const struct = spec.tags?.get(STRUCT_TAG)
  const nested = spec.tags?.get(NESTED_TAG)
  if (valueType === 'STRUCT' && struct) return structOf(JSON.parse(struct))
  if (valueType === 'STRUCT_LIST' && struct) return ArrayOf(structOf(JSON.parse(struct)))
  if ((valueType === 'VALUE_LIST' || valueType === 'VALUE_SET') && nested) return parseFeastType(nested)
  return Object.freeze({ valueType })
}

/** Feast's names for its types where they are not those of the value types. */
const FEAST_NAMES: Partial<Record<ValueType, string>> = { FLOAT: 'FLOAT32', DOUBLE: 'FLOAT64' }
const VALUE_TYPES_BY_FEAST_NAME = new Map(
  Object.entries(FEAST_NAMES).map(([type, name]) => [name, type as ValueType]),
)

/** A type as Feast writes it into tags: `INT64`, `Array(Array(INT32))`, `{"__struct__": {"a": "INT64"}}`. */
export function feastTypeText(type: FeastType): string {
  if (type.element)
    return `${type.valueType === 'VALUE_SET' ? 'Set' : 'Array'}(${feastTypeText(type.element)})`
  const element = elementTypeOf(type.valueType)
  if (element) {
    const inner = type.fields ? { valueType: element, fields: type.fields } : { valueType: element }
    return `${isListType(type.valueType) ? 'Array' : 'Set'}(${feastTypeText(inner)})`
  }
  if (type.fields) return `{"__struct__": ${pythonJson(fieldTexts(type.fields))}}`
  return FEAST_NAMES[type.valueType] ?? type.valueType
}

function fieldTexts(fields: Readonly<Record<string, FeastType>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, feastTypeText(type)]))
}

/** @throws TypeError on text that is no type */
export function parseFeastType(text: string): FeastType {
  const collection = /^(Array|Set)\((.*)\)$/s.exec(text)
  if (collection) {
    const element = parseFeastType(collection[2]!)
    return collection[1] === 'Array' ? ArrayOf(element) : SetOf(element)
  }
  if (text.startsWith('{'))
    return structOf((JSON.parse(text) as { __struct__: Record<string, string> }).__struct__)
  const valueType = VALUE_TYPES_BY_FEAST_NAME.get(text) ?? text
  if (!(valueType in VALUE_TYPE_NUMBERS)) throw new TypeError(`"${text}" is not a type of Feast`)
  return Object.freeze({ valueType: valueType as ValueType })
}

function structOf(schema: Readonly<Record<string, string>>): FeastType {
  return Struct(
    Object.fromEntries(Object.entries(schema).map(([name, text]) => [name, parseFeastType(text)])),
  )
}

/** JSON with Python's spaces and escapes, so that the tag has the same bytes from both. */
function pythonJson(texts: Readonly<Record<string, string>>): string {
  const quote = (text: string) =>
    JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) =>
      unit === '\u007f' ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  return `{${Object.entries(texts)
    .map(([name, text]) => `${quote(name)}: ${quote(text)}`)
    .join(', ')}}`
}
