import type { Cell, ColumnBatch } from '../core/cell.js'
import { DUMMY_ENTITY, DUMMY_ENTITY_VALUE } from '../core/entity.js'
import { feastError } from '../core/errors.js'
import type { Field } from '../core/field.js'
import type { Micros } from '../core/instant.js'
import type { FeastType } from '../core/value-type.js'
import { cellConverter } from './cell-conversion.js'
import { type EntityKeyEncoder, type EntityKeyVersion, entityKeyEncoder } from './entity-key.js'
import { type ValueEncoder, valueEncoder } from './value.js'

/** One row for an online store: `values` in the order of the table's features; an empty cell is null. */
export interface EncodedRow {
  readonly entityKey: Buffer
  readonly values: readonly Buffer[]
  readonly eventTimestamp: Micros
  readonly createdTimestamp: Micros | null
}

export interface EncodedRows {
  readonly rows: readonly EncodedRow[]
  /** Left out because of a null join key or event time (W3). */
  readonly skipped: number
}

/** Which column of a batch is what. Cells of another type than is due are converted as Feast does. */
export interface RowLayout {
  /** Names the rows in messages: `Feature view "x"`. */
  readonly what: string
  /** Empty: a view without entity, which has one row for everybody. */
  readonly joinKeys: readonly RowColumn[]
  readonly features: readonly RowColumn[]
  /** Name of a column of UNIX_TIMESTAMP cells, or the time of all rows. */
  readonly eventTimestamp: string | Micros
  readonly createdTimestamp: string | Micros | undefined
  readonly entityKeyVersion: EntityKeyVersion
}

export interface RowColumn {
  readonly name: string
  readonly type: FeastType
  /** Default: the name. */
  readonly column?: string
}

/**
 * Batches of columns to rows for an online store, a column at a time; all that depends on the layout alone is
 * done here. @throws INVALID_VALUE, ENTITY_VALUE_INVALID naming the column
 */
export function rowEncoder(layout: RowLayout): (batch: ColumnBatch) => EncodedRows {
  const joinKeys = layout.joinKeys.length > 0 ? layout.joinKeys : [DUMMY_KEY]
  const encodeKey = entityKeyEncoder(joinKeys, layout.entityKeyVersion)
  const encoders = layout.features.map(({ name, type }) =>
    valueEncoder(type, `${layout.what}, feature "${name}"`),
  )
  return (batch) => {
    const keyColumns =
      layout.joinKeys.length > 0
        ? joinKeys.map((key) => cellsOf(batch, key, layout))
        : [constant(DUMMY_ENTITY_VALUE, batch.rowCount)]
    const eventTimes = timesOf(batch, layout.eventTimestamp, layout)
    const keep = completeRows([...keyColumns, eventTimes], batch.rowCount)
    const keys = encodeKeys(encodeKey, keyColumns, keep)
    const values = layout.features.map((feature, index) =>
      encodeColumn(encoders[index]!, cellsOf(batch, feature, layout), keep),
    )
    const createdTimes = timesOf(batch, layout.createdTimestamp ?? null, layout)
    const rows = keep.map((row, at) => ({
      entityKey: keys[at]!,
      values: values.map((column) => column[at]!),
      eventTimestamp: eventTimes[row] as Micros,
      createdTimestamp: (createdTimes[row] ?? null) as Micros | null,
    }))
    return { rows, skipped: batch.rowCount - keep.length }
  }
}

const DUMMY_KEY: RowColumn = { name: DUMMY_ENTITY.joinKey, type: { valueType: DUMMY_ENTITY.valueType } }

/** Positions of the rows where no column is null. */
function completeRows(columns: readonly (readonly Cell[])[], rowCount: number): readonly number[] {
  const keep: number[] = []
  for (let row = 0; row < rowCount; row++) {
    let complete = true
    for (const column of columns) if (isMissing(column[row])) complete = false
    if (complete) keep.push(row)
  }
  return keep
}

function isMissing(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || (typeof cell === 'number' && Number.isNaN(cell))
}

function encodeKeys(
  encodeKey: EntityKeyEncoder,
  columns: readonly (readonly Cell[])[],
  keep: readonly number[],
): readonly Buffer[] {
  const values: Cell[] = new Array(columns.length)
  return keep.map((row) => {
    for (let i = 0; i < columns.length; i++) values[i] = columns[i]![row]!
    return encodeKey(values)
  })
}

function encodeColumn(
  encode: ValueEncoder,
  cells: readonly Cell[],
  keep: readonly number[],
): readonly Buffer[] {
  return keep.map((row) => encode(cells[row]!))
}

/** The batch's cells of a column, as cells of the type that the layout wants. */
function cellsOf(batch: ColumnBatch, wanted: RowColumn, layout: RowLayout): readonly Cell[] {
  const index = positionOf(batch.fields, wanted.column ?? wanted.name, layout)
  const cells = batch.columns[index]!
  const isKey = layout.joinKeys.includes(wanted)
  const convert = cellConverter(batch.fields[index]!.type, wanted.type, isKey, (cell, why) => {
    const { name, type } = wanted
    const value = String(cell)
    if (isKey) throw feastError('ENTITY_VALUE_INVALID', { value, column: name, type: type.valueType, why })
    const message = `${layout.what}, feature "${name}": ${value} is not a value of type ${type.valueType} (${why}).`
    throw feastError('INVALID_VALUE', { message })
  })
  if (!convert) return cells
  return cells.map((cell) => (isMissing(cell) ? null : convert(cell)))
}

function timesOf(batch: ColumnBatch, source: string | Micros | null, layout: RowLayout): readonly Cell[] {
  if (typeof source !== 'string') return constant(source, batch.rowCount)
  return cellsOf(batch, { name: source, type: { valueType: 'UNIX_TIMESTAMP' } }, layout)
}

function constant(cell: Cell, rowCount: number): readonly Cell[] {
  return new Array<Cell>(rowCount).fill(cell)
}

function positionOf(fields: readonly Field[], column: string, { what }: RowLayout): number {
  const index = fields.findIndex(({ name }) => name === column)
  if (index >= 0) return index
  const names = fields.map(({ name }) => `"${name}"`).join(', ')
  const message = `${what}: the rows have no column "${column}"; they have ${names || 'none'}.`
  throw feastError('INVALID_VALUE', { message })
}
