import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'
import { entityRecord } from '../contract/registry-store.js'
import { until } from '../until.js'
import { startWriter, type WriterProcess } from './writer-process.js'

/** The n-th call of that name by one thread, counted from the start of the writes. */
export interface CrashPoint {
  readonly call: string
  readonly n: number
}

/** Why this machine cannot stop a process at a system call; undefined where it can. */
export function whyNoTracing(): string | undefined {
  const tried = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'])
  if (tried.error) return 'strace is not installed'
  return tried.status === 0 ? undefined : 'strace may not trace here'
}

/** Every system call that the three writes of `registry-writer crash` make, over all threads: some 500. */
export async function crashPoints(): Promise<readonly CrashPoint[]> {
  const counts = new Map<string, number>()
  await inFolder(async (folder) => {
    const log = join(folder, 'calls')
    await runTraced(await prepared(folder), ['-o', log])
    const perThread = new Map<string, number>()
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const found = /^(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)/.exec(line)
      if (!found || line.includes('resumed>')) continue
      const key = `${found[1]} ${found[2]}`
      perThread.set(key, (perThread.get(key) ?? 0) + 1)
    }
    for (const [key, count] of perThread) {
      const call = key.split(' ')[1]!
      counts.set(call, Math.max(counts.get(call) ?? 0, count))
    }
  })
  return [...counts].flatMap(([call, count]) => Array.from({ length: count }, (_, i) => ({ call, n: i + 1 })))
}

interface CrashResult {
  readonly killed: boolean
  /** Steps that the writer said were done before it died. */
  readonly acknowledged: number
  /** Steps found in the registry afterwards. */
  readonly found: number
  /** Whether each of the found steps is there as a whole, and nothing of later ones. */
  readonly whole: boolean
  /** Files beside the registry after the next writer was done. */
  readonly leftovers: readonly string[]
}

/** Kills a writer with SIGKILL as it enters the call, then reads the registry and writes to it once more. */
function crashAt({ call, n }: CrashPoint): Promise<CrashResult> {
  return inFolder(async (folder) => {
    const writer = await prepared(folder)
    await runTraced(writer, ['-o', '/dev/null', '-e', `inject=${call}:signal=KILL:when=${n}`])
    const acknowledged = Number(/done (\d)\n$/.exec(writer.said())?.[1] ?? 0)
    const store = new FileRegistryStore(new FileObjectStore(), fileIn(folder))
    const { records, version } = await store.read()
    const names = new Set(records.map(({ name }) => name))
    const step = records.find(({ name }) => name === 'step')
    const found = step ? Number(/[123]/.exec(Buffer.from(step.bytes).toString('latin1'))![0]) : 0
    const whole = [1, 2, 3].every(
      (at) => names.has(`added_${at}`) === at <= found && names.has(`base_${at}`) === at > found,
    )
    await store.write([{ put: entityRecord('after') }], version)
    const leftovers = readdirSync(join(folder, 'data')).filter((name) => name !== 'registry.db')
    return {
      killed: writer.child.signalCode === 'SIGKILL',
      acknowledged,
      found,
      whole,
      leftovers,
    }
  })
}

/** @returns 1 when the process was killed, 0 when it was done before it came to the point */
export async function expectSafe(point: CrashPoint): Promise<number> {
  const result = await crashAt(point)
  expect({ point, ...result }).toMatchObject({ point, whole: true, leftovers: [] })
  expect(result.found).toBeGreaterThanOrEqual(result.acknowledged)
  expect(result.found).toBeLessThanOrEqual(result.acknowledged + 1)
  return result.killed ? 1 : 0
}

const fileIn = (folder: string) => join(folder, 'data/registry.db')

/** A writer that has read a registry of three records, and waits. */
async function prepared(folder: string): Promise<WriterProcess> {
  mkdirSync(join(folder, 'data'))
  const store = new FileRegistryStore(new FileObjectStore(), fileIn(folder))
  await store.write(
    [1, 2, 3].map((i) => ({ put: entityRecord(`base_${i}`) })),
    undefined,
  )
  const writer = await startWriter(['crash', fileIn(folder)])
  await writer.says('ready')
  return writer
}

async function runTraced(writer: WriterProcess, options: readonly string[]): Promise<void> {
  const strace = spawn('strace', ['-f', '-p', String(writer.child.pid), ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const traced = once(strace, 'close')
  let said = ''
  // Read to its end: who writes to a pipe that nobody reads is killed, and strace tells of each thread that comes.
  strace.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  const isAttached = () => /attached/.test(said)
  await until(() => isAttached() || strace.exitCode !== null, 'attaching')
  if (!isAttached()) {
    writer.child.kill('SIGKILL')
    throw new Error(`strace could not attach: ${said}`)
  }
  writer.child.stdin!.write('go\n')
  await writer.ended
  await traced
}

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-crash-'))
  try {
    return await run(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
