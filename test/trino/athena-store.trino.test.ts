import { afterAll, beforeAll, describe, it } from '@jest/globals'
import type { AthenaSource } from '../../src/core/data-source.js'
import { Int64, UnixTimestamp } from '../../src/core/value-type.js'
import type { PullQuery } from '../../src/offline-stores/offline-store.js'
import { offlineStoreContract } from '../contract/offline-store.js'
import { AthenaBench } from '../offline-stores/athena-bench.js'
import { athenaHarness } from '../offline-stores/athena-harness.js'
import { athenaSourceOf } from '../offline-stores/athena-random-join.js'
import { checkRandomCases } from '../offline-stores/random-cases.js'
import { rowsOf } from '../offline-stores/table-maker.js'
import { TrinoQueryEngine } from './trino-query-engine.js'
import { TrinoServer } from './trino-server.js'

let server: TrinoServer

beforeAll(async () => {
  server = await TrinoServer.start()
  // Its first statement takes a while.
  const bench = await open()
  await rowsOf(bench.store.pull(pullOf(await bench.table([{ name: 'k', type: Int64 }, TIME], []))).batches())
  await bench.close()
}, 900_000)

afterAll(() => server?.stop())

/** The Athena store, the SDK's clients, and the emulated service, whose statements a real Trino runs. */
function open(): Promise<AthenaBench> {
  return new AthenaBench(
    { checkGrammar: false, engine: (catalog) => new TrinoQueryEngine(catalog, server) },
    server.warehouse,
  ).open()
}

const TIME = { name: 'ts', type: UnixTimestamp }
const pullOf = (source: AthenaSource): PullQuery => ({
  source,
  timestampColumn: 'ts',
  createdColumn: undefined,
  joinKeys: [],
  features: [{ column: 'k', name: 'k', type: Int64 }],
  start: undefined,
  end: undefined,
  latest: true,
})

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
