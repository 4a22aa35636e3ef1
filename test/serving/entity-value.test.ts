import { describe, expect, it } from '@jest/globals'
import {
  Bool,
  Bytes,
  type FeastType,
  Float64,
  Int32,
  Int64,
  StringType,
  UnixTimestamp,
} from '../../src/core/value-type.js'
import { entityValue } from '../../src/serving/entity-value.js'

const FITS: readonly (readonly [FeastType, unknown, unknown])[] = [
  [Int64, 1001, 1001n],
  [Int64, '1001', 1001n],
  [Int64, '-7', -7n],
  [Int64, 9007199254740993n, 9007199254740993n],
  [Int64, '9223372036854775807', 2n ** 63n - 1n],
  [Int64, -(2n ** 63n), -(2n ** 63n)],
  [Int32, 2147483647, 2147483647],
  [Int32, '-2147483648', -2147483648],
  [StringType, 'c1', 'c1'],
  [StringType, '', ''],
  [StringType, 7, '7'],
  [StringType, 9007199254740993n, '9007199254740993'],
  [Bytes, 'AP8=', Buffer.from([0, 255])],
  [Bytes, new Uint8Array([1]), new Uint8Array([1])],
  [UnixTimestamp, 1785888000, 1785888000_000_000n],
  [UnixTimestamp, '1785888000', 1785888000_000_000n],
  [UnixTimestamp, '2026-08-05T00:00:00Z', 1785888000_000_000n],
  [UnixTimestamp, new Date(1785888000_000), 1785888000_000_000n],
]

const MISFITS: readonly (readonly [FeastType, unknown])[] = [
  [Int64, 1.5],
  [Int64, '1.5'],
  [Int64, '1.0'],
  [Int64, ' 1'],
  [Int64, ''],
  [Int64, 'abc'],
  [Int64, true],
  [Int64, null],
  [Int64, undefined],
  [Int64, 2 ** 53],
  [Int64, 2n ** 63n],
  [Int64, '9223372036854775808'],
  [Int64, Number.NaN],
  [Int64, [1]],
  [Int64, {}],
  [Int32, 2147483648],
  [StringType, 1.5],
  [StringType, true],
  [StringType, null],
  [StringType, '\ud800'],
  [StringType, ['a']],
  [Bytes, 'no base64!'],
  [Bytes, 7],
  [UnixTimestamp, 1.5],
  [UnixTimestamp, 'yesterday'],
  [UnixTimestamp, new Date(Number.NaN)],
  [Float64, 1],
  [Bool, true],
]

describe('entity values fit their key exactly (O5)', () => {
  it.each(FITS)('%j takes %p', (type, value, cell) => {
    expect(entityValue(value, type, 'key')).toEqual(cell)
  })

  it.each(MISFITS)('%j refuses %p, naming the column', (type, value) => {
    expect(() => entityValue(value, type, 'the_key')).toThrow(
      expect.objectContaining({
        code: 'ENTITY_VALUE_INVALID',
        http: 422,
        message: expect.stringContaining('the_key'),
      }),
    )
  })

  it('shows no more of a value than fits a message', () => {
    expect(() => entityValue('x'.repeat(10_000), Int64, 'key')).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,300}$/s) }),
    )
  })
})
