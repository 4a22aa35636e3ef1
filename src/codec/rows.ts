import type { Cell, ColumnBatch, VectorLayout } from '../core/cell.js'
import { DUMMY_ENTITY, DUMMY_ENTITY_VALUE } from '../core/entity.js'
import { feastError } from '../core/errors.js'
import type { Field } from '../core/field.js'
import type { Micros } from '../core/instant.js'
import type { FeastType } from '../core/value-type.js'
import { ByteWriter } from './byte-writer.js'
import { cellConverter } from './cell-conversion.js'
import { type CellPacker, cellPacker } from './cell-packer.js'
import { type EntityKeyVersion, entityKeyPacker, type KeyPacker, keyLayout } from './entity-key.js'
import {
  type CellColumn,
  type Column,
  isValid,
  type Packing,
  type VectorColumn,
  vectorPacker,
} from './vector-packer.js'

/** One row for an online store: `values` in the order of the table's features; an empty cell is null. */
export interface EncodedRow {
  readonly entityKey: Buffer
  readonly values: readonly Buffer[]
  readonly eventTimestamp: Micros
  readonly createdTimestamp: Micros | null
}

/**
 * Rows whose keys and values lie in one buffer, a column at a time: keys, then each feature's values, one behind the
 * other. Item `r` of column `c` is `bytes[places[c * step + r], places[c * step + r + 1])`.
 */
export interface PackedRows {
  readonly bytes: Buffer
  readonly places: Int32Array
  /** One more than there are rows. */
  readonly step: number
  readonly eventTimestamps: ArrayLike<Micros>
  readonly createdTimestamps: ArrayLike<Micros | null>
}

export class PackedRow implements EncodedRow {
  constructor(
    readonly among: PackedRows,
    readonly index: number,
  ) {}

  /** Made anew by each call, as are its values. */
  get entityKey(): Buffer {
    const { bytes, places } = this.among
    return bytes.subarray(places[this.index]!, places[this.index + 1]!)
  }

  /** Of value 0; that of the next is a step further. */
  get firstPlace(): number {
    return this.among.step + this.index
  }

  get values(): readonly Buffer[] {
    const { bytes, places, step } = this.among
    return Array.from({ length: places.length / step - 1 }, (_, i) => {
      const at = this.firstPlace + i * step
      return bytes.subarray(places[at]!, places[at + 1]!)
    })
  }

  get eventTimestamp(): Micros {
    return this.among.eventTimestamps[this.index]!
  }

  get createdTimestamp(): Micros | null {
    return this.among.createdTimestamps[this.index]!
  }

  static of(row: EncodedRow): PackedRow {
    if (row instanceof PackedRow) return row
    const pieces = [row.entityKey, ...row.values]
    const places = new Int32Array(2 * pieces.length)
    let end = 0
    pieces.forEach((piece, i) => {
      places[2 * i] = end
      end += piece.length
      places[2 * i + 1] = end
    })
    const among = {
      bytes: Buffer.concat(pieces, end),
      places,
      step: 2,
      eventTimestamps: [row.eventTimestamp],
      createdTimestamps: [row.createdTimestamp],
    }
    return new PackedRow(among, 0)
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
  const keyPacker = entityKeyPacker(joinKeys, layout.entityKeyVersion)
  const packers = layout.features.map(({ name, type }) =>
    cellPacker(type, `${layout.what}, feature "${name}"`),
  )
  return (batch) => {
    const { rowCount } = batch
    const keys =
      layout.joinKeys.length > 0
        ? joinKeys.map(
            (key) => vectorOf(batch, key, keyLayout(key.type), layout) ?? cellsOf(batch, key, layout),
          )
        : [constant(DUMMY_ENTITY_VALUE, rowCount)]
    const eventTimes = timesOf(batch, layout.eventTimestamp, layout)
    const createdTimes = timesOf(batch, layout.createdTimestamp ?? null, layout)
    const rows = completeRows([...keys, eventTimes], rowCount)
    const step = rows.length + 1
    const places = new Int32Array(step * (1 + packers.length))
    const out = new ByteWriter((KEY_BYTES + CELL_BYTES * packers.length) * rows.length)
    packKeys(keyPacker(keys), { out, rows, places, first: 0 })
    layout.features.forEach((feature, i) => {
      const packing = { out, rows, places, first: step * (1 + i) }
      const packer = vectorPacker(feature.type)
      const column = packer && vectorOf(batch, feature, packer.layout, layout)
      if (column) packer.pack(column.vector, packing)
      else packCells(packers[i]!, cellsOf(batch, feature, layout).cells, packing)
    })
    const packed: PackedRows = {
      bytes: out.bytes,
      places,
      step,
      eventTimestamps: timesAt(rows, eventTimes) as ArrayLike<Micros>,
      createdTimestamps: timesAt(rows, createdTimes),
    }
    return { rows: rowsAmong(packed, rows.length), skipped: rowCount - rows.length }
  }
}

const DUMMY_KEY: RowColumn = { name: DUMMY_ENTITY.joinKey, type: { valueType: DUMMY_ENTITY.valueType } }
const TIME: FeastType = { valueType: 'UNIX_TIMESTAMP' }

/** Some bytes more than a key of one number takes, and a number. */
const KEY_BYTES = 48
const CELL_BYTES = 12

/** Positions of the rows where no column is null. */
function completeRows(columns: readonly Column[], rowCount: number): Int32Array {
  const incomplete = new Uint8Array(rowCount)
  for (const column of columns) markMissing(column, incomplete)
  const rows = new Int32Array(rowCount)
  let count = 0
  for (let row = 0; row < rowCount; row++) if (incomplete[row] === 0) rows[count++] = row
  return rows.subarray(0, count)
}

function markMissing(column: Column, incomplete: Uint8Array): void {
  if ('cells' in column) {
    const { cells } = column
    for (let row = 0; row < incomplete.length; row++) if (isMissing(cells[row])) incomplete[row] = 1
  } else if (column.vector.valid) {
    const { valid } = column.vector
    for (let row = 0; row < incomplete.length; row++) if (!isValid(valid, row)) incomplete[row] = 1
  }
}

function isMissing(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || (typeof cell === 'number' && Number.isNaN(cell))
}

function packKeys(pack: KeyPacker, { out, rows, places, first }: Packing): void {
  for (let i = 0; i < rows.length; i++) {
    places[first + i] = out.length
    pack(out, rows[i]!)
  }
  places[first + rows.length] = out.length
}

/** A column at a time: one packer after another would spoil each other's compiled code. */
function packCells(pack: CellPacker, cells: readonly Cell[], { out, rows, places, first }: Packing): void {
  for (let i = 0; i < rows.length; i++) {
    places[first + i] = out.length
    pack(out, cells[rows[i]!]!)
  }
  places[first + rows.length] = out.length
}

/** The batch's column as the engine keeps it, where it does so as `wanted` and nothing is to be converted. */
function vectorOf(
  batch: ColumnBatch,
  wanted: RowColumn,
  vectorLayout: VectorLayout | undefined,
  layout: RowLayout,
): VectorColumn | undefined {
  const index = positionOf(batch.fields, wanted.column ?? wanted.name, layout)
  const vector = batch.vectors?.[index]
  const isSame = batch.fields[index]!.type.valueType === wanted.type.valueType
  return vector && isSame && vector.layout === vectorLayout ? { vector } : undefined
}

/** The batch's cells of a column, as cells of the type that the layout wants. */
function cellsOf(batch: ColumnBatch, wanted: RowColumn, layout: RowLayout): CellColumn {
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
  return { cells: convert ? cells.map((cell) => (isMissing(cell) ? null : convert(cell))) : cells }
}

function timesOf(batch: ColumnBatch, source: string | Micros | null, layout: RowLayout): Column {
  if (typeof source !== 'string') return constant(source, batch.rowCount)
  const wanted = { name: source, type: TIME }
  return vectorOf(batch, wanted, 'int64', layout) ?? cellsOf(batch, wanted, layout)
}

/** A copy: the engine's memory may be gone before the rows are. */
function timesAt(rows: Int32Array, column: Column): ArrayLike<Micros | null> {
  if ('cells' in column) return Array.from(rows, (row) => (column.cells[row] ?? null) as Micros | null)
  const { bytes, valid } = column.vector
  const micros = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3)
  // Without a BigInt for each: a tenth of the encoding.
  if (!valid && rows.length === micros.length) return micros.slice()
  return Array.from(rows, (row) => (valid && !isValid(valid, row) ? null : micros[row]!))
}

function rowsAmong(packed: PackedRows, count: number): readonly PackedRow[] {
  const rows: PackedRow[] = new Array(count)
  for (let index = 0; index < count; index++) rows[index] = new PackedRow(packed, index)
  return rows
}

function constant(cell: Cell, rowCount: number): CellColumn {
  return { cells: new Array<Cell>(rowCount).fill(cell) }
}

function positionOf(fields: readonly Field[], column: string, { what }: RowLayout): number {
  const index = fields.findIndex(({ name }) => name === column)
  if (index >= 0) return index
  const names = fields.map(({ name }) => `"${name}"`).join(', ')
  const message = `${what}: the rows have no column "${column}"; they have ${names || 'none'}.`
  throw feastError('INVALID_VALUE', { message })
}
