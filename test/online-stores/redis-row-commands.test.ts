import { expect, it } from '@jest/globals'
import { type EncodedRow, rowEncoder } from '../../src/codec/rows.js'
import { field } from '../../src/core/field.js'
import { plainCommands, scriptCommands } from '../../src/online-stores/redis/row-commands.js'
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
  const rows = packedRows()
  const plain = rows.map(({ entityKey, values, eventTimestamp, createdTimestamp }) => ({
    entityKey,
    values,
    eventTimestamp,
    createdTimestamp,
  }))
  const fields = { timestamp: Buffer.from('_ts:v'), features: [Buffer.from('aaaa'), Buffer.from('bbbb')] }
  const keys = rows.map(({ entityKey }) => Buffer.concat([entityKey, Buffer.from('demo')]))
  for (const isSharded of [false, true]) {
    const commands = (some: readonly EncodedRow[]) =>
      scriptCommands(WRITE_NEWEST, fields, some, keys, 60, isSharded)
    expect(commands(rows)).toEqual(commands(plain))
  }
  expect(plainCommands(fields, rows, keys, 60)).toEqual(plainCommands(fields, plain, keys, 60))
})
