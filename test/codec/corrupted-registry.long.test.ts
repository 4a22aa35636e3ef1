import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { expectDamageSeen } from './corrupted-registry.js'

it('10 000 damaged registries are refused, or their broken objects are named and the rest served', () => {
  const random = seededRandom('corrupted registries')
  const seen = { refused: 0, broken: 0, unseen: 0 }
  for (let run = 0; run < 10_000; run++) seen[expectDamageSeen(random)]++
  process.stdout.write(`${JSON.stringify(seen)}\n`)
  expect(seen.refused + seen.broken + seen.unseen).toBe(10_000)
}, 600_000)
