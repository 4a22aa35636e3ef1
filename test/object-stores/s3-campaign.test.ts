import { it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { expectTruthful } from './s3-campaign.js'

it(
  'what S3 clients are told is what happened, whatever fails on the way',
  () => expectTruthful(seededRandom('faults of S3'), { clients: 4, writes: 12, faultEvery: 4 }),
  240_000,
)
