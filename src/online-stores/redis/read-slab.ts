import type { OnReadOpts } from 'node:net'

/** One in fifteen answers to 100 lookups of 50 features crosses from one slab to the next and has to be copied. */
const SLAB_BYTES = 1 << 20
/** As much as is read at a time, if there is so much. */
const MIN_ROOM = 1 << 16

/**
 * What a socket receives, one read behind the other in the same memory. Node itself takes 64 KB for each read and copies
 * what was not filled; and of a reply that came in two reads the first part had to be copied to the second.
 * Nothing is written over: a slab is collected when nothing that was read into it is held any more.
 */
export class ReadSlab {
  readonly onread: OnReadOpts
  #free: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)

  constructor(onChunk: (chunk: Buffer) => void) {
    this.onread = {
      buffer: () => this.#free,
      callback: (byteCount) => {
        const chunk = this.#free.subarray(0, byteCount)
        this.#free = this.#free.subarray(byteCount)
        if (this.#free.length < MIN_ROOM) this.#free = Buffer.allocUnsafeSlow(SLAB_BYTES)
        onChunk(chunk)
        return true
      },
    }
  }
}
