import type { Cell } from '../../src/core/cell.js'
import { elementTypeOf, type FeastType, isListType, type ValueType } from '../../src/core/value-type.js'
import type { Random } from './random.js'
import type { Tagged } from './real-feast.js'

/** The same value for both sides: as our cell, and as the driver's tagged JSON. */
export interface BothSides {
  readonly cell: Cell
  readonly tagged: Tagged
}

const TEXTS = ['', 'a', 'Zoë', '日本', '𝔘𐀀', 'a\u0000b', '"\\/\n\u2028', ' spaced ', 'null', '\uFFFD\uE000']
const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'UTC']

export function randomText(random: Random): string {
  return random.chance(0.5)
    ? random.pick(TEXTS)
    : random.times(random.int(0, 12), () => String.fromCodePoint(random.int(32, 0xd7ff))).join('')
}

function randomDouble(random: Random): number {
  if (random.chance(0.3)) {
    return random.pick([0, -0, 1, -1.5, 1e22, 1e-7, 5e-324, Number.MAX_VALUE, 123456789.125, 1e16, 1e15])
  }
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, random.bits(64))
  const value = view.getFloat64(0)
  return Number.isFinite(value) ? value : random.next()
}

function randomUuid(random: Random): string {
  const hex = random.bits(128).toString(16).padStart(32, '0')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function randomBytes(random: Random): Uint8Array {
  return Uint8Array.from(random.times(random.int(1, 20), () => random.int(0, 255)))
}

/** Whole seconds between the years 1 and 9999, as Python's datetimes can be; ours may be finer, Feast's cells not. */
function randomInstant(random: Random): bigint {
  return BigInt(random.int(-2_000_000_000, 4_000_000_000)) * 1_000_000n
}

const MAP_SAMPLE: Tagged & object = { b: 1, a: 'x', c: 1.5, d: true, ä: 'é' }

const SCALARS: Partial<Record<ValueType, (random: Random) => BothSides>> = {
  BYTES: (random) => bytesValue(randomBytes(random)),
  STRING: (random) => same(randomText(random)),
  INT32: (random) => same(Number(BigInt.asIntN(32, random.bits(32)))),
  INT64: (random) => int(BigInt.asIntN(64, random.bits(random.pick([8, 33, 64])))),
  DOUBLE: (random) => float(randomDouble(random)),
  FLOAT: (random) => float(Math.fround(random.chance(0.2) ? 0.1 : (random.next() - 0.5) * 1e6)),
  BOOL: (random) => same(random.chance(0.5)),
  UNIX_TIMESTAMP: (random) => {
    const cell = randomInstant(random)
    return { cell, tagged: { $time: String(cell) } }
  },
  UUID: (random) => uuid(randomUuid(random)),
  TIME_UUID: (random) => uuid(randomUuid(random)),
  DECIMAL: (random) => {
    const cell = random.pick(['0', '-1.20', '12.340', '123456789012345678901234567890.5', '0.000001'])
    return { cell, tagged: { $decimal: cell } }
  },
  JSON: (random) => same(random.pick(['{"a":1}', '[]', 'null', '"x"', '{"k": [1, 2.50, "ü"]}'])),
  ZONED_TIMESTAMP: (random) => {
    const micros = randomInstant(random)
    const zone = random.pick(ZONES)
    return { cell: { micros, zone }, tagged: { $zoned: [String(micros), zone] } }
  },
}

function same(value: string | number | boolean): BothSides {
  return { cell: value, tagged: value }
}

function int(value: bigint): BothSides {
  return { cell: value, tagged: { $int: String(value) } }
}

function float(value: number): BothSides {
  // JSON text drops the sign of zero.
  return { cell: value, tagged: { $float: Object.is(value, -0) ? '-0.0' : String(value) } }
}

function bytesValue(value: Uint8Array): BothSides {
  return { cell: value, tagged: { $bytes: Buffer.from(value).toString('hex') } }
}

function uuid(value: string): BothSides {
  return { cell: value, tagged: { $uuid: value } }
}

/** A random value of a scalar, list or set type; undefined for types of another shape. */
export function randomValue(random: Random, type: FeastType): BothSides | undefined {
  const scalar = SCALARS[type.valueType]
  if (scalar) return scalar(random)
  const element = elementTypeOf(type.valueType)
  const make = element && SCALARS[element]
  if (!make) return undefined
  // Python's own sets have no order, so only a set of one has one byte form.
  const items = random.times(isListType(type.valueType) ? random.int(0, 4) : 1, () => make(random))
  return { cell: items.map(({ cell }) => cell), tagged: items.map(({ tagged }) => tagged) }
}

/** One value of each type that is no scalar, list or set. Map entries are in the order of their keys. */
export const COMPOSITES: Readonly<Record<string, BothSides>> = {
  f_map: {
    cell: { a: 'x', b: 1n, c: 1.5, d: true, ä: 'é' },
    tagged: MAP_SAMPLE,
  },
  f_map_list: { cell: [{ a: 1n }, {}], tagged: [{ a: 1 }, {}] },
  f_struct: { cell: { a: 7n }, tagged: { a: 7 } },
  f_struct_list: { cell: [{ a: 1n }, { a: -1n }], tagged: [{ a: 1 }, { a: -1 }] },
  f_nested: { cell: [[1n, 2n], [3n]], tagged: [[1, 2], [3]] },
  f_nested_set: { cell: [['x'], ['y', 'z']], tagged: [['x'], ['y', 'z']] },
  f_scalar_map: {
    cell: new Map<Cell, Cell>([
      [1n, 'a'],
      [2n, 'b'],
    ]),
    tagged: {
      $pairs: [
        [1, 'a'],
        [2, 'b'],
      ],
    },
  },
}
