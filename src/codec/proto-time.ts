import type { Micros } from '../core/instant.js'
import type { Duration, Timestamp } from './messages.generated.js'

export function encodeTimestamp(micros: Micros): Timestamp {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  return { seconds: (micros - fraction) / 1_000_000n, nanos: Number(fraction) * 1000 }
}

/** Nanoseconds are floored to microseconds. */
export function decodeTimestamp({ seconds, nanos }: Timestamp): Micros {
  return (seconds ?? 0n) * 1_000_000n + BigInt(Math.floor((nanos ?? 0) / 1000))
}

/** Zero is an empty message, not an absent one. */
export function encodeDuration(seconds: number): Duration {
  const micros = Math.round(seconds * 1e6)
  return { seconds: BigInt(Math.floor(micros / 1e6)), nanos: (micros % 1_000_000) * 1000 }
}

export function decodeDuration(duration: Duration | undefined): number {
  return Number(duration?.seconds ?? 0n) + (duration?.nanos ?? 0) / 1e9
}
