import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe } from '@jest/globals'
// Jest's module loader trips over two dynamic imports at once; what is loaded lazily is loaded here first.
import '../../src/registry/file/index.js'
import { S3ObjectStore } from '../../src/object-stores/s3/s3-object-store.js'
import { findAwsPython, MotoServer } from '../aws-emulator/aws-python.js'
import { EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { objectStoreContract } from '../contract/object-store.js'
import { registryStoreContract } from '../contract/registry-store.js'
import { openS3Registry } from '../registry/open-s3-registry.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

const found = findAwsPython()
const isMissing = 'missing' in found
if (isMissing) process.stderr.write(`skipped: the S3 suite on moto (${found.missing})\n`)

;(isMissing ? describe.skip : describe)(`moto${isMissing ? ` [skipped: ${found.missing}]` : ''}`, () => {
  let server: MotoServer
  const settings = () => ({
    region: 'us-east-1',
    endpoint: server.endpoint,
    profile: undefined,
    pathStyle: undefined,
    requestChecksum: 'when_supported' as const,
  })
  beforeAll(async () => {
    if (isMissing) return
    server = await MotoServer.start(found)
    const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: 'feast' }))
    client.destroy()
  }, 90_000)
  afterAll(() => server?.stop())

  let places = 0
  objectStoreContract('S3 by moto', {
    open: () => S3ObjectStore.open(settings()),
    freshPrefix: () => `s3://feast/some dir/${++places}/`,
  })

  const open = () => openS3Registry(`s3://feast/${places}/registry.pb`, {}, settings())
  registryStoreContract('S3 by moto', {
    open() {
      places++
      return open()
    },
    again: open,
    async clean() {},
  })
})
