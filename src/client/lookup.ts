import { cellOfRowValue } from '../codec/row-value.js'
import { untypedValueEncoder, valueEncoder } from '../codec/value.js'
import { encodeBytesField, encodeTextField, encodeVarintField } from '../codec/wire.js'
import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import type { FeastType } from '../core/value-type.js'
import { columnJson } from './json-text.js'
import type { AnyTable } from './project-schema.js'

/** What is looked up, for whom. */
export interface Lookup {
  readonly features: readonly string[]
  /** Wins over `features`. */
  readonly featureService: string | undefined
  readonly fullFeatureNames: boolean
  readonly entities: readonly NamedColumn[]
  readonly requestData: readonly NamedColumn[]
  readonly rowCount: number
}

export interface NamedColumn {
  readonly name: string
  readonly values: readonly unknown[]
  /** As the schema has it; only of request data, as the server knows the types of its entities. */
  readonly type?: FeastType | undefined
}

/** Views without entity need a number of rows and no column; servers ask for one, and this one means nothing. */
export const NO_ENTITY = '__dummy_id'

/** Columns of rows or columns. @throws INVALID_REQUEST */
export function tableColumns(
  table: AnyTable,
  what: string,
): { readonly columns: NamedColumn[]; readonly rowCount: number } {
  if (!Array.isArray(table)) {
    const columns = Object.entries(table as Readonly<Record<string, readonly unknown[]>>)
    const rowCount = columns[0]?.[1].length ?? 0
    const odd = columns.find(([, values]) => values.length !== rowCount)
    if (odd)
      throw wrong(
        `${what}: column "${odd[0]}" has ${odd[1].length} values, "${columns[0]![0]}" has ${rowCount}.`,
      )
    return { columns: columns.map(([name, values]) => ({ name, values })), rowCount }
  }
  const rows = table as readonly Readonly<Record<string, unknown>>[]
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const columns = names.map((name) => ({ name, values: rows.map((row) => row[name]) }))
  for (const { name, values } of columns) {
    const row = values.indexOf(undefined)
    if (row >= 0)
      throw wrong(`${what}: row ${row} has no "${name}", which others have; write null for no value.`)
  }
  return { columns, rowCount: rows.length }
}

export function wrong(message: string): Error {
  return feastError('INVALID_REQUEST', { message })
}

/** The body that every Feast server reads. @throws INVALID_VALUE */
export function lookupJson(lookup: Lookup): string {
  const columns = [...lookup.entities, ...lookup.requestData].map(
    ({ name, values, type }) => `${JSON.stringify(name)}:${columnJson(values, type, `Column "${name}"`)}`,
  )
  const asked =
    lookup.featureService === undefined
      ? `"features":${JSON.stringify(lookup.features)}`
      : `"feature_service":${JSON.stringify(lookup.featureService)}`
  return `{${asked},"entities":{${columns.join(',')}},"full_feature_names":${lookup.fullFeatureNames}}`
}

/** A `feast.serving.GetOnlineFeaturesRequest`. @throws INVALID_VALUE */
export function encodeLookup(lookup: Lookup): Buffer {
  const asked =
    lookup.featureService === undefined
      ? encodeBytesField(2, Buffer.concat(lookup.features.map((ref) => encodeTextField(1, ref))))
      : encodeTextField(1, lookup.featureService)
  return Buffer.concat([
    asked,
    ...lookup.entities.map((column) => encodeColumn(3, column)),
    ...(lookup.fullFeatureNames ? [encodeVarintField(4, 1)] : []),
    ...lookup.requestData.map((column) => encodeColumn(5, column)),
  ])
}

/** An entry of a map<string, RepeatedValue>. */
function encodeColumn(field: number, { name, values, type }: NamedColumn): Buffer {
  const encode = encoderOf(type, `Column "${name}"`)
  const repeated = Buffer.concat(values.map((value) => encodeBytesField(1, encode(value))))
  return encodeBytesField(field, Buffer.concat([encodeTextField(1, name), encodeBytesField(2, repeated)]))
}

/** Value bytes of what a program gives. Without a type, the value says which it is; whole numbers are INT64. */
export function encoderOf(type: FeastType | undefined, where: string): (value: unknown) => Buffer {
  if (type === undefined) {
    const encode = untypedValueEncoder(where)
    return (value) => encode(wholeNumbers(value))
  }
  const encode = valueEncoder(type, where)
  return (value) => encode(fitting(value, type, where))
}

function fitting(value: unknown, type: FeastType, where: string): Cell {
  try {
    return cellOfRowValue(value ?? null, type)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw feastError('INVALID_VALUE', { message: `${where} ${error.message}.` }, error)
  }
}

/** Numbers without fraction as the integers that they are, as Python has it. */
function wholeNumbers(value: unknown): Cell {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(wholeNumbers)
  if (typeof value !== 'object' || value === null) return (value ?? null) as Cell
  if (value instanceof Date || value instanceof Map || ArrayBuffer.isView(value)) return value as Cell
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, wholeNumbers(one)]))
}
