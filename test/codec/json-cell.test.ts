import { describe, expect, it } from '@jest/globals'
import {
  Array as ArrayOf,
  Bool,
  Bytes,
  Decimal,
  Float32,
  Float64,
  Int32,
  Int64,
  Json,
  Map as MapType,
  Set as SetOf,
  Struct,
  String as Text,
  UnixTimestamp,
  ZonedTimestamp,
} from 'feast-node'
import { jsonCellReader } from '../../src/codec/json-cell.js'
import type { Cell } from '../../src/core/cell.js'
import type { FeastType } from '../../src/core/value-type.js'

const FITS: readonly (readonly [FeastType, unknown, Cell])[] = [
  [Int64, 7, 7n],
  [Int64, ' 7 ', 7n],
  [Int64, true, 1n],
  [Int64, 9007199254740993n, 9007199254740993n],
  [Int64, Number.NaN, null],
  [Int32, 7n, 7],
  [Float64, '1.5', 1.5],
  [Float32, 7n, 7],
  [Float64, Number.NaN, null],
  [Bool, 2, true],
  [Text, 1.5, '1.5'],
  [Text, true, 'True'],
  [Text, Number.NaN, null],
  [Bytes, 'AP8=', Buffer.from([0, 255])],
  [UnixTimestamp, 1785888000, 1785888000_000_000n],
  [UnixTimestamp, '1785888000', 1785888000_000_000n],
  [ZonedTimestamp, '2026-08-05T02:00:00+02:00', { micros: 1785888000_000_000n, zone: 'UTC+02:00' }],
  [Decimal, '12.340', '12.340'],
  [Json, '{"a":1}', '{"a":1}'],
  [Json, { a: [1] }, '{"a": [1]}'],
  [MapType, { k: 1, n: null }, { k: 1n, n: null }],
  [MapType, '{"k":"v"}', { k: 'v' }],
  [Struct({ a: Int32 }), { a: '7', b: 1.5 }, { a: 7, b: 1.5 }],
  [ArrayOf(Int64), [1, '2'], [1n, 2n]],
  [ArrayOf(UnixTimestamp), [5], [5_000_000n]],
  [SetOf(Text), ['a', 'a'], ['a', 'a']],
  [ArrayOf(ArrayOf(Int64)), [[1], []], [[1n], []]],
  [Int64, null, null],
]

const MISFITS: readonly (readonly [FeastType, unknown])[] = [
  [Int64, 1.5],
  [Int64, 'x'],
  [Int64, 2n ** 63n],
  [Int64, [1]],
  [Int32, 2 ** 31],
  [Float64, 'warm'],
  [Float64, ''],
  [Bool, 'true'],
  [Text, { a: 1 }],
  [Text, '\ud800'],
  [Bytes, 'no base64!'],
  [UnixTimestamp, '2026-08-05T00:00:00Z'],
  [UnixTimestamp, 1.5],
  [ZonedTimestamp, 'soon'],
  [MapType, [1]],
  [MapType, '[1]'],
  [ArrayOf(Int64), 7],
  [ArrayOf(Int64), [1.5]],
  [ArrayOf(ArrayOf(Int64)), [1]],
]

describe('values that come as JSON', () => {
  it.each(FITS)('%j reads %p', (type, value, cell) => {
    expect(jsonCellReader(type, 'Column "c"')(value)).toEqual(cell)
  })

  it.each(MISFITS)('%j refuses %p, naming the column', (type, value) => {
    expect(() => jsonCellReader(type, 'Column "c"')(value)).toThrow(
      expect.objectContaining({
        code: 'INVALID_VALUE',
        http: 422,
        message: expect.stringMatching(/^Column "c": /),
      }),
    )
  })

  it('refuses what nests without end', () => {
    let deep: unknown = 1
    for (let level = 0; level < 10_000; level++) deep = { deep }
    for (const type of [MapType, Json]) {
      expect(() => jsonCellReader(type, 'Column "c"')(deep)).toThrow(/an object is not a value/)
    }
  })
})
