import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { messageOf } from '../../core/errors.js'
import { nowMicros, parseInstant } from '../../core/instant.js'
import type { HistoricalRequest } from '../../feature-store/feature-store.js'
import type { EntityRows, RetrievalJob } from '../../offline-stores/offline-store.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print, printJson } from '../output.js'
import { scanText } from '../query-cost-text.js'
import { checkOutput, giveResult, type OutputFlags } from '../retrieval-output.js'

interface HistoricalFlags extends OutputFlags {
  readonly dataframe?: string
  readonly entities?: string
  readonly sql?: string
  readonly startDate?: string
  readonly endDate?: string
  readonly features?: readonly string[]
  readonly featureService?: string
  readonly fullFeatureNames?: boolean
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
    await giveResult(job, flags, { config: store.config, signal: context.signal })
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
  checkOutput(flags)
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

async function showDryRun(job: RetrievalJob, json: boolean): Promise<void> {
  const shown = (await job.dryRun?.()) ?? { statements: [await job.sql()], sources: [] }
  if (json) return printJson(shown)
  print(shown.statements.join(';\n\n'))
  for (const scan of shown.sources) print(`\n${scanText(scan)}`)
}
