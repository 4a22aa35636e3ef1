import { afterEach, describe, expect, it } from '@jest/globals'
import { iamPolicy } from '../../src/cli/iam-policy.js'
import { parseRepoConfig } from '../../src/config/repo-config.js'
import { athenaSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import { parseInstant } from '../../src/core/instant.js'
import { Float64, Int64, UnixTimestamp } from '../../src/core/value-type.js'
import type { OfflineStore, PullQuery } from '../../src/offline-stores/offline-store.js'
import { stamp } from '../../src/offline-stores/sql/stamped-name.js'
import type { EmulatedAthenaOptions } from '../aws-emulator/athena/athena.js'
import { AthenaBench } from './athena-bench.js'
import { batchOf, once, rowsOf } from './table-maker.js'

const T = parseInstant('2024-01-10T12:00:00Z', 'T')
const FIELDS = [field('k', Int64), field('__event_timestamp', UnixTimestamp)]
const SET = athenaSource({ table: 'training_set', timestampField: '__event_timestamp' })
/** IAM's: a star stands for anything. */
const matchesGlob = (text: string, glob: string) => new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(text)
const DAY_MS = 24 * 3_600_000

describe('results kept as tables of Athena', () => {
  const opened: AthenaBench[] = []
  afterEach(async () => {
    for (const bench of opened.splice(0)) await bench.close()
  })

  async function open(
    emulated: Partial<EmulatedAthenaOptions> = {},
    options: Readonly<Record<string, unknown>> = {},
  ): Promise<AthenaBench> {
    const bench = await new AthenaBench({ checkGrammar: false, ...emulated }).open(options)
    opened.push(bench)
    return bench
  }

  const save = (store: OfflineStore, k: bigint, overwrite = true) =>
    store.save(SET, FIELDS, once(batchOf(FIELDS, [{ k, __event_timestamp: T }])), { overwrite })

  const pullOf = (source = SET): PullQuery => ({
    source,
    timestampColumn: source.timestampField,
    createdColumn: undefined,
    joinKeys: [],
    features: [{ column: 'k', name: 'k', type: Int64 }],
    start: undefined,
    end: undefined,
    latest: false,
  })
  const keys = async (bench: AthenaBench) =>
    (await rowsOf(bench.store.pull(pullOf()).batches())).map(({ k }) => k)
  const tables = (bench: AthenaBench) => bench.athena.catalog.tables('feast').map(({ name }) => name)

  /** A query's rows are kept under names that tell when. */
  async function keptQuery(bench: AthenaBench, v: bigint, overwrite = true) {
    const source = await bench.table(
      [
        { name: 'k', type: Int64 },
        { name: 'ts', type: UnixTimestamp },
      ],
      [{ k: v, ts: T }],
    )
    return bench.store.pull(pullOf(source)).persist(SET, { overwrite })
  }

  it.each([
    ['the rows cannot be written', /CREATE TABLE/],
    ['the view cannot be replaced', /CREATE OR REPLACE VIEW/],
  ])('where %s the old ones stay, and nothing is left', async (_, match) => {
    const bench = await open()
    await save(bench.store, 1n)
    const before = [tables(bench), bench.objects('s3://staging/feast/')]
    bench.athena.failQuery({ match, early: true, reason: 'GENERIC_INTERNAL_ERROR: broken' })
    const query = await bench.table(
      [
        { name: 'k', type: Int64 },
        { name: 'ts', type: UnixTimestamp },
      ],
      [{ k: 2n, ts: T }],
      { name: 'history' },
    )
    await expect(bench.store.pull(pullOf(query)).persist(SET, { overwrite: true })).rejects.toMatchObject({
      code: 'OFFLINE_STORE_FAILED',
    })
    expect([
      tables(bench).filter((name) => name !== 'history'),
      bench.objects('s3://staging/feast/'),
    ]).toEqual(before)
    expect(await keys(bench)).toEqual([1n])
  })

  it('a reader finds the old rows or the new ones at every step of overwriting', async () => {
    const bench = await open()
    await save(bench.store, 1n)
    const seen = new Set<string>()
    const readers: Promise<unknown>[] = []
    bench.emulator.watch(({ target }) => {
      if (target === 'AmazonAthena.StartQueryExecution' && readers.length < 8)
        readers.push(keys(bench).then((found) => seen.add(String(found))))
    })
    for (let k = 2n; k <= 4n; k++) await save(bench.store, k)
    await Promise.all(readers)
    expect(await keys(bench)).toEqual([4n])
    expect(readers.length).toBe(8)
    expect([...seen].filter((rows) => !['1', '2', '3', '4'].includes(rows))).toEqual([])
  })

  it('a worker that died, lost answers, and a view that is said to have failed leave one table, the new one', async () => {
    const bench = await open()
    await save(bench.store, 1n)
    bench.athena.failQuery({
      match: /CREATE TABLE/,
      early: true,
      reason: 'GENERIC_INTERNAL_ERROR: a worker was lost',
      retryable: true,
    })
    bench.athena.failQuery({
      match: /CREATE OR REPLACE VIEW/,
      reason: 'GENERIC_INTERNAL_ERROR: told in vain',
    })
    bench.emulator.fail({ match: /StartQueryExecution/, what: 'drop', times: 4 })
    expect(await keptQuery(bench, 2n)).toEqual({ rows: 1 })
    const view = bench.athena.catalog.find('feast', 'training_set')!.view!
    const [, current] = /"(training_set__feast_\w+)"/.exec(view)!
    expect(tables(bench).filter((name) => name === current)).toHaveLength(1)
    expect(await keys(bench)).toEqual([2n])
  })

  it('somebody who was faster, a table that is another’s, names that no table has', async () => {
    const bench = await open()
    await bench.table([{ name: 'k', type: Int64 }], [{ k: 1n }], { name: 'training_set' })
    await expect(save(bench.store, 1n)).rejects.toMatchObject({
      code: 'TABLE_EXISTS',
      details: { table: 'feast.training_set', isKept: false },
    })
    bench.athena.catalog.drop('feast', 'training_set')
    const other = await bench.another()
    const both = await Promise.allSettled([save(bench.store, 1n, false), save(other, 2n, false)])
    await other.close()
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'TABLE_EXISTS', details: { isKept: true } },
    })
    expect(await keys(bench)).toEqual([both[0]!.status === 'fulfilled' ? 1n : 2n])
    expect(tables(bench).filter((name) => name.includes('__feast_'))).toHaveLength(1)
    const upper = [field('Conv Rate', Float64), FIELDS[1]!]
    await expect(
      bench.store.save(SET, upper, once(batchOf(upper, [])), { overwrite: true }),
    ).rejects.toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('"Conv Rate"') })
    const named = athenaSource({ table: 'Training-Set' })
    await expect(bench.store.save(named, FIELDS, once(batchOf(FIELDS, [])))).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
  })

  it('in a workgroup that has a place of its own for tables', async () => {
    const bench = await open({
      workgroups: { feast: { enforce: true, outputLocation: 's3://staging/enforced/' } },
    })
    expect(await keptQuery(bench, 7n)).toEqual({ rows: 1 })
    expect(await keys(bench)).toEqual([7n])
    expect(bench.objects('s3://staging/enforced/').filter((name) => name.endsWith('.parquet'))).toHaveLength(
      1,
    )
    bench.athena.failQuery({
      match: /CREATE OR REPLACE VIEW/,
      early: true,
      reason: 'GENERIC_INTERNAL_ERROR: broken',
    })
    await expect(keptQuery(bench, 8n)).rejects.toMatchObject({ code: 'OFFLINE_STORE_FAILED' })
    expect(bench.objects('s3://staging/enforced/').filter((name) => name.endsWith('.parquet'))).toHaveLength(
      1,
    )
  })

  it('what keeping does to the catalog is what `feast iam render --table` allows', async () => {
    const bench = await open()
    const { catalog } = bench.athena
    const done: [string, string][] = []
    const { create, drop } = catalog
    catalog.create = (table, replace) => {
      const stands = catalog.find(table.database, table.name) !== undefined
      done.push([stands ? 'glue:UpdateTable' : 'glue:CreateTable', `${table.database}/${table.name}`])
      return create.call(catalog, table, replace)
    }
    catalog.drop = (database, name) => {
      done.push(['glue:DeleteTable', `${database}/${name}`])
      return drop.call(catalog, database, name)
    }
    await save(bench.store, 1n)
    await save(bench.store, 2n)
    bench.athena.failQuery({ match: /CREATE OR REPLACE VIEW/, early: true, reason: 'GENERIC_INTERNAL_ERROR' })
    await expect(save(bench.store, 3n)).rejects.toMatchObject({ code: 'OFFLINE_STORE_FAILED' })
    expect([...new Set(done.map(([action]) => action))].sort()).toEqual([
      'glue:CreateTable',
      'glue:DeleteTable',
      'glue:UpdateTable',
    ])

    const yaml = `project: test
registry: r.db
offline_store: { type: athena, region: us-east-1, database: feast, workgroup: w, data_source: AwsDataCatalog, s3_staging_location: s3://staging/feast }
`
    const config = await parseRepoConfig(yaml, 'feature_store.yaml', '/repo', {})
    const { Statement } = iamPolicy('job', config, { tables: ['training_set'] })
    const refused = done.filter(
      ([action, table]) =>
        !Statement.some(
          ({ Action, Resource }) =>
            Action.includes(action) &&
            Resource.some((one) => matchesGlob(`arn:aws:glue:us-east-1:*:table/${table}`, one)),
        ),
    )
    expect(refused).toEqual([])
  })

  it('the janitor drops what was replaced a day ago and what a killed process left, and no rows that are shown', async () => {
    const bench = await open()
    await save(bench.store, 1n)
    const daysAgo = (days: number) => stamp().replace(/^\w{8}/, (Date.now() - days * DAY_MS).toString(36))
    const make = async (name: string, hasTable = true) => {
      const folder = `s3://staging/feast/test/tables/feast/${name}/`
      await bench.file([{ name: 'k', type: Int64 }], [{ k: 5n }], `${folder}rows/rows.parquet`)
      const columns = [{ name: 'k', type: 'bigint' }]
      const table = { name, columns, partitionKeys: [], properties: {}, location: `${folder}rows/` }
      if (hasTable) bench.athena.catalog.create({ database: 'feast', ...table })
      return name
    }
    const replaced = await make(`training_set__feast_${daysAgo(3)}`)
    const justReplaced = await make(`training_set__feast_${daysAgo(2)}`)
    const unfinished = await make(`other_set__feast_${daysAgo(2)}`, false)
    const atWork = await make(`third_set__feast_${stamp()}`, false)
    const current = tables(bench).find(
      (name) => ![replaced, justReplaced].includes(name) && name.includes('__'),
    )
    const cleaned = await bench.store.clean!()
    expect([...cleaned.tables].sort()).toEqual([`feast.${unfinished}`, `feast.${replaced}`].sort())
    expect(tables(bench).sort()).toEqual(['training_set', justReplaced, current].sort())
    const folders = (name: string) => bench.objects(`s3://staging/feast/test/tables/feast/${name}/`).length
    expect([unfinished, replaced].map(folders)).toEqual([0, 0])
    expect(folders(atWork)).toBe(1)
    expect(await keys(bench)).toEqual([1n])
    // To overwrite is a good time to do the same for one table.
    await make(replaced)
    await save(bench.store, 2n)
    expect(tables(bench)).not.toContain(replaced)
    expect(tables(bench)).toContain(justReplaced)
    expect(await keys(bench)).toEqual([2n])
  })
})
