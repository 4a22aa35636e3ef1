import { it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { expectTruthful } from './s3-campaign.js'

it.each([2, 4, 10])(
  'what many S3 clients are told is what happened, with a fault in every %d requests',
  (faultEvery) =>
    expectTruthful(seededRandom(`faults of S3, every ${faultEvery}`), {
      clients: 12,
      writes: 150,
      faultEvery,
    }),
  900_000,
)
