import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
let bundle: Promise<string> | undefined

/** `store-program.ts` as one file that node runs, where it finds the packages; made once per test file. */
function programBundle(): Promise<string> {
  bundle ??= (async () => {
    const outfile = `${ROOT}node_modules/.cache/feast-test/store-program-${process.pid}.mjs`
    await build({
      entryPoints: [fileURLToPath(new URL('./store-program.ts', import.meta.url))],
      outfile,
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    })
    return outfile
  })()
  return bundle
}

export interface StoreProcess {
  readonly child: ChildProcess
  /** Lines it said on stdout so far. */
  lines(): readonly string[]
  /** Resolves when it said so many lines, or ended. */
  saidLines(count: number): Promise<void>
  readonly ended: Promise<number | null>
}

/** A feature store in a process of its own, which can be killed. */
export async function startStore(...args: readonly string[]): Promise<StoreProcess> {
  const child = spawn(process.execPath, [await programBundle(), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
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
