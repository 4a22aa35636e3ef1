import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { decodeDefinition } from '../../src/codec/definitions/definition-codec.js'
import {
  decodeViewState,
  editViewState,
  mergeIntervals,
  type ViewKind,
} from '../../src/codec/definitions/view-state.js'
import { decodeMessage, UNKNOWN } from '../../src/codec/proto.js'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { encodeBytesField, encodeTextField } from '../../src/codec/wire.js'
import type { Interval } from '../../src/core/definition.js'
import type { AnyView } from '../../src/core/projection.js'

const { file } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry-all-kinds.json', import.meta.url), 'utf8'),
) as { file: string }
const views = decodeRegistryFile(Buffer.from(file, 'hex')).records.filter(({ kind }) =>
  /View$/.test(kind),
) as readonly {
  kind: ViewKind
  name: string
  bytes: Uint8Array
}[]
const fv = views.find(({ name }) => name === 'fv')!
const now = 1_800_000_000_000_000n

function interval(start: number, end: number): Interval {
  return { start: BigInt(start), end: BigInt(end) }
}

describe('view state', () => {
  it('is what Feast wrote', () => {
    expect(decodeViewState('featureView', fv.bytes)).toEqual({
      createdAt: undefined,
      lastUpdatedAt: undefined,
      intervals: [
        { start: 1767225600000000n, end: 1767312000000000n },
        { start: -31535999999995n, end: 1767398400000000n },
      ],
      versionNumber: 3,
      versionId: '',
      lifecycle: 'AVAILABLE_ONLINE',
    })
  })

  it.each(views)('of $kind $name changes without the definition', ({ kind, bytes }) => {
    const edited = editViewState(kind, bytes, { now })
    expect(decodeDefinition(kind, edited)).toEqual(decodeDefinition(kind, bytes))
    expect(decodeViewState(kind, edited)).toEqual({ ...decodeViewState(kind, bytes), lastUpdatedAt: now })
  })

  it.each(views)('of $kind $name: the same edit twice is the same bytes', ({ kind, bytes }) => {
    const once = editViewState(kind, bytes, {
      now,
      addInterval: interval(1, 2),
      lifecycle: 'GENERATED',
      versionNumber: 7,
    })
    const twice = editViewState(kind, once, {
      now,
      addInterval: interval(1, 2),
      lifecycle: 'GENERATED',
      versionNumber: 7,
    })
    expect(Buffer.from(twice).toString('hex')).toBe(Buffer.from(once).toString('hex'))
  })

  it.each(views.filter(({ kind }) => kind !== 'labelView'))(
    'of $kind $name: disabled and enabled again',
    ({ kind, bytes }) => {
      const { enabled } = decodeDefinition(kind, bytes) as AnyView
      const off = editViewState(kind, bytes, { now, enabled: !enabled })
      expect(decodeDefinition(kind, off)).toEqual({ ...decodeDefinition(kind, bytes), enabled: !enabled })
      const on = editViewState(kind, off, { now, enabled })
      expect(Buffer.from(on)).toEqual(Buffer.from(editViewState(kind, bytes, { now })))
    },
  )

  it('leaves what it does not know where it is', () => {
    const unknown = encodeTextField(777, 'later')
    const meta = encodeBytesField(2, unknown)
    const edited = editViewState('featureView', Buffer.concat([fv.bytes, meta, unknown]), {
      now,
      lifecycle: 'CREATED',
    })
    expect(Buffer.from(edited).subarray(-unknown.length)).toEqual(unknown)
    const decoded = decodeMessage('feast.core.FeatureView', edited)
    expect((decoded.meta as { [UNKNOWN]?: readonly Uint8Array[] })[UNKNOWN]).toEqual([unknown])
    expect(decodeViewState('featureView', edited)).toMatchObject({ lifecycle: 'CREATED', versionNumber: 3 })
  })

  it('works on a record without state', () => {
    const bare = encodeBytesField(1, encodeTextField(1, 'v'))
    const edited = editViewState('streamFeatureView', bare, { now, addInterval: interval(5, 6) })
    expect(decodeViewState('streamFeatureView', edited)).toMatchObject({
      intervals: [interval(5, 6)],
      lastUpdatedAt: now,
    })
  })
})

describe('intervals', () => {
  it.each([
    ['apart', [interval(0, 1), interval(5, 6)], [interval(0, 1), interval(5, 6)]],
    ['adjacent', [interval(0, 5), interval(5, 6)], [interval(0, 6)]],
    ['overlapping', [interval(4, 8), interval(0, 5)], [interval(0, 8)]],
    ['one in another', [interval(0, 9), interval(2, 3)], [interval(0, 9)]],
    ['the same', [interval(1, 2), interval(1, 2)], [interval(1, 2)]],
    ['a bridge', [interval(0, 1), interval(5, 6), interval(1, 5)], [interval(0, 6)]],
    ['before 1970', [interval(-9, -5), interval(-5, 1)], [interval(-9, 1)]],
  ])('%s', (_what, from, to) => {
    expect(mergeIntervals(from)).toEqual(to)
  })

  it('are at most a hundred, the latest', () => {
    const many = Array.from({ length: 150 }, (_, i) => interval(i * 10, i * 10 + 1))
    expect(mergeIntervals(many)).toEqual(many.slice(50))
  })
})
