import { expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { loadDamagedModels } from './damaged-models.js'

it('the runtime gets 3000 damaged files: each is loaded or refused, and the process lives', async () => {
  const loaded = await loadDamagedModels(seededRandom('damaged models'), 3000)
  process.stdout.write(`damaged models: ${loaded} of 3000 loaded\n`)
  expect(loaded).toBeGreaterThan(0)
}, 1_200_000)
