import { describe, expect, it } from '@jest/globals'
import { applySideBySide, killRuns, seededRandom } from './killed-runs.js'

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1e9)

describe('processes, at length', () => {
  it(`100 runs killed at random points (FEAST_SEED=${seed})`, async () => {
    for (let round = 0; round < 5; round++) {
      expect(await killRuns(20, seededRandom(seed + round))).toBeGreaterThan(0)
    }
  }, 3_600_000)

  it('8 processes × 100 applies lose nothing', async () => {
    await applySideBySide(8, 100)
  }, 3_600_000)
})
