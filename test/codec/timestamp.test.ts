import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import {
  decodeTimestamp,
  encodeTimestamp,
  encodeTimestampParts,
  floorSeconds,
  timestampMicros,
  timestampText,
} from '../../src/codec/timestamp.js'

const {
  timestamps,
}: { timestamps: { seconds: number; nanos: number; timestamp_proto_hex: string; http_json: string }[] } =
  JSON.parse(readFileSync(new URL('../compat/vectors/values.json', import.meta.url), 'utf8'))

describe('Timestamp messages', () => {
  it.each(timestamps)('$http_json is as in Feast', ({ seconds, nanos, timestamp_proto_hex, http_json }) => {
    const bytes = Buffer.from(timestamp_proto_hex, 'hex')
    expect(decodeTimestamp(bytes)).toEqual({ seconds, nanos })
    expect(encodeTimestampParts(seconds, nanos).toString('hex')).toBe(timestamp_proto_hex)
    expect(timestampText(decodeTimestamp(bytes))).toBe(http_json)
    const micros = BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanos / 1000))
    expect(timestampMicros(bytes)).toBe(micros)
    if (nanos % 1000 === 0) expect(encodeTimestamp(micros).toString('hex')).toBe(timestamp_proto_hex)
  })

  it('counts seconds towards the past before 1970', () => {
    expect([-1n, -1_000_000n, -1_000_001n, 0n, 999_999n].map(floorSeconds)).toEqual([-1n, -1n, -2n, 0n, 0n])
    expect(decodeTimestamp(encodeTimestamp(-1n))).toEqual({ seconds: -1, nanos: 999_999_000 })
    expect(timestampText(decodeTimestamp(encodeTimestamp(-500_000n)))).toBe('1969-12-31T23:59:59.500Z')
  })

  it('prints a time that no date can hold instead of failing', () => {
    expect(timestampText(decodeTimestamp(encodeTimestampParts(2n ** 62n, 0)))).toBe('+275760-09-13T00:00:00Z')
  })
})
