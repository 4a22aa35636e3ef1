import type { Cell, ColumnBatch } from '../../core/cell.js'
import type { Field } from '../../core/field.js'

/** Part of a table's columns: a run of the same rows as its neighbours', in the same order. */
export interface ColumnsPart {
  /** Where its columns stand in the whole; undefined = left out. */
  readonly positions: readonly (number | undefined)[]
  readonly batches: AsyncIterable<ColumnBatch>
}

/** The whole table's rows, as many at a time as every part has ready. */
export async function* sideBySide(
  fields: readonly Field[],
  parts: readonly ColumnsPart[],
): AsyncGenerator<ColumnBatch> {
  const readers = parts.map(({ positions, batches }) => new PartReader(positions, batches))
  try {
    for (;;) {
      const ready = await Promise.all(readers.map((reader) => reader.ready()))
      const rowCount = Math.min(...ready)
      if (rowCount === 0) {
        if (ready.some((count) => count > 0)) throw new Error('the parts of a result differ in length')
        return
      }
      const columns: (readonly Cell[])[] = fields.map(() => [])
      for (const reader of readers) reader.take(rowCount, columns)
      yield { fields, columns, rowCount }
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()))
  }
}

class PartReader {
  readonly #batches: AsyncIterator<ColumnBatch>
  #batch: ColumnBatch | undefined
  #at = 0

  constructor(
    private readonly positions: readonly (number | undefined)[],
    batches: AsyncIterable<ColumnBatch>,
  ) {
    this.#batches = batches[Symbol.asyncIterator]()
  }

  /** How many rows can be taken; 0 at the end. */
  async ready(): Promise<number> {
    while (this.#batch === undefined || this.#at === this.#batch.rowCount) {
      const next = await this.#batches.next()
      if (next.done) return 0
      this.#batch = next.value
      this.#at = 0
    }
    return this.#batch.rowCount - this.#at
  }

  take(rowCount: number, into: (readonly Cell[])[]): void {
    const end = this.#at + rowCount
    for (const [index, position] of this.positions.entries()) {
      if (position === undefined) continue
      const cells = this.#batch!.columns[index]!
      into[position] = rowCount === cells.length ? cells : cells.slice(this.#at, end)
    }
    this.#at = end
  }

  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}
