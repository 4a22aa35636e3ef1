import { expect, it } from '@jest/globals'
import { decodeEntityKey, encodeEntityKey, type JoinKey } from '../../src/codec/entity-key.js'
import type { Cell } from '../../src/core/cell.js'
import type { ValueType } from '../../src/core/value-type.js'
import { type Random, seededRandom } from './random.js'
import { randomText, randomValue } from './random-values.js'
import { describeWithRealFeast } from './real-feast.js'

/** A key for both sides: our cells, and Feast's Value as protobuf JSON. */
interface Key {
  readonly joinKeys: readonly JoinKey[]
  readonly cells: readonly Cell[]
  readonly theirs: readonly (readonly [string, object])[]
}

const VALUES: Readonly<Record<string, (cell: Cell) => object>> = {
  STRING: (cell) => ({ string_val: cell }),
  BYTES: (cell) => ({ bytes_val: Buffer.from(cell as Uint8Array).toString('base64') }),
  INT32: (cell) => ({ int32_val: cell }),
  INT64: (cell) => ({ int64_val: String(cell) }),
  UNIX_TIMESTAMP: (cell) => ({ unix_timestamp_val: String((cell as bigint) / 1_000_000n) }),
}

function randomKey(random: Random): Key {
  const names = new Set(random.times(random.int(1, 4), () => randomText(random)))
  const joinKeys: JoinKey[] = [...names].map((name) => ({
    name,
    type: { valueType: random.pick(Object.keys(VALUES)) as ValueType },
  }))
  const cells = joinKeys.map(({ type }) => randomValue(random, type)!.cell)
  return {
    joinKeys,
    cells,
    theirs: joinKeys.map(({ name, type }, i) => [name, VALUES[type.valueType]!(cells[i]!)] as const),
  }
}

describeWithRealFeast('entity keys against real Feast', (feast) => {
  it.each([2, 3] as const)('version %i: 2 000 random keys give the same bytes', async (version) => {
    const random = seededRandom(`entity keys, version ${version}`)
    const keys = random.times(2000, () => randomKey(random))
    const theirs = await feast().call<string[]>('entity_keys', {
      keys: keys.map((key) => key.theirs),
      version,
    })
    const ours = keys.map(({ joinKeys, cells }) => encodeEntityKey(joinKeys, cells, version).toString('hex'))
    expect(ours).toEqual(theirs)
  })

  it('reads back what Feast wrote, and Feast what we wrote', async () => {
    const random = seededRandom('entity keys, read back')
    const keys = random.times(500, () => randomKey(random))
    const hexes = keys.map(({ joinKeys, cells }) => encodeEntityKey(joinKeys, cells, 3).toString('hex'))
    const read = await feast().call<{ join_keys: string[]; entity_values: object[] }[]>('read_entity_keys', {
      hexes,
    })
    for (const [i, hex] of hexes.entries()) {
      const { joinKeys, values } = decodeEntityKey(Buffer.from(hex, 'hex'))
      expect(joinKeys).toEqual(read[i]!.join_keys ?? [''])
      expect(values.map(({ valueType, cell }) => VALUES[valueType]!(cell))).toEqual(read[i]!.entity_values)
    }
  })
})
