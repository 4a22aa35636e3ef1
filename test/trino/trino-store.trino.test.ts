import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { offlineStoreContract } from '../contract/offline-store.js'
import { checkRandomCases, type MakeSource } from '../offline-stores/random-cases.js'
import { TrinoServer } from './trino-server.js'
import { TrinoTables } from './trino-tables.js'

let server: TrinoServer
let tables: TrinoTables

beforeAll(async () => {
  server = await TrinoServer.start()
  tables = await TrinoTables.open(server)
}, 900_000)

afterAll(async () => {
  await tables?.close()
  await server?.stop()
})

offlineStoreContract('Trino', async () => {
  const store = await tables.openStore()
  return {
    store,
    table: (columns, rows, { datePartitionColumn } = {}) =>
      tables.table(
        columns.map(({ name, type, naive }) => ({ name, type, storedAs: naive ? 'TIMESTAMP' : undefined })),
        [rows],
        datePartitionColumn,
      ),
    staging: tables.staging,
    close: () => store.close(),
  }
})

const seed = Number(process.env.FEAST_SEED ?? Date.now() % 1_000_000)

describe('Trino', () => {
  it(`agrees with the oracle in random joins and pulls (seed ${seed})`, async () => {
    const store = await tables.openStore()
    const cases = Number(process.env.FEAST_TRINO_CASES ?? 600)
    const source: MakeSource = (columns, rows, files) =>
      tables.table(
        columns,
        Array.from({ length: files }, (_, file) => rows.filter((_, at) => at % files === file)),
      )
    await checkRandomCases(store, tables.files, { cases, seed, staging: tables.staging, source })
    await store.close()
  }, 1_800_000)

  it('keeps nothing that was staged', async () => {
    expect(await tables.run(`SHOW TABLES FROM hive.feast_test LIKE 'feast_entity%'`)).toEqual([])
  })
})
