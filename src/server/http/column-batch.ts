import { jsonCellReader } from '../../codec/json-cell.js'
import type { Cell, ColumnBatch } from '../../core/cell.js'
import { feastError } from '../../core/errors.js'
import type { StoredView } from '../../core/feature-view.js'
import { type Field, field } from '../../core/field.js'
import { parseInstant } from '../../core/instant.js'
import { type FeastType, sameType, typeText, UnixTimestamp } from '../../core/value-type.js'
import { entityValue } from '../../serving/entity-value.js'

/** Column → values, as a client sends a data frame. */
type DataFrame = Readonly<Record<string, readonly unknown[]>>

/** How one column's values are read. */
export interface ColumnReader {
  readonly type: FeastType
  read(value: unknown): Cell
}

const MAX_ROWS = 1_000_000

/**
 * A client's data frame as typed columns, named as the client named them (field mapping comes later).
 * @param keepUnknown keep columns that no view knows, for a source that may have them; else they are dropped
 * @throws INVALID_VALUE, INVALID_TIME, ENTITY_VALUE_INVALID, PAYLOAD_TOO_LARGE
 */
export function columnBatch(
  df: DataFrame,
  views: readonly StoredView[],
  { keepUnknown }: { readonly keepUnknown: boolean },
): ColumnBatch {
  const rowCount = rowCountOf(df)
  const readers = columnReaders(views)
  const fields: Field[] = []
  const columns: Cell[][] = []
  for (const [name, values] of Object.entries(df)) {
    const reader = readers.get(name) ?? (keepUnknown ? inferred(name, values) : undefined)
    if (reader === undefined) continue
    fields.push(field(name, reader.type))
    columns.push(values.map((value) => reader.read(value)))
  }
  return { fields, columns, rowCount }
}

function rowCountOf(df: DataFrame): number {
  const lengths = Object.values(df).map((values) => values.length)
  const rowCount = lengths[0] ?? 0
  if (lengths.some((length) => length !== rowCount)) {
    const shown = Object.entries(df).slice(0, 20)
    throw feastError('INVALID_VALUE', {
      message: `All columns of df must have the same length; got ${shown.map(([name, { length }]) => `${name}: ${length}`).join(', ')}.`,
    })
  }
  if (rowCount > MAX_ROWS) throw feastError('PAYLOAD_TOO_LARGE', { what: 'rows', limit: MAX_ROWS })
  return rowCount
}

/** Readers by column name, the names that sources give before field mapping included. */
export function columnReaders(views: readonly StoredView[]): Map<string, ColumnReader> {
  const readers = new Map<string, ColumnReader>()
  for (const view of views) {
    for (const [name, reader] of viewReaders(view)) {
      const known = readers.get(name)
      if (known !== undefined && !sameType(known.type, reader.type)) throw typeClash(name, known, reader)
      readers.set(name, reader)
    }
  }
  return readers
}

function viewReaders(view: StoredView): Map<string, ColumnReader> {
  const readers = new Map<string, ColumnReader>()
  for (const { name, type } of view.features) {
    readers.set(name, { type, read: jsonCellReader(type, `Column "${name}"`) })
  }
  for (const { name, type } of view.entityColumns) {
    // A row without key is skipped and counted where rows are written (W3).
    readers.set(name, {
      type,
      read: (value) => (value === null ? null : entityValue(value, type, name)),
    })
  }
  const source = view.batchSource
  for (const name of [source?.timestampField, source?.createdTimestampColumn]) {
    if (name) readers.set(name, timeReader(name))
  }
  for (const [column, name] of Object.entries(source?.fieldMapping ?? {})) {
    const reader = readers.get(name)
    if (reader !== undefined && !readers.has(column)) readers.set(column, reader)
  }
  return readers
}

/** Event and created times are ISO text, naive ones UTC. */
function timeReader(name: string): ColumnReader {
  return {
    type: UnixTimestamp,
    read(value) {
      if (value === null) return null
      if (typeof value === 'string') return parseInstant(value, `Column "${name}"`)
      throw feastError('INVALID_TIME', { value: String(value), where: `Column "${name}"` })
    },
  }
}

function typeClash(name: string, a: ColumnReader, b: ColumnReader): Error {
  return feastError('INVALID_VALUE', {
    message: `Column "${name}" is ${typeText(a.type)} in one of the views that this push source feeds and ${typeText(b.type)} in another; write to each view by itself.`,
  })
}

/** A column that only the source knows: its first value decides. */
function inferred(name: string, values: readonly unknown[]): ColumnReader | undefined {
  const type = inferredType(values.find((value) => value !== null))
  return type && { type, read: jsonCellReader(type, `Column "${name}"`) }
}

function inferredType(value: unknown): FeastType | undefined {
  if (typeof value === 'string') return { valueType: 'STRING' }
  if (typeof value === 'boolean') return { valueType: 'BOOL' }
  if (typeof value === 'bigint') return { valueType: 'INT64' }
  if (typeof value === 'number') return { valueType: Number.isInteger(value) ? 'INT64' : 'DOUBLE' }
  if (Array.isArray(value)) {
    const element = inferredType(value.find((item) => item !== null))?.valueType
    const list = element && LISTS[element]
    return list && { valueType: list }
  }
  return value === undefined || value === null ? undefined : { valueType: 'MAP' }
}

const LISTS: Readonly<Record<string, FeastType['valueType']>> = {
  STRING: 'STRING_LIST',
  BOOL: 'BOOL_LIST',
  INT64: 'INT64_LIST',
  DOUBLE: 'DOUBLE_LIST',
}
