/** What gRPC adds to HTTP/2, for both ends: message frames, statuses, and the text forms of its headers. */

export const GRPC_STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

export type GrpcStatusName = keyof typeof GRPC_STATUS

/** Metadata in which our server names the code of a FeastError. */
export const ERROR_CODE_KEY = 'feast-error-code'

/** In front of every message: one byte that says whether it is compressed, four with its length. */
export const FRAME_HEAD_BYTES = 5

/** The head of an uncompressed message. */
export function frameHead(messageBytes: number): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES)
  head[0] = 0
  head.writeUInt32BE(messageBytes, 1)
  return head
}

/** The whole frame of an uncompressed message. */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, FRAME_HEAD_BYTES)
  return frame
}

export type FrameFault = 'bad flag' | 'too large'

/**
 * Takes messages out of the chunks in which they arrive. What it holds grows with what has arrived, not with what
 * a head promises.
 */
export class FrameReader {
  #held = Buffer.alloc(0)
  #length = 0
  /** Set when the bytes are no frames, or one is longer than the limit; nothing more is read then. */
  fault: FrameFault | undefined

  constructor(
    readonly limitBytes: number,
    readonly onMessage: (message: Buffer, isCompressed: boolean) => void,
  ) {}

  /** True when no message has been begun. */
  get isEmpty(): boolean {
    return this.#length === 0
  }

  read(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0 && this.fault === undefined) {
      rest = this.#length === 0 ? this.#readWhole(rest) : this.#readPart(rest)
    }
  }

  /** A message that stands whole in the chunk is not copied. */
  #readWhole(chunk: Buffer): Buffer {
    if (chunk.length < FRAME_HEAD_BYTES) return this.#keep(chunk, chunk.length)
    const end = FRAME_HEAD_BYTES + chunk.readUInt32BE(1)
    if (this.#isFaulty(chunk)) return NOTHING
    if (chunk.length < end) return this.#keep(chunk, chunk.length)
    this.onMessage(chunk.subarray(FRAME_HEAD_BYTES, end), chunk[0] === 1)
    return chunk.subarray(end)
  }

  #readPart(chunk: Buffer): Buffer {
    if (this.#length < FRAME_HEAD_BYTES) {
      const rest = this.#keep(chunk, FRAME_HEAD_BYTES - this.#length)
      if (this.#length < FRAME_HEAD_BYTES || this.#isFaulty(this.#held)) return rest
      return this.#finish() ? rest : this.#readPart(rest)
    }
    const rest = this.#keep(chunk, FRAME_HEAD_BYTES + this.#held.readUInt32BE(1) - this.#length)
    this.#finish()
    return rest
  }

  #finish(): boolean {
    if (this.#length < FRAME_HEAD_BYTES + this.#held.readUInt32BE(1)) return false
    const frame = this.#held.subarray(0, this.#length)
    this.#held = NOTHING
    this.#length = 0
    this.onMessage(frame.subarray(FRAME_HEAD_BYTES), frame[0] === 1)
    return true
  }

  #isFaulty(head: Buffer): boolean {
    if (head[0]! > 1) this.fault = 'bad flag'
    else if (head.readUInt32BE(1) > this.limitBytes) this.fault = 'too large'
    return this.fault !== undefined
  }

  /** @returns what is left of the chunk */
  #keep(chunk: Buffer, most: number): Buffer {
    const taken = Math.min(most, chunk.length)
    if (this.#length + taken > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, 2 * (this.#length + taken)))
      this.#held.copy(larger, 0, 0, this.#length)
      this.#held = larger
    }
    chunk.copy(this.#held, this.#length, 0, taken)
    this.#length += taken
    return chunk.subarray(taken)
  }
}

const NOTHING = Buffer.alloc(0)

const TIMEOUT = /^(\d{1,8})([HMSmun])$/
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** `grpc-timeout`: at most eight digits and a unit. @returns milliseconds; undefined when it is something else */
export function parseTimeout(text: string): number | undefined {
  const match = TIMEOUT.exec(text)
  return match === null ? undefined : Number(match[1]) * UNIT_MS[match[2]!]!
}

/** `grpc-timeout` for so many milliseconds, rounded up. */
export function formatTimeout(ms: number): string {
  const whole = Math.max(0, Math.ceil(ms))
  return whole < 1e8 ? `${whole}m` : `${Math.min(Math.ceil(whole / 1000), 99_999_999)}S`
}

/** `grpc-message`: printable ASCII stands for itself, all else and `%` as the bytes of its UTF-8. */
export function encodeGrpcMessage(text: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(text)) return text
  let encoded = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/** Whatever is not well encoded stands for itself. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text
  const bytes = Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  return bytes.toString('utf8')
}
