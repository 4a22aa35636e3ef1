import { access, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { feastError } from '../../core/errors.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { emphasis, print } from '../output.js'
import { localScaffold, minimalScaffold, type Scaffold, writeSampleData } from '../scaffold.js'

interface InitFlags {
  readonly minimal?: boolean
  readonly repoPath?: string
}

/** `feast init [NAME]`. */
export async function init(
  _: CliContext,
  [given]: readonly [string?],
  { minimal, repoPath }: InitFlags,
): Promise<void> {
  const name = given ?? madeUpName()
  if (!/^[\p{L}\p{N}][\p{L}\p{N}_]*$/u.test(name)) {
    throw usageError(
      `"${name}" cannot be a project's name: use letters, digits and "_", and start with a letter or digit.`,
    )
  }
  const folder = resolve(repoPath ?? name)
  const repo = join(folder, 'feature_repo')
  await refuseExisting([join(folder, 'feature_store.yaml'), join(repo, 'feature_store.yaml')])
  print()
  print(`Creating a new Feast repository in ${emphasis(folder)}.`)
  print()
  await writeFiles(folder, minimal ? minimalScaffold(name) : localScaffold(name))
  if (!minimal) await writeSampleData(join(repo, 'data'))
  print(`Next: cd ${repoPath ?? name}/feature_repo && feast apply`)
}

async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const exists = await access(path).then(
      () => true,
      () => false,
    )
    if (exists) throw feastError('FILE_EXISTS', { path })
  }
}

async function writeFiles(folder: string, files: Scaffold): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      // What is there already (a package.json, a README) belongs to the user.
      if (error.code !== 'EEXIST') throw error
    })
  }
}

const FIRST = ['brave', 'calm', 'clever', 'eager', 'fresh', 'grand', 'quick', 'swift']
const SECOND = ['badger', 'falcon', 'heron', 'lynx', 'marten', 'otter', 'raven', 'stoat']

function madeUpName(): string {
  const one = (words: readonly string[]) => words[Math.floor(Math.random() * words.length)]!
  return `${one(FIRST)}_${one(SECOND)}`
}
