import type { Cell, ZonedCell } from '../../core/cell.js'
import { type FeastType, Int64 } from '../../core/value-type.js'

/**
 * Rows are staged with their times as INT64 microseconds: what a warehouse's tables keep of a time may be less.
 */
export function stagedType(type: FeastType): FeastType {
  return isTime(type) ? Int64 : type
}

export function stagedCells(cells: readonly Cell[], type: FeastType): readonly Cell[] {
  return isTime(type) ? cells.map(microsOf) : cells
}

export function isTime({ valueType }: FeastType): boolean {
  return valueType === 'UNIX_TIMESTAMP' || valueType === 'ZONED_TIMESTAMP'
}

/** Of a cell of either type that holds a time. */
export function microsOf(cell: Cell): bigint | null {
  return cell !== null && typeof cell === 'object' ? (cell as ZonedCell).micros : (cell as bigint | null)
}
