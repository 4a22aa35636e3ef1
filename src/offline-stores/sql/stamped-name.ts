import { randomBytes } from 'node:crypto'

/** What is older than this and in nobody's hands belongs to a process that is gone. */
export const LEFT_AFTER_MS = 24 * 3_600_000

/** The end of a name that nothing else has, and that tells when it was made. */
export function stamp(): string {
  return `${Date.now().toString(36)}_${randomBytes(8).toString('hex')}`
}

/** Milliseconds since 1970 that a name ending in a {@link stamp} tells; undefined for other names. */
export function madeAt(name: string): number | undefined {
  const time = /(?:^|_)([0-9a-z]{8,9})_[0-9a-f]{16}$/.exec(name)?.[1]
  return time === undefined ? undefined : Number.parseInt(time, 36)
}

export function isLeft(name: string, now: number): boolean {
  const made = madeAt(name)
  return made !== undefined && now - made > LEFT_AFTER_MS
}
