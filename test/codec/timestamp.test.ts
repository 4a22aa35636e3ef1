import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { ByteWriter } from '../../src/codec/byte-writer.js'
import {
  decodeTimestamp,
  encodeTimestamp,
  encodeTimestampParts,
  floorSeconds,
  type Timestamp,
  timestampMicros,
  timestampText,
  writeTimestampText,
} from '../../src/codec/timestamp.js'
import { seededRandom } from '../compat/random.js'

const {
  timestamps,
}: { timestamps: { seconds: number; nanos: number; timestamp_proto_hex: string; http_json: string }[] } =
  JSON.parse(readFileSync(new URL('../compat/vectors/values.json', import.meta.url), 'utf8'))

/** As answers write it, which gives the same text. */
function written(timestamp: Timestamp): string {
  const out = new ByteWriter(1)
  out.byte(0x22)
  writeTimestampText(out, timestamp)
  const text = out.written.toString('latin1', 1)
  expect(text).toBe(timestampText(timestamp))
  return text
}

describe('Timestamp messages', () => {
  it.each(timestamps)('$http_json is as in Feast', ({ seconds, nanos, timestamp_proto_hex, http_json }) => {
    const bytes = Buffer.from(timestamp_proto_hex, 'hex')
    expect(decodeTimestamp(bytes)).toEqual({ seconds, nanos })
    expect(encodeTimestampParts(seconds, nanos).toString('hex')).toBe(timestamp_proto_hex)
    expect(written(decodeTimestamp(bytes))).toBe(http_json)
    const micros = BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanos / 1000))
    expect(timestampMicros(bytes)).toBe(micros)
    if (nanos % 1000 === 0) expect(encodeTimestamp(micros).toString('hex')).toBe(timestamp_proto_hex)
  })

  it('counts seconds towards the past before 1970', () => {
    expect([-1n, -1_000_000n, -1_000_001n, 0n, 999_999n].map(floorSeconds)).toEqual([-1n, -1n, -2n, 0n, 0n])
    expect(decodeTimestamp(encodeTimestamp(-1n))).toEqual({ seconds: -1, nanos: 999_999_000 })
    expect(written(decodeTimestamp(encodeTimestamp(-500_000n)))).toBe('1969-12-31T23:59:59.500Z')
  })

  it('every time is read and printed alike', () => {
    const random = seededRandom('timestamps')
    for (let round = 0; round < 3000; round++) {
      const seconds = random.int(-(10 ** random.int(1, 14)), 10 ** random.int(1, 14))
      const nanos = random.pick([
        0,
        1,
        999_999_999,
        random.int(0, 999) * 1_000_000,
        random.int(0, 999_999_999),
      ])
      const bytes = Buffer.concat([Buffer.from([1]), encodeTimestampParts(seconds, nanos), Buffer.from([2])])
      const found = decodeTimestamp(bytes, 1, bytes.length - 1)
      expect(found).toEqual({ seconds, nanos })
      written(found)
    }
  })

  it('prints a time that no date can hold instead of failing', () => {
    expect(written(decodeTimestamp(encodeTimestampParts(2n ** 62n, 0)))).toBe('+275760-09-13T00:00:00Z')
  })
})
