/**
 * One row as a store's answer holds it: cell i is `bytes[places[base + 2i], places[base + 2i + 1])`, absent where
 * its start is below 0. A Value cell per `shape.features`, then a Timestamp message per `shape.views`. An empty
 * cell is a stored null; an absent Timestamp means that the view has no row.
 *
 * Places instead of a Buffer per cell: making that object costs more than reading the cell (measured on 100 rows of
 * 55 cells: 38 % of the time to parse them). The bytes are shared with other rows, so copy what is to be kept.
 */
export interface OnlineRow {
  readonly bytes: Buffer
  readonly places: Int32Array
  readonly base: number
}

/** Start of a cell that is absent. */
export const ABSENT = -1

export function cellOfRow({ bytes, places, base }: OnlineRow, index: number): Buffer | null {
  const start = places[base + 2 * index]!
  return start < 0 ? null : bytes.subarray(start, places[base + 2 * index + 1]!)
}

/** A row of cells that do not lie together yet. */
export function rowOfCells(cells: readonly (Uint8Array | null)[]): OnlineRow {
  const places = new Int32Array(2 * cells.length)
  let size = 0
  cells.forEach((cell, index) => {
    places[2 * index] = cell === null ? ABSENT : size
    size += cell?.length ?? 0
    places[2 * index + 1] = size
  })
  const bytes = Buffer.allocUnsafe(size)
  cells.forEach((cell, index) => {
    if (cell !== null) bytes.set(cell, places[2 * index])
  })
  return { bytes, places, base: 0 }
}
