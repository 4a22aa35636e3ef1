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
}
