import { describe, expect, it } from '@jest/globals'
import { seededRandom } from '../compat/random.js'
import { crashPoints, expectSafe, whyNoTracing } from './crash-points.js'

const POINTS = 12
const missing = whyNoTracing()
const title = 'a registry write that is killed at a system call'

;(missing ? describe.skip : describe)(missing ? `${title} (${missing})` : title, () => {
  it('leaves all of the change or nothing, and no lock', async () => {
    const random = seededRandom('crash points')
    const points = await crashPoints()
    expect(points.length).toBeGreaterThanOrEqual(200)
    let killed = 0
    for (const point of random.times(POINTS, () => random.pick(points))) killed += await expectSafe(point)
    expect(killed).toBeGreaterThan(0)
  }, 120_000)
})
