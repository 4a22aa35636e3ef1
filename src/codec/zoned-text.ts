/** Zones seen lately; a process meets few, but a client could name many. */
const zones = new Map<string, Intl.DateTimeFormat | number>()
const MAX_ZONES = 500

/** Where Python's dates end, and so where Feast fails: 0001-01-01 and 9999-12-31. */
const MIN_SECONDS = -62_135_596_800
const MAX_SECONDS = 253_402_300_799

/**
 * `2026-08-01T03:00:00-07:00`: an instant in its zone, as Python's isoformat() writes it. An unknown zone is
 * UTC, as in Feast. undefined for an instant that Python's dates cannot hold.
 * @param zone IANA name, fixed offset such as `UTC+05:30`, or empty for UTC
 */
export function zonedText(seconds: bigint, zone: string): string | undefined {
  const utc = Number(seconds)
  const offset = utc >= MIN_SECONDS && utc <= MAX_SECONDS ? offsetSeconds(utc, zone) : 0
  const local = utc + offset
  if (utc < MIN_SECONDS || utc > MAX_SECONDS || local < MIN_SECONDS || local > MAX_SECONDS) return undefined
  return new Date(local * 1000).toISOString().slice(0, 19) + offsetText(offset)
}

function offsetText(offset: number): string {
  const total = Math.abs(offset)
  const parts = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60]
  // Local mean times of old have seconds; Python shows them only then.
  const shown = parts[2] === 0 ? parts.slice(0, 2) : parts
  return (offset < 0 ? '-' : '+') + shown.map((part) => String(part).padStart(2, '0')).join(':')
}

function offsetSeconds(utc: number, zone: string): number {
  const found = zones.get(zone) ?? openZone(zone)
  if (typeof found === 'number') return found
  const parts = Object.fromEntries(found.formatToParts(utc * 1000).map(({ type, value }) => [type, value]))
  const year = parts.era === 'BC' ? 1 - Number(parts.year) : Number(parts.year)
  const local = new Date(0).setUTCFullYear(year, Number(parts.month) - 1, Number(parts.day))
  return local / 1000 + Number(parts.hour) * 3600 + Number(parts.minute) * 60 + Number(parts.second) - utc
}

function openZone(zone: string): Intl.DateTimeFormat | number {
  if (zones.size >= MAX_ZONES) zones.clear()
  const opened = fixedOffset(zone) ?? namedZone(zone) ?? 0
  zones.set(zone, opened)
  return opened
}

function fixedOffset(zone: string): number | undefined {
  if (/^(UTC|GMT)?$/.test(zone.trim())) return 0
  const match = /^(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})$/.exec(zone.trim())
  if (!match) return undefined
  const seconds = Number(match[2]) * 3600 + Number(match[3]) * 60
  return match[1] === '-' ? -seconds : seconds
}

function namedZone(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', { ...WALL_CLOCK, timeZone })
  } catch {
    return undefined
  }
}

const WALL_CLOCK: Intl.DateTimeFormatOptions = {
  era: 'short',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
  hourCycle: 'h23',
}
