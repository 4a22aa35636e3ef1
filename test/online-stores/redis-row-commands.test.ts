import { expect, it } from '@jest/globals'
import { type EncodedRow, PackedRow, rowEncoder } from '../../src/codec/rows.js'
import { field } from '../../src/core/field.js'
import { HashDump } from '../../src/online-stores/redis/hash-dump.js'
import {
  newHashCommander,
  plainCommander,
  scriptCommander,
} from '../../src/online-stores/redis/row-commands.js'
import { WRITE_NEWEST } from '../../src/online-stores/redis/scripts.js'

const TEXTS = ['', 'short', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(70_000), null]

function packedRows(): readonly EncodedRow[] {
  const encode = rowEncoder({
    what: 'Feature view "v"',
    joinKeys: [{ name: 'id', type: { valueType: 'INT64' } }],
    features: [
      { name: 'text', type: { valueType: 'STRING' } },
      { name: 'number', type: { valueType: 'DOUBLE' } },
    ],
    eventTimestamp: 'at',
    createdTimestamp: undefined,
    entityKeyVersion: 3,
  })
  return encode({
    fields: [
      field('id', { valueType: 'INT64' }),
      field('text', { valueType: 'STRING' }),
      field('number', { valueType: 'DOUBLE' }),
      field('at', { valueType: 'UNIX_TIMESTAMP' }),
    ],
    columns: [
      TEXTS.map((_, i) => BigInt(i)),
      TEXTS,
      TEXTS.map((_, i) => i / 8),
      TEXTS.map((_, i) => 1_785_578_400_000_000n + BigInt(i) * 1_500_000n),
    ],
    rowCount: TEXTS.length,
  }).rows
}

it('commands of packed rows are those of plain ones, byte for byte', () => {
  const packed = packedRows().map(PackedRow.of)
  const plain = packed.map(({ entityKey, values, eventTimestamp, createdTimestamp }) =>
    PackedRow.of({ entityKey, values, eventTimestamp, createdTimestamp }),
  )
  const features = [Buffer.from('aaaa'), Buffer.from('bbbb')]
  const target = { timestamp: Buffer.from('_ts:v'), features, suffix: Buffer.from('demo'), ttlSeconds: 60 }
  for (const isSharded of [false, true]) {
    for (const commander of [
      scriptCommander(WRITE_NEWEST, { ...target, isSharded }),
      plainCommander({ ...target, isSharded }),
      newHashCommander({ ...target, isSharded }, new HashDump([target.timestamp, ...features])),
    ]) {
      const rows = (some: readonly PackedRow[]) => some.filter(({ values }) => values[0]!.length <= 64)
      expect(commander(rows(packed))).toEqual(commander(rows(plain)))
    }
  }
})
