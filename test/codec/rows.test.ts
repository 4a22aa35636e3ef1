import { describe, expect, it } from '@jest/globals'
import { encodeEntityKey } from '../../src/codec/entity-key.js'
import { type RowLayout, rowEncoder } from '../../src/codec/rows.js'
import { decodeValue } from '../../src/codec/value-decode.js'
import type { Cell, ColumnBatch } from '../../src/core/cell.js'
import { field } from '../../src/core/field.js'
import type { ValueType } from '../../src/core/value-type.js'

type Column = readonly [name: string, type: ValueType, cells: readonly Cell[]]

function batchOf(...columns: Column[]): ColumnBatch {
  return {
    fields: columns.map(([name, valueType]) => field(name, { valueType })),
    columns: columns.map(([, , cells]) => cells),
    rowCount: columns[0]![2].length,
  }
}

const INT64 = { valueType: 'INT64' } as const
const LAYOUT: RowLayout = {
  what: 'Feature view "v"',
  joinKeys: [{ name: 'user_id', type: INT64 }],
  features: [
    { name: 'amount', type: { valueType: 'DOUBLE' } },
    { name: 'city', type: { valueType: 'STRING' }, column: 'town' },
  ],
  eventTimestamp: 'at',
  createdTimestamp: 'made',
  entityKeyVersion: 3,
}
const key = (id: bigint) => encodeEntityKey([{ name: 'user_id', type: INT64 }], [id], 3)

describe('rows for an online store', () => {
  it('holds keys, values in the order of the features, and times', () => {
    const batch = batchOf(
      ['town', 'STRING', ['x', null]],
      ['user_id', 'INT64', [1n, 2n]],
      ['at', 'UNIX_TIMESTAMP', [5n, 6n]],
      ['made', 'UNIX_TIMESTAMP', [7n, null]],
      ['amount', 'DOUBLE', [1.5, Number.NaN]],
    )
    const { rows, skipped } = rowEncoder(LAYOUT)(batch)
    expect(skipped).toBe(0)
    expect(rows.map(({ entityKey }) => entityKey)).toEqual([key(1n), key(2n)])
    expect(rows.map(({ values }) => values.map((value) => decodeValue(value).cell))).toEqual([
      [1.5, 'x'],
      [null, null],
    ])
    expect(rows.map((row) => [row.eventTimestamp, row.createdTimestamp])).toEqual([
      [5n, 7n],
      [6n, null],
    ])
  })

  it('skips and counts rows without key or event time', () => {
    const batch = batchOf(
      ['user_id', 'INT64', [1n, null, 3n, 4n]],
      ['at', 'UNIX_TIMESTAMP', [5n, 5n, null, 5n]],
      ['made', 'UNIX_TIMESTAMP', [5n, 5n, 5n, 5n]],
      ['amount', 'DOUBLE', [1, 2, 3, 4]],
      ['town', 'STRING', ['a', 'b', 'c', 'd']],
    )
    const { rows, skipped } = rowEncoder(LAYOUT)(batch)
    expect([rows.map(({ entityKey }) => entityKey), skipped]).toEqual([[key(1n), key(4n)], 2])
    expect(rows.map(({ values }) => decodeValue(values[1]!).cell)).toEqual(['a', 'd'])
  })

  it('a view without entity has one key; times may be given', () => {
    const layout = { ...LAYOUT, joinKeys: [], eventTimestamp: 9n, createdTimestamp: undefined }
    const batch = batchOf(['amount', 'DOUBLE', [1]], ['town', 'STRING', ['a']])
    const { rows } = rowEncoder(layout)(batch)
    expect(rows[0]!.entityKey.toString('hex')).toBe(
      '01000000020000000a0000005f5f64756d6d795f69640200000000000000',
    )
    expect([rows[0]!.eventTimestamp, rows[0]!.createdTimestamp]).toEqual([9n, null])
  })

  /** [type in the source, cell, type in the definition, cell stored] */
  it.each<[ValueType, Cell, ValueType, Cell]>([
    ['INT32', 5, 'INT64', 5n],
    ['INT64', 5n, 'DOUBLE', 5],
    ['INT64', 2n ** 40n, 'FLOAT', 2 ** 40],
    ['DOUBLE', 1.9, 'INT64', 1n],
    ['STRING', '7', 'INT32', 7],
    ['BOOL', true, 'INT64', 1n],
    ['DOUBLE', 2, 'STRING', '2.0'],
    ['INT64', 2n, 'STRING', '2'],
    ['BOOL', false, 'STRING', 'False'],
    ['UNIX_TIMESTAMP', 1_500_000n, 'INT64', 1n],
    ['UNIX_TIMESTAMP', 1_500_000n, 'STRING', '1970-01-01 00:00:01.500000+00:00'],
    ['INT64', 5n, 'UNIX_TIMESTAMP', 5_000_000n],
    ['STRING', '1970-01-01T00:00:05Z', 'UNIX_TIMESTAMP', 5_000_000n],
    ['DECIMAL', '12.50', 'DOUBLE', 12.5],
    ['DOUBLE_LIST', [1], 'DOUBLE', null],
  ])('%s %s for %s is %s', (from, cell, to, stored) => {
    const layout = {
      ...LAYOUT,
      features: [{ name: 'f', type: { valueType: to } }],
      createdTimestamp: undefined,
    }
    const batch = batchOf(['user_id', 'INT64', [1n]], ['at', 'UNIX_TIMESTAMP', [5n]], ['f', from, [cell]])
    expect(decodeValue(rowEncoder(layout)(batch).rows[0]!.values[0]!).cell).toEqual(stored)
  })

  it.each<[ValueType, Cell, string]>([
    ['INT32', 5, ''],
    ['DOUBLE', 5, ''],
    ['STRING', '5', ''],
    ['DOUBLE', 5.5, 'Entity column "user_id": 5.5 is not a value of type INT64 (it has a fraction).'],
    ['STRING', 'x', 'Entity column "user_id": x is not a value of type INT64 (not an integer).'],
  ])('a key from %s %s', (from, cell, error) => {
    const layout = { ...LAYOUT, features: [], createdTimestamp: undefined }
    const encode = () =>
      rowEncoder(layout)(batchOf(['user_id', from, [cell]], ['at', 'UNIX_TIMESTAMP', [5n]]))
    if (error) expect(encode).toThrow(error)
    else expect(encode().rows[0]!.entityKey).toEqual(key(5n))
  })

  it('names the column that is missing, and the cell that does not fit', () => {
    expect(() => rowEncoder(LAYOUT)(batchOf(['user_id', 'INT64', [1n]]))).toThrow(
      'Feature view "v": the rows have no column "at"; they have "user_id".',
    )
    const layout = { ...LAYOUT, features: [{ name: 'f', type: INT64 }], createdTimestamp: undefined }
    const batch = batchOf(['user_id', 'INT64', [1n]], ['at', 'UNIX_TIMESTAMP', [5n]], ['f', 'STRING', ['x']])
    expect(() => rowEncoder(layout)(batch)).toThrow(
      'Feature view "v", feature "f": "x" does not fit type Int64',
    )
  })
})
