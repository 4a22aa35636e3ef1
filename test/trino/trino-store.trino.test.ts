import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { trinoSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { Int64, UnixTimestamp } from '../../src/core/value-type.js'
import { offlineStoreContract } from '../contract/offline-store.js'
import { checkRandomCases, type MakeSource } from '../offline-stores/random-cases.js'
import { batchOf, once } from '../offline-stores/table-maker.js'
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
    place: (name) => trinoSource({ table: name, timestampField: 'event_timestamp' }),
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

  it('a table of somebody else is not replaced; what was replaced is dropped a day later, and so is what was left', async () => {
    const store = await tables.openStore()
    const fields = [field('k', Int64), field('event_timestamp', UnixTimestamp)]
    const save = (table: string) =>
      store.save(trinoSource({ table }), fields, once(batchOf(fields, [{ k: 1n, event_timestamp: 0n }])), {
        overwrite: true,
      })
    const names = async () => {
      const found = await tables.run(`SHOW TABLES FROM hive.feast_test LIKE 'cleaned%'`)
      return found.map(([name]) => String(name)).sort()
    }
    await tables.run('CREATE TABLE hive.feast_test.theirs AS SELECT 1 AS k')
    await expect(save('theirs')).rejects.toMatchObject({ code: 'TABLE_EXISTS' })
    await save('cleaned')
    const [view, current] = await names()
    const daysAgo = (days: number) => `${(Date.now() - days * 86_400_000).toString(36)}_0123456789abcdef`
    const [oldest, older] = [daysAgo(3), daysAgo(2)]
    const left = ['feast_entity_', 'cleaned__feast_', 'cleaned_too__feast_'].map((name) => `${name}${older}`)
    for (const name of [...left, `cleaned__feast_${oldest}`])
      await tables.run(`CREATE TABLE hive.feast_test.${name} AS SELECT 1 AS k`)
    const cleaned = await store.clean!()
    expect([...cleaned.tables].sort()).toEqual([
      `feast_entity_${older}`,
      `feast_test.cleaned__feast_${oldest}`,
      `feast_test.cleaned_too__feast_${older}`,
    ])
    expect(await names()).toEqual([view, `cleaned__feast_${older}`, current])
    await store.close()
  })
})
