import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { encodeBytesField, encodeTextField } from '../../src/codec/wire.js'
import type { RecordKind, RegistryRecord } from '../../src/core/definition.js'
import { isFeastError } from '../../src/core/errors.js'
import type { RegistryChange, RegistryStore } from '../../src/registry/registry-store.js'
import { entityRecordBytes } from '../registry/entity-record-bytes.js'

export interface RegistryStoreFixture {
  /** A place where nothing was ever written. */
  open(): Promise<RegistryStore>
  /** The same registry seen by somebody else. */
  again(): Promise<RegistryStore>
  clean(): Promise<void>
}

export function entityRecord(name: string, project = 'demo', description = ''): RegistryRecord {
  return { kind: 'entity', project, name, bytes: entityRecordBytes(name, project, description) }
}

/** What every registry store must do, wherever it keeps the records. */
export function registryStoreContract(name: string, fixture: RegistryStoreFixture): void {
  describe(`${name}: registry store contract`, () => {
    let store: RegistryStore

    beforeEach(async () => {
      store = await fixture.open()
    })
    afterEach(async () => {
      await store.close()
      await fixture.clean()
    })

    const put = (...records: RegistryRecord[]): RegistryChange[] => records.map((record) => ({ put: record }))
    const remove = (kind: RecordKind, recordName: string, project = 'demo'): RegistryChange => ({
      remove: { kind, project, name: recordName },
    })
    const names = async (from: RegistryStore = store) =>
      (await from.read()).records.map((record) => record.name)

    it('nothing written yet is REGISTRY_NOT_FOUND, not an empty registry', async () => {
      await expect(store.read()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
      await expect(store.write([], 'some version')).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
    })

    it('gives back records byte for byte', async () => {
      const version = await store.write(put(entityRecord('a'), entityRecord('b')), undefined)
      const { records, version: read } = await store.read()
      expect(read).toBe(version)
      expect(records.map((record) => ({ ...record, bytes: Buffer.from(record.bytes) }))).toEqual([
        entityRecord('a'),
        entityRecord('b'),
      ])
    })

    it('an empty registry is a registry', async () => {
      const version = await store.write([], undefined)
      expect(await (await fixture.again()).read()).toEqual({ version, records: [] })
    })

    it('replaces, adds and removes; the rest stays as it is', async () => {
      const first = await store.write(put(entityRecord('a'), entityRecord('b'), entityRecord('c')), undefined)
      const changes = [...put(entityRecord('b', 'demo', 'new'), entityRecord('d')), remove('entity', 'a')]
      await store.write(changes, first)
      const { records } = await store.read()
      const byName = new Map(records.map((record) => [record.name, Buffer.from(record.bytes)]))
      expect([...byName.keys()].sort()).toEqual(['b', 'c', 'd'])
      expect(byName.get('b')).toEqual(entityRecord('b', 'demo', 'new').bytes)
      expect(byName.get('c')).toEqual(entityRecord('c').bytes)
    })

    it('projects do not see each other', async () => {
      const version = await store.write(put(entityRecord('a', 'one'), entityRecord('a', 'two')), undefined)
      await store.write([remove('entity', 'a', 'one')], version)
      expect((await store.read()).records.map(({ project }) => project)).toEqual(['two'])
    })

    it('kinds of the same name do not meet', async () => {
      const permission: RegistryRecord = { ...entityRecord('a'), kind: 'permission' }
      const spec = Buffer.concat([encodeTextField(1, 'a'), encodeTextField(2, 'demo')])
      const changes = put(entityRecord('a'), { ...permission, bytes: encodeBytesField(1, spec) })
      const version = await store.write(changes, undefined)
      await store.write([remove('entity', 'a')], version)
      expect((await store.read()).records.map(({ kind }) => kind)).toEqual(['permission'])
    })

    it('of two writers one wins, the other is told and changes nothing', async () => {
      const other = await fixture.again()
      const version = await store.write(put(entityRecord('a')), undefined)
      await other.read()
      const won = await store.write(put(entityRecord('b')), version)
      await expect(other.write(put(entityRecord('c')), version)).rejects.toMatchObject({
        code: 'REGISTRY_CONFLICT',
        message: expect.stringContaining('Nothing was written'),
      })
      expect(await names(other)).toEqual(['a', 'b'])
      await other.write(put(entityRecord('c')), won)
      expect(await names()).toEqual(['a', 'b', 'c'])
    })

    it('of two first writers one wins', async () => {
      const other = await fixture.again()
      const results = await Promise.allSettled([
        store.write(put(entityRecord('a')), undefined),
        other.write(put(entityRecord('b')), undefined),
      ])
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      const lost = results.find((result) => result.status === 'rejected')
      expect(isFeastError(lost?.reason, 'REGISTRY_CONFLICT')).toBe(true)
      expect(await names()).toHaveLength(1)
    })

    it('many writers that retry lose nothing', async () => {
      await store.write([], undefined)
      const writers = await Promise.all(Array.from({ length: 6 }, () => fixture.again()))
      const add = async (writer: RegistryStore, record: RegistryRecord): Promise<void> => {
        for (;;) {
          const { version } = await writer.read()
          try {
            await writer.write(put(record), version)
            return
          } catch (error) {
            if (!isFeastError(error, 'REGISTRY_CONFLICT')) throw error
          }
        }
      }
      await Promise.all(
        writers.map(async (writer, w) => {
          for (let i = 0; i < 5; i++) await add(writer, entityRecord(`w${w}_${i}`))
        }),
      )
      expect(new Set(await names()).size).toBe(30)
    })

    it('tells whether it changed since a version', async () => {
      const other = await fixture.again()
      const first = await store.write(put(entityRecord('a')), undefined)
      expect(await other.changedSince(first)).toBe(false)
      expect(await store.changedSince(first)).toBe(false)
      const second = await store.write(put(entityRecord('b')), first)
      expect([await other.changedSince(first), await store.changedSince(first)]).toEqual([true, true])
      expect([await other.changedSince(second), await store.changedSince(second)]).toEqual([false, false])
      await store.destroy(second)
      expect(await other.changedSince(second)).toBe(true)
    })

    it('destroys itself, twice is fine, and can be made anew', async () => {
      const version = await store.write(put(entityRecord('a')), undefined)
      await store.destroy(version)
      await store.destroy(version)
      await expect(store.read()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
      await store.write(put(entityRecord('b')), undefined)
      expect(await names()).toEqual(['b'])
    })

    it('does not destroy what somebody else wrote since', async () => {
      const version = await store.write(put(entityRecord('a')), undefined)
      const other = await fixture.again()
      await other.write(put(entityRecord('b')), version)
      await expect(store.destroy(version)).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
      expect(await names()).toEqual(['a', 'b'])
    })
  })
}
