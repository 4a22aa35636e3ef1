import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'

let bundle: Promise<string> | undefined

/** `registry-writer.ts` as one file that node runs; made once per test file. */
export function writerBundle(): Promise<string> {
  bundle ??= (async () => {
    const outfile = join(mkdtempSync(join(tmpdir(), 'feast-writer-')), 'registry-writer.mjs')
    const entry = new URL('./registry-writer.ts', import.meta.url).pathname
    await build({
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    })
    return outfile
  })()
  return bundle
}

export interface WriterProcess {
  readonly child: ChildProcess
  /** What it said on stdout so far. */
  said(): string
  /** Resolves when stdout holds the text, or the process ended. */
  says(text: string): Promise<void>
  ended: Promise<number | null>
}

export async function startWriter(args: readonly string[]): Promise<WriterProcess> {
  const child = spawn(process.execPath, [await writerBundle(), ...args], {
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
