import { it } from '@jest/globals'
import { expectNothingLost } from './many-writers.js'

it(
  '8 processes that apply 100 times each to one registry lose nothing, though others are killed',
  () => expectNothingLost(8, 100, 20),
  600_000,
)
