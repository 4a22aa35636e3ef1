import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { feastError, isFeastError } from '../core/errors.js'
import type { ObjectStore } from '../object-stores/object-store.js'

/**
 * Puts a folder of code below `prefix` as `<sha256>.tar.gz`, named by what is in it: the same code is published once,
 * whoever does it and however often. @returns its URI
 */
export async function publishCode(
  folder: string,
  prefix: string,
  objects: ObjectStore,
  dryRun: boolean,
): Promise<string> {
  const files = await filesOf(folder)
  if (files.length === 0) {
    throw feastError('INVALID_REQUEST', {
      message: `There is no code in ${folder}; the pipeline's \`code\` names it.`,
    })
  }
  const uri = `${prefix.replace(/\/*$/, '/')}${await contentHash(folder, files)}.tar.gz`
  if (dryRun || (await objects.version(uri)) !== undefined) return uri
  const scratch = await mkdtemp(join(tmpdir(), 'feast-code-'))
  try {
    const packed = join(scratch, 'code.tar.gz')
    await promisify(execFile)('tar', ['-czf', packed, '-C', folder, '--', ...files])
    await objects.write(uri, await readFile(packed), undefined)
  } catch (error) {
    // Somebody else published the same.
    if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return uri
}

const LEFT_OUT = /(^|\/)(node_modules|__pycache__|\.git|\.venv)(\/|$)|\.pyc$/

async function filesOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !LEFT_OUT.test(path))
    .sort()
}

/** Of names and contents; times and owners do not count. */
async function contentHash(folder: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    const bytes = await readFile(join(folder, file))
    hash.update(`${file}\0${bytes.length}\0`).update(bytes)
  }
  return hash.digest('hex')
}
