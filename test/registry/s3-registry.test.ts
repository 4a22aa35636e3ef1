import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
// Jest's module loader trips over two dynamic imports at once; what is loaded lazily is loaded here first.
import '../../src/object-stores/s3/s3-object-store.js'
import '../../src/registry/file/index.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { entityRecord, registryStoreContract } from '../contract/registry-store.js'
import { openS3Registry } from './open-s3-registry.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

const folder = mkdtempSync(join(tmpdir(), 'feast-s3-registry-'))
const emulator = new AwsEmulator([new EmulatedS3(folder, { buckets: ['b'] })])
beforeAll(() => emulator.start())
afterAll(async () => {
  await emulator.stop()
  rmSync(folder, { recursive: true, force: true })
})

const open = (path: string, options: object = {}, aws = emulator.settings) =>
  openS3Registry(path, options, aws)

let registries = 0
registryStoreContract('s3', {
  open: () => open(`s3://b/team a/${++registries}/registry.pb`),
  again: () => open(`s3://b/team a/${registries}/registry.pb`),
  async clean() {},
})

describe('registry in S3', () => {
  it('finds the endpoint as Feast does, and its own before', async () => {
    const aws = { ...emulator.settings, endpoint: 'http://127.0.0.1:1' }
    const own = await open('s3://b/own', { s3_endpoint_override: emulator.endpoint }, aws)
    const version = await own.write([{ put: entityRecord('a') }], undefined)
    process.env['FEAST_S3_ENDPOINT_URL'] = emulator.endpoint
    try {
      const feasts = await open('s3://b//own', { registry_store_type: 'S3RegistryStore' }, aws)
      expect((await feasts.read()).version).toBe(version)
    } finally {
      delete process.env['FEAST_S3_ENDPOINT_URL']
    }
  })

  it('gives what is in s3_additional_kwargs to each write', async () => {
    const put = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'key-1', StorageClass: 'STANDARD_IA' }
    const store = await open('s3://b/kwargs', { s3_additional_kwargs: put })
    const headers: object[] = []
    emulator.watch((request) => headers.push(request.headers))
    await store.write([{ put: entityRecord('a') }], undefined)
    expect(headers).toContainEqual(
      expect.objectContaining({
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
        'x-amz-storage-class': 'STANDARD_IA',
        'if-none-match': '*',
      }),
    )
  })

  it.each<[string, string, object, string]>([
    [
      'a class for another place',
      's3://b/k',
      { registry_store_type: 'LocalRegistryStore' },
      'is not for the path',
    ],
    [
      'a class unknown here',
      's3://b/k',
      { registry_store_type: 'S3RegistryStor' },
      'Did you mean "S3RegistryStore"?',
    ],
    [
      'an unknown option',
      's3://b/k',
      { s3_additional_kwargs: { StorageClas: 'x' } },
      'Did you mean "StorageClass"?',
    ],
    [
      'a condition of its own',
      's3://b/k',
      { s3_additional_kwargs: { IfMatch: 'x' } },
      '"IfMatch" is not known',
    ],
    ['no URL', 's3://b/k', { s3_endpoint_override: 'localhost' }, 's3_endpoint_override'],
  ])('refuses %s', async (_, path, options, problem) => {
    await expect(open(path, options)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(problem),
    })
  })

  it('says that an address without a key is none', async () => {
    const store = await open('s3://bucket')
    await expect(store.read()).rejects.toMatchObject({
      message: expect.stringContaining('"s3://bucket/key"'),
    })
  })
})
