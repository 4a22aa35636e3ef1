import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import type { Random } from '../compat/random.js'
import { programBundle } from '../program-bundle.js'
import { until } from '../until.js'

const PROGRAM = new URL('./sql-registry-writer.ts', import.meta.url)

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
  const child = spawn(process.execPath, [await programBundle(PROGRAM), ...args], {
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
    let isOver = false
    const ended = victim.ended.finally(() => {
      isOver = true
    })
    await until(() => victim.names().length > 0 || isOver, 'a first write')
    await sleep(random.int(0, 100))
    victim.child.kill('SIGKILL')
    await ended
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
