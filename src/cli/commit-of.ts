import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The commit that a folder is checked out at; undefined when it is no git checkout. */
export async function commitOf(folder: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', folder, 'rev-parse', 'HEAD'])
    return stdout.trim()
  } catch {
    return undefined
  }
}
