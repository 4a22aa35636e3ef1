import type { Cell, ColumnBatch } from '../core/cell.js'
import { DUMMY_ENTITY, DUMMY_ENTITY_VALUE } from '../core/entity.js'
import { feastError } from '../core/errors.js'
import type { Field } from '../core/field.js'
import type { Micros } from '../core/instant.js'
import type { FeastType } from '../core/value-type.js'
import { ByteWriter } from './byte-writer.js'
import { cellConverter } from './cell-conversion.js'
import { type CellPacker, cellPacker } from './cell-packer.js'
import { type EntityKeyEncoder, type EntityKeyVersion, entityKeyEncoder } from './entity-key.js'

/** One row for an online store: `values` in the order of the table's features; an empty cell is null. */
export interface EncodedRow {
  readonly entityKey: Buffer
  readonly values: readonly Buffer[]
  readonly eventTimestamp: Micros
  readonly createdTimestamp: Micros | null
}

/** A row whose values lie in one buffer with others: value i is `bytes[places[base + 2i], places[base + 2i + 1])`. */
export class PackedRow implements EncodedRow {
  constructor(
    readonly entityKey: Buffer,
    readonly bytes: Buffer,
    readonly places: Int32Array,
    readonly base: number,
    readonly valueCount: number,
    readonly eventTimestamp: Micros,
    readonly createdTimestamp: Micros | null,
  ) {}

  /** Made anew by each call. */
  get values(): readonly Buffer[] {
    const { bytes, places, base } = this
    return Array.from({ length: this.valueCount }, (_, i) =>
      bytes.subarray(places[base + 2 * i]!, places[base + 2 * i + 1]!),
    )
  }

  static of(row: EncodedRow): PackedRow {
    if (row instanceof PackedRow) return row
    const { entityKey, values, eventTimestamp, createdTimestamp } = row
    const places = new Int32Array(2 * values.length)
    let end = 0
    values.forEach((value, i) => {
      places[2 * i] = end
      end += value.length
      places[2 * i + 1] = end
    })
    const bytes = Buffer.concat(values, end)
    return new PackedRow(entityKey, bytes, places, 0, values.length, eventTimestamp, createdTimestamp)
  }
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
  const packers = layout.features.map(({ name, type }) =>
    cellPacker(type, `${layout.what}, feature "${name}"`),
  )
  return (batch) => {
    const keyColumns =
      layout.joinKeys.length > 0
        ? joinKeys.map((key) => cellsOf(batch, key, layout))
        : [constant(DUMMY_ENTITY_VALUE, batch.rowCount)]
    const eventTimes = timesOf(batch, layout.eventTimestamp, layout)
    const keep = completeRows([...keyColumns, eventTimes], batch.rowCount)
    const keys = encodeKeys(encodeKey, keyColumns, keep)
    const columns = layout.features.map((feature) => cellsOf(batch, feature, layout))
    const { bytes, places } = packColumns(packers, columns, keep)
    const createdTimes = timesOf(batch, layout.createdTimestamp ?? null, layout)
    const width = columns.length
    const rows = keep.map((row, at) => {
      const created = (createdTimes[row] ?? null) as Micros | null
      return new PackedRow(
        keys[at]!,
        bytes,
        places,
        2 * width * at,
        width,
        eventTimes[row] as Micros,
        created,
      )
    })
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

/** Some bytes more than a number takes. */
const CELL_BYTES = 12

/** A column at a time: one packer after another would spoil each other's compiled code. */
function packColumns(
  packers: readonly CellPacker[],
  columns: readonly (readonly Cell[])[],
  keep: readonly number[],
): { readonly bytes: Buffer; readonly places: Int32Array } {
  const stride = 2 * columns.length
  const places = new Int32Array(stride * keep.length)
  const out = new ByteWriter(CELL_BYTES * columns.length * keep.length)
  columns.forEach((cells, index) => {
    const pack = packers[index]!
    for (let at = 0, place = 2 * index; at < keep.length; at++, place += stride) {
      places[place] = out.length
      pack(out, cells[keep[at]!]!)
      places[place + 1] = out.length
    }
  })
  return { bytes: out.bytes, places }
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
