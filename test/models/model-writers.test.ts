import { it } from '@jest/globals'
import { expectNothingLostOnDisk } from './many-model-writers.js'

it('16 registrars, 8 approvers and 2 deployers in 4 processes, and some killed: every version once, one approval, one chain', () =>
  expectNothingLostOnDisk({ processes: 4, registrars: 16, approvers: 8, deployers: 2, times: 1, kills: 2 }))
