import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import type { Registry } from '../../src/registry/registry.js'
import { hasPostgres, NO_POSTGRES, PostgresServer } from '../postgres-server.js'
import { temporaryFolder } from '../temporary-folder.js'
import * as fixture from './fixture.js'
import { FixtureData } from './fixture-data.js'
import { openOurs, repoOf, runCommand } from './our-feast.js'
import * as oursOnly from './python-first-addition.js'
import { seededRandom } from './random.js'
import { describeWithRealFeast, feastPythonHas } from './real-feast.js'
import { comparable, type Json, LISTED_KINDS } from './registry-messages.js'
import { expectSixteenLoseNothing } from './sql-sixteen-writers.js'
import '../../src/registry/sql/index.js'
import '../../src/registry/sql/postgres-database.js'
import '../../src/registry/sql/sqlite-database.js'

const KINDS = { ...LISTED_KINDS, validation_references: 'validationReference' } as const

/** List → name → message as hex. */
type Objects = Readonly<Record<string, Readonly<Record<string, string>>>>
/** Table → rows. */
type Tables = Readonly<Record<string, readonly Readonly<Record<string, string | number | null>>[]>>

let server: PostgresServer | undefined
const noPostgres = hasPostgres
  ? feastPythonHas('psycopg')
    ? undefined
    : 'its Python has no psycopg'
  : NO_POSTGRES

beforeAll(async () => {
  if (noPostgres === undefined) server = await PostgresServer.start()
}, 120_000)
afterAll(() => server?.stop())

const databases: readonly [string, string | undefined, () => Promise<string>][] = [
  ['SQLite', undefined, async () => `sqlite:///${join(temporaryFolder('compat-sql'), 'registry.db')}`],
  ['PostgreSQL', noPostgres, () => server!.database()],
]

describeWithRealFeast('SQL registry shared with real Feast', (feast) => {
  const data = new FixtureData(seededRandom('sql registry'))
  const definitions = repoOf(fixture, 'fixture.ts')
  let files: string

  beforeAll(async () => {
    files = temporaryFolder('compat-sql-files')
    await data.makeRepo(files, feast())
    await feast().call('apply', { repo: files })
  }, 180_000)

  describe.each(databases)('%s', (name, missing, newUrl) => {
    const test = missing === undefined ? it : it.skip
    const titled = (title: string) => (missing === undefined ? title : `${title} (${missing})`)
    const stores: FeatureStore[] = []
    afterAll(() => Promise.all(stores.map((store) => store.close())))

    /** A repo over the fixture's data whose registry is that database. */
    async function repoAt(url: string): Promise<{ readonly repo: string; readonly store: FeatureStore }> {
      const repo = temporaryFolder(`compat-sql-${name}`)
      const text = readFileSync(join(files, 'feature_store.yaml'), 'utf8')
      writeFileSync(
        join(repo, 'feature_store.yaml'),
        text.replace('registry: data/registry.db', `registry: {registry_type: sql, path: "${url}"}`),
      )
      for (const part of ['data', 'definitions.py']) {
        cpSync(join(files, part), join(repo, part), { recursive: true })
      }
      const store = await openOurs(repo, definitions)
      stores.push(store)
      return { repo, store }
    }

    const rows = (url: string) => feast().call<Tables>('sql_rows', { url })

    test(titled(
      'made by real Feast: every record is what Feast reads, and stays as it is when we add to it',
    ), async () => {
      const url = await newUrl()
      const { repo, store } = await repoAt(url)
      await feast().call('apply', { repo })
      await feast().call('sql_python_only', { url })
      await feast().call('materialize', {
        repo,
        start: String(data.at(-48)),
        end: String(data.at(240)),
        views: ['loc_stats'],
      })
      const registry = await store.registry()
      expect(registry.broken()).toEqual([])
      await expectSame(url, registry)
      const before = await rows(url)
      expectSameBytes(before, registry)
      expect(registry.viewState('demo', 'loc_stats').intervals).toHaveLength(1)
      expect(registry.recordsOf('demo', 'featureViewVersion').length).toBeGreaterThan(5)
      expect(registry.recordsOf('demo', 'projectMetadata')).toHaveLength(1)

      await store.apply(repoOf(oursOnly, 'addition.ts'))
      const after = await rows(url)
      for (const [table, list] of Object.entries(before)) {
        // What is applied beside the views: the project's description, the online store's tables.
        if (table === 'projects' || table === 'managed_infra') continue
        const kept = after[table]!.map((row) => JSON.stringify(row))
        expect([table, kept]).toEqual([table, expect.arrayContaining(list.map((row) => JSON.stringify(row)))])
      }
      const listed = await feast().call<Record<string, object>>('list', { repo })
      expect(Object.keys(listed['feature_views']!)).toContain('added_by_typescript')
      const seen = await store.refreshRegistry()
      await expectSame(url, seen)
      await feast().call('reapply', { repo, names: ['added_by_typescript', 'service_added'] })
      await expectSame(url, await store.refreshRegistry())
    }, 120_000)

    test(titled('made by us: real Feast lists, re-applies and materializes; we see all of it'), async () => {
      const url = await newUrl()
      const { repo, store } = await repoAt(url)
      rmSync(join(repo, 'definitions.py'))
      await store.apply(definitions)
      const ours = await store.refreshRegistry()
      expectSameBytes(await rows(url), ours)
      await expectSame(url, ours)
      const run = { repo, start: String(data.at(-48)), end: String(data.at(240)), views: ['loc_stats'] }
      await feast().call('materialize', run)
      const listed = await feast().call<Record<string, object>>('list', { repo })
      await feast().call('reapply', { repo, names: ['driver', 'driver_source', 'loc_stats', 'service'] })
      const registry = await store.refreshRegistry()
      expect(registry.version).not.toBe(ours.version)
      expect(registry.viewState('demo', 'loc_stats').intervals).toHaveLength(1)
      await expectSame(url, registry)
      expect(comparable((await feast().call('list', { repo })) as Json)).toEqual(comparable(listed as Json))

      const report = await store.materialize({
        mode: 'range',
        start: data.at(-48),
        end: data.at(241),
        views: ['loc_stats'],
      })
      expect(report.views.map(({ outcome }) => outcome)).toEqual(['done'])
      await expectSame(url, await store.refreshRegistry())
      await store.teardown()
      expect((await feast().call<Record<string, object>>('list', { repo }))['projects']).toEqual({})
    }, 120_000)

    test(titled(
      'feast registry copy: a registry of real Feast from its file to tables and back',
    ), async () => {
      const url = await newUrl()
      const file = (repo: string) =>
        feast().call<Objects>('sql_file_objects', { path: join(repo, 'data/registry.db') })
      const theirs = await file(files)
      expect(Object.keys(theirs['feature_views']!).length).toBeGreaterThan(5)
      expect(await runCommand(files, 'registry', 'copy', '.', url)).toMatch(
        /^project: 1\n.*Copied and compared/s,
      )
      expect(await feast().call<Objects>('sql_objects', { url })).toEqual(theirs)
      const back = temporaryFolder('compat-sql-back')
      const report = JSON.parse(
        await runCommand(files, 'registry', 'copy', url, join(back, 'data/registry.db'), '--json'),
      )
      expect(report).toMatchObject({ projects: ['demo'], replaced: 0, sourceChanged: false })
      expect(await file(back)).toEqual(theirs)
    }, 120_000)

    test(titled('both make the same tables'), async () => {
      const [ours, theirs] = [await newUrl(), await newUrl()]
      await (await repoAt(ours)).store.apply(definitions)
      await feast().call('sql_create', { url: theirs })
      const [made, wanted] = [
        await feast().call('sql_schema', { url: ours }),
        await feast().call<Record<string, object>>('sql_schema', { url: theirs }),
      ]
      expect(Object.keys(wanted)).toHaveLength(14)
      expect(made).toEqual(wanted)
    }, 120_000)
  })

  ;(noPostgres ? it.skip : it)(
    `16 writers on PostgreSQL, four of them real Feast's, lose nothing${noPostgres ? ` (${noPostgres})` : ''}`,
    () =>
      server!
        .database()
        .then((url) =>
          expectSixteenLoseNothing(feast(), url, { count: 2, kills: 2, random: seededRandom('sql writers') }),
        ),
    120_000,
  )

  /** That Feast reads the very messages that we do. */
  async function expectSame(url: string, registry: Registry): Promise<void> {
    const theirs = await feast().call<Objects>('sql_objects', { url })
    const objects = Object.fromEntries(
      Object.entries(KINDS).map(([list, kind]) => [
        list,
        Object.fromEntries(registry.recordsOf('demo', kind).map(({ name, bytes }) => [name, hex(bytes)])),
      ]),
    )
    expect(await feast().call<Objects>('sql_canonical', { url, objects })).toEqual(theirs)
  }
})

/** That records are the rows' bytes; of those that do not say their project, with so much added. */
function expectSameBytes(tables: Tables, registry: Registry): void {
  let same = 0
  for (const [table, kind] of Object.entries(KINDS)) {
    for (const row of tables[table]!) {
      const values = Object.entries(row)
      const [, name] = values.find(([column]) => column.endsWith('_name') && column !== 'project_name') ?? [
        '',
        row['project_name'],
      ]
      const [, stored] = values.find(([column]) => column.endsWith('_proto'))!
      const record = registry.record({ kind, project: 'demo', name: String(name) })
      if (hex(record!.bytes) === stored) same++
      else {
        // The field's tag, its length and the name; lengths around it may take a byte more.
        const more = (hex(record!.bytes).length - String(stored).length) / 2
        expect([table, name, more >= 6 && more <= 9]).toEqual([table, name, true])
      }
    }
  }
  expect(same).toBeGreaterThan(5)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
