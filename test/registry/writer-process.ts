import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { build } from 'esbuild'
import { temporaryFolder } from '../temporary-folder.js'

const bundles = new Map<string, Promise<string>>()
const REGISTRY_WRITER = new URL('./registry-writer.ts', import.meta.url)

/** A program as one file that node runs; made once per test file. */
export function writerBundle(program = REGISTRY_WRITER): Promise<string> {
  const made = bundles.get(program.href) ?? makeBundle(program)
  bundles.set(program.href, made)
  return made
}

async function makeBundle(program: URL): Promise<string> {
  const outfile = join(temporaryFolder('writer'), 'writer.mjs')
  await build({
    entryPoints: [program.pathname],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    mainFields: ['module', 'main'],
    // CommonJS packages inside ask for it.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  })
  return outfile
}

export interface WriterProcess {
  readonly child: ChildProcess
  /** What it said on stdout so far. */
  said(): string
  /** Resolves when stdout holds the text, or the process ended. */
  says(text: string): Promise<void>
  ended: Promise<number | null>
}

export async function startWriter(
  args: readonly string[],
  program = REGISTRY_WRITER,
): Promise<WriterProcess> {
  const child = spawn(process.execPath, [await writerBundle(program), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // One thread for files: the calls of a write are then made in one order.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '' },
  })
  // A process that is killed closes its stdin under the test.
  child.stdin!.on('error', () => {})
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const says = (wanted: string) =>
    new Promise<void>((resolve) => {
      const look = () => (text.includes(wanted) ? resolve() : undefined)
      child.stdout!.on('data', look)
      ended.then(() => resolve())
      look()
    })
  return { child, said: () => text, says, ended }
}
