import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ByteWriter } from '../../src/codec/byte-writer.js'
import { cellPacker } from '../../src/codec/cell-packer.js'
import { encodeValue } from '../../src/codec/value.js'
import type { Cell } from '../../src/core/cell.js'
import { VALUE_TYPE_NUMBERS, type ValueType } from '../../src/core/value-type.js'

const TYPES = (Object.keys(VALUE_TYPE_NUMBERS) as ValueType[]).filter(
  (type) => type !== 'INVALID' && type !== 'NULL',
)

/** Of the type, next to it, and far from it. */
const CELLS: fc.Arbitrary<Cell> = fc.oneof(
  fc.constantFrom<Cell>(
    null,
    true,
    false,
    0,
    -0,
    1,
    1.5,
    Number.NaN,
    Infinity,
    -1,
    2 ** 31,
    -(2 ** 31),
    2 ** 53,
  ),
  fc.constantFrom<Cell>(0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n, 127n, 128n, -1_000_001n),
  fc.double(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom<Cell>('', 'x'.repeat(40), 'x'.repeat(41), 'é'.repeat(70), 'x'.repeat(20_000)),
  fc.uint8Array({ maxLength: 20 }),
  fc.array(fc.oneof(fc.integer(), fc.string(), fc.boolean()), { maxLength: 4 }) as fc.Arbitrary<Cell>,
)

function outcome(work: () => Buffer): string {
  try {
    return work().toString('hex')
  } catch (error) {
    return String(error)
  }
}

describe('packed cells', () => {
  it.each(TYPES)('%s: the bytes, or the error, of the plain way', (valueType) => {
    const type = { valueType }
    const pack = cellPacker(type, 'Column "c"')
    fc.assert(
      fc.property(fc.array(CELLS, { maxLength: 8 }), (cells) => {
        for (const cell of cells) {
          const out = new ByteWriter(1)
          const packed = () => {
            pack(out, cell)
            return out.written
          }
          expect(outcome(packed)).toBe(outcome(() => encodeValue(type, cell, 'Column "c"')))
        }
      }),
      { numRuns: 30 },
    )
  })

  it('come one after another', () => {
    const out = new ByteWriter(1)
    const cells = ['a', null, 'bc', 'x'.repeat(300)]
    for (const cell of cells) cellPacker({ valueType: 'STRING' }, 'Column "c"')(out, cell)
    expect(out.written).toEqual(
      Buffer.concat(cells.map((cell) => encodeValue({ valueType: 'STRING' }, cell))),
    )
  })
})
