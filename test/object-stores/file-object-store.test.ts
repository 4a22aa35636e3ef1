import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { withFileLock } from '../../src/object-stores/file-lock.js'
import { objectStoreContract } from '../contract/object-store.js'
import { until } from '../until.js'

const folder = mkdtempSync(join(tmpdir(), 'feast-file-objects-'))
let prefixes = 0

objectStoreContract('file', {
  open: async () => new FileObjectStore(),
  freshPrefix: () => join(folder, `${prefixes++}`, '/'),
})

const freshFolder = () => join(folder, `${prefixes++}`)

describe('a list of files', () => {
  const store = new FileObjectStore()
  const listed = async (prefix: string) => {
    const names: string[] = []
    for await (const { uri } of store.list(prefix)) names.push(uri.slice(prefix.length))
    return names
  }

  it('has no files of those who wait for their turn to write', async () => {
    const at = `${freshFolder()}/`
    await store.write(`${at}a.json`, Buffer.from('1'), undefined)
    let waiting: Promise<void> | undefined
    await withFileLock(`${at}a.json`, async () => {
      waiting = store.remove(`${at}a.json`)
      await until(() => readdirSync(at).length === 3, 'the wish to remove it')
      expect(await listed(at)).toEqual(['a.json'])
    })
    await waiting
  })

  it.each([
    ['with two slashes', (at: string) => `${at}//x/`],
    ['with dots', (at: string) => `${at}/./y/../x/`],
    ['as a URI', (at: string) => `file://${at}/with space/x/`],
    ['as a URI, encoded', (at: string) => `file://${at}/with%20space/x/`],
  ])('knows a folder written %s', async (_how, prefixOf) => {
    const prefix = prefixOf(freshFolder())
    const name = 'dt=1/a b?#.json'
    const uri = prefix + (prefix.startsWith('file:') ? 'dt=1/a%20b%3F%23.json' : name)
    await store.write(uri, Buffer.from('1'), undefined)
    expect(await listed(prefix)).toEqual([uri.slice(prefix.length)])
    expect(await listed(prefix.slice(0, -2))).toEqual([uri.slice(prefix.length - 2)])
  })

  it('has all that stays while folders beside it go', async () => {
    const at = `${freshFolder()}/`
    for (let i = 0; i < 20; i++) await mkdir(`${at}${i}`, { recursive: true })
    await store.write(`${at}7/a`, Buffer.from('1'), undefined)
    let done = false
    const others = (async () => {
      while (!done) {
        await mkdir(`${at}gone/soon`, { recursive: true })
        await rm(`${at}gone`, { recursive: true })
      }
    })()
    const lists: (readonly string[])[] = []
    try {
      while (lists.length < 50) lists.push(await listed(at))
    } finally {
      done = true
    }
    await others
    expect(new Set(lists.map((list) => list.join()))).toEqual(new Set(['7/a']))
  })
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))
