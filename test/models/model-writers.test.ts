import { it } from '@jest/globals'
import { expectNothingLostOnDisk, expectNothingLostOnS3 } from './many-model-writers.js'

const COUNTS = { processes: 3, registrars: 16, approvers: 8, deployers: 2, times: 1, kills: 1 }

it.each([
  ['on disk', expectNothingLostOnDisk],
  ['on S3', expectNothingLostOnS3],
])(
  '%s: 16 registrars, 8 approvers and 2 deployers in 3 processes, and one killed: every version once, one approval, one chain',
  (_, expectNothingLost) => expectNothingLost(COUNTS),
  180_000,
)
