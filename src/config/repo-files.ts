import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { feastError, messageOf } from '../core/errors.js'

export interface RepoFiles {
  /** Relative to the repo with `/`, sorted. */
  readonly files: readonly string[]
  readonly pythonFiles: readonly string[]
}

const SOURCE = /\.m?[jt]s$/
const NOT_DEFINITIONS = /\.d\.m?ts$|\.(test|spec|config)\.m?[jt]s$/
/** Pipelines define nothing for the registry, and their steps' code is run, not imported. */
const SKIPPED_FOLDERS = ['node_modules', 'dist', '__pycache__', 'pipelines']

/**
 * The files of a feature repo that may hold definitions: `.ts`, `.mts`, `.js` and `.mjs`, but not tests,
 * configurations, declarations, hidden folders, `node_modules`, `dist`, `pipelines`, nor what `.feastignore` names.
 */
export async function findRepoFiles(repoPath: string): Promise<RepoFiles> {
  const ignored = await ignoreRules(repoPath)
  const files: string[] = []
  const pythonFiles: string[] = []
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await entriesOf(join(repoPath, folder))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.name.startsWith('.') || ignored(path)) continue
      if (entry.isDirectory()) {
        if (!SKIPPED_FOLDERS.includes(entry.name)) await walk(path)
      } else if (SOURCE.test(path) && !NOT_DEFINITIONS.test(path)) files.push(path)
      else if (path.endsWith('.py') && entry.name !== '__init__.py') pythonFiles.push(path)
    }
  }
  await walk('')
  return { files: files.sort(), pythonFiles: pythonFiles.sort() }
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path: folder, why: messageOf(error) }, error)
  }
}

/** `.feastignore`: one glob a line from the repo's root, `#` starts a comment; a folder stands for all in it. */
async function ignoreRules(repoPath: string): Promise<(path: string) => boolean> {
  const text = await readFile(join(repoPath, '.feastignore'), 'utf8').catch(() => '')
  const rules = text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().replace(/\/$/, ''))
    .filter((line) => line !== '')
    .map(globPattern)
  return (path) => rules.some((rule) => rule.test(path))
}

function globPattern(glob: string): RegExp {
  const source = glob.replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, (token) => {
    if (token === '**/') return '(?:.*/)?'
    if (token === '**') return '.*'
    if (token === '*') return '[^/]*'
    return token === '?' ? '[^/]' : `\\${token}`
  })
  return new RegExp(`^${source}(?:/.*)?$`)
}
