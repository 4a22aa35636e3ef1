import { expect, it } from '@jest/globals'
import { swapUnderLoad } from './swap-campaign.js'

it('memory is flat over five hundred swaps under load', async () => {
  const memory = await swapUnderLoad(500, 4)
  const [early, late] = [memory.slice(5, 10), memory.slice(-5)].map((part) => Math.min(...part))
  const inMb = memory.map((bytes) => Math.round(bytes / 2 ** 20))
  process.stdout.write(`swaps: resident ${inMb.join(' ')} MB\n`)
  expect(late! / early!).toBeLessThan(1.1)
}, 600_000)
