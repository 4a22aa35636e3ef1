import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from '@jest/globals'
import { build } from 'esbuild'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import type { Random } from '../compat/random.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
let bundle: Promise<string> | undefined

/** `sql-registry-writer.ts` as one file that node runs, where it finds the packages; made once per test file. */
function writerBundle(): Promise<string> {
  bundle ??= (async () => {
    const outfile = `${ROOT}node_modules/.cache/feast-test/sql-registry-writer-${process.pid}.mjs`
    await build({
      entryPoints: [fileURLToPath(new URL('./sql-registry-writer.ts', import.meta.url))],
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

export interface SqlWriter {
  readonly child: ChildProcess
  /** Names that were written, as it said so far. */
  names(): readonly string[]
  readonly ended: Promise<number | null>
}

export interface SqlWriterTask {
  readonly url: string
  readonly writers: number
  readonly count: number
  readonly prefix: string
  readonly view?: string
  readonly firstHour?: number
}

export async function startSqlWriter(task: SqlWriterTask): Promise<SqlWriter> {
  const { url, writers, count, prefix, view, firstHour = 0 } = task
  const args = [url, writers, count, prefix, ...(view === undefined ? [] : [view, firstHour])].map(String)
  const child = spawn(process.execPath, [await writerBundle(), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { child, names: () => text.split('\n').slice(0, -1), ended }
}

/** Starts writers one after another and kills each while it writes. @returns the names that they said were written */
export async function killWriters(url: string, kills: number, random: Random): Promise<readonly string[]> {
  const said: string[] = []
  for (let i = 0; i < kills; i++) {
    const victim = await startSqlWriter({ url, writers: 2, count: 1000, prefix: `victim${i}_` })
    while (victim.names().length === 0 && victim.child.exitCode === null) await sleep(5)
    await sleep(random.int(0, 100))
    victim.child.kill('SIGKILL')
    await victim.ended
    said.push(...victim.names())
  }
  return said
}

/** That all of the names are there, and that every write is there as a whole. */
export async function expectWhole(store: RegistryStore, names: readonly string[]): Promise<void> {
  const { records } = await store.read()
  const written = (kind: string) => records.filter((record) => record.kind === kind).map(({ name }) => name)
  const [entities, permissions] = [new Set(written('entity')), written('permission')]
  expect(names.filter((name) => !entities.has(name))).toEqual([])
  expect(permissions.filter((name) => !entities.has(name))).toEqual([])
  const pairs = [...entities].filter((name) => /^(?:ours|victim)/.test(name))
  expect(pairs.filter((name) => !permissions.includes(name))).toEqual([])
}
