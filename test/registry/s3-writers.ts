import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from '@jest/globals'
// Jest's module loader trips over two dynamic imports at once; what is loaded lazily is loaded here first.
import '../../src/object-stores/s3/s3-object-store.js'
import '../../src/registry/file/index.js'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { AwsEmulator, EMULATOR_CREDENTIALS, type Fault } from '../aws-emulator/emulator.js'
import { EmulatedS3, s3Error } from '../aws-emulator/s3.js'
import type { Random } from '../compat/random.js'
import { openS3Registry } from './open-s3-registry.js'
import type { PythonS3Registry } from './python-s3-registry.js'
import { killWriters, startSqlWriter } from './sql-writers.js'

const URI = 's3://feast/team/registry.pb'

export interface S3WritersTask {
  readonly random: Random
  /** Of ours, each with four writers. */
  readonly processes: number
  /** What each writer adds; Python's four add as many each. */
  readonly count: number
  readonly kills: number
  readonly faults: number
  readonly python: PythonS3Registry | undefined
}

/** What an object held after it was put. */
interface Version {
  /** Whether the write was conditional. Python's are not. */
  readonly isOurs: boolean
  readonly names: ReadonlySet<string>
}

export interface RecordedS3 {
  readonly emulator: AwsEmulator
  /** All that the registry of the writers ever held, oldest first. */
  readonly versions: readonly Version[]
  stop(): Promise<void>
}

/** An S3 with the bucket `feast`, which the SDK finds by the environment until it is stopped. */
export async function startRecordedS3(): Promise<RecordedS3> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-s3-writers-'))
  const versions: Version[] = []
  const s3 = new EmulatedS3(folder, {
    buckets: ['feast'],
    onPut: (path, headers) => {
      if (path !== s3.pathOf(URI)) return
      const isOurs = headers['if-match'] !== undefined || headers['if-none-match'] !== undefined
      versions.push({ isOurs, names: namesIn(path) })
    },
  })
  const emulator = await new AwsEmulator([s3]).start()
  Object.assign(process.env, EMULATOR_CREDENTIALS, { AWS_ENDPOINT_URL: emulator.endpoint })
  const stop = async () => {
    delete process.env['AWS_ENDPOINT_URL']
    await emulator.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { emulator, versions, stop }
}

/**
 * Writers of ours, and Python Feast's, add to one registry while connections break, S3 answers errors and writers are
 * killed. Python writes whatever is there, and so undoes what came between its reading and its writing; ours never do.
 */
export async function expectNothingLostOnS3(
  { emulator, versions }: RecordedS3,
  task: S3WritersTask,
): Promise<void> {
  const { processes, count, python, random } = task
  await (await openS3Registry(URI)).write([], undefined)
  breakSome(emulator, task)
  const adding = python?.call<readonly string[]>('write', URI, 4, count)
  const ours = await Promise.all(
    Array.from({ length: processes }, (_, i) =>
      startSqlWriter({ url: URI, writers: 4, count, prefix: `ours${i}_` }),
    ),
  )
  const killed = await killWriters(URI, task.kills, random)
  expect(await Promise.all(ours.map(({ ended }) => ended))).toEqual(ours.map(() => 0))
  const theirs = (await adding) ?? []
  const named = ours.flatMap((writer) => writer.names())
  expect(named).toHaveLength(processes * 4 * count)
  expect(theirs).toHaveLength(python ? 4 * count : 0)
  expectOursKeepAll(versions)
  const everThere = new Set(versions.flatMap(({ names }) => [...names]))
  expect([...named, ...killed, ...theirs].filter((name) => !everThere.has(name))).toEqual([])
  if (python) return
  expect([...named, ...killed].filter((name) => !versions.at(-1)!.names.has(name))).toEqual([])
}

function namesIn(path: string): ReadonlySet<string> {
  const { records } = decodeRegistryFile(readFileSync(path))
  return new Set(records.filter(({ kind }) => kind === 'entity').map(({ name }) => name))
}

/** Each version of ours is the one before it and one entity more, or none that a first try had written already. */
function expectOursKeepAll(versions: readonly Version[]): void {
  for (const [at, { isOurs, names }] of versions.entries()) {
    if (!isOurs || at === 0) continue
    const before = versions[at - 1]!.names
    expect({ at, lost: [...before].filter((name) => !names.has(name)) }).toEqual({ at, lost: [] })
    expect(names.size).toBeLessThanOrEqual(before.size + 1)
  }
}

/** Faults spread over the requests for the registry. */
function breakSome(emulator: AwsEmulator, { faults, python, random }: S3WritersTask): void {
  const kinds: readonly Fault['what'][] = [
    'drop',
    'refuse',
    { cutAfter: 5 },
    { answer: s3Error(500, 'InternalError') },
  ]
  const gets = { match: /S3\.GetObject .*registry\.pb$/, kinds }
  // boto3 does not try again after a 409.
  const race = { answer: s3Error(409, 'ConditionalRequestConflict') }
  const puts = { match: /S3\.PutObject .*registry\.pb$/, kinds: python ? kinds : [...kinds, race] }
  for (let i = 0; i < faults; i++) {
    const { match, kinds } = i % 3 ? puts : gets
    emulator.fail({ match, after: random.int(1, 80), what: random.pick(kinds) })
  }
}
