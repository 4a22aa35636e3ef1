import { afterAll, describe, expect, it } from '@jest/globals'
import { type EncodedRow, type RowLayout, rowEncoder } from '../../src/codec/rows.js'
import type { ColumnBatch } from '../../src/core/cell.js'
import { type Field, field } from '../../src/core/field.js'
import type { FeastType, ValueType } from '../../src/core/value-type.js'
import { DuckDBEngine } from '../../src/offline-stores/duckdb/duckdb-engine.js'
import { seededRandom } from '../compat/random.js'

const engine = new DuckDBEngine({}, '')
afterAll(() => engine.close())

const type = (valueType: ValueType): FeastType => ({ valueType })

/** [type of the feature, SQL over `h`, a random number] */
const COLUMNS: readonly (readonly [ValueType, string])[] = [
  ['INT64', 'h::BIGINT'],
  ['INT64', '(h % 300)::BIGINT - 150'],
  ['INT64', '(h % 100)::INTEGER'],
  ['INT32', '(h % 70000)::INTEGER - 35000'],
  ['INT32', '(h % 100)::SMALLINT'],
  [
    'DOUBLE',
    "CASE h % 5 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN '-inf'::DOUBLE WHEN 2 THEN -0.0 ELSE h / 7 END",
  ],
  ['DOUBLE', '(h % 1000)::FLOAT'],
  ['FLOAT', "CASE h % 4 WHEN 0 THEN 'nan'::FLOAT ELSE (h / 7)::FLOAT END"],
  ['BOOL', 'h % 2 = 0'],
  ['STRING', "repeat('é', (h % 9)::INTEGER)"],
  ['STRING', "repeat('x', (h % 150)::INTEGER)"],
  ['STRING', 'h::BIGINT'],
  ['UUID', 'uuid()::VARCHAR'],
  ['UNIX_TIMESTAMP', 'make_timestamp(h % 10000000 - 5000000)'],
  ['UNIX_TIMESTAMP', 'make_timestamptz(h % 4000000000000000)'],
  ['UNIX_TIMESTAMP', 'h % 10000000 - 5000000'],
  ['BYTES', 'encode(h::VARCHAR)'],
  ['STRING_LIST', '[h::VARCHAR]'],
]

async function* batches(sql: string, fields: readonly Field[]): AsyncGenerator<ColumnBatch> {
  const session = await engine.open()
  try {
    yield* session.stream(sql, fields)
  } finally {
    await session.close()
  }
}

function plainRow({ entityKey, values, eventTimestamp, createdTimestamp }: EncodedRow) {
  return {
    key: entityKey.toString('hex'),
    values: values.map((value) => value.toString('hex')),
    eventTimestamp,
    createdTimestamp,
  }
}

/** Rows encoded from DuckDB's memory, which must be those encoded from the same batches' cells. */
async function bothWays(sql: string, fields: readonly Field[], layout: RowLayout) {
  const fast = rowEncoder(layout)
  const plain = rowEncoder(layout)
  const rows: { readonly fast: EncodedRow[]; readonly plain: EncodedRow[] } = { fast: [], plain: [] }
  let skipped = 0
  let vectors = 0
  for await (const batch of batches(sql, fields)) {
    const encoded = fast(batch)
    const { columns, rowCount } = batch
    const expected = plain({ fields, columns, rowCount })
    expect(encoded.skipped).toBe(expected.skipped)
    rows.fast.push(...encoded.rows)
    rows.plain.push(...expected.rows)
    skipped += encoded.skipped
    vectors += batch.vectors!.filter((vector) => vector !== undefined).length
  }
  return { fast: rows.fast.map(plainRow), plain: rows.plain.map(plainRow), skipped, vectors }
}

describe('columns in the memory of DuckDB', () => {
  it.each([0, 30])('give the bytes that their cells give; %i %% are null', async (nulls) => {
    const seed = seededRandom(`vectors with ${nulls} % nulls`).int(0, 1_000_000)
    const or = (value: string, column: number) =>
      `CASE WHEN hash(i * 7919 + ${column} + ${seed}) % 100 < ${nulls} THEN NULL ELSE ${value} END`
    const features = COLUMNS.map(([valueType], i) => ({ name: `f${i}`, type: type(valueType) }))
    const fields = [
      field('id', type('INT64')),
      field('name', type('STRING')),
      field('small', type('INT32')),
      field('at', type('UNIX_TIMESTAMP')),
      field('made', type('UNIX_TIMESTAMP')),
      ...features.map(({ name, type: featureType }) => field(name, featureType)),
    ]
    const sql = `SELECT ${or('i - 100', -1)}, ${or("repeat('n', (i % 30)::INTEGER)", -2)}, ${or('(i % 1000)::INTEGER', -3)},
      ${or(`make_timestamp(1785578400000000 + i * 777)`, -4)}, ${or('make_timestamptz(i * 1000001)', -5)},
      ${COLUMNS.map(([, value], i) => or(value.replace(/\bh\b/g, `(hash(i * 31 + ${i} + ${seed}) % 9000000000)::BIGINT`), i)).join(', ')}
      FROM range(5000) t(i)`
    const layout: RowLayout = {
      what: 'Feature view "v"',
      joinKeys: fields.slice(0, 3),
      features,
      eventTimestamp: 'at',
      createdTimestamp: 'made',
      entityKeyVersion: 3,
    }
    const { fast, plain, skipped, vectors } = await bothWays(sql, fields, layout)
    expect(fast).toEqual(plain)
    expect(skipped > 0).toBe(nulls > 0)
    expect(fast).toHaveLength(5000 - skipped)
    // Three chunks, of which small integers, bytes and lists alone go by their cells.
    expect(vectors).toBe(3 * (fields.length - 3))
  })

  it('are converted by their cells where the definition has another type', async () => {
    const fields = [
      field('id', type('INT64')),
      field('at', type('UNIX_TIMESTAMP')),
      field('f', type('INT64')),
    ]
    const layout: RowLayout = {
      what: 'Feature view "v"',
      joinKeys: [{ name: 'id', type: type('STRING') }],
      features: [{ name: 'f', type: type('DOUBLE') }],
      eventTimestamp: 'at',
      createdTimestamp: undefined,
      entityKeyVersion: 3,
    }
    const { fast, plain } = await bothWays('SELECT i, i, i * 3 FROM range(10) t(i)', fields, layout)
    expect(fast).toEqual(plain)
    expect(fast[1]!.values).toEqual(['290000000000000840'])
  })

  it('are read after the batch that follows was asked for', async () => {
    const fields = [field('text', type('STRING'))]
    const kept: ColumnBatch[] = []
    for await (const batch of batches("SELECT 'text number ' || i FROM range(10000) t(i)", fields))
      kept.push(batch)
    const cells = kept.flatMap(({ columns }) => columns[0])
    expect(cells).toEqual(Array.from({ length: 10_000 }, (_, i) => `text number ${i}`))
  })

  it('a stream that nobody reads to its end lets go of its connection', async () => {
    const session = await engine.open()
    for await (const batch of session.stream('SELECT i FROM range(1000000) t(i)', [
      field('i', type('INT64')),
    ])) {
      expect(batch.rowCount).toBe(2048)
      break
    }
    expect(await session.numbers('SELECT 7')).toEqual([7n])
    await session.close()
  })
})
