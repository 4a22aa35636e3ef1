import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { programBundle } from '../program-bundle.js'

const PROGRAM = new URL('./store-program.ts', import.meta.url)

export interface StoreProcess {
  readonly child: ChildProcess
  /** Lines it said on stdout so far. */
  lines(): readonly string[]
  /** Resolves when it said so many lines, or ended. */
  saidLines(count: number): Promise<void>
  readonly ended: Promise<number | null>
}

/** A feature store in a process of its own, which can be killed. */
export async function startStore(
  what: string,
  repo: string,
  ...args: readonly string[]
): Promise<StoreProcess> {
  const child = spawn(process.execPath, [await programBundle(PROGRAM), what, repo, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // What it leaves there when it is killed goes with its feature repo.
    env: { ...process.env, NODE_OPTIONS: '', TMPDIR: repo },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  const lines = () => text.split('\n').slice(0, -1)
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const saidLines = (count: number) =>
    new Promise<void>((resolve) => {
      const look = () => lines().length >= count && resolve()
      child.stdout.on('data', look)
      ended.then(() => resolve())
      look()
    })
  return { child, lines, saidLines, ended }
}
