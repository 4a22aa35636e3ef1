import { it } from '@jest/globals'
import { expectNothingLost } from './many-writers.js'

it('3 processes that apply 15 times each to one registry lose nothing, though others are killed', () =>
  expectNothingLost(3, 15, 4))
