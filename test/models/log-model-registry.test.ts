import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { LogModelRegistry } from '../../src/models/registry/log-model-registry.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { openObjectStore } from '../../src/object-stores/index.js'
import type { ObjectStore } from '../../src/object-stores/object-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { modelRegistryContract } from '../contract/model-registry.js'
import { author, manifestOf } from './model-fixture.js'

const RULES = { approvers: [], four_eyes: false }

modelRegistryContract('files', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'feast-models-'))
  return {
    open: async (rules) => new LogModelRegistry(new FileObjectStore(), folder, rules),
    close: async () => rmSync(folder, { recursive: true }),
  }
})

modelRegistryContract('S3', async () => {
  Object.assign(process.env, EMULATOR_CREDENTIALS)
  const folder = mkdtempSync(join(tmpdir(), 'feast-models-'))
  const emulator = await new AwsEmulator([new EmulatedS3(folder, { buckets: ['b'] })]).start()
  const stores: ObjectStore[] = []
  return {
    async open(rules) {
      const store = await openObjectStore('s3://b/models', 'models.registry', emulator.settings)
      stores.push(store)
      return new LogModelRegistry(store, 's3://b/models', rules)
    },
    async close() {
      for (const store of stores) await store.close()
      await emulator.stop()
      rmSync(folder, { recursive: true })
    },
  }
})

describe('what lies on disk', () => {
  let folder: string
  const open = () => new LogModelRegistry(new FileObjectStore(), folder, RULES)
  const log = (seq: number) => join(folder, `models/m/log/${String(seq).padStart(8, '0')}.json`)

  let made: string

  beforeAll(async () => {
    made = mkdtempSync(join(tmpdir(), 'feast-models-'))
    folder = made
    const registry = open()
    for (let i = 0; i < 20; i++) {
      const artifact = Buffer.from(`model ${i % 3}`)
      await registry.register(manifestOf('m', artifact), artifact, { author: author('anna') })
      const approval = { action: 'approve', version: i + 1, comment: '' } as const
      await registry.change('m', approval, author('boris'))
    }
  })
  afterAll(() => rmSync(made, { recursive: true }))
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'feast-models-'))
    cpSync(made, folder, { recursive: true })
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('nothing but entries, manifests, files that differ, and a copy of the log', async () => {
    expect(readdirSync(join(folder, 'models/m/log'))).toHaveLength(40)
    expect(readdirSync(join(folder, 'artifacts'))).toHaveLength(3)
    expect(readFileSync(join(folder, 'models/m/snapshot.jsonl'), 'utf8').split('\n')).toHaveLength(33)
    expect(await open().verify('m')).toEqual([])
  })

  it('a new reader needs only the snapshot and what came after it', async () => {
    rmSync(log(5))
    expect((await open().model('m')).seq).toBe(40)
    rmSync(join(folder, 'models/m/snapshot.jsonl'))
    expect((await open().model('m')).seq).toBe(4)
  })

  it('a rewritten entry is found: by verify, and by whoever reads it', async () => {
    writeFileSync(log(4), readFileSync(log(4), 'utf8').replace('boris', 'clara'))
    const findings = await open().verify('m')
    expect(findings.join()).toMatch(/00000005.json: it does not follow from the entries before it/)
    rmSync(join(folder, 'models/m/snapshot.jsonl'))
    await expect(open().model('m')).rejects.toMatchObject({ code: 'MODEL_REGISTRY_DAMAGED' })
  })

  it('a last entry that was rewritten is found where the snapshot holds it', async () => {
    for (let seq = 33; seq <= 40; seq++) rmSync(log(seq))
    writeFileSync(log(32), readFileSync(log(32), 'utf8').replace('boris', 'clara'))
    expect((await open().verify('m')).join()).toMatch(/snapshot.jsonl: entry 32 is not that of the log/)
  })

  it('a forged snapshot counts for nothing and is found', async () => {
    const snapshot = join(folder, 'models/m/snapshot.jsonl')
    writeFileSync(snapshot, readFileSync(snapshot, 'utf8').replace('"approved"', '"rejected"'))
    expect((await open().model('m')).versions.get(1)!.status).toBe('approved')
    expect((await open().verify('m')).join()).toContain('snapshot.jsonl')
  })

  it('other bytes under the name of an ONNX file or a manifest never get out', async () => {
    const { manifest, manifestSha256 } = await open().version('m', 1)
    writeFileSync(join(folder, `artifacts/sha256-${manifest.artifact.sha256}/model.onnx`), 'evil')
    await expect(open().artifact(manifest)).rejects.toMatchObject({ code: 'MODEL_REGISTRY_DAMAGED' })
    writeFileSync(join(folder, `models/m/manifests/sha256-${manifestSha256}.json`), '{}')
    await expect(open().version('m', 1)).rejects.toMatchObject({ code: 'MODEL_REGISTRY_DAMAGED' })
    // Of the seven versions with that file, the first also lost its manifest.
    expect(await open().verify('m')).toHaveLength(7)
  })

  it('entries with members of a later release are read and stay in the chain', async () => {
    const last = JSON.parse(readFileSync(log(40), 'utf8'))
    writeFileSync(log(40), JSON.stringify({ ...last, mood: 'good' }))
    expect((await open().model('m')).seq).toBe(40)
  })
})
