import { afterAll, beforeAll, describe, it } from '@jest/globals'
import { offlineStoreContract } from '../contract/offline-store.js'
import { AthenaBench } from '../offline-stores/athena-bench.js'
import { athenaHarness } from '../offline-stores/athena-harness.js'
import { athenaSourceOf } from '../offline-stores/athena-random-join.js'
import { checkRandomCases } from '../offline-stores/random-cases.js'
import { TrinoQueryEngine } from './trino-query-engine.js'
import { TrinoServer } from './trino-server.js'

let server: TrinoServer

beforeAll(async () => {
  server = await TrinoServer.start()
}, 900_000)

afterAll(() => server?.stop())

/** The Athena store, the SDK's clients, and the emulated service, whose statements a real Trino runs. */
const open = () =>
  new AthenaBench(
    { checkGrammar: false, engine: (catalog) => new TrinoQueryEngine(catalog, server) },
    server.warehouse,
  ).open()

offlineStoreContract('Athena, on Trino', async () => athenaHarness(await open()))

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1_000_000)

describe('Athena, on Trino', () => {
  it(`agrees with the oracle in random joins and pulls (seed ${seed})`, async () => {
    const bench = await open()
    const cases = Number(process.env.FEAST_ATHENA_TRINO_CASES ?? 100)
    await checkRandomCases(bench.store, bench.tables, { cases, seed, source: athenaSourceOf(bench) })
    await bench.close()
  }, 1_800_000)
})
