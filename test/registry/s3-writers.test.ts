import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { expectNothingLostOnS3, startRecordedS3 } from './s3-writers.js'

it('12 writers in 3 processes lose nothing on S3, though connections break and others are killed', async () => {
  const s3 = await startRecordedS3()
  try {
    const random = seededRandom('writers on s3')
    await expectNothingLostOnS3(s3, {
      random,
      processes: 3,
      count: 3,
      kills: 2,
      faults: 15,
      python: undefined,
    })
    expect(s3.versions.length).toBeGreaterThan(24)
  } finally {
    await s3.stop()
  }
}, 240_000)
