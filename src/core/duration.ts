import { feastError } from './errors.js'

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  us: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
}

/** 10 000 years: the longest that a protobuf Duration can be, and that Python could read. */
const MAX_SECONDS = 315_576_000_000

/** A length of time: seconds, or text such as `'90d'`, `'1h30m'`, `'500ms'` (units us, ms, s, m, h, d, w). */
export type Duration = number | string

/** @returns seconds from 0 to 10 000 years, fractions kept to the microsecond. @throws INVALID_DURATION */
export function parseDuration(duration: Duration, where: string): number {
  const seconds = typeof duration === 'number' ? duration : textSeconds(duration)
  if (!(seconds >= 0 && seconds <= MAX_SECONDS))
    throw feastError('INVALID_DURATION', { value: duration, where })
  return Math.round(seconds * 1e6) / 1e6
}

function textSeconds(text: string): number {
  const compact = text.replace(/\s+/g, '')
  if (!/^(\d+(\.\d+)?(us|ms|s|m|h|d|w))+$/.test(compact)) return Number.NaN
  let seconds = 0
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)/g)) {
    seconds += Number(amount) * UNIT_SECONDS[unit!]!
  }
  return seconds
}

/** `'90d'`, `'1h30m'`, `'0s'`: the shortest text that {@link parseDuration} reads back. */
export function formatDuration(seconds: number): string {
  if (seconds === 0) return '0s'
  let micros = Math.round(seconds * 1e6)
  let text = ''
  for (const [unit, size] of [
    ['w', 604_800e6],
    ['d', 86_400e6],
    ['h', 3600e6],
    ['m', 60e6],
    ['s', 1e6],
    ['ms', 1e3],
    ['us', 1],
  ] as const) {
    if (unit === 'w' && micros % size !== 0) continue
    const count = Math.floor(micros / size)
    if (count > 0) text += `${count}${unit}`
    micros -= count * size
  }
  return text
}
