import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { isFeastError } from '../../src/core/errors.js'
import { S3ObjectStore } from '../../src/object-stores/s3/s3-object-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS, type Fault } from '../aws-emulator/emulator.js'
import { EmulatedS3, s3Error } from '../aws-emulator/s3.js'
import type { Random } from '../compat/random.js'

/** An object's contents, one after another. */
type History = { readonly text: string; readonly version: string }[]

const KINDS: readonly Fault['what'][] = [
  'drop',
  'drop',
  'refuse',
  { cutAfter: 3 },
  { delayMs: 30 },
  { answer: s3Error(500, 'InternalError') },
]
/** Of writes alone. */
const RACE: Fault['what'] = { answer: s3Error(409, 'ConditionalRequestConflict') }

/**
 * Clients that read and replace a few objects at once, with a fault in every so many requests. What S3 was made to
 * hold, one content after another, must agree with what the clients were told.
 */
export async function expectTruthful(
  random: Random,
  {
    clients,
    writes,
    faultEvery,
  }: { readonly clients: number; readonly writes: number; readonly faultEvery: number },
): Promise<void> {
  Object.assign(process.env, EMULATOR_CREDENTIALS)
  const folder = mkdtempSync(join(tmpdir(), 'feast-s3-campaign-'))
  const histories = new Map<string, History>()
  const s3 = new EmulatedS3(folder, {
    buckets: ['b'],
    onPut(path) {
      const bytes = readFileSync(path)
      const version = createHash('md5').update(bytes).digest('hex')
      const history = histories.get(path) ?? []
      histories.set(path, [...history, { text: bytes.toString(), version }])
    },
  })
  const emulator = await new AwsEmulator([s3]).start()
  const uris = ['s3://b/one', 's3://b/two', 's3://b/three']
  const historyOf = (uri: string) => histories.get(s3.pathOf(uri)) ?? []
  const stores = await Promise.all(random.times(clients, () => S3ObjectStore.open(emulator.settings)))
  try {
    // Probed first, so that faults meet what is tested.
    await stores[0]!.write('s3://b/probed', Buffer.from('x'), undefined)
    const requests = clients * writes * 3
    for (let i = 0; i < requests / faultEvery; i++) {
      const what = random.pick([...KINDS, RACE])
      const operation = what === RACE ? 'Put' : '(Put|Get|Head)'
      const match = new RegExp(`S3\\.${operation}Object /b/(one|two|three)$`)
      emulator.fail({ match, after: random.int(0, requests), what })
    }
    const told = await Promise.all(stores.map((store, client) => work(store, `${client}`)))
    for (const { uri, text, ifVersion, outcome } of told.flat()) {
      const at = historyOf(uri).findIndex((one) => one.text === text)
      const before = at > 0 ? historyOf(uri)[at - 1]!.version : undefined
      const isLast = at === historyOf(uri).length - 1
      if (outcome === 'written')
        expect({ text, at: at >= 0, before }).toEqual({ text, at: true, before: ifVersion })
      // A write whose answer was lost may be told that it lost only where another one came on top of it.
      if (outcome === 'conflict' && at >= 0) expect({ text, isLast }).toEqual({ text, isLast: false })
    }
    for (const uri of uris) {
      const texts = historyOf(uri).map(({ text }) => text)
      expect(new Set(texts).size).toBe(texts.length)
      const { text, version } = historyOf(uri).at(-1)!
      expect(await stores[0]!.read(uri)).toEqual({ bytes: Buffer.from(text), version })
    }
    expect(told.flat().filter(({ outcome }) => outcome === 'written').length).toBeGreaterThan(0)
  } finally {
    for (const store of stores) await store.close()
    await emulator.stop()
    rmSync(folder, { recursive: true, force: true })
  }

  async function work(store: S3ObjectStore, client: string) {
    const told: { uri: string; text: string; ifVersion: string | undefined; outcome: string }[] = []
    for (let i = 0; i < writes; i++) {
      const uri = random.pick(uris)
      const found = await read(store, uri)
      const text = `${client} ${i} ${uri}`
      const write = store.write(uri, Buffer.from(text), found?.version)
      const outcome = await write.then(() => 'written', outcomeOf)
      told.push({ uri, text, ifVersion: found?.version, outcome })
    }
    return told
  }

  async function read(store: S3ObjectStore, uri: string) {
    const found = await store.read(uri)
    if (found) expect(historyOf(uri)).toContainEqual({ text: found.bytes.toString(), version: found.version })
    return found
  }
}

function outcomeOf(error: unknown): string {
  if (isFeastError(error, 'OBJECT_CONFLICT')) return 'conflict'
  if (isFeastError(error, 'OBJECT_STORE_UNAVAILABLE')) return 'unknown'
  throw error
}
