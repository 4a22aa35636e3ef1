import { it } from '@jest/globals'
import { swapUnderLoad } from './swap-campaign.js'

it('a hundred versions replace each other under load, and no request fails', async () => {
  await swapUnderLoad(100, 4)
}, 300_000)
