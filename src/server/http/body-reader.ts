import type { IncomingMessage } from 'node:http'
import { feastError } from '../../core/errors.js'

/** Bytes of unfinished bodies that a process holds; beyond, the one that has been coming for longest is dropped. */
export const MAX_UNFINISHED_BYTES = 256 << 20

export interface BodyReaderOptions {
  /** Of one body. */
  readonly limitBytes: number
  readonly unfinishedBytes?: number
  /** Told of a body that was dropped because it came too slowly while memory was wanted. */
  readonly onDrop: () => void
}

interface Unfinished {
  readonly message: IncomingMessage
  bytes: number
}

/** Reads request bodies within bounds: of each, and of all that are still coming. */
export class BodyReader {
  readonly #options: BodyReaderOptions
  /** In the order in which they began. */
  readonly #unfinished = new Set<Unfinished>()
  #unfinishedBytes = 0

  constructor(options: BodyReaderOptions) {
    this.#options = options
  }

  /** @throws as {@link read} */
  whole(message: IncomingMessage): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.read(message, (error, body) => (error === null ? resolve(body) : reject(error)))
    })
  }

  /** @throws PAYLOAD_TOO_LARGE, or what the connection failed with */
  read(message: IncomingMessage, done: (error: Error | null, body: Buffer) => void): void {
    const { limitBytes } = this.#options
    const expected = Number(message.headers['content-length'] ?? Number.NaN)
    if (expected > limitBytes) {
      done(this.#tooLarge(), NOTHING)
      return
    }
    const chunks: Buffer[] = []
    let received = 0
    let held: Unfinished | undefined
    const finish = (error: Error | null) => {
      message.off('data', onData).off('end', onEnd).off('error', finish)
      if (held) this.#release(held)
      if (error) done(error, NOTHING)
      else done(null, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, received))
    }
    const onData = (chunk: Buffer) => {
      received += chunk.length
      if (received > limitBytes) {
        finish(this.#tooLarge())
        return
      }
      chunks.push(chunk)
      if (received === expected) {
        // No more can come: not to wait for the end saves a twentieth of what a small request costs Node.
        finish(null)
        return
      }
      held ??= this.#begin(message)
      this.#hold(held, chunk.length)
    }
    const onEnd = () => finish(null)
    message.on('data', onData).on('end', onEnd).on('error', finish)
  }

  #tooLarge(): Error {
    return feastError('PAYLOAD_TOO_LARGE', { what: 'bytes', limit: this.#options.limitBytes })
  }

  #begin(message: IncomingMessage): Unfinished {
    const held = { message, bytes: 0 }
    this.#unfinished.add(held)
    return held
  }

  #hold(held: Unfinished, bytes: number): void {
    held.bytes += bytes
    this.#unfinishedBytes += bytes
    const most = this.#options.unfinishedBytes ?? MAX_UNFINISHED_BYTES
    for (const oldest of this.#unfinished) {
      if (this.#unfinishedBytes <= most) break
      // Its error ends the reading; here it already counts as gone.
      this.#release(oldest)
      this.#options.onDrop()
      oldest.message.destroy(new Error('the body came too slowly'))
    }
  }

  #release(held: Unfinished): void {
    if (!this.#unfinished.delete(held)) return
    this.#unfinishedBytes -= held.bytes
  }
}

const NOTHING = Buffer.alloc(0)
