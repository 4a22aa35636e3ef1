import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { LogModelRegistry } from '../../src/models/registry/log-model-registry.js'
import type { ModelRegistry } from '../../src/models/registry/model-registry.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { openObjectStore } from '../../src/object-stores/index.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { seededRandom } from '../compat/random.js'
import { startWriter, type WriterProcess } from '../registry/writer-process.js'
import { author, manifestOf } from './model-fixture.js'

const PROGRAM = new URL('./model-writer.ts', import.meta.url)

export interface ManyWriters {
  readonly uri: string
  readonly endpoint?: string
  readonly registry: ModelRegistry
  /** All actors below are shared out over these. */
  readonly processes: number
  readonly registrars: number
  readonly approvers: number
  readonly deployers: number
  /** What each registrar registers. */
  readonly times: number
  /** Registrars killed in the middle. */
  readonly kills: number
}

/** The same with files. */
export async function expectNothingLostOnDisk(
  counts: Omit<ManyWriters, 'uri' | 'registry' | 'endpoint'>,
): Promise<void> {
  const uri = mkdtempSync(join(tmpdir(), 'feast-models-'))
  try {
    const registry = new LogModelRegistry(new FileObjectStore(), uri, { approvers: [], four_eyes: false })
    await expectNothingLost({ ...counts, uri, registry })
  } finally {
    rmSync(uri, { recursive: true, force: true })
  }
}

/** The same on S3, as the emulator has it. */
export async function expectNothingLostOnS3(
  counts: Omit<ManyWriters, 'uri' | 'registry' | 'endpoint'>,
): Promise<void> {
  Object.assign(process.env, EMULATOR_CREDENTIALS)
  const folder = mkdtempSync(join(tmpdir(), 'feast-models-'))
  const emulator = await new AwsEmulator([new EmulatedS3(folder, { buckets: ['b'] })]).start()
  const uri = 's3://b/models'
  const store = await openObjectStore(uri, 'models.registry', emulator.settings)
  try {
    const registry = new LogModelRegistry(store, uri, { approvers: [], four_eyes: false })
    await expectNothingLost({ ...counts, uri, registry, endpoint: emulator.endpoint })
  } finally {
    await store.close()
    await emulator.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Processes that register, approve and deploy at once: what one of them was told is in, is in, once. */
export async function expectNothingLost(options: ManyWriters): Promise<void> {
  const { uri, registry, registrars, approvers, deployers, times, processes } = options
  const first = Buffer.from('first')
  await registry.register(manifestOf('m', first), first, { author: author('anna') })
  const start = (actors: readonly string[]) => startWriter([uri, options.endpoint ?? '-', ...actors], PROGRAM)
  const actors = [
    ...range(registrars, (i) => `register:registrar${i}:${times}`),
    ...range(approvers, (i) => `approve:approver${i}:1`),
    ...range(deployers, (i) => `deploy:deployer${i}:5`),
  ]
  const writers = await Promise.all(
    range(processes, (p) => start(actors.filter((_, i) => i % processes === p))),
  )
  const victims = await Promise.all(range(options.kills, (i) => start([`register:victim${i}:1000`])))
  await Promise.all([...writers, ...victims].map((writer) => writer.says('ready')))
  for (const { child } of [...writers, ...victims]) child.stdin!.write('go\n')
  const random = seededRandom('registrars to kill')
  for (const { child } of victims) {
    await sleep(random.int(20, 150))
    child.kill('SIGKILL')
  }
  expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual(writers.map(() => 0))
  await Promise.all(victims.map(({ ended }) => ended))
  await expectAllThere(options, told([...writers, ...victims]), told(writers))
}

async function expectAllThere(
  { registry, registrars, times }: ManyWriters,
  all: Told,
  mine: Told,
): Promise<void> {
  expect(mine.registered).toHaveLength(registrars * times)
  expect(new Set(all.registered).size).toBe(all.registered.length)
  expect(all.approved).toEqual([1])
  const state = await registry.model('m')
  expect([...state.versions.keys()].sort((a, b) => a - b)).toEqual(range(state.versions.size, (i) => i + 1))
  expect(all.registered.filter((version) => !state.versions.has(version))).toEqual([])
  const history = await registry.history('m')
  expect(history.filter(({ action }) => action === 'approve')).toHaveLength(1)
  expect(history.map(({ seq }) => seq)).toEqual(range(history.length, (i) => i + 1))
  expect(await registry.verify('m')).toEqual([])
}

interface Told {
  readonly registered: readonly number[]
  readonly approved: readonly number[]
}

function told(writers: readonly WriterProcess[]): Told {
  const lines = writers.flatMap((writer) => writer.said().split('\n').slice(1, -1))
  const of = (key: string) => lines.flatMap((line) => (JSON.parse(line) as Record<string, number>)[key] ?? [])
  return { registered: of('registered'), approved: of('approved') }
}

function range<T>(length: number, of: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => of(i))
}
