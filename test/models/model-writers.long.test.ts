import { it } from '@jest/globals'
import { expectNothingLostOnDisk } from './many-model-writers.js'

it(
  '16 registrars, 8 approvers and 2 deployers, each a process, and some killed: every version once, one approval, one chain',
  () =>
    expectNothingLostOnDisk({
      processes: 26,
      registrars: 16,
      approvers: 8,
      deployers: 2,
      times: 10,
      kills: 8,
    }),
  600_000,
)
