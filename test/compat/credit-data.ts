import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { parseInstant } from '../../src/core/instant.js'

const ROOT = resolve(fileURLToPath(import.meta.url), '../../..')

/** Folder of the credit scoring data: `FEAST_CREDIT_DATA`, or `data/credit` in a folder beside the repository. */
export function creditDataFolder(): string | undefined {
  const beside = readdirSync(resolve(ROOT, '..')).map((name) => resolve(ROOT, '..', name, 'data/credit'))
  const folders = process.env['FEAST_CREDIT_DATA'] ? [process.env['FEAST_CREDIT_DATA']] : beside
  return folders.find((folder) => existsSync(join(folder, 'loan_table.parquet')))
}

export type Plain = string | number | bigint | null
export type PlainRow = Readonly<Record<string, Plain>>

/** Rows as plain values, times in microseconds. DuckDB is only the reader of the format here. */
export async function readParquet(file: string): Promise<readonly PlainRow[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  try {
    const reader = await connection.runAndReadAll(`SELECT * FROM '${file.replaceAll("'", "''")}'`)
    return reader.getRowObjects().map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => {
          const micros = (value as { micros?: bigint } | null)?.micros
          return [name, micros ?? (value as Plain)]
        }),
      ),
    )
  } finally {
    connection.closeSync()
  }
}

/** The sample holds no quotes and no empty fields: numbers, ids and naive UTC times. */
export function readCreditCsv(file: string): readonly PlainRow[] {
  const [head, ...lines] = readFileSync(file, 'utf8').trim().split('\n')
  const names = head!.split(',')
  return lines.map((line) =>
    Object.fromEntries(
      line.split(',').map((text, i) => {
        const name = names[i]!
        if (name.endsWith('_timestamp')) return [name, parseInstant(text, name)]
        return [name, name === 'dob_ssn' ? text : BigInt(text)]
      }),
    ),
  )
}

/** Row of `history` that holds at `at`: newest event time not after it and not older than the TTL; rule R3 to R5. */
export function rowAsOf(
  history: readonly PlainRow[] | undefined,
  at: bigint,
  ttlMicros: bigint,
): PlainRow | undefined {
  let best: PlainRow | undefined
  for (const row of history ?? []) {
    const event = row['event_timestamp'] as bigint
    if (event > at || event < at - ttlMicros) continue
    if (best === undefined || isNewer(row, best)) best = row
  }
  return best
}

function isNewer(row: PlainRow, than: PlainRow): boolean {
  const [a, b] = [row['event_timestamp'] as bigint, than['event_timestamp'] as bigint]
  return a > b || (a === b && (row['created_timestamp'] as bigint) > (than['created_timestamp'] as bigint))
}

export function groupBy(rows: readonly PlainRow[], key: string): ReadonlyMap<Plain, PlainRow[]> {
  const groups = new Map<Plain, PlainRow[]>()
  for (const row of rows) {
    const group = groups.get(row[key]!)
    if (group) group.push(row)
    else groups.set(row[key]!, [row])
  }
  return groups
}
