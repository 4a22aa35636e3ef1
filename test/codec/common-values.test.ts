import { expect, it } from '@jest/globals'
import { valueEncoder } from '../../src/codec/value.js'
import { commonTypeAt, decodeCommonAt, decodeValueAt } from '../../src/codec/value-decode.js'
import { MalformedMessage } from '../../src/codec/wire.js'
import { VALUE_TYPE_NUMBERS, type ValueType } from '../../src/core/value-type.js'
import { type Random, seededRandom } from '../compat/random.js'
import { randomValue } from '../compat/random-values.js'

const TYPES = Object.keys(VALUE_TYPE_NUMBERS) as ValueType[]

it('the quick way of reading a Value gives what the careful way gives, or nothing', () => {
  const random = seededRandom('common values')
  let quick = 0
  for (let i = 0; i < 30_000; i++) {
    const valueType = random.pick(TYPES)
    const value = randomValue(random, { valueType })
    if (value === undefined) continue
    const bytes = damaged(random, valueEncoder({ valueType }, 'x')(value.cell))
    const found = orMalformed(() => decodeCommonAt(bytes, 0, bytes.length))
    if (found === undefined) continue
    quick++
    const careful = orMalformed(() => decodeValueAt(bytes, 0, bytes.length))
    const common = { valueType: commonTypeAt(bytes, 0), cell: found }
    expect(found === 'malformed' ? found : common).toEqual(careful)
  }
  expect(quick).toBeGreaterThan(500)
})

function orMalformed<T>(read: () => T): T | 'malformed' {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedMessage) return 'malformed'
    throw error
  }
}

/** A third of them with a byte changed, added or cut. */
function damaged(random: Random, bytes: Buffer): Buffer {
  if (bytes.length === 0 || random.chance(0.66)) return bytes
  const copy = Buffer.from(bytes)
  copy[random.int(0, copy.length - 1)] = random.int(0, 255)
  if (random.chance(0.3)) return copy.subarray(0, random.int(0, copy.length))
  return random.chance(0.3) ? Buffer.concat([copy, Buffer.from([random.int(0, 255)])]) : copy
}
