import { readFile, writeFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { feastError, messageOf } from '../../core/errors.js'
import type { CliContext } from '../cli-context.js'
import { clientModule } from '../client-module.js'
import { clientSchema } from '../client-schema.js'
import { ExitError } from '../exit-error.js'
import { print } from '../output.js'

interface GenerateFlags {
  readonly output: string
  readonly project?: string
  readonly check?: boolean
}

/** `feast generate client`: a TypeScript module with the names and types of the registry. */
export async function generateClient(
  context: CliContext,
  _: readonly [],
  flags: GenerateFlags,
): Promise<void> {
  const store = await context.store()
  const registry = await store.registry()
  const project = flags.project ?? store.project
  if (!registry.projects.includes(project)) {
    throw feastError('PROJECT_NOT_FOUND', { name: project, known: registry.projects })
  }
  const { versioning } = store.config.registry
  const text = clientModule(project, clientSchema({ registry, project, versioning }))
  const path = resolve(flags.output)
  const shown = relative(process.cwd(), path)
  const present = await readIfThere(path)
  if (present === text) return print(`${shown} is up to date.`)
  if (flags.check) throw outdated(shown, present)
  await writeFile(path, text).catch((error) => {
    throw feastError('FILE_NOT_READABLE', { path: shown, why: messageOf(error) }, error)
  })
  print(`Wrote ${shown}.`)
}

function outdated(path: string, present: string | undefined): ExitError {
  const state = present === undefined ? 'is not there' : 'is not what the registry says'
  return new ExitError(1, `${path} ${state}; run \`feast generate client --output ${path}\`.`)
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw feastError('FILE_NOT_READABLE', { path, why: messageOf(error) }, error)
  }
}
