import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { openRegistryStore } from '../../src/registry/index.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import { entityRecord, registryStoreContract } from '../contract/registry-store.js'

let folder: string
const file = () => join(folder, 'data/registry.db')

function open(path = 'data/registry.db', type = 'file'): Promise<RegistryStore> {
  const block = {
    type,
    path,
    options: {},
    cacheTtlSeconds: 600,
    versioning: false,
    purgeFeastMetadata: false,
  }
  return openRegistryStore(block, {
    project: 'demo',
    repoPath: folder,
    entityKeyVersion: 3,
    logger: silentLogger,
  })
}

function makeFolder(): void {
  folder = mkdtempSync(join(tmpdir(), 'feast-registry-'))
}

function removeFolder(): void {
  rmSync(folder, { recursive: true, force: true })
}

registryStoreContract('file', {
  open() {
    makeFolder()
    return open()
  },
  again: () => open(),
  async clean() {
    removeFolder()
  },
})

describe('registry file', () => {
  let store: RegistryStore
  beforeEach(async () => {
    makeFolder()
    store = await open()
  })
  afterEach(async () => {
    await store.close()
    removeFolder()
  })

  const put = (...names: string[]) => names.map((name) => ({ put: entityRecord(name) }))

  it.each<[string, (bytes: Buffer) => Buffer, string]>([
    ['of 0 bytes', () => Buffer.alloc(0), 'it is empty (0 bytes)'],
    ['cut short', (bytes) => bytes.subarray(0, bytes.length - 3), 'at byte'],
    ['of other content', () => Buffer.from('not a registry at all'), 'at byte'],
  ])('%s is an error that says so, never an empty registry', async (_what, damage, why) => {
    const version = await store.write(put('a', 'b'), undefined)
    const damaged = damage(readFileSync(file()))
    writeFileSync(file(), damaged)
    await expect(store.read()).rejects.toMatchObject({
      code: 'REGISTRY_UNREADABLE',
      message: expect.stringContaining(why),
    })
    await expect(store.write(put('c'), version)).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
    await expect(store.write(put('c'), undefined)).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
    expect(readFileSync(file())).toEqual(damaged)
  })

  it('waits out a file that Python Feast is writing in place', async () => {
    const version = await store.write(put('a', 'b'), undefined)
    const whole = readFileSync(file())
    writeFileSync(file(), whole.subarray(0, 10))
    setTimeout(() => writeFileSync(file(), whole), 40)
    expect((await store.read()).version).toBe(version)
  })

  it('notices a change by somebody who knows no lock, and refuses to write over it', async () => {
    const version = await store.write(put('a'), undefined)
    const other = await open()
    await other.write(put('b'), version)
    const theirs = readFileSync(file())
    await expect(store.write(put('c'), version)).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
    expect(readFileSync(file())).toEqual(theirs)
  })

  it('notices a rewrite in place of the same size, at once', async () => {
    await store.write(put('a'), undefined)
    const bytes = readFileSync(file())
    const { version } = await store.read()
    for (let round = 0; round < 20; round++) {
      bytes[bytes.length - 1] = round
      writeFileSync(file(), bytes)
      expect(await store.changedSince(version)).toBe(true)
    }
  })

  it('keeps the mode of the file, and writes behind a symbolic link', async () => {
    let version = await store.write(put('a'), undefined)
    chmodSync(file(), 0o640)
    symlinkSync(file(), join(folder, 'link.db'))
    const linked = await open('link.db')
    version = (await linked.read()).version
    await linked.write(put('b'), version)
    expect(statSync(file()).mode & 0o777).toBe(0o640)
    expect((await store.read()).records).toHaveLength(2)
  })

  it('is made behind a symbolic link that is there before the file', async () => {
    mkdirSync(join(folder, 'volume'))
    symlinkSync('volume', join(folder, 'mounted'))
    symlinkSync('../volume/real.db', join(folder, 'volume/second.db'))
    symlinkSync('mounted/second.db', join(folder, 'link.db'))
    const linked = await open('link.db')
    await linked.write(put('a'), undefined)
    expect((await linked.read()).records).toHaveLength(1)
    expect(statSync(join(folder, 'volume/real.db')).isFile()).toBe(true)
  })

  it('leaves nothing beside the file', async () => {
    const version = await store.write(put('a'), undefined)
    await store.write(put('b'), version)
    await expect(store.write(put('c'), version)).rejects.toThrow()
    expect(readdirSync(join(folder, 'data'))).toEqual(['registry.db'])
  })

  it('is as it was when it cannot be written', async () => {
    const nowhere = await open('data/registry.db/below.db')
    await store.write(put('a'), undefined)
    await expect(nowhere.write(put('b'), undefined)).rejects.toMatchObject({
      code: 'REGISTRY_WRITE_FAILED',
      message: expect.stringContaining('It stands as it was'),
    })
    expect((await store.read()).records).toHaveLength(1)
  })

  it.each([
    ['gs://bucket/registry.db', 'file', '"gs" is not a store'],
    ['registry.db', 'remote', '"remote" is not a store'],
  ])('%s of type %s is refused by name', async (path, type, message) => {
    await expect(open(path, type)).rejects.toMatchObject({
      code: 'BACKEND_UNKNOWN',
      message: expect.stringContaining(message),
    })
  })

  it('opens a file: URI', async () => {
    await store.write(put('a'), undefined)
    const byUri = await open(`file://${file()}`)
    expect((await byUri.read()).records).toHaveLength(1)
  })
})
