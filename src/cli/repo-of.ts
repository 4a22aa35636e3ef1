import type { LoadedFeatureRepo } from '../config/feature-repo.js'
import { feastError } from '../core/errors.js'
import type { CliContext } from './cli-context.js'
import { printNotice } from './output.js'

/** The definitions of the feature repo the command was called in, for commands that need some. */
export async function repoOf(context: CliContext): Promise<LoadedFeatureRepo> {
  const { repoPath } = await context.config()
  const { loadFeatureRepo } = await import('../config/feature-repo.js')
  const loading = loadFeatureRepo(repoPath)
  // The bundler is a process of its own: meanwhile, what checks the definitions' sources next is opened. What may be
  // wrong with it is said by who uses it.
  await Promise.allSettled([loading, context.store().then((store) => store.offlineStore())])
  const repo = await loading
  for (const notice of repo.notices) printNotice(`Note: ${notice}`)
  // An empty repo against a full registry would read as "everything was removed".
  if (repo.definitions.length === 0) {
    throw feastError('REPO_LOAD_FAILED', {
      file: repoPath,
      why:
        repo.files.length === 0
          ? 'there are no TypeScript definitions here; add a file that exports some, or use --chdir'
          : `none of its ${repo.files.length} TypeScript files exports a definition`,
    })
  }
  return repo
}
