import type { RepoConfig } from '../../config/repo-config.js'
import { isFeastError } from '../../core/errors.js'
import { type CliContext, loggerFor } from '../cli-context.js'
import { ExitError, usageError } from '../exit-error.js'
import { print, printJson, printNotice } from '../output.js'

interface Options {
  readonly overwrite?: boolean
  readonly json?: boolean
}

/** `feast registry copy FROM TO` */
export async function registryCopy(
  context: CliContext,
  [from, to]: readonly [string, string],
  { overwrite = false, json }: Options,
): Promise<void> {
  const places = await Promise.all([from, to].map((place) => openPlace(context, place)))
  const [source, target] = places as [(typeof places)[0], (typeof places)[0]]
  try {
    if (source.location === target.location) throw usageError(`Both are the registry at ${source.location}.`)
    const { copyRegistry } = await import('../../registry/copy-registry.js')
    const report = await copyRegistry(source, target, { overwrite })
    if (json) printJson({ from: source.location, to: target.location, ...report })
    else await printReport(report, target.location)
    if (report.sourceChanged) {
      throw new ExitError(1, `Somebody changed ${source.location} meanwhile; copy again with --overwrite.`)
    }
  } finally {
    for (const place of places) await place.close()
  }
}

type Report = Awaited<ReturnType<typeof import('../../registry/copy-registry.js').copyRegistry>>

async function printReport({ projects, records, replaced }: Report, to: string): Promise<void> {
  const { KIND_TEXTS } = await import('../../registry/registry.js')
  if (replaced > 0) printNotice(`Replaced the ${replaced} records that ${to} held.`)
  const counts = Object.entries(records)
  for (const [kind, count] of counts) print(`${KIND_TEXTS[kind as keyof typeof records]}: ${count}`)
  const total = counts.reduce((sum, [, count]) => sum + count, 0)
  print(`Copied and compared ${total} records to ${to}. Projects: ${projects.join(', ') || 'none'}.`)
}

/** Relative paths start from the feature repo, as in feature_store.yaml. */
async function openPlace(context: CliContext, place: string) {
  const { openRegistryStore } = await import('../../registry/index.js')
  const config = place === '.' ? await context.config() : await configIfAny(context)
  const registry = place === '.' ? config!.registry : registryAt(place)
  return openRegistryStore(registry, {
    project: config?.project ?? '',
    repoPath: config?.repoPath ?? context.globals.chdir ?? process.cwd(),
    entityKeyVersion: config?.entityKeyVersion ?? 3,
    logger: loggerFor(context.globals.logLevel),
    ...(config && { aws: config.aws }),
  })
}

async function configIfAny(context: CliContext): Promise<RepoConfig | undefined> {
  try {
    return await context.config()
  } catch (error) {
    if (isFeastError(error, 'CONFIG_NOT_FOUND')) return undefined
    throw error
  }
}

function registryAt(path: string): RepoConfig['registry'] {
  const isDatabase = /^(?:sqlite|postgres\w*|mysql|mariadb)(?:\+\w+)?:\/\//.test(path)
  return {
    type: isDatabase ? 'sql' : 'file',
    path,
    options: { path },
    cacheTtlSeconds: 0,
    versioning: false,
    origin: { file: 'the command line', path: 'registry', position: () => undefined },
  }
}
