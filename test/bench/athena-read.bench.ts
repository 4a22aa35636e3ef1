import { fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { rowEncoder } from '../../src/codec/rows.js'
import type { AwsSettings } from '../../src/core/aws-settings.js'
import { field } from '../../src/core/field.js'
import { silentLogger } from '../../src/core/logger.js'
import { type FeastType, Float64, Int64, StringType, UnixTimestamp } from '../../src/core/value-type.js'
import { openOfflineStore } from '../../src/offline-stores/index.js'
import type { StagedFile } from '../../src/offline-stores/offline-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { BenchReport, takeTurns } from './bench-report.js'

/**
 * From Parquet that a query left on S3 to rows that an online store takes: 10 features, a key and a time. The rival does
 * the same work on the file at hand, without S3 and without making rows of it. Memory is that of the process at its most.
 */
const QUICK = process.argv.includes('--quick')
const PART_ROWS = QUICK ? 100_000 : 1_000_000
/** Each is read many times, so that much is read from a disk of any size. */
const FILES = 3
const PARTS = QUICK ? 6 : 50

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
  const folder = mkdtempSync(join(tmpdir(), 'feast-bench-'))
  const emulator = await s3Process(folder)
  const store = await openOfflineStore(
    {
      type: 'athena',
      options: {
        region: 'us-east-1',
        database: 'feast',
        data_source: 'AwsDataCatalog',
        workgroup: 'feast',
        s3_staging_location: 's3://staging/feast/',
      },
    },
    {
      project: 'bench',
      repoPath: folder,
      entityKeyVersion: 3,
      logger: silentLogger,
      aws: emulator.settings,
    },
  )
  const report = new BenchReport('athena-read')
  const database = await DuckDBInstance.create()
  const connection = await database.connect()
  const paths: string[] = []
  for (let part = 0; part < FILES; part++) {
    const path = new EmulatedS3(folder, { buckets: [] }).pathOf(`s3://staging/bench/${part}.parquet`)
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
    const files = parts.map(
      (part): StagedFile => ({ uri: `s3://staging/bench/${part % FILES}.parquet`, bytes: 0 }),
    )
    for (const [index, file] of files.entries()) {
      const batches = store.readStaged(file, FIELDS, { next: files[index + 1] })
      for await (const batch of batches) rows += encode(batch).rows.length
    }
    if (rows !== parts.length * PART_ROWS) throw new Error(`${rows} rows came`)
  }
  const some = Array.from({ length: FILES }, (_, part) => part)
  await read([0])
  const cpuMicros: number[] = []
  const { s3, scan } = await takeTurns(QUICK ? 2 : 3, {
    s3: async () => {
      const before = process.cpuUsage()
      await read(some)
      const { user, system } = process.cpuUsage(before)
      cpuMicros.push((user + system) / (FILES * PART_ROWS))
    },
    scan: async () => {
      for (const path of paths)
        await connection.runAndReadAll(`SELECT ${scanned()} FROM read_parquet('${path}')`)
    },
  })
  const rate = (seconds: number) => (FILES * PART_ROWS) / seconds
  report.row({
    name: `${FILES} x ${PART_ROWS} rows to encoded rows`,
    unit: 'rows/s',
    ours: s3.map(rate),
    rival: scan.map(rate),
    rivalName: 'DuckDB reads the files, makes nothing of them',
    higherIsBetter: true,
  })
  report.measured('CPU of this process, S3 apart', { us_per_row: Math.min(...cpuMicros) })
  const peakAfter = (rows: number) => ({ rows, peak_MB: process.resourceUsage().maxRSS / 1024 })
  report.measured('memory', peakAfter(FILES * PART_ROWS))
  await read(Array.from({ length: PARTS }, (_, part) => part))
  report.measured('memory', peakAfter(PARTS * PART_ROWS))
  connection.closeSync()
  database.closeSync()
  await store.close()
  emulator.stop()
  rmSync(folder, { recursive: true, force: true })
}

interface S3Process {
  readonly settings: AwsSettings
  stop(): void
}

/** Elsewhere, as S3 is: its work is not ours. */
async function s3Process(folder: string): Promise<S3Process> {
  const child = fork(fileURLToPath(import.meta.url), [SERVE_S3, folder], { execArgv: [] })
  const settings = await new Promise<AwsSettings>((resolve) =>
    child.once('message', (message) => resolve(message as AwsSettings)),
  )
  return { settings, stop: () => child.kill() }
}

const SERVE_S3 = '--serve-s3'

async function serveS3(folder: string): Promise<void> {
  const emulator = await new AwsEmulator([new EmulatedS3(folder, { buckets: ['staging'] })]).start()
  process.send!(emulator.settings)
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

Object.assign(process.env, EMULATOR_CREDENTIALS)
const [mode, folder] = process.argv.slice(2)
await (mode === SERVE_S3 ? serveS3(folder!) : main())
