import { describe, expect, it } from '@jest/globals'
import { applySideBySide, killRuns, seededRandom } from './killed-runs.js'

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1e9)

describe('processes', () => {
  it(`M14 kill -9 mid-write, rerun: the rows of an undisturbed run, reads fine throughout (FEAST_SEED=${seed})`, async () => {
    expect(await killRuns(5, seededRandom(seed))).toBeGreaterThan(0)
  }, 300_000)

  it('three processes that apply side by side lose nothing', async () => {
    await applySideBySide(3, 8)
  }, 300_000)
})
