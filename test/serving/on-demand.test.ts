import { describe, expect, it } from '@jest/globals'
import {
  Array as ArrayOf,
  Bool,
  Bytes,
  entity,
  Float32,
  Float64,
  featureView,
  fileSource,
  Int32,
  Int64,
  Map as MapType,
  onDemandFeatureView,
  Struct,
  String as Text,
  UnixTimestamp,
} from 'feast-node'
import type { Cell, ColumnBatch } from '../../src/core/cell.js'
import type { FeastError } from '../../src/core/errors.js'
import { field } from '../../src/core/field.js'
import type { OnDemandFeatureView } from '../../src/core/on-demand-feature-view.js'
import type { FeastType } from '../../src/core/value-type.js'
import { applyOnDemand } from '../../src/serving/on-demand.js'

const stats = featureView({
  name: 'stats',
  entities: [entity({ name: 'user', valueType: Int64 })],
  schema: { count: Int64, at: UnixTimestamp, times: ArrayOf(UnixTimestamp) },
  source: fileSource({ name: 'stats_source', path: 'stats.parquet', timestampField: 'event_timestamp' }),
})

function batch(columns: Readonly<Record<string, readonly [FeastType, readonly Cell[]]>>): ColumnBatch {
  const entries = Object.entries(columns)
  return {
    fields: entries.map(([name, [type]]) => field(name, type)),
    columns: entries.map(([, [, cells]]) => cells),
    rowCount: entries[0]![1][1].length,
  }
}

/** A view with one output of that type whose function returns what it is given here, unchecked. */
function returning(type: FeastType, value: unknown): OnDemandFeatureView {
  return onDemandFeatureView({
    name: 'computed',
    sources: [stats],
    schema: { out: type },
    transform: () => ({ out: value }) as never,
  })
}

function outputOf(type: FeastType, value: unknown): Cell {
  const joins = [{ view: returning(type, value), outputs: [{ feature: 'out', column: 'out' }] }]
  return applyOnDemand(joins, batch({ count: [Int64, [1n]] })).columns.at(-1)![0]!
}

function failureOf(type: FeastType, value: unknown): FeastError {
  try {
    outputOf(type, value)
  } catch (error) {
    return error as FeastError
  }
  throw new Error('it did not fail')
}

describe('on demand functions', () => {
  it('see typed values and add columns under the names asked for', () => {
    const seen: unknown[] = []
    const view = onDemandFeatureView({
      name: 'computed',
      sources: [stats],
      schema: { next: Int64, year: Int32, hidden: Text },
      transform: (row) => {
        seen.push(row)
        return {
          next: row.count === null ? null : row.count + 1n,
          year: row.at === null ? null : row.at.getUTCFullYear(),
          hidden: 'not asked for',
        }
      },
    })
    const given = batch({
      count: [Int64, [9007199254740993n, null]],
      at: [UnixTimestamp, [1785888000_123_456n, null]],
      times: [ArrayOf(UnixTimestamp), [[0n, -1n], []]],
    })
    const outputs = [
      { feature: 'next', column: 'computed__next' },
      { feature: 'year', column: 'computed__year' },
    ]
    const result = applyOnDemand([{ view, outputs }], given)

    expect(seen).toEqual([
      { count: 9007199254740993n, at: new Date(1785888000_123), times: [new Date(0), new Date(-1)] },
      { count: null, at: null, times: [] },
    ])
    expect(result.fields.map(({ name }) => name)).toEqual([
      'count',
      'at',
      'times',
      'computed__next',
      'computed__year',
    ])
    expect(result.columns.slice(3)).toEqual([
      [9007199254740994n, null],
      [2026, null],
    ])
  })

  const CASTS: readonly (readonly [FeastType, unknown, Cell])[] = [
    [Int64, 7, 7n],
    [Int64, 7n, 7n],
    [Int32, 7n, 7],
    [Float64, 7n, 7],
    [Float64, 0.5, 0.5],
    [Float32, Number.NaN, null],
    [Text, 'x', 'x'],
    [Bool, false, false],
    [Bytes, new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [UnixTimestamp, new Date(5), 5000n],
    [ArrayOf(Int64), [1, 2n], [1n, 2n]],
    [ArrayOf(Float64), new Float64Array([0.5]), [0.5]],
    [ArrayOf(ArrayOf(Int32)), [[1n], []], [[1], []]],
    [Struct({ a: Int64 }), { a: 1, unknown: 2 }, { a: 1n }],
    [MapType, { k: 'v' }, { k: 'v' }],
    [Int64, null, null],
  ]
  it.each(CASTS)('cast to %j: %p', (type, value, cell) => {
    expect(outputOf(type, value)).toEqual(cell)
  })

  const REFUSED: readonly (readonly [FeastType, unknown])[] = [
    [Int64, 1.5],
    [Int64, '7'],
    [Int64, 2n ** 63n],
    [Int64, Number.NaN],
    [Int32, 2 ** 31],
    [Float64, '0.5'],
    [Text, 7],
    [Bool, 1],
    [UnixTimestamp, 5],
    [UnixTimestamp, new Date(Number.NaN)],
    [ArrayOf(Int64), 7],
    [ArrayOf(Int64), [1, null]],
    [ArrayOf(Int64), ['x']],
    [Struct({ a: Int64 }), { a: 'x' }],
    [MapType, [1]],
    [Int64, undefined],
  ]
  it.each(REFUSED)('for %j a result of %p is an error that names the feature', (type, value) => {
    expect(failureOf(type, value)).toMatchObject({
      code: 'TRANSFORMATION_FAILED',
      http: 422,
      message: expect.stringMatching(/"computed".*row 0.*"out"/),
    })
  })

  it('that throw are an error with the row and the cause', () => {
    const view = onDemandFeatureView({
      name: 'computed',
      sources: [stats],
      schema: { out: Int64 },
      transform: ({ count }) => ({ out: count! / 0n }),
    })
    const run = () => applyOnDemand([{ view, outputs: [] }], batch({ count: [Int64, [1n]] }))
    expect(run).toThrow(
      expect.objectContaining({ code: 'TRANSFORMATION_FAILED', cause: expect.any(RangeError) }),
    )
    expect(run).toThrow(/row 0.*Division by zero/)
  })

  it('must return an object, not a promise', () => {
    const view = onDemandFeatureView({
      name: 'computed',
      sources: [stats],
      schema: { out: Int64 },
      transform: (async () => ({ out: 1n })) as never,
    })
    expect(() => applyOnDemand([{ view, outputs: [] }], batch({ count: [Int64, [1n]] }))).toThrow(/a promise/)
  })

  it('written in Python are an error naming the view (Y1)', () => {
    const view: OnDemandFeatureView = {
      ...returning(Int64, 1n),
      transformation: { language: 'python', mode: 'pandas', text: '' },
    }
    expect(() => applyOnDemand([{ view, outputs: [] }], batch({ count: [Int64, [1n]] }))).toThrow(
      expect.objectContaining({
        code: 'PYTHON_TRANSFORMATION',
        message: expect.stringContaining('"computed"'),
      }),
    )
  })
})
