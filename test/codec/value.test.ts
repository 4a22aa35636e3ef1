import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import protobuf from 'protobufjs'
import { ByteWriter } from '../../src/codec/byte-writer.js'
import { encodeValue, valueEncoder } from '../../src/codec/value.js'
import { decodeValue } from '../../src/codec/value-decode.js'
import { valueJson as plainValueJson, valuePythonText, writeValueJson } from '../../src/codec/value-json.js'
import type { Cell } from '../../src/core/cell.js'
import {
  elementTypeOf,
  type FeastType,
  VALUE_TYPE_NUMBERS,
  type ValueType,
} from '../../src/core/value-type.js'
import { seededRandom } from '../compat/random.js'
import { randomText, randomValue } from '../compat/random-values.js'

/** As answers write it, in one go with what stands before and after; the plain way gives the same. */
function valueJson(bytes: Uint8Array): string {
  const out = new ByteWriter(1)
  out.byte(0x5b)
  const surrounded = Buffer.concat([Buffer.from([1, 2]), bytes, Buffer.from([3])])
  writeValueJson(out, surrounded, 2, 2 + bytes.length)
  const text = out.written.toString('utf8', 1)
  expect(text).toBe(plainValueJson(bytes))
  return text
}

interface ValueVector {
  value_type: ValueType
  python_input: string
  value_proto_hex: string
  http_json: string
}

const vectors: { values: ValueVector[]; coercions_and_errors: (ValueVector & { error?: string })[] } =
  JSON.parse(readFileSync(new URL('../compat/vectors/values.json', import.meta.url), 'utf8'))

/** b'' is null to Feast only because no other row of that column has a value. */
const WRITTEN_AS_NULL = new Set(["b''"])
/** These come as what Python makes of them first. */
const ELEMENTS: Partial<Record<string, FeastType>> = {
  "[['a'], [], None]": { valueType: 'VALUE_LIST' },
}

describe('values recorded from Feast', () => {
  it.each(vectors.values.map((vector) => [vector.value_type, vector.python_input, vector] as const))(
    '%s %s',
    (valueType, input, { value_proto_hex, http_json }) => {
      const bytes = Buffer.from(value_proto_hex, 'hex')
      // The order of keys inside an object is a hash's in Feast.
      expect(JSON.parse(valueJson(bytes))).toEqual(JSON.parse(http_json))
      if (!http_json.includes('{')) expect(valueJson(bytes)).toBe(http_json)
      const decoded = decodeValue(bytes)
      if (value_proto_hex !== '') expect(decoded.valueType).toBe(armOf(valueType))
      if (WRITTEN_AS_NULL.has(input)) return
      const type = ELEMENTS[input] ?? { valueType }
      expect(encodeValue(type, decoded.cell).toString('hex')).toBe(value_proto_hex)
    },
  )

  const PYTHON_CELLS: Readonly<Record<string, Cell>> = {
    '2': 2n,
    "'5'": '5',
    "'7'": '7',
    '1.5': 1.5,
    "'1.5'": '1.5',
    '5': 5n,
    '1': 1n,
    '0': 0n,
    True: true,
    nan: Number.NaN,
    "['a']": ['a'],
  }
  const coerced = vectors.coercions_and_errors.filter(
    ({ error, python_input, value_type }) =>
      error === undefined && python_input in PYTHON_CELLS && value_type !== 'UNIX_TIMESTAMP',
  )
  it.each(coerced)('$value_type takes $python_input as Feast does', (vector) => {
    const cell = PYTHON_CELLS[vector.python_input]!
    expect(encodeValue({ valueType: vector.value_type }, cell).toString('hex')).toBe(vector.value_proto_hex)
  })

  it.each<[ValueType, Cell]>([
    ['INT64', 'x'],
    ['INT64', 2n ** 63n],
    ['INT32', 2n ** 31n],
    ['BOOL', 'x'],
    ['DOUBLE', 'x'],
    ['BYTES', 'x'],
    ['MAP', '[1]'],
    ['MAP', 5],
    ['JSON', '{bad'],
    ['INT64_LIST', ['x']],
    ['INT64_LIST', 5],
    ['UNIX_TIMESTAMP', 5],
  ])('%s refuses %s, naming the column', (valueType, cell) => {
    expect(() => valueEncoder({ valueType }, 'Feature view "v", feature "f"')(cell)).toThrow(
      /^Feature view "v", feature "f": /,
    )
  })
})

function armOf(valueType: ValueType): ValueType {
  return valueType === 'PDF_BYTES' || valueType === 'IMAGE_BYTES' ? 'BYTES' : valueType
}

const root = new protobuf.Root()
root.resolvePath = (_origin, target) => new URL(`../../protos/${target}`, import.meta.url).pathname
root.loadSync('feast/types/Value.proto', { keepCase: true })
const Value = root.lookupType('feast.types.Value')

/** What protobufjs should hold for a cell, by the names of the message's fields. */
function messageOf(valueType: ValueType, cell: Cell): unknown {
  const element = elementTypeOf(valueType)
  if (element) return { val: (cell as readonly Cell[]).map((item) => messageOf(element, item)) }
  if (valueType === 'UNIX_TIMESTAMP') return long((cell as bigint) / 1_000_000n)
  if (valueType === 'ZONED_TIMESTAMP') {
    const { micros, zone } = cell as { micros: bigint; zone: string }
    return { unix_timestamp: long(micros / 1_000_000n), ...(zone && { zone }) }
  }
  if (valueType === 'INT64') return long(cell as bigint)
  return cell
}

function long(value: bigint): protobuf.Long {
  const bits = BigInt.asUintN(64, value)
  return { low: Number(bits & 0xffff_ffffn) | 0, high: Number(bits >> 32n) | 0, unsigned: false }
}

const ARMS = (Object.keys(VALUE_TYPE_NUMBERS) as ValueType[]).filter((valueType) =>
  Value.oneofs['val']!.oneof.some((name) => Value.fields[name]!.id === VALUE_TYPE_NUMBERS[valueType]),
)

describe('agreement with protobufjs', () => {
  it('covers every arm of the message', () => {
    expect(ARMS).toHaveLength(Value.oneofs['val']!.oneof.length)
  })

  it.each(ARMS)('%s', (valueType) => {
    const random = seededRandom(`value ${valueType}`)
    const arm = Value.oneofs['val']!.fieldsArray.find((field) => field.id === VALUE_TYPE_NUMBERS[valueType])!
    for (let round = 0; round < 200; round++) {
      const made = randomValue(random, { valueType })
      if (!made) return expectRoundTrips(valueType)
      const theirs = Value.encode({ [arm.name]: messageOf(valueType, made.cell) }).finish()
      const ours = encodeValue({ valueType }, made.cell)
      expect(ours.toString('hex')).toBe(Buffer.from(theirs).toString('hex'))
      expect(decodeValue(ours)).toEqual({ valueType, cell: asDecoded(made.cell) })
    }
  })
})

function asDecoded(cell: Cell): Cell {
  if (Array.isArray(cell)) return cell.map(asDecoded)
  return cell instanceof Uint8Array ? Buffer.from(cell) : cell
}

const COMPOSITES: Partial<Record<ValueType, Cell[]>> = {
  NULL: [null],
  MAP: [
    {},
    { a: null, b: 1n, c: 1.5, d: 'x', e: [1n, 2n], f: { g: true }, h: new Date(5000), i: [{ j: 1n }] },
  ],
  STRUCT: [{ a: 'x' }],
  MAP_LIST: [[], [{ a: 1n }, {}]],
  STRUCT_LIST: [[{ a: [true] }]],
  VALUE_LIST: [[], [[1n], null, [2n, 3n]], [[['deep']], [['er']]]],
  VALUE_SET: [[['a', 'b']]],
  SCALAR_MAP: [
    new Map<Cell, Cell>([
      [true, 1.5],
      [7n, 'x'],
      [1.25, null],
      ['1.50', [1n]],
      ['12345678-1234-5678-1234-567812345678', {}],
      [new Date(1000), false],
    ]),
  ],
}

/** Types whose content has several shapes: protobufjs must read our bytes, and write them back as they were. */
function expectRoundTrips(valueType: ValueType): void {
  const samples = COMPOSITES[valueType]
  expect(samples).toBeDefined()
  for (const cell of samples!) {
    const ours = encodeValue({ valueType }, cell)
    const again = Buffer.from(Value.encode(Value.decode(ours)).finish())
    // protobufjs leaves out an absent Value of a map entry, which is written here as Feast does.
    expect(decodeValue(again)).toEqual(decodeValue(ours))
    expect(decodeValue(ours).cell).toEqual(cell)
  }
}

describe('nulls', () => {
  it('are no bytes; in a list they are the zero of its type', () => {
    for (const valueType of ARMS) expect(encodeValue({ valueType }, null)).toHaveLength(0)
    const zeros: [ValueType, string][] = [
      ['STRING_LIST', '[""]'],
      ['BYTES_LIST', '[""]'],
      ['INT32_LIST', '[0]'],
      ['INT64_LIST', '[0]'],
      ['DOUBLE_LIST', '[0.0]'],
      ['BOOL_LIST', '[false]'],
      ['UNIX_TIMESTAMP_LIST', '[-9223372036854775808]'],
      ['UUID_LIST', '[""]'],
    ]
    for (const [valueType, json] of zeros) expect(valueJson(encodeValue({ valueType }, [null]))).toBe(json)
  })

  it('zero, false and empty are not null', () => {
    const cells: [ValueType, Cell, string][] = [
      ['INT64', 0n, '2000'],
      ['BOOL', false, '3800'],
      ['STRING', '', '1200'],
      ['DOUBLE', 0, '290000000000000000'],
      ['STRING_LIST', [], '6200'],
      ['MAP', {}, 'a20100'],
    ]
    for (const [valueType, cell, hex] of cells) {
      expect(encodeValue({ valueType }, cell).toString('hex')).toBe(hex)
    }
  })

  it('a time is floored to its second, before 1970 too', () => {
    expect(decodeValue(encodeValue({ valueType: 'UNIX_TIMESTAMP' }, -1n)).cell).toBe(-1_000_000n)
  })
})

describe('JSON text', () => {
  const json = (valueType: ValueType, cell: Cell) => valueJson(encodeValue({ valueType }, cell))

  it.each<[number, string]>([
    [0, '0.0'],
    [-0, '-0.0'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [123456789012345680000, '1.2345678901234568e+20'],
    [1e22, '1e+22'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [5e-324, '5e-324'],
    [Number.POSITIVE_INFINITY, 'null'],
    [Number.NEGATIVE_INFINITY, 'null'],
  ])('the double %s is %s', (value, text) => {
    expect(json('DOUBLE', value)).toBe(text)
  })

  it('every double reads back as itself, and INT64 has all digits', () => {
    const random = seededRandom('json numbers')
    const view = new DataView(new ArrayBuffer(8))
    for (let round = 0; round < 2000; round++) {
      const bits = random.bits(64)
      view.setBigUint64(0, bits)
      const value = view.getFloat64(0)
      const text = json('DOUBLE', value)
      if (Number.isFinite(value)) expect([Number(text), /[.e]/.test(text)]).toEqual([value, true])
      else expect(text).toBe('null')
      const integer = BigInt.asIntN(random.int(1, 64), bits)
      expect(json('INT64', integer)).toBe(String(integer))
      expect(json('INT64_LIST', [integer])).toBe(`[${integer}]`)
    }
  })

  it('amounts, rates, round numbers and neighbours of powers are written as other doubles are', () => {
    const random = seededRandom('short decimals')
    const view = new DataView(new ArrayBuffer(8))
    for (let round = 0; round < 20_000; round++) {
      view.setFloat64(0, random.chance(0.5) ? 2 ** random.int(-15, 60) : Number(`1e${random.int(-5, 17)}`))
      view.setBigUint64(0, view.getBigUint64(0) + BigInt(random.int(-2, 2)))
      json('DOUBLE', view.getFloat64(0))
      json('DOUBLE', (random.next() - 0.5) * 10 ** random.int(-4, 16))
      const digits = random.int(0, 8)
      const value = Number((random.next() * 10 ** random.int(-5, 16)).toFixed(digits)) * random.pick([1, -1])
      expect(Number(json('DOUBLE', value))).toBe(value)
      json('FLOAT', Math.fround(value))
      json('INT64', BigInt(Math.trunc(value)))
    }
  })

  it('text is escaped as JSON.parse wants it', () => {
    const random = seededRandom('json text')
    for (let round = 0; round < 500; round++) {
      const text = randomText(random) + (random.chance(0.1) ? 'x'.repeat(200) : '')
      expect(JSON.parse(json('STRING', text))).toBe(text)
    }
  })

  it.each<[string, string]>([
    ['', '2026-08-01T10:00:00+00:00'],
    ['America/Los_Angeles', '2026-08-01T03:00:00-07:00'],
    ['UTC+05:30', '2026-08-01T15:30:00+05:30'],
    ['-07:00', '2026-08-01T03:00:00-07:00'],
    ['Nowhere/Land', '2026-08-01T10:00:00+00:00'],
  ])('a time in zone "%s" is %s', (zone, text) => {
    const cell = { micros: 1_785_578_400_000_000n, zone }
    expect(json('ZONED_TIMESTAMP', cell)).toBe(JSON.stringify(text))
  })

  it('a time whose offset has seconds, and one that Python has no date for', () => {
    const zone = 'America/Los_Angeles'
    expect(json('ZONED_TIMESTAMP', { micros: -4_000_000_000_000_000n, zone })).toBe(
      '"1843-03-31T09:00:22-07:52:58"',
    )
    expect(json('ZONED_TIMESTAMP', { micros: 10n ** 18n, zone })).toBe('null')
  })
})

describe('bytes that are no value', () => {
  it('fail with BYTES_UNREADABLE or read as something, and nothing else', () => {
    const random = seededRandom('damaged values')
    for (let round = 0; round < 5000; round++) {
      const valueType = random.pick(ARMS)
      const made = randomValue(random, { valueType })?.cell ?? COMPOSITES[valueType]![0]!
      const bytes = Buffer.from(encodeValue({ valueType }, made))
      if (bytes.length > 0) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255)
      const damaged = bytes.subarray(0, random.chance(0.5) ? bytes.length : random.int(0, bytes.length))
      for (const read of [decodeValue, valueJson, valuePythonText]) {
        try {
          const result = read(damaged)
          if (read === valueJson) JSON.parse(result as string)
        } catch (error) {
          expect(error).toMatchObject({ code: 'BYTES_UNREADABLE' })
        }
      }
    }
  })

  it('an arm of a later release is null', () => {
    const later = Buffer.from('9a06026869', 'hex')
    expect([valueJson(later), decodeValue(later).cell]).toEqual(['null', null])
  })
})
