import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import {
  decodeEntityKey,
  encodeEntityKey,
  entityKeyEncoder,
  entityKeyPrefix,
  type JoinKey,
} from '../../src/codec/entity-key.js'
import { murmur3, redisField } from '../../src/codec/field-hash.js'
import type { Cell } from '../../src/core/cell.js'
import { seededRandom } from '../compat/random.js'

interface Vectors {
  entity_keys: {
    name: string
    join_keys: string[]
    entity_values: Record<string, string>[]
    v2_hex?: string
    v3_hex?: string
    v3_deserialized_join_keys?: string[]
    redis_key_v3_project_demo_hex?: string
    redis_key_v2_project_demo_hex?: string
  }[]
  entity_key_prefixes: { join_keys: string[]; v3_hex: string; v2_hex: string }[]
  redis_field_hashes: { input: string; mmh3_32_unsigned: number; field_hex: string }[]
  deserialize_errors_v3: { hex: string }[]
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../compat/vectors/entity_keys.json', import.meta.url), 'utf8'),
)

const CELLS: Record<string, [JoinKey['type'], (text: string) => Cell]> = {
  int64_val: [{ valueType: 'INT64' }, (text) => BigInt(text)],
  int32_val: [{ valueType: 'INT32' }, (text) => Number(text)],
  string_val: [{ valueType: 'STRING' }, (text) => text],
  bytes_val: [{ valueType: 'BYTES' }, (hex) => Buffer.from(hex, 'hex')],
  bytes_val_hex: [{ valueType: 'BYTES' }, (hex) => Buffer.from(hex, 'hex')],
  unix_timestamp_val: [{ valueType: 'UNIX_TIMESTAMP' }, (text) => BigInt(text) * 1_000_000n],
}

function cellsOf({ join_keys, entity_values }: Vectors['entity_keys'][number]): [JoinKey[], Cell[]] {
  const parts = entity_values.map((value) => {
    const [arm, text] = Object.entries(value)[0]!
    const [type, read] = CELLS[arm]!
    return { type, cell: read(text) }
  })
  return [join_keys.map((name, i) => ({ name, type: parts[i]!.type })), parts.map(({ cell }) => cell)]
}

const supported = vectors.entity_keys.filter(({ v3_hex }) => v3_hex !== undefined)

describe('entity keys', () => {
  it.each(supported.map((vector) => [vector.name, vector] as const))('%s is as in Feast', (_name, vector) => {
    const [joinKeys, values] = cellsOf(vector)
    expect(encodeEntityKey(joinKeys, values, 3).toString('hex')).toBe(vector.v3_hex)
    expect(encodeEntityKey(joinKeys, values, 2).toString('hex')).toBe(vector.v2_hex)
    const redisKey = entityKeyEncoder(joinKeys, 3, 'demo')(values).toString('hex')
    expect(redisKey).toBe(vector.redis_key_v3_project_demo_hex)
    const decoded = decodeEntityKey(Buffer.from(vector.v3_hex!, 'hex'))
    expect(decoded.joinKeys).toEqual(vector.v3_deserialized_join_keys)
    const again = decoded.joinKeys.map((name, i) => ({
      name,
      type: { valueType: decoded.values[i]!.valueType },
    }))
    const cells = decoded.values.map(({ cell }) => cell)
    expect(encodeEntityKey(again, cells, 3).toString('hex')).toBe(vector.v3_hex)
  })

  it.each(vectors.entity_key_prefixes)('prefix of $join_keys', ({ join_keys, v2_hex, v3_hex }) => {
    expect(entityKeyPrefix(join_keys).toString('hex')).toBe(v3_hex)
    expect(entityKeyPrefix(join_keys, 2).toString('hex')).toBe(v2_hex)
  })

  it.each(vectors.deserialize_errors_v3)('refuses the bytes "$hex"', ({ hex }) => {
    expect(() => decodeEntityKey(Buffer.from(hex, 'hex'))).toThrow(/^The entity key cannot be decoded: /)
  })

  it('names the join key whose type has no place in a key', () => {
    for (const valueType of ['DOUBLE', 'BOOL', 'FLOAT', 'UUID', 'NULL'] as const) {
      expect(() => entityKeyEncoder([{ name: 'k', type: { valueType } }], 3)).toThrow(
        `Join key "k": ${valueType} values have no place`,
      )
    }
  })

  it.each([
    [null, 'INT64', 'Entity column "k": null is not a value of type INT64'],
    [2n ** 63n, 'INT64', 'Entity column "k": bigint 9223372036854775808'],
    [1.5, 'INT32', 'Entity column "k": number 1.5'],
    [5, 'STRING', 'Entity column "k": number 5'],
  ] as const)('refuses %s as %s', (value, valueType, message) => {
    expect(() => encodeEntityKey([{ name: 'k', type: { valueType } }], [value], 3)).toThrow(message)
  })

  it('reads back what it wrote, and never reads damaged bytes as another key', () => {
    const random = seededRandom('entity keys')
    for (let round = 0; round < 300; round++) {
      const names = [
        ...new Set(random.times(random.int(1, 4), () => random.pick(['a', 'B', 'é', '\u{1F600}', '\uFF5E']))),
      ]
      const parts = names.map((name) => {
        const [type, cell] = random.pick<[JoinKey['type'], Cell]>([
          [{ valueType: 'INT64' }, BigInt.asIntN(64, random.bits(64))],
          [{ valueType: 'STRING' }, random.pick(['', 'x', 'ž', '\u{1F600}'])],
          [{ valueType: 'INT32' }, random.int(-1000, 1000)],
        ])
        return { name, type, cell }
      })
      const bytes = encodeEntityKey(
        parts,
        parts.map(({ cell }) => cell),
        3,
      )
      const { joinKeys, values } = decodeEntityKey(bytes)
      for (const [i, name] of joinKeys.entries()) {
        expect(values[i]!.cell).toEqual(parts.find((part) => part.name === name)!.cell)
      }
      const cut = bytes.subarray(0, random.int(0, bytes.length - 1))
      try {
        expect(decodeEntityKey(cut)).not.toEqual({ joinKeys, values })
      } catch (error) {
        expect(error).toMatchObject({ code: 'BYTES_UNREADABLE' })
      }
    }
  })
})

describe('Redis field hash', () => {
  it.each(vectors.redis_field_hashes)('of "$input"', ({ input, mmh3_32_unsigned, field_hex }) => {
    expect(murmur3(Buffer.from(input, 'utf8'))).toBe(mmh3_32_unsigned)
    const colon = input.indexOf(':')
    if (colon < 0) return
    expect(redisField(input.slice(0, colon), input.slice(colon + 1)).toString('hex')).toBe(field_hex)
  })
})
