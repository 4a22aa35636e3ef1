import { type EntityKeyVersion, entityKeyPrefix } from '../../codec/entity-key.js'

/** Tells this project's keys of some join keys from everything else in the database. */
export interface OwnKeys {
  /** For SCAN: finds all of them, and others besides. */
  readonly pattern: Buffer
  isOwn(key: Buffer): boolean
}

/**
 * A Redis key is an entity key followed by the project's name. A pattern cannot tell `demo` from `xdemo`, so each
 * key found is read value by value, and what then is left must be the project's name.
 */
export function ownKeys(joinKeys: readonly string[], project: string, version: EntityKeyVersion): OwnKeys {
  const prefix = entityKeyPrefix(joinKeys, version)
  const suffix = Buffer.from(project, 'utf8')
  return {
    pattern: Buffer.concat([escapeGlob(prefix), Buffer.from('*'), escapeGlob(suffix)]),
    isOwn(key) {
      if (key.length < prefix.length || prefix.compare(key, 0, prefix.length) !== 0) return false
      const end = valuesEnd(key, prefix.length, joinKeys.length)
      return end !== undefined && suffix.equals(key.subarray(end))
    },
  }
}

/** Bytes of a fixed-size value by its type code: INT32, INT64, UNIX_TIMESTAMP. Others (bytes, text) vary. */
const FIXED_BYTES: Readonly<Record<number, number>> = { 3: 4, 4: 8, 8: 8 }
const VARIABLE = new Set([1, 2])

/** Where `count` values end that start at `start`; undefined when there are no such values. */
function valuesEnd(key: Buffer, start: number, count: number): number | undefined {
  let at = start
  for (let left = count; left > 0; left--) {
    if (at + 8 > key.length) return undefined
    const type = key.readUInt32LE(at)
    const length = key.readUInt32LE(at + 4)
    if (!VARIABLE.has(type) && FIXED_BYTES[type] !== length) return undefined
    at += 8 + length
    if (at > key.length) return undefined
  }
  return at
}

const GLOB = new Set([...'*?[]\\^-'].map((char) => char.charCodeAt(0)))
const BACKSLASH = 0x5c

function escapeGlob(bytes: Buffer): Buffer {
  return Buffer.from([...bytes].flatMap((byte) => (GLOB.has(byte) ? [BACKSLASH, byte] : [byte])))
}
