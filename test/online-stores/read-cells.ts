import { cellOfRow, type OnlineRow } from '../../src/online-stores/online-row.js'
import type { OnlineStore, ReadShape } from '../../src/online-stores/online-store.js'

/** What a store holds, a buffer per cell. */
export async function readCells(store: OnlineStore, shape: ReadShape, keys: readonly Buffer[]) {
  const rows = await store.prepareRead(shape).read(keys)
  return rows.map((row) => cellsOf(row, shape.features.length + shape.views.length))
}

export function cellsOf(row: OnlineRow, count: number): readonly (Buffer | null)[] {
  return Array.from({ length: count }, (_, index) => cellOfRow(row, index))
}
