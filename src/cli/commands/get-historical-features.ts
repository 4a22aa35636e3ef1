import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { RepoConfig } from '../../config/repo-config.js'
import { athenaSource, type BatchSource, trinoSource } from '../../core/data-source.js'
import { feastError, messageOf } from '../../core/errors.js'
import { nowMicros, parseInstant } from '../../core/instant.js'
import type { HistoricalRequest } from '../../feature-store/feature-store.js'
import type { EntityRows, FileFormat, RetrievalJob } from '../../offline-stores/offline-store.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { count } from '../materialize-progress.js'
import { print, printJson, printNotice } from '../output.js'
import { costText, scanText } from '../query-cost-text.js'
import { printRows, type ScreenFormat } from '../result-printer.js'

interface HistoricalFlags {
  readonly dataframe?: string
  readonly entities?: string
  readonly sql?: string
  readonly startDate?: string
  readonly endDate?: string
  readonly features?: readonly string[]
  readonly featureService?: string
  readonly fullFeatureNames?: boolean
  readonly output?: string
  readonly table?: string
  readonly overwrite?: boolean
  readonly format?: ScreenFormat | FileFormat
  readonly limit?: number
  readonly json?: boolean
  readonly dryRun?: boolean
}

/** `feast get-historical-features`. */
export async function getHistoricalFeatures(
  context: CliContext,
  _: readonly [],
  flags: HistoricalFlags,
): Promise<void> {
  checkFlags(flags)
  const scratch = flags.dataframe === undefined ? undefined : await mkdtemp(join(tmpdir(), 'feast-rows-'))
  try {
    const entityRows = scratch ? await dataframeRows(flags.dataframe!, scratch) : givenRows(flags)
    const store = await context.store()
    const job = await store.getHistoricalFeatures(requestOf(entityRows, flags))
    if (flags.dryRun) return await showDryRun(job, flags.json ?? false)
    try {
      await (flags.table
        ? keepResult(job, tableOf(flags.table, store.config), flags, context.signal)
        : flags.output
          ? writeResult(job, flags.output, flags, context.signal)
          : printResult(job, flags, context.signal))
    } finally {
      const cost = job.cost?.()
      if (cost) printNotice(costText(cost))
    }
  } finally {
    if (scratch) await rm(scratch, { recursive: true, force: true })
  }
}

function checkFlags(flags: HistoricalFlags): void {
  const range = flags.startDate ?? flags.endDate
  const given = [flags.dataframe, flags.entities, flags.sql, range].filter((one) => one !== undefined)
  if (given.length !== 1) {
    throw usageError(
      'Give entity rows in exactly one way: --dataframe, --entities, --sql, or --start-date with --end-date.',
    )
  }
  if (!flags.features === !flags.featureService) {
    throw usageError('Say what to join: --features "view:feature" (again for more), or --feature-service.')
  }
  const onScreen = flags.format === undefined || ['json', 'csv', 'table'].includes(flags.format)
  if (!flags.output && !onScreen) throw usageError(`--format ${flags.format} needs --output FILE.`)
  if (flags.table && (flags.output || flags.format)) {
    throw usageError('--table keeps the result in the offline store; --output and --format are for files.')
  }
  if (flags.output && flags.format === 'table') throw usageError('--format table is for the screen only.')
}

function requestOf(entityRows: EntityRows, flags: HistoricalFlags): HistoricalRequest {
  return {
    entityRows,
    fullFeatureNames: flags.fullFeatureNames ?? false,
    ...(flags.features ? { features: flags.features } : {}),
    ...(flags.featureService ? { featureService: flags.featureService } : {}),
  }
}

function givenRows({ entities, sql, startDate, endDate }: HistoricalFlags): EntityRows {
  if (entities !== undefined) return { kind: 'file', path: resolve(entities) }
  if (sql !== undefined) return { kind: 'sql', sql }
  return {
    kind: 'range',
    start: startDate ? parseInstant(startDate, '--start-date') : 0n,
    end: endDate ? parseInstant(endDate, '--end-date') : nowMicros(),
  }
}

/** The offline store reads entity rows from files; what came on the command line becomes one. */
async function dataframeRows(text: string, folder: string): Promise<EntityRows> {
  let rows: unknown
  try {
    rows = JSON.parse(text)
  } catch (error) {
    throw usageError(`--dataframe is not JSON: ${messageOf(error)}`)
  }
  if (
    !Array.isArray(rows) ||
    rows.length === 0 ||
    rows.some((row) => typeof row !== 'object' || row === null)
  ) {
    throw usageError('--dataframe must be a JSON array of objects, one for each entity row.')
  }
  const path = join(folder, 'rows.json')
  await writeFile(path, text)
  return { kind: 'file', path, format: 'json' }
}

async function printResult(job: RetrievalJob, flags: HistoricalFlags, signal: AbortSignal): Promise<void> {
  const format = flags.json ? 'json' : ((flags.format ?? 'json') as ScreenFormat)
  await printRows(await job.fields(), job.batches(signal), format, flags.limit)
}

async function showDryRun(job: RetrievalJob, json: boolean): Promise<void> {
  const shown = (await job.dryRun?.()) ?? { statements: [await job.sql()], sources: [] }
  if (json) return printJson(shown)
  print(shown.statements.join(';\n\n'))
  for (const scan of shown.sources) print(`\n${scanText(scan)}`)
}

const ENDINGS = /\.(parquet|csv|arrow|json)$/i

async function writeResult(
  job: RetrievalJob,
  output: string,
  { format, overwrite, json }: HistoricalFlags,
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
  { table, overwrite, json }: HistoricalFlags,
  signal: AbortSignal,
): Promise<void> {
  const { rows } = await job.persist(target, { signal, overwrite: overwrite ?? false })
  const cost = job.cost?.()
  if (json) printJson({ rows, table, ...(cost && { cost }) })
  else print(`Kept ${count(rows)} rows in table ${table}`)
}
