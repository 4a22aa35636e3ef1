import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { offlineStoreContract } from '../contract/offline-store.js'
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

describe('Trino', () => {
  it('keeps nothing that was staged', async () => {
    expect(await tables.run(`SHOW TABLES FROM hive.feast_test LIKE 'feast_entity%'`)).toEqual([])
  })
})
