import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  decodeDefinition,
  encodeDefinition,
  kindOf,
  MESSAGE_NAMES,
} from '../../src/codec/definitions/definition-codec.js'
import { decodeMessage, encodeMessage } from '../../src/codec/proto.js'
import { encodeTextField, encodeVarintField } from '../../src/codec/wire.js'
import type { Definition } from '../../src/core/definition.js'
import { definitions, type RandomDefinition } from './random-definitions.js'

const seed = Number(process.env['FEAST_SEED'] ?? Date.now() % 2 ** 31)
process.stdout.write(`definitions: FEAST_SEED=${seed}\n`)

function contextOf({ views }: RandomDefinition, now = 1_700_000_000_000_001n) {
  return { project: 'p', now, findView: (name: string) => views.find((view) => view.name === name) }
}

/** Feast's message of a stream feature view has no "offline". */
function kept(definition: Definition): Definition {
  return definition.kind === 'streamFeatureView' ? { ...definition, offline: false } : definition
}

describe('random definitions', () => {
  it('read back as they were written', () => {
    fc.assert(
      fc.property(definitions, (random) => {
        const { definition } = random
        const { bytes } = encodeDefinition(definition, contextOf(random))
        expect(decodeDefinition(kindOf(definition), bytes)).toEqual(kept(definition))
      }),
      { seed, numRuns: 500 },
    )
  })

  it('change nothing when they are applied again, at another time', () => {
    fc.assert(
      fc.property(definitions, (random) => {
        const { bytes } = encodeDefinition(random.definition, contextOf(random))
        const again = encodeDefinition(random.definition, contextOf(random, 1_800_000_000_000_000n), bytes)
        expect(again.differences).toEqual([])
        expect(again.bytes).toBe(bytes)
      }),
      { seed, numRuns: 300 },
    )
  })

  it('become one another and keep what only the stored one knew', () => {
    const unknown = Buffer.concat([encodeTextField(777, 'later'), encodeVarintField(778, 5)])
    fc.assert(
      fc.property(fc.array(definitions, { minLength: 2, maxLength: 12 }), (many) => {
        const first = many[0]!
        const kind = kindOf(first.definition)
        const second = many.find((other, index) => index > 0 && kindOf(other.definition) === kind)
        if (!second) return
        const stored = Buffer.concat([encodeDefinition(first.definition, contextOf(first)).bytes, unknown])
        const { bytes } = encodeDefinition(second.definition, contextOf(second), stored)
        expect(decodeDefinition(kind, bytes)).toEqual(kept(second.definition))
        expect(Buffer.from(bytes).subarray(-unknown.length).toString('hex')).toBe(unknown.toString('hex'))
        const type = MESSAGE_NAMES[kind]
        expect(encodeMessage(type, decodeMessage(type, bytes)).equals(Buffer.from(bytes))).toBe(true)
      }),
      { seed, numRuns: 200 },
    )
  })
})
