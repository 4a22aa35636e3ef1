import { expect, it } from '@jest/globals'
import { encodeValue } from '../../src/codec/value.js'
import { decodeValue } from '../../src/codec/value-decode.js'
import { valuePythonText } from '../../src/codec/value-json.js'
import type { FeastType } from '../../src/core/value-type.js'
import { everyType } from './fixture.js'
import { seededRandom } from './random.js'
import { type BothSides, COMPOSITES, randomValue } from './random-values.js'
import { describeWithRealFeast } from './real-feast.js'

describeWithRealFeast('values against real Feast', (feast) => {
  const encodeThere = (items: { type: FeastType; value: BothSides }[]) =>
    feast().call<(string[] | string)[]>('values', {
      items: items.map(({ type, value }) => [type.valueType, [value.tagged]]),
    })

  it('encodes 200 random values of every scalar, list and set type to the same bytes', async () => {
    const random = seededRandom('values')
    const items = everyType.features.flatMap(({ name, type }) =>
      random
        .times(200, () => ({ name, type, value: randomValue(random, type) }))
        .flatMap(({ value, ...rest }) => (value ? [{ ...rest, value }] : [])),
    )
    const theirs = await encodeThere(items)
    const texts = await feast().call<(string | null)[]>('value_texts', { hexes: theirs.flat() })
    const ours = items.map(({ type, value }) => encodeValue(type, value.cell))
    const named = <T>(found: readonly T[]) => found.map((item, i) => [items[i]!.name, item])
    expect(named(ours.map((bytes) => [bytes.toString('hex')]))).toEqual(named(theirs))
    expect(named(ours.map((bytes) => decodeValue(bytes).cell))).toEqual(
      named(items.map(({ value }) => value.cell)),
    )
    expect(named(ours.map((bytes) => valuePythonText(bytes)))).toEqual(named(texts))
  })

  it('encodes maps, structs and nested lists to the same bytes', async () => {
    const items = Object.entries(COMPOSITES).map(([name, value]) => ({
      type: everyType.features.find((field) => field.name === name)!.type,
      value,
    }))
    const theirs = await encodeThere(items)
    for (const [i, { type, value }] of items.entries()) {
      const [ours] = await feast().call<string[]>('canonical_values', {
        hexes: [encodeValue(type, value.cell).toString('hex')],
      })
      expect([type.valueType, ours]).toEqual([type.valueType, theirs[i]![0]])
      expect(decodeValue(Buffer.from(theirs[i]![0]!, 'hex')).cell).toEqual(value.cell)
    }
  })
})
