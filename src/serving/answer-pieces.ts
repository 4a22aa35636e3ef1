import type { ByteWriter } from '../codec/byte-writer.js'

/**
 * Where in an answer the pieces stand that other columns have as well: copying one costs less than writing it anew.
 * Pieces have numbers. Used for one answer after another, each of which is written in one go.
 */
export class AnswerPieces {
  /** Start and end of each; an end of 0 where it has not been written. */
  #bounds = new Int32Array(512)

  reset(count: number): void {
    if (2 * count > this.#bounds.length) this.#bounds = new Int32Array(4 * count)
    else this.#bounds.fill(0, 0, 2 * count)
  }

  /** Bytes of a piece; 0 where it has not been written. */
  length(piece: number): number {
    return this.#bounds[2 * piece + 1]! - this.#bounds[2 * piece]!
  }

  /** What was written since `start` is the piece. */
  keep(piece: number, start: number, out: ByteWriter): void {
    this.#bounds[2 * piece] = start
    this.#bounds[2 * piece + 1] = out.length
  }

  /** @returns whether the piece was there to be copied */
  repeat(piece: number, out: ByteWriter): boolean {
    const end = this.#bounds[2 * piece + 1]!
    if (end === 0) return false
    out.repeat(this.#bounds[2 * piece]!, end)
    return true
  }
}
