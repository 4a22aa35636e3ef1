import { describe, expect, it } from '@jest/globals'
import { crashPoints, expectSafe, whyNoTracing } from './crash-points.js'

const missing = whyNoTracing()
const title = 'a registry write that is killed at every system call'

;(missing ? describe.skip : describe)(missing ? `${title} (${missing})` : title, () => {
  it('leaves all of the change or nothing, and no lock', async () => {
    const points = await crashPoints()
    let killed = 0
    for (const point of points) killed += await expectSafe(point)
    process.stdout.write(`${points.length} points, killed at ${killed}\n`)
    expect(killed).toBeGreaterThanOrEqual(200)
  }, 1_200_000)
})
