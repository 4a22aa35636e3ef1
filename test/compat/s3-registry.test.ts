import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findAwsPython } from '../aws-emulator/aws-python.js'
import { entityRecord } from '../contract/registry-store.js'
import { openS3Registry } from '../registry/open-s3-registry.js'
import { PythonS3Registry } from '../registry/python-s3-registry.js'
import { expectNothingLostOnS3, type RecordedS3, startRecordedS3 } from '../registry/s3-writers.js'
import { seededRandom } from './random.js'

const found = findAwsPython()
const isMissing = 'missing' in found
if (isMissing) process.stderr.write(`skipped: registries in S3 beside Python Feast (${found.missing})\n`)

type Objects = Readonly<Record<string, Readonly<Record<string, string>>>>

;(isMissing ? describe.skip : describe)(
  `a registry in S3 beside Python Feast${isMissing ? ` [skipped: ${found.missing}]` : ''}`,
  () => {
    let s3: RecordedS3
    let python: PythonS3Registry
    beforeAll(async () => {
      if (isMissing) return
      s3 = await startRecordedS3()
      python = new PythonS3Registry(found, s3.emulator.endpoint)
    })
    afterAll(async () => {
      await python?.close()
      await s3?.stop()
    })

    it('of Python is read and added to by us, and Python finds its own as it was', async () => {
      const uri = 's3://feast/python/registry.pb'
      await python.call('apply', uri)
      const theirs = await python.call<Objects>('read', uri)
      expect(Object.keys(theirs['feature_views']!)).toEqual(['view'])
      const store = await openS3Registry(uri)
      const { records, version } = await store.read()
      expect(records.map(({ kind, name }) => `${kind} ${name}`)).toEqual(
        expect.arrayContaining(['project demo', 'entity key', 'dataSource source', 'featureView view']),
      )
      await store.write([{ put: entityRecord('ours') }], version)
      const both = await python.call<Objects>('read', uri)
      const { ours, ...entities } = both['entities']!
      expect(ours).toBeDefined()
      expect({ ...both, entities }).toEqual(theirs)
    }, 120_000)

    it('of ours is read and added to by Python, and we find our own as it was', async () => {
      const uri = 's3://feast/ours/registry.pb'
      const store = await openS3Registry(uri)
      const record = entityRecord('ours', 'demo', 'made by us')
      const version = await store.write([{ put: record }], undefined)
      expect(Object.keys((await python.call<Objects>('read', uri))['entities']!)).toEqual(['ours'])
      await python.call('apply', uri)
      const { records } = await store.read()
      const entities = records.filter(({ kind }) => kind === 'entity')
      expect(entities.map(({ name }) => name).sort()).toEqual(['key', 'ours'])
      expect(Buffer.from(entities.find(({ name }) => name === 'ours')!.bytes)).toEqual(record.bytes)
      await expect(store.write([{ put: entityRecord('late') }], version)).rejects.toMatchObject({
        code: 'REGISTRY_CONFLICT',
      })
    }, 120_000)

    it('12 writers of ours and 4 of Python: ours take nothing away from anybody', async () => {
      const random = seededRandom('writers beside Python')
      await expectNothingLostOnS3(s3, { random, processes: 3, count: 3, kills: 1, faults: 10, python })
      expect(s3.versions.filter(({ isOurs }) => !isOurs).length).toBeGreaterThanOrEqual(12)
    }, 120_000)
  },
)
