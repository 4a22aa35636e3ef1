import { feastError } from './errors.js'

/** A point in time: microseconds since 1970-01-01T00:00:00Z, negative before. */
export type Micros = bigint

const PATTERN =
  /^([+-]?\d{4,6})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$/i

/**
 * Reads an ISO 8601 date or time. Without an offset it is UTC; digits past the microsecond are floored.
 * @throws INVALID_TIME naming `where`
 */
export function parseInstant(text: string, where: string): Micros {
  const micros = tryParseInstant(text)
  if (micros === undefined) throw feastError('INVALID_TIME', { value: text, where })
  return micros
}

export function tryParseInstant(text: string): Micros | undefined {
  const match = PATTERN.exec(text.trim())
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const millis = new Date(0).setUTCFullYear(year, month - 1, day)
  const date = new Date(millis)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  const offset = offsetSeconds(match[8])
  if (offset === undefined) return undefined
  const seconds = millis / 1000 + hour * 3600 + minute * 60 + second - offset
  return BigInt(seconds) * 1_000_000n + BigInt((match[7] ?? '').slice(0, 6).padEnd(6, '0'))
}

function offsetSeconds(text: string | undefined): number | undefined {
  if (text === undefined || /^(z|utc)$/i.test(text)) return 0
  const hours = Number(text.slice(1, 3))
  const minutes = Number(text.slice(3).replace(':', '') || 0)
  if (hours > 23 || minutes > 59) return undefined
  return (text[0] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60)
}

/** `2026-08-01T10:00:00Z`, with 3 or 6 fraction digits when there are any. */
export function formatInstant(micros: Micros): string {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const iso = new Date(Number((micros - fraction) / 1000n)).toISOString().slice(0, -5)
  if (fraction === 0n) return `${iso}Z`
  const digits = fraction.toString().padStart(6, '0')
  return `${iso}.${digits.endsWith('000') ? digits.slice(0, 3) : digits}Z`
}

export function microsOf(date: Date): Micros {
  return BigInt(date.getTime()) * 1000n
}

export function nowMicros(): Micros {
  return BigInt(Date.now()) * 1000n
}
