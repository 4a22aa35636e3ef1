import { resolve } from 'node:path'
import type { RepoConfig } from '../config/repo-config.js'
import { athenaSource, type BatchSource, trinoSource } from '../core/data-source.js'
import { feastError } from '../core/errors.js'
import type { FileFormat, RetrievalJob } from '../offline-stores/offline-store.js'
import { usageError } from './exit-error.js'
import { count } from './materialize-progress.js'
import { print, printJson, printNotice } from './output.js'
import { costText } from './query-cost-text.js'
import { printRows, type ScreenFormat } from './result-printer.js'

/** Where a result goes: the screen, a file, or a table of the offline store. */
export interface OutputFlags {
  readonly output?: string
  readonly table?: string
  readonly overwrite?: boolean
  readonly format?: ScreenFormat | FileFormat
  readonly limit?: number
  readonly json?: boolean
}

export function checkOutput({ output, table, format }: OutputFlags): void {
  if (table && (output || format)) {
    throw usageError('--table keeps the result in the offline store; --output and --format are for files.')
  }
  const onScreen = format === undefined || ['json', 'csv', 'table'].includes(format)
  if (!output && !onScreen) throw usageError(`--format ${format} needs --output FILE.`)
  if (output && format === 'table') throw usageError('--format table is for the screen only.')
}

/** Says on stderr what it has cost, however it ends. */
export async function giveResult(
  job: RetrievalJob,
  flags: OutputFlags,
  { config, signal }: { readonly config: RepoConfig; readonly signal: AbortSignal },
): Promise<void> {
  try {
    if (flags.table) await keepResult(job, tableOf(flags.table, config), flags, signal)
    else if (flags.output) await writeResult(job, flags.output, flags, signal)
    else await printResult(job, flags, signal)
  } finally {
    const cost = job.cost?.()
    if (cost) printNotice(costText(cost))
  }
}

async function printResult(job: RetrievalJob, flags: OutputFlags, signal: AbortSignal): Promise<void> {
  const format = flags.json ? 'json' : ((flags.format ?? 'json') as ScreenFormat)
  await printRows(await job.fields(), job.batches(signal), format, flags.limit)
}

const ENDINGS = /\.(parquet|csv|arrow|json)$/i

async function writeResult(
  job: RetrievalJob,
  output: string,
  { format, overwrite, json }: OutputFlags,
  signal: AbortSignal,
): Promise<void> {
  if (!format && !ENDINGS.test(output)) {
    throw feastError('INVALID_REQUEST', {
      message: `--output ${output}: end its name in .parquet, .csv, .arrow or .json, or give --format.`,
    })
  }
  const { rows } = await job.persist(resolve(output), {
    signal,
    overwrite: overwrite ?? false,
    ...(format ? { format: format as FileFormat } : {}),
  })
  const cost = job.cost?.()
  if (json) printJson({ rows, file: resolve(output), ...(cost && { cost }) })
  else print(`Wrote ${count(rows)} rows to ${output}`)
}

/** `table`, or with its database or schema and catalog before it. */
function tableOf(text: string, { offlineStore }: RepoConfig): BatchSource {
  if (offlineStore.type === 'trino') return trinoSource({ table: text })
  if (offlineStore.type === 'athena') {
    const [table, database, dataSource] = text.split('.').reverse()
    return athenaSource({ table: table!, ...(database && { database }), ...(dataSource && { dataSource }) })
  }
  throw usageError(`--table: the offline store ${offlineStore.type} has no tables; take --output FILE.`)
}

async function keepResult(
  job: RetrievalJob,
  target: BatchSource,
  { table, overwrite, json }: OutputFlags,
  signal: AbortSignal,
): Promise<void> {
  const { rows } = await job.persist(target, { signal, overwrite: overwrite ?? false })
  const cost = job.cost?.()
  if (json) printJson({ rows, table, ...(cost && { cost }) })
  else print(`Kept ${count(rows)} rows in table ${table}`)
}
