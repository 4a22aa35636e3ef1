import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { rowEncoder } from '../../src/codec/rows.js'
import { field } from '../../src/core/field.js'
import { type FeastType, Float64, Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import type { StagedFile } from '../../src/offline-stores/offline-store.js'
import { AthenaBench } from '../offline-stores/athena-bench.js'
import { BenchReport, takeTurns } from './bench-report.js'

/**
 * From Parquet that a query left on S3 to rows that an online store takes: 10 features, a key and a time. The rival does
 * the same work on the file at hand, without S3 and without making rows of it. Memory is that of the process at its most.
 */
const QUICK = process.argv.includes('--quick')
const PART_ROWS = QUICK ? 100_000 : 1_000_000
const PARTS = QUICK ? 3 : 10

const FEATURES: readonly (readonly [string, FeastType])[] = Array.from({ length: 10 }, (_, index) => [
  `f${index}`,
  index < 6 ? Float64 : index < 9 ? Int64 : StringType,
])
const FIELDS = [
  field('k', Int64),
  ...FEATURES.map(([name, type]) => field(name, type)),
  field('__event_timestamp', UnixTimestamp),
]

async function main(): Promise<void> {
  const bench = await new AthenaBench().open()
  const report = new BenchReport('athena-read')
  const database = await DuckDBInstance.create()
  const connection = await database.connect()
  const paths: string[] = []
  for (let part = 0; part < PARTS; part++) {
    const path = bench.s3.pathOf(`s3://staging/bench/${part}.parquet`)
    mkdirSync(dirname(path), { recursive: true })
    await connection.run(`COPY (${rowsOf(part)}) TO '${path}' (FORMAT parquet, COMPRESSION snappy)`)
    paths.push(path)
  }
  const encode = rowEncoder({
    what: 'bench',
    joinKeys: [{ name: 'k', type: Int64 }],
    features: FEATURES.map(([name, type]) => ({ name, type })),
    eventTimestamp: '__event_timestamp',
    createdTimestamp: undefined,
    entityKeyVersion: 3,
  })
  const read = async (parts: readonly number[]) => {
    let rows = 0
    for (const part of parts) {
      const file: StagedFile = { uri: `s3://staging/bench/${part}.parquet`, bytes: 0 }
      for await (const batch of bench.store.readStaged(file, FIELDS)) rows += encode(batch).rows.length
    }
    if (rows !== parts.length * PART_ROWS) throw new Error(`${rows} rows came`)
  }
  await read([0])
  const { s3, scan } = await takeTurns(QUICK ? 2 : 3, {
    s3: () => read([0]),
    scan: async () =>
      void (await connection.runAndReadAll(`SELECT ${scanned()} FROM read_parquet('${paths[0]}')`)),
  })
  report.row({
    name: `${PART_ROWS} rows to encoded rows`,
    unit: 'rows/s',
    ours: s3.map((seconds) => PART_ROWS / seconds),
    rival: scan.map((seconds) => PART_ROWS / seconds),
    rivalName: 'DuckDB reads the file, makes nothing of it',
    higherIsBetter: true,
  })
  const after = (parts: number) => ({
    rows: parts * PART_ROWS,
    peak_MB: process.resourceUsage().maxRSS / 1024,
  })
  report.measured('memory after one part', after(1))
  await read(Array.from({ length: PARTS }, (_, part) => part))
  report.measured('memory after all parts', after(PARTS))
  connection.closeSync()
  database.closeSync()
  await bench.close()
}

/** Columns by position, as the store has queries name them; the time in microseconds. */
function rowsOf(part: number): string {
  const columns = FEATURES.map(([, { valueType }], index) => {
    const value = valueType === 'DOUBLE' ? `(i * ${index + 3}) / 7.0` : `(i * ${index + 3})`
    const type = valueType === 'STRING' ? 'VARCHAR' : valueType === 'DOUBLE' ? 'DOUBLE' : 'BIGINT'
    return `${value}::${type} AS c${index + 1}`
  })
  const from = part * PART_ROWS
  return `SELECT i::BIGINT AS c0, ${columns.join(', ')}, i * 1000000 AS c${FEATURES.length + 1} FROM range(${from}, ${from + PART_ROWS}) t(i)`
}

function scanned(): string {
  return Array.from({ length: FEATURES.length + 2 }, (_, index) => `max(c${index})`).join(', ')
}

await main()
