import { describe, expect, it } from '@jest/globals'
import { type PlacedCells, vectorCodec } from '../../src/codec/precomputed-vector.js'
import { encodeTimestamp } from '../../src/codec/timestamp.js'
import { encodeValue } from '../../src/codec/value.js'
import { encodeBytesField, encodeTextField } from '../../src/codec/wire.js'
import { cellOfRow, rowOfCells } from '../../src/online-stores/online-row.js'
import { type Random, seededRandom } from '../compat/random.js'

type Cells = readonly (Buffer | null)[]

interface Case {
  readonly codec: ReturnType<typeof vectorCodec>
  readonly features: readonly string[]
  readonly views: readonly string[]
  /** Feature cells, then view times, of one entity. */
  readonly row: Cells
}

function randomCase(random: Random): Case {
  const viewCount = random.int(1, 4)
  const views = random.times(viewCount, (i) => random.pick(['v', 'sicht_ü', 'x'.repeat(130)]) + i)
  const features = random.times(random.int(1, 12), (i) => ({
    view: random.int(0, viewCount - 1),
    name: `f${i}`,
  }))
  const codec = vectorCodec({
    features: features.map(({ view, name }, cell) => ({ name: `${views[view]}__${name}`, cell })),
    views: views.map((name, view) => ({ name, view })),
    featureCells: features.length,
  })
  const text = () => 'y'.repeat(random.pick([0, 3, 125, 126, 127, 128, 20_000]))
  const value = () => random.pick([null, Buffer.alloc(0), encodeValue({ valueType: 'STRING' }, text())])
  const time = () =>
    random.pick([null, encodeTimestamp(0n), encodeTimestamp(-1n), encodeTimestamp(random.bits(50))])
  return {
    codec,
    features: features.map(({ view, name }) => `${views[view]}__${name}`),
    views,
    row: [...features.map(value), ...views.map(time)],
  }
}

/** As a store answers: the vector, then the times that the views have. */
function stored(vector: Buffer | null, times: Cells): PlacedCells {
  return rowOfCells([vector, ...times])
}

function placed({ codec, row }: Case, from: PlacedCells): Cells | undefined {
  const places = new Int32Array(4 + 2 * row.length).fill(-7)
  if (!codec.place(from, places, 2)) return undefined
  expect([places[0], places[1], places.at(-2), places.at(-1)]).toEqual([-7, -7, -7, -7])
  return row.map((_, cell) => cellOfRow({ bytes: from.bytes, places, base: 2 }, cell))
}

/** Comparing buffers takes jest a second per megabyte. */
const hex = (cells: Cells) => cells.map((cell) => cell?.toString('hex') ?? null)

const MADE_AT = encodeTimestamp(1_785_578_400_000_000n)
const timesOf = ({ row, features }: Case) => row.slice(features.length)

describe('vectors', () => {
  it('are Feast’s message', () => {
    const random = seededRandom('vectors are messages')
    for (let i = 0; i < 200; i++) {
      const one = randomCase(random)
      const value = one.codec.encode(rowOfCells(one.row), MADE_AT)
      const expected = Buffer.concat([
        ...one.features.map((name) => encodeTextField(1, name)),
        ...one.row.slice(0, one.features.length).map((cell) => encodeBytesField(2, cell ?? Buffer.alloc(0))),
        ...one.views.map((name, view) =>
          encodeBytesField(
            3,
            Buffer.concat([
              encodeTextField(1, name),
              encodeBytesField(2, timesOf(one)[view] ?? Buffer.alloc(0)),
            ]),
          ),
        ),
        encodeBytesField(4, MADE_AT),
      ])
      // The bytes_val of a Value.
      expect(value.equals(encodeBytesField(1, expected))).toBe(true)
    }
  })

  it('give back the cells, no value of them being null in another way', () => {
    const random = seededRandom('vectors read')
    for (let i = 0; i < 500; i++) {
      const one = randomCase(random)
      const vector = one.codec.encode(rowOfCells(one.row), MADE_AT)
      const expected = one.row.map((cell, index) =>
        index < one.features.length ? (cell ?? Buffer.alloc(0)) : cell,
      )
      expect(hex(placed(one, stored(vector, timesOf(one)))!)).toEqual(hex(expected))
    }
  })

  it('are of no use once a view has another time, or a row, or none', () => {
    const random = seededRandom('vectors out of date')
    for (let i = 0; i < 500; i++) {
      const one = randomCase(random)
      const vector = one.codec.encode(rowOfCells(one.row), MADE_AT)
      const times = [...timesOf(one)]
      const which = random.int(0, times.length - 1)
      const before = times[which]
      times[which] = random.pick([null, encodeTimestamp(random.bits(50) + 2n ** 51n), Buffer.from([0x08])])
      // No row, and one of the time 0: a vector has the same for both, the row's own time tells.
      const isSame = (before?.length ?? 0) === 0 && times[which] === null
      expect(placed(one, stored(vector, times)) !== undefined).toBe(isSame)
    }
  })

  it('of other features or views are of no use', () => {
    const shape = {
      featureCells: 2,
      features: [
        { name: 'v__a', cell: 0 },
        { name: 'v__b', cell: 1 },
      ],
    }
    const views = [{ name: 'v', view: 0 }]
    const row = rowOfCells([Buffer.from([0x20, 1]), Buffer.from([0x20, 2]), MADE_AT])
    const vector = vectorCodec({ ...shape, views }).encode(row, MADE_AT)
    const from = stored(vector, [MADE_AT])
    const places = new Int32Array(8)
    const others = [
      { ...shape, views: [{ name: 'w', view: 0 }] },
      { ...shape, views: [...views, { name: 'w', view: 0 }] },
      { ...shape, views, features: [...shape.features].reverse() },
      { ...shape, views, features: shape.features.slice(0, 1) },
      { ...shape, views, features: [...shape.features, { name: 'v__c', cell: 1 }] },
    ]
    for (const other of others) expect(vectorCodec(other).place(from, places, 0)).toBe(false)
    expect(vectorCodec({ ...shape, views }).place(from, places, 0)).toBe(true)
  })

  it('that are broken are never read past their end', () => {
    const random = seededRandom('broken vectors')
    let used = 0
    for (let i = 0; i < 3000; i++) {
      const one = randomCase(random)
      const vector = Buffer.from(one.codec.encode(rowOfCells(one.row), MADE_AT))
      if (random.chance(0.3)) {
        const cut = vector.subarray(0, random.int(0, vector.length - 1))
        expect(placed(one, stored(cut, timesOf(one)))).toBeUndefined()
        continue
      }
      for (let left = random.int(1, 3); left > 0; left--) {
        vector[random.int(0, Math.min(400, vector.length) - 1)] = random.int(0, 255)
      }
      const from = stored(vector, timesOf(one))
      const places = new Int32Array(2 * one.row.length)
      if (!one.codec.place(from, places, 0)) continue
      used++
      for (let cell = 0; cell < one.features.length; cell++) {
        expect(places[2 * cell]).toBeGreaterThan(0)
        expect(places[2 * cell + 1]).toBeGreaterThanOrEqual(places[2 * cell]!)
        expect(places[2 * cell + 1]).toBeLessThanOrEqual(vector.length)
      }
    }
    expect(used).toBeGreaterThan(100)
  })
})
