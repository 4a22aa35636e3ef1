import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { isFeastError } from '../../src/core/errors.js'
import type { ObjectStore } from '../../src/object-stores/object-store.js'

export interface ObjectStoreFixture {
  /** The same place each time, seen by somebody else. */
  open(): Promise<ObjectStore>
  /** A prefix ending in `/` below which nothing was ever written. */
  freshPrefix(): string
}

/** What every object store must do, wherever it keeps the objects. */
export function objectStoreContract(name: string, fixture: ObjectStoreFixture): void {
  describe(`${name}: object store contract`, () => {
    let store: ObjectStore
    let other: ObjectStore
    let at: string
    let folder: string

    beforeEach(async () => {
      store = await fixture.open()
      other = await fixture.open()
      at = fixture.freshPrefix()
      folder = mkdtempSync(join(tmpdir(), 'feast-objects-'))
    })
    afterEach(async () => {
      rmSync(folder, { recursive: true, force: true })
      await store.close()
      await other.close()
    })

    const text = async (uri: string) => (await other.read(uri))?.bytes.toString()
    const listed = async (prefix: string) => {
      const uris: string[] = []
      for await (const { uri } of store.list(prefix)) uris.push(uri)
      return uris
    }
    const conflict = expect.objectContaining({ code: 'OBJECT_CONFLICT' })

    it('has nothing where nothing was written', async () => {
      expect(await store.read(`${at}none`)).toBeUndefined()
      expect(await store.version(`${at}none`)).toBeUndefined()
      expect(await listed(at)).toEqual([])
      await store.remove(`${at}none`)
      await store.removeAll(`${at}none/`)
      await expect(store.download(`${at}none`, join(folder, 'x'))).rejects.toMatchObject({
        code: 'OBJECT_NOT_FOUND',
        message: expect.stringContaining(`${at}none`),
      })
    })

    it('gives back what was written, with its version', async () => {
      const bytes = Buffer.from([0, 255, 10, 13, 0])
      const version = await store.write(`${at}a`, bytes, undefined)
      expect(await other.read(`${at}a`)).toEqual({ bytes, version })
      expect(await other.version(`${at}a`)).toBe(version)
      const empty = await store.write(`${at}a`, Buffer.alloc(0), version)
      expect(await other.read(`${at}a`)).toEqual({ bytes: Buffer.alloc(0), version: empty })
    })

    it('writes only to the version it is told to', async () => {
      const first = await store.write(`${at}a`, Buffer.from('1'), undefined)
      await expect(other.write(`${at}a`, Buffer.from('x'), undefined)).rejects.toEqual(conflict)
      const second = await other.write(`${at}a`, Buffer.from('2'), first)
      await expect(store.write(`${at}a`, Buffer.from('x'), first)).rejects.toEqual(conflict)
      expect(await text(`${at}a`)).toBe('2')
      await store.remove(`${at}a`)
      await expect(other.write(`${at}a`, Buffer.from('x'), second)).rejects.toEqual(conflict)
      expect(await text(`${at}a`)).toBeUndefined()
    })

    it('of many that write at once one wins, and its bytes stand', async () => {
      for (const version of [undefined, await store.write(`${at}old`, Buffer.from('old'), undefined)]) {
        const uri = version === undefined ? `${at}new` : `${at}old`
        const race = await Promise.allSettled(
          Array.from({ length: 12 }, (_, i) =>
            (i % 2 ? store : other).write(uri, Buffer.from(`${i}`), version),
          ),
        )
        const winners = race.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
        expect(winners).toHaveLength(1)
        for (const result of race) if (result.status === 'rejected') expect(result.reason).toEqual(conflict)
        expect(await text(uri)).toBe(`${winners[0]}`)
      }
    })

    it('counts as often as it says it did', async () => {
      await store.write(`${at}count`, Buffer.from('0'), undefined)
      let counted = 0
      const count = async (by: ObjectStore) => {
        for (let i = 0; i < 5; ) {
          const { bytes, version } = (await by.read(`${at}count`))!
          try {
            await by.write(`${at}count`, Buffer.from(`${Number(bytes) + 1}`), version)
            counted++
            i++
          } catch (error) {
            if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
          }
        }
      }
      await Promise.all([count(store), count(other), count(store)])
      expect(await text(`${at}count`)).toBe(`${counted}`)
    })

    it('lists by prefix, in order, with size and date', async () => {
      for (const key of ['l/b.txt', 'l/a/2', 'l/a/1', 'l/ü é', 'm']) {
        await store.write(`${at}${key}`, Buffer.from(key), undefined)
      }
      expect(await listed(`${at}l/`)).toEqual(
        ['l/a/1', 'l/a/2', 'l/b.txt', 'l/ü é'].map((key) => `${at}${key}`),
      )
      expect(await listed(`${at}l/a`)).toEqual([`${at}l/a/1`, `${at}l/a/2`])
      for await (const { bytes, modifiedAt } of store.list(`${at}m`)) {
        expect(bytes).toBe(1)
        expect(Math.abs(Date.now() - modifiedAt)).toBeLessThan(60_000)
      }
    })

    it('removes one, and all below a prefix', async () => {
      for (const key of ['r/a', 'r/b/c', 'r2/a'])
        await store.write(`${at}${key}`, Buffer.from(key), undefined)
      await store.remove(`${at}r/a`)
      expect(await listed(`${at}r`)).toEqual([`${at}r/b/c`, `${at}r2/a`])
      await store.removeAll(`${at}r/`)
      expect(await listed(`${at}r`)).toEqual([`${at}r2/a`])
    })

    it('removes what is still at a version', async () => {
      const version = await store.write(`${at}a`, Buffer.from('1'), undefined)
      const now = await other.write(`${at}a`, Buffer.from('2'), version)
      await expect(store.remove(`${at}a`, version)).rejects.toEqual(conflict)
      expect(await text(`${at}a`)).toBe('2')
      await store.remove(`${at}a`, now)
      expect(await text(`${at}a`)).toBeUndefined()
      await store.remove(`${at}a`, now)
    })

    it.each([0, 5, (17 << 20) + 3])('copies a file of %d bytes there and back', async (size) => {
      const bytes = Buffer.alloc(size)
      for (let i = 0; i < size; i += 997) bytes[i] = (i * 31) & 255
      writeFileSync(join(folder, 'up'), bytes)
      await store.upload(join(folder, 'up'), `${at}file`)
      expect((await listed(`${at}file`)).length).toBe(1)
      await other.download(`${at}file`, join(folder, 'down'))
      expect(statSync(join(folder, 'down')).size).toBe(size)
      expect(readFileSync(join(folder, 'down')).equals(bytes)).toBe(true)
      expect((await other.read(`${at}file`))!.bytes.equals(bytes)).toBe(true)
      writeFileSync(join(folder, 'up'), 'other')
      await store.upload(join(folder, 'up'), `${at}file`)
      expect(await text(`${at}file`)).toBe('other')
    })

    it('copies nothing when it was told to stop', async () => {
      writeFileSync(join(folder, 'up'), 'x')
      const stopped = AbortSignal.abort(new Error('stopped'))
      await expect(store.upload(join(folder, 'up'), `${at}file`, stopped)).rejects.toThrow('stopped')
      await expect(store.download(`${at}file`, join(folder, 'down'), stopped)).rejects.toThrow('stopped')
      expect(await listed(at)).toEqual([])
    })
  })
}
