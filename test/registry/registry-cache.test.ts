import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Logger } from '../../src/core/logger.js'
import { silentLogger } from '../../src/core/logger.js'
import { entity } from '../../src/index.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'
import { RegistryCache } from '../../src/registry/registry-cache.js'
import { diffRegistry } from '../../src/registry/registry-diff.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import { until } from '../until.js'

let folder: string
let path: string
let store: RegistryStore
let clock = 0
const logged: string[] = []
const logger: Logger = { ...silentLogger, error: (_, message = '') => logged.push(message) }
let reads = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feast-cache-'))
  path = join(folder, 'registry.db')
  const files = new FileRegistryStore(new FileObjectStore(), path)
  reads = 0
  clock = 0
  logged.length = 0
  store = {
    location: files.location,
    companions: files.companions,
    read: () => {
      reads++
      return files.read()
    },
    changedSince: (version) => files.changedSince(version),
    write: (changes, ifVersion) => files.write(changes, ifVersion),
    destroy: (ifVersion) => files.destroy(ifVersion),
    close: () => files.close(),
  }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const cacheOf = (checkAfterSeconds: number) =>
  new RegistryCache({ store, checkAfterSeconds, logger, now: () => clock })

async function add(name: string): Promise<void> {
  const version = await store.read().then(
    (contents) => contents.version,
    () => undefined,
  )
  const { changes } = diffRegistry(undefined, [entity({ name })], {
    project: 'p',
    now: 0n,
    newId: () => 'id',
  })
  await store.write(changes, version)
}

const names = (registry: { entities(project: string): readonly { name: string }[] }) =>
  registry.entities('p').map(({ name }) => name)

describe('RegistryCache', () => {
  it('reads once for callers that come together, and again only when told or when the time has come', async () => {
    await add('a')
    const cache = cacheOf(60)
    reads = 0
    const [one, other] = await Promise.all([cache.get(), cache.get()])
    expect(one).toBe(other)
    expect(reads).toBe(1)
    await add('b')
    reads = 0
    clock = 59_999
    expect(await cache.get()).toBe(one)
    expect(reads).toBe(0)
    expect(names(await cache.refresh())).toEqual(['a', 'b'])
  })

  it('serves the old snapshot while the new one is read, then the new one', async () => {
    await add('a')
    const cache = cacheOf(60)
    const old = await cache.get()
    await add('b')
    clock = 60_000
    expect(await cache.get()).toBe(old)
    await until(() => cache.current() !== old)
    expect(names(await cache.get())).toEqual(['a', 'b'])
    expect(names(old)).toEqual(['a'])
  })

  it('keeps its snapshot when nothing changed', async () => {
    await add('a')
    const cache = cacheOf(1)
    const old = await cache.get()
    reads = 0
    clock = 5000
    await cache.get()
    expect(await cache.refresh()).toBe(old)
    expect(reads).toBe(0)
  })

  it('never looks again when the time is 0', async () => {
    await add('a')
    const cache = cacheOf(0)
    const old = await cache.get()
    await add('b')
    clock = 1e12
    expect(await cache.get()).toBe(old)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await cache.get()).toBe(old)
  })

  it('keeps serving when a refresh fails, says so, and recovers', async () => {
    await add('a')
    const cache = cacheOf(1)
    const old = await cache.get()
    renameSync(path, `${path}.aside`)
    writeFileSync(path, 'damaged')
    clock = 2000
    expect(await cache.get()).toBe(old)
    await until(() => logged.length > 0)
    expect(logged).toEqual(['registry refresh failed; serving the snapshot read before'])
    expect(await cache.get()).toBe(old)
    await expect(cache.refresh()).rejects.toMatchObject({ code: 'REGISTRY_UNREADABLE' })
    expect(await cache.get()).toBe(old)
    renameSync(`${path}.aside`, path)
    await add('b')
    clock = 4000
    cache.current()
    await until(() => cache.current() !== old)
    expect(names(await cache.get())).toEqual(['a', 'b'])
  })

  it('tells the first caller that there is no registry, and finds it once it is there', async () => {
    const cache = cacheOf(60)
    await expect(cache.get()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    expect(await cache.refreshIfAny()).toBeUndefined()
    await add('a')
    expect(names(await cache.get())).toEqual(['a'])
  })

  it('a refresh asked for while a read is under way sees what was written in between', async () => {
    await add('a')
    const plain = store
    let hasRead = () => {}
    let answer = () => {}
    const read = new Promise<void>((resolve) => {
      hasRead = resolve
    })
    const mayAnswer = new Promise<void>((resolve) => {
      answer = resolve
    })
    store = {
      ...plain,
      read: async () => {
        const contents = await plain.read()
        hasRead()
        await mayAnswer
        return contents
      },
    }
    const cache = cacheOf(60)
    store = plain
    const early = cache.get()
    await read
    await add('b')
    const asked = [cache.refresh(), cache.refresh()]
    answer()
    expect(names(await early)).toEqual(['a'])
    const late = await Promise.all(asked)
    for (const registry of late) expect(names(registry)).toEqual(['a', 'b'])
    expect(late[0]).toBe(late[1])
  })

  it('forgets also what is being read: it may be what was there before', async () => {
    await add('a')
    let letGo = () => {}
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const read = store.read
    let isRead = false
    const holding = async () => {
      const contents = await read()
      isRead = true
      await held
      return contents
    }
    store = { ...store, read: holding }
    const cache = cacheOf(0)
    const before = cache.get()
    await until(() => isRead)
    cache.forget()
    letGo()
    expect(names(await before)).toEqual(['a'])
    expect(cache.current()).toBeUndefined()
    expect(names(await cache.get())).toContain('a')
  })
})
