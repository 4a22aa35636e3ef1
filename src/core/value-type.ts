/** Feast's value types. Number = `feast.types.ValueType.Enum` = the oneof field number in `feast.types.Value`. */
export const VALUE_TYPE_NUMBERS = {
  INVALID: 0,
  BYTES: 1,
  STRING: 2,
  INT32: 3,
  INT64: 4,
  DOUBLE: 5,
  FLOAT: 6,
  BOOL: 7,
  UNIX_TIMESTAMP: 8,
  BYTES_LIST: 11,
  STRING_LIST: 12,
  INT32_LIST: 13,
  INT64_LIST: 14,
  DOUBLE_LIST: 15,
  FLOAT_LIST: 16,
  BOOL_LIST: 17,
  UNIX_TIMESTAMP_LIST: 18,
  NULL: 19,
  MAP: 20,
  MAP_LIST: 21,
  BYTES_SET: 22,
  STRING_SET: 23,
  INT32_SET: 24,
  INT64_SET: 25,
  DOUBLE_SET: 26,
  FLOAT_SET: 27,
  BOOL_SET: 28,
  UNIX_TIMESTAMP_SET: 29,
  PDF_BYTES: 30,
  IMAGE_BYTES: 31,
  JSON: 32,
  JSON_LIST: 33,
  STRUCT: 34,
  STRUCT_LIST: 35,
  UUID: 36,
  TIME_UUID: 37,
  UUID_LIST: 38,
  TIME_UUID_LIST: 39,
  UUID_SET: 40,
  TIME_UUID_SET: 41,
  VALUE_LIST: 42,
  VALUE_SET: 43,
  DECIMAL: 44,
  DECIMAL_LIST: 45,
  DECIMAL_SET: 46,
  SCALAR_MAP: 47,
  ZONED_TIMESTAMP: 48,
} as const

export type ValueType = keyof typeof VALUE_TYPE_NUMBERS

const NAMES_BY_NUMBER = new Map<number, ValueType>(
  Object.entries(VALUE_TYPE_NUMBERS).map(([name, number]) => [number, name as ValueType]),
)

/** The type with this number, or undefined for a number this release does not know. */
export function valueTypeOf(number: number): ValueType | undefined {
  return NAMES_BY_NUMBER.get(number)
}

/**
 * A column's type. `Value` is the TypeScript type that an on demand view's function sees for it
 * (see `core/cell.ts` for how a cell is held inside the product).
 */
export interface FeastType<Value = unknown> {
  readonly valueType: ValueType
  /** VALUE_LIST and VALUE_SET only: the type of an element, itself a list or set. */
  readonly element?: FeastType
  /** STRUCT and STRUCT_LIST only: the fields, in order. */
  readonly fields?: Readonly<Record<string, FeastType>>
  /** Never set: carries `Value` for the compiler. */
  readonly __value?: Value
}

type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [key: string]: Json }
type MapValue = { readonly [key: string]: Json }

function scalar<Value>(valueType: ValueType): FeastType<Value> {
  return Object.freeze({ valueType })
}

export const Bytes = scalar<Uint8Array>('BYTES')
export const StringType = scalar<string>('STRING')
export const Int32 = scalar<number>('INT32')
export const Int64 = scalar<bigint>('INT64')
export const Float64 = scalar<number>('DOUBLE')
export const Float32 = scalar<number>('FLOAT')
export const Bool = scalar<boolean>('BOOL')
export const UnixTimestamp = scalar<Date>('UNIX_TIMESTAMP')
export const PdfBytes = scalar<Uint8Array>('PDF_BYTES')
export const ImageBytes = scalar<Uint8Array>('IMAGE_BYTES')
export const MapType = scalar<MapValue>('MAP')
export const ScalarMap = scalar<ReadonlyMap<unknown, unknown>>('SCALAR_MAP')
export const Json = scalar<string>('JSON')
export const Uuid = scalar<string>('UUID')
export const TimeUuid = scalar<string>('TIME_UUID')
export const Decimal = scalar<string>('DECIMAL')
export const ZonedTimestamp = scalar<{ readonly instant: Date; readonly zone: string }>('ZONED_TIMESTAMP')

/** A record with named fields. */
export function Struct<F extends Readonly<Record<string, FeastType>>>(
  fields: F,
): FeastType<{ readonly [K in keyof F]: ValueOf<F[K]> | null }> {
  if (Object.keys(fields).length === 0) throw new TypeError('Struct({}): a struct needs at least one field')
  return Object.freeze({ valueType: 'STRUCT', fields: Object.freeze({ ...fields }) })
}

const LISTS: Partial<Record<ValueType, ValueType>> = {
  BYTES: 'BYTES_LIST',
  STRING: 'STRING_LIST',
  INT32: 'INT32_LIST',
  INT64: 'INT64_LIST',
  DOUBLE: 'DOUBLE_LIST',
  FLOAT: 'FLOAT_LIST',
  BOOL: 'BOOL_LIST',
  UNIX_TIMESTAMP: 'UNIX_TIMESTAMP_LIST',
  MAP: 'MAP_LIST',
  JSON: 'JSON_LIST',
  STRUCT: 'STRUCT_LIST',
  UUID: 'UUID_LIST',
  TIME_UUID: 'TIME_UUID_LIST',
  DECIMAL: 'DECIMAL_LIST',
}

const SETS: Partial<Record<ValueType, ValueType>> = {
  BYTES: 'BYTES_SET',
  STRING: 'STRING_SET',
  INT32: 'INT32_SET',
  INT64: 'INT64_SET',
  DOUBLE: 'DOUBLE_SET',
  FLOAT: 'FLOAT_SET',
  BOOL: 'BOOL_SET',
  UNIX_TIMESTAMP: 'UNIX_TIMESTAMP_SET',
  UUID: 'UUID_SET',
  TIME_UUID: 'TIME_UUID_SET',
  DECIMAL: 'DECIMAL_SET',
}

const ELEMENTS = new Map<ValueType, ValueType>(
  [...Object.entries(LISTS), ...Object.entries(SETS)].map(([element, list]) => [list, element as ValueType]),
)

export function isListType(valueType: ValueType): boolean {
  return valueType.endsWith('_LIST')
}

export function isSetType(valueType: ValueType): boolean {
  return valueType.endsWith('_SET')
}

/** The type of one element of a list or set type; undefined for every other type and for nested ones. */
export function elementTypeOf(valueType: ValueType): ValueType | undefined {
  return ELEMENTS.get(valueType)
}

/** `Array(Int64)` is INT64_LIST, `Array(Array(Int64))` a nested VALUE_LIST. */
export function ArrayOf<T extends FeastType>(element: T): FeastType<readonly ValueOf<T>[]> {
  return collection(element, LISTS, 'VALUE_LIST', 'Array')
}

/** `Set(String)` is STRING_SET. Order and repeats are as given: Feast stores a list. */
export function SetOf<T extends FeastType>(element: T): FeastType<readonly ValueOf<T>[]> {
  return collection(element, SETS, 'VALUE_SET', 'Set')
}

function collection<T>(
  element: FeastType,
  plain: Partial<Record<ValueType, ValueType>>,
  nested: ValueType,
  name: string,
): FeastType<T> {
  const valueType = plain[element.valueType]
  if (valueType !== undefined) {
    return Object.freeze(element.fields ? { valueType, fields: element.fields } : { valueType })
  }
  if (isListType(element.valueType) || isSetType(element.valueType)) {
    return Object.freeze({ valueType: nested, element })
  }
  throw new TypeError(`${name}(${element.valueType}): Feast has no ${name.toLowerCase()} of that type`)
}

/** The value an on demand view's function sees for a column of type T. */
export type ValueOf<T> = T extends FeastType<infer Value> ? Value : never

/** Types that can be a join key: those Feast's entity key bytes can hold. */
export const JOIN_KEY_TYPES: readonly ValueType[] = ['STRING', 'BYTES', 'INT32', 'INT64', 'UNIX_TIMESTAMP']

export function sameType(a: FeastType, b: FeastType): boolean {
  return typeText(a) === typeText(b)
}

/** Type as text, as people and error messages write it: `Int64`, `Array(String)`, `Struct({a: Int32})`. */
export function typeText(type: FeastType): string {
  if (type.element) return `${isSetType(type.valueType) ? 'Set' : 'Array'}(${typeText(type.element)})`
  const element = elementTypeOf(type.valueType)
  if (element) {
    const inner = type.fields ? { valueType: element, fields: type.fields } : { valueType: element }
    return `${isSetType(type.valueType) ? 'Set' : 'Array'}(${typeText(inner)})`
  }
  if (type.fields) {
    const fields = Object.entries(type.fields).map(([name, field]) => `${name}: ${typeText(field)}`)
    return `Struct({${fields.join(', ')}})`
  }
  return SCALAR_TEXTS[type.valueType] ?? type.valueType
}

const SCALAR_TEXTS: Partial<Record<ValueType, string>> = {
  BYTES: 'Bytes',
  STRING: 'String',
  INT32: 'Int32',
  INT64: 'Int64',
  DOUBLE: 'Float64',
  FLOAT: 'Float32',
  BOOL: 'Bool',
  UNIX_TIMESTAMP: 'UnixTimestamp',
  PDF_BYTES: 'PdfBytes',
  IMAGE_BYTES: 'ImageBytes',
  MAP: 'Map',
  SCALAR_MAP: 'ScalarMap',
  JSON: 'Json',
  STRUCT: 'Struct',
  UUID: 'Uuid',
  TIME_UUID: 'TimeUuid',
  DECIMAL: 'Decimal',
  ZONED_TIMESTAMP: 'ZonedTimestamp',
  INVALID: 'Invalid',
}
