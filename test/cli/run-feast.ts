import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from '@jest/globals'
import { temporaryFolder } from '../temporary-folder.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const command = join(root, 'dist/cli.js')

/** What a test that failed has left running would keep Jest waiting. */
const running = new Set<ChildProcess>()
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
})

export interface FeastRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the built `feast` in a folder; with no more of this process's environment than it needs. */
export async function runFeast(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<FeastRun> {
  const child = startFeast(cwd, args, env)
  const [stdout, stderr, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ])
  return { code, stdout, stderr }
}

export function startFeast(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  // `npm test` builds first; a single suite may be run without.
  if (!existsSync(command)) execFileSync(process.execPath, [join(root, 'scripts/build.mjs')])
  const { PATH, HOME, TMPDIR } = process.env
  const kept = Object.fromEntries(
    Object.entries({ PATH, HOME, TMPDIR }).filter(([, value]) => value !== undefined),
  )
  const child = spawn(process.execPath, [command, ...args], {
    cwd,
    env: { ...kept, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child.once('exit', () => running.delete(child)))
  return child
}

export async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

/** Gone when the test file is done. */
export function emptyFolder(): string {
  return temporaryFolder('cli')
}

/** The repo that `feast init` makes, applied and materialized up to now. @returns its folder */
export async function initializedRepo(): Promise<string> {
  const folder = emptyFolder()
  const repo = join(folder, 'demo/feature_repo')
  for (const [cwd, args] of [
    [folder, ['init', 'demo']],
    [repo, ['apply']],
    [repo, ['materialize-incremental', new Date().toISOString()]],
  ] as const) {
    const { code, stderr } = await runFeast(cwd, args)
    if (code !== 0) throw new Error(`feast ${args.join(' ')}: ${stderr}`)
  }
  return repo
}
