import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { encodeViewVersion } from '../../src/codec/definitions/view-version.js'
import { type RegistryRecord, recordKeyText } from '../../src/core/definition.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { copyRegistry } from '../../src/registry/copy-registry.js'
import { FileRegistryStore } from '../../src/registry/file/file-registry-store.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { entityRecord } from '../contract/registry-store.js'
import { openS3Registry } from './open-s3-registry.js'
import { openSqlRegistry } from './open-sql-registry.js'

let folder: string
let file: RegistryStore
let tables: RegistryStore
const at = (name: string) => new FileRegistryStore(new FileObjectStore(), join(folder, name))

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-copy-'))
  file = at('registry.db')
  tables = await openSqlRegistry(`sqlite:///${folder}/tables.db`)
})
afterEach(async () => {
  await tables.close()
  rmSync(folder, { recursive: true, force: true })
})

const put = (...records: readonly RegistryRecord[]) => records.map((record) => ({ put: record }))

/** A version of a moment between two seconds. */
const version = encodeViewVersion({
  view: 'v',
  project: 'one',
  number: 12,
  kind: 'featureView',
  createdAt: 1_700_000_000_123_456n,
  versionId: 'id',
  bytes: Buffer.from('a view'),
})
const project: RegistryRecord = { ...entityRecord('one', 'one'), kind: 'project' }

async function textOf(store: RegistryStore): Promise<Record<string, string>> {
  const { records } = await store.read()
  return Object.fromEntries(
    records.map((record) => [recordKeyText(record), Buffer.from(record.bytes).toString('hex')]),
  )
}

it('from a file to tables and back, all projects, byte for byte', async () => {
  const records = [entityRecord('a', 'one'), entityRecord('a', 'two', 'text'), project]
  await file.write(put(...records, version), undefined)
  const report = await copyRegistry(file, tables)
  expect(report).toEqual({
    projects: ['one', 'two'],
    records: { project: 1, entity: 2, featureViewVersion: 1 },
    replaced: 0,
    sourceChanged: false,
  })
  const back = at('back.db')
  await copyRegistry(tables, back)
  const [before, after] = [await textOf(file), await textOf(back)]
  for (const record of records) {
    expect(after[recordKeyText(record)]).toBe(before[recordKeyText(record)])
  }
  expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort())
})

it('from a file to S3, and from there to tables', async () => {
  const emulator = new AwsEmulator([new EmulatedS3(folder, { buckets: ['b'] })])
  await emulator.start()
  Object.assign(process.env, EMULATOR_CREDENTIALS)
  try {
    const s3 = await openS3Registry('s3://b/registry.db', {}, emulator.settings)
    await file.write(put(entityRecord('a', 'one'), project, version), undefined)
    expect(await copyRegistry(file, s3)).toMatchObject({ replaced: 0, sourceChanged: false })
    expect(await textOf(s3)).toEqual(await textOf(file))
    await copyRegistry(s3, tables)
    expect(Object.keys(await textOf(tables)).sort()).toEqual(Object.keys(await textOf(file)).sort())
    await s3.close()
  } finally {
    await emulator.stop()
  }
})

it('does not replace what the target holds, unless told; then nothing of it is left', async () => {
  await file.write(put(entityRecord('a', 'one'), project), undefined)
  await tables.write(put(entityRecord('b', 'two'), entityRecord('a', 'one', 'other')), undefined)
  const before = await textOf(tables)
  await expect(copyRegistry(file, tables)).rejects.toMatchObject({
    code: 'REGISTRY_NOT_EMPTY',
    message: expect.stringContaining('2 records'),
  })
  expect(await textOf(tables)).toEqual(before)
  expect(await copyRegistry(file, tables, { overwrite: true })).toMatchObject({ replaced: 2 })
  expect(await textOf(tables)).toEqual(await textOf(file))
})

it('an empty target is no target that holds something', async () => {
  await file.write(put(entityRecord('a', 'one'), project), undefined)
  await tables.write([], undefined)
  expect(await copyRegistry(file, tables)).toMatchObject({ replaced: 0 })
})

it('a damaged source is refused by the name of what is damaged; the target stays', async () => {
  const broken = { ...entityRecord('bad', 'one'), bytes: Buffer.from('0a050a036261640a', 'hex') }
  await tables.write(put(broken, entityRecord('a', 'one')), undefined)
  await expect(copyRegistry(tables, file)).rejects.toMatchObject({
    code: 'RECORD_UNREADABLE',
    message: expect.stringContaining('"bad"'),
  })
  await expect(file.read()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
})

it('tells when the source changed meanwhile, and when the target is not what was written', async () => {
  await file.write(put(entityRecord('a', 'one'), project), undefined)
  const meddling = (done: () => Promise<unknown>): RegistryStore =>
    new Proxy(tables, {
      get: (target, key) => {
        if (key !== 'write') {
          const value = Reflect.get(target, key)
          return typeof value === 'function' ? value.bind(target) : value
        }
        return async (...args: Parameters<RegistryStore['write']>) => {
          const written = await target.write(...args)
          await done()
          return written
        }
      },
    })
  const changeSource = meddling(async () => {
    await file.write(put(entityRecord('late', 'one')), (await file.read()).version)
  })
  expect(await copyRegistry(file, changeSource)).toMatchObject({ sourceChanged: true })
  const changeTarget = meddling(async () => {
    await tables.write(put(entityRecord('a', 'one', 'by another')), (await tables.read()).version)
  })
  await expect(copyRegistry(file, changeTarget, { overwrite: true })).rejects.toMatchObject({
    code: 'REGISTRY_COPY_DIFFERS',
    message: expect.stringContaining('"a"'),
  })
})
