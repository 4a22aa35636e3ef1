import { offlineStoreContract } from '../contract/offline-store.js'
import { AthenaBench } from './athena-bench.js'
import { athenaHarness } from './athena-harness.js'

offlineStoreContract('Athena', async () => athenaHarness(await new AthenaBench().open()))
