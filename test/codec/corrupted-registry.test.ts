import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { expectDamageSeen } from './corrupted-registry.js'

it('a damaged registry is refused, or its broken objects are named and the rest served', () => {
  const random = seededRandom('corrupted registries')
  const seen = { refused: 0, broken: 0, unseen: 0 }
  for (let run = 0; run < 500; run++) seen[expectDamageSeen(random)]++
  expect(seen.refused).toBeGreaterThan(0)
  expect(seen.broken).toBeGreaterThan(0)
})
