import { it } from '@jest/globals'
import { expectNothingLostOnDisk, expectNothingLostOnS3 } from './many-model-writers.js'

const COUNTS = { processes: 26, registrars: 16, approvers: 8, deployers: 2, times: 10, kills: 8 }

it.each([
  ['on disk', expectNothingLostOnDisk],
  ['on S3', expectNothingLostOnS3],
])(
  '%s: 16 registrars, 8 approvers and 2 deployers each a process, and some killed: every version once, one approval, one chain',
  (_, expectNothingLost) => expectNothingLost(COUNTS),
  600_000,
)
