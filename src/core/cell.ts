import type { Field } from './field.js'

/**
 * One value of one column, as it moves between stores, codecs and joins. null is absence, for every type.
 *
 * | value type | cell |
 * |---|---|
 * | INT32, DOUBLE, FLOAT | number |
 * | INT64 | bigint |
 * | STRING, JSON, UUID, TIME_UUID, DECIMAL | string |
 * | BOOL | boolean |
 * | BYTES, PDF_BYTES, IMAGE_BYTES | Uint8Array |
 * | UNIX_TIMESTAMP | bigint, microseconds since 1970-01-01T00:00:00Z |
 * | *_LIST, *_SET, VALUE_LIST, VALUE_SET | array of cells of the element type |
 * | MAP, STRUCT | plain object, values as cells (MAP values carry no declared type: a number is a DOUBLE, a bigint an INT64, a Date a UNIX_TIMESTAMP) |
 * | SCALAR_MAP | Map |
 * | ZONED_TIMESTAMP | `{ micros: bigint, zone: string }` |
 */
export type Cell =
  | null
  | number
  | bigint
  | string
  | boolean
  | Uint8Array
  | Date
  | readonly Cell[]
  | ReadonlyMap<Cell, Cell>
  | ZonedCell
  | { readonly [key: string]: Cell }

export interface ZonedCell {
  readonly micros: bigint
  readonly zone: string
}

/** A run of rows, column by column: `columns[i][row]` is the cell of `fields[i]`. Its makers bound its size. */
export interface ColumnBatch {
  readonly fields: readonly Field[]
  readonly columns: readonly (readonly Cell[])[]
  readonly rowCount: number
  /**
   * The same columns as an engine keeps them, where it does so in a way known here. Reading cells costs more than
   * what is done with them, so a batch that has this makes its `columns` when they are first asked for.
   */
  readonly vectors?: readonly (ColumnVector | undefined)[]
}

/** A column in an engine's memory, little-endian; readable as long as it is held. */
export interface ColumnVector {
  readonly layout: VectorLayout
  /** One value behind the other; starts at a multiple of its size. */
  readonly bytes: Buffer
  /** A bit per row, lowest first: 0 is null, whatever the value is. undefined: none is null. */
  readonly valid: Uint8Array | undefined
  /** `text`: UTF-8 of a value that does not stand in `bytes` itself. */
  readonly longText?: (row: number) => Buffer
}

/**
 * `int64`, `int32`, `double`, `float`: numbers. `boolean`: a byte, 0 or 1. `text`: 16 bytes, of which the first four are
 * its length; up to {@link SHORT_TEXT_BYTES} bytes of UTF-8 follow, a longer text stands elsewhere.
 */
export type VectorLayout = 'int64' | 'int32' | 'double' | 'float' | 'boolean' | 'text'

export const SHORT_TEXT_BYTES = 12
