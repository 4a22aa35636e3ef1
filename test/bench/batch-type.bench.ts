import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import * as arrow from 'apache-arrow'
import { rowEncoder } from '../../src/codec/rows.js'
import type { Cell, ColumnBatch } from '../../src/core/cell.js'
import { fileSource } from '../../src/core/data-source.js'
import { type FeastType, Float64, Int64, StringType } from '../../src/core/value-type.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import { BenchReport, takeTurns } from './bench-report.js'

/**
 * Which batch flows from a store to the writers: plain columns of cells, or Arrow vectors. DuckDB's Node package gives
 * chunks, not Arrow, so vectors must be built; "ready made" leaves that cost out, as a store that gives Arrow would.
 */
const ROWS = process.argv.includes('--quick') ? 50_000 : 1_000_000
const REPEATS = process.argv.includes('--quick') ? 1 : 3

const FEATURES: readonly (readonly [string, FeastType])[] = Array.from({ length: 10 }, (_, index) => [
  `f${index}`,
  index < 6 ? Float64 : index < 9 ? Int64 : StringType,
])

async function makeTable(path: string): Promise<void> {
  const columns = FEATURES.map(([name, { valueType }], index) => {
    const value = valueType === 'DOUBLE' ? `(i * ${index + 3}) / 7.0` : `(i * ${index + 3})`
    return `${value}::${valueType === 'STRING' ? 'VARCHAR' : valueType === 'DOUBLE' ? 'DOUBLE' : 'BIGINT'} AS ${name}`
  })
  const instance = await DuckDBInstance.create()
  const connection = await instance.connect()
  await connection.run(
    `COPY (SELECT i::BIGINT AS k, make_timestamp(i * 1000000) AS ts, ${columns.join(', ')} FROM range(${ROWS}) t(i)) TO '${path}'`,
  )
  connection.closeSync()
  instance.closeSync()
}

const ARROW_TYPES: Partial<Record<string, () => arrow.DataType>> = {
  DOUBLE: () => new arrow.Float64(),
  STRING: () => new arrow.Utf8(),
}

function toArrow(batch: ColumnBatch): readonly arrow.Vector[] {
  return batch.fields.map(({ type }, index) => {
    const arrowType = ARROW_TYPES[type.valueType]?.() ?? new arrow.Int64()
    return arrow.vectorFromArray(batch.columns[index] as unknown[], arrowType)
  })
}

function fromArrow(batch: ColumnBatch, vectors: readonly arrow.Vector[]): ColumnBatch {
  const columns = vectors.map((vector) => {
    const cells: Cell[] = []
    for (let row = 0; row < vector.length; row++) cells.push(vector.get(row) as Cell)
    return cells
  })
  return { ...batch, columns }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-bench-'))
  await makeTable(join(folder, 'rows.parquet'))
  const store = await openOfflineStore(
    { type: 'duckdb', options: {} },
    {
      project: 'bench',
      repoPath: folder,
      entityKeyVersion: 3,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    },
  )
  const encode = rowEncoder({
    what: 'bench',
    joinKeys: [{ name: 'k', type: Int64 }],
    features: FEATURES.map(([name, type]) => ({ name, type })),
    eventTimestamp: '__event_timestamp',
    createdTimestamp: undefined,
    entityKeyVersion: 3,
  })
  const batches = () =>
    store
      .pull({
        source: fileSource({ path: 'rows.parquet' }),
        timestampColumn: 'ts',
        createdColumn: undefined,
        joinKeys: [{ column: 'k', name: 'k', type: Int64 }],
        features: FEATURES.map(([column, type]) => ({ column, name: column, type })),
        start: undefined,
        end: undefined,
        latest: false,
      })
      .batches()
  const report = new BenchReport('batch-type')
  const { plain, viaArrow } = await takeTurns(REPEATS, {
    plain: async () => {
      for await (const batch of batches()) encode(batch)
    },
    viaArrow: async () => {
      for await (const batch of batches()) encode(fromArrow(batch, toArrow(batch)))
    },
  })
  const name = `DuckDB to encoded rows, ${ROWS} rows x ${FEATURES.length}`
  report.row({ name, unit: 's', ours: plain, rival: viaArrow, rivalName: 'through Arrow vectors' })
  report.row({
    name: 'batches to encoded rows alone',
    unit: 's',
    ours: await readingAlone(batches, (batch) => batch, encode),
    rival: await readingAlone(batches, toArrow, encode),
    rivalName: 'Arrow vectors ready made',
  })
  await store.close()
  rmSync(folder, { recursive: true, force: true })
}

/** Time from batches at hand to encoded rows. */
async function readingAlone<Made>(
  batches: () => AsyncIterable<ColumnBatch>,
  make: (batch: ColumnBatch) => Made,
  encode: (batch: ColumnBatch) => unknown,
): Promise<number[]> {
  const taken: number[] = []
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    let total = 0
    for await (const batch of batches()) {
      const made = make(batch)
      const start = performance.now()
      encode((made as unknown) === batch ? batch : fromArrow(batch, made as readonly arrow.Vector[]))
      total += performance.now() - start
    }
    taken.push(total / 1000)
  }
  return taken
}

await main()
