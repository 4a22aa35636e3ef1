import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import { S3ObjectStore } from '../../src/object-stores/s3/s3-object-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedS3 } from '../aws-emulator/s3.js'
import { objectStoreContract } from '../contract/object-store.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

const folder = mkdtempSync(join(tmpdir(), 'feast-s3-objects-'))
const s3 = new EmulatedS3(folder, { buckets: ['b'] })
const emulator = new AwsEmulator([s3])
beforeAll(() => emulator.start())
afterAll(async () => {
  await emulator.stop()
  rmSync(folder, { recursive: true, force: true })
})

let prefixes = 0
objectStoreContract('s3', {
  open: () => S3ObjectStore.open(emulator.settings),
  freshPrefix: () => `s3://b/some dir/${prefixes++}/`,
})
