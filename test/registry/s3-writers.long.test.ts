import { it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { expectNothingLostOnS3, startRecordedS3 } from './s3-writers.js'

it('16 processes of 4 writers each lose nothing on S3, though connections break and others are killed', async () => {
  const s3 = await startRecordedS3()
  try {
    const random = seededRandom('many writers on s3')
    const task = { random, processes: 16, count: 5, kills: 10, faults: 60, python: undefined }
    await expectNothingLostOnS3(s3, task)
  } finally {
    await s3.stop()
  }
}, 900_000)
