import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { DatabaseSync } from '@photostructure/sqlite'
import pg from 'pg'
import { decodeInfraTables, editInfra } from '../../src/codec/definitions/infra.js'
import { type Logger, silentLogger } from '../../src/core/logger.js'
import { MaterializationLeases } from '../../src/feature-store/materialization-leases.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import { seededRandom } from '../compat/random.js'
import { entityRecord, registryStoreContract } from '../contract/registry-store.js'
import { hasPostgres, NO_POSTGRES, PostgresServer } from '../postgres-server.js'
import { passOn, TcpProxy } from '../tcp-proxy.js'
import { openSqlRegistry } from './open-sql-registry.js'
import { expectWhole, killWriters, startSqlWriter } from './sql-writers.js'

/** Opened by a test; closed when it is done. */
const opened: RegistryStore[] = []

async function open(path: string, options: object = {}, repoPath = '/'): Promise<RegistryStore> {
  const store = await openSqlRegistry(path, options, repoPath)
  opened.push(store)
  return store
}

async function closeAll(): Promise<void> {
  for (const store of opened.splice(0)) await store.close()
}

const put = (...names: string[]) => names.map((name) => ({ put: entityRecord(name) }))

interface Database {
  /** An empty one. */
  make(): Promise<void>
  url(): string
  /** Statements of somebody else. */
  run(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  clean(): Promise<void>
}

function sqlite(): Database {
  let folder: string
  return {
    async make() {
      folder = mkdtempSync(join(tmpdir(), 'feast-sql-'))
    },
    url: () => `sqlite:///${folder}/data/registry.db`,
    async run(sql) {
      const db = new DatabaseSync(join(folder, 'data/registry.db'), { timeout: 5000 })
      try {
        return db.prepare(sql).all() as Readonly<Record<string, unknown>>[]
      } finally {
        db.close()
      }
    },
    async clean() {
      await closeAll()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

let server: PostgresServer | undefined
beforeAll(async () => {
  if (hasPostgres) server = await PostgresServer.start()
}, 120_000)
afterAll(() => server?.stop())

function postgres(): Database {
  let url: string
  return {
    async make() {
      url = await server!.database()
    },
    url: () => url,
    run: (sql) => server!.query(sql, url.split('/').at(-1)),
    clean: closeAll,
  }
}

function suite(name: string, database: Database): void {
  registryStoreContract(name, {
    async open() {
      await database.make()
      return open(database.url())
    },
    again: () => open(database.url()),
    clean: () => database.clean(),
  })

  describe(name, () => {
    let store: RegistryStore
    beforeEach(async () => {
      await database.make()
      store = await open(database.url())
    })
    afterEach(() => database.clean())

    it('notices a change of one byte by somebody else, and one that a table does not show', async () => {
      const version = await store.write(put('a', 'b'), undefined)
      expect(await store.changedSince(version)).toBe(false)
      await database.run("UPDATE entities SET entity_proto = entity_proto WHERE entity_name = 'a'")
      expect(await store.changedSince(version)).toBe(false)
      await database.run(
        "UPDATE entities SET entity_proto = (SELECT entity_proto FROM entities WHERE entity_name = 'b') WHERE entity_name = 'a'",
      )
      expect(await store.changedSince(version)).toBe(true)
      await expect(store.write(put('c'), version)).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
      expect((await store.read()).records.map(({ name }) => name)).toEqual(['a', 'b'])
    })

    it('leaves alone what it does not know of: user metadata, free metadata, other rows and their times', async () => {
      const view = { ...entityRecord('v'), kind: 'featureView' } as const
      const version = await store.write([...put('a'), { put: view }], undefined)
      await database.run('UPDATE entities SET last_updated_timestamp = 7')
      await database.run('UPDATE feature_views SET user_metadata = entity_proto FROM entities WHERE true')
      await database.run("INSERT INTO feast_metadata VALUES ('demo', 'recently_visited_x', '[]', 3)")
      expect(await store.changedSince(version)).toBe(false)
      await store.write([...put('b'), { put: view }], version)
      expect(
        await database.run('SELECT entity_name, last_updated_timestamp < 10 AS old FROM entities'),
      ).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ entity_name: 'a', old: name === 'SQLite' ? 1 : true }),
        ]),
      )
      const [row] = await database.run('SELECT length(user_metadata) AS bytes FROM feature_views')
      expect(row!['bytes']).toBeGreaterThan(0)
      expect(await database.run("SELECT * FROM feast_metadata WHERE project_id = 'demo'")).toHaveLength(1)
    })

    it('a project takes its metadata along, so that Python Feast does not make it anew', async () => {
      const project = { ...entityRecord('demo'), kind: 'project' } as const
      const version = await store.write([{ put: project }], undefined)
      await database.run("INSERT INTO feast_metadata VALUES ('demo', 'last_updated_timestamp', '3', 3)")
      await store.write([{ remove: project }], version)
      expect(await database.run('SELECT project_id FROM feast_metadata')).toEqual([{ project_id: '' }])
    })

    it('shares one infra record out to the projects, and reads it back as one', async () => {
      const projects = ['demo', 'demo_two'].map((one) => ({
        put: { ...entityRecord(one, one), kind: 'project' } as const,
      }))
      const tables = ['demo_x', 'demo_two_x', 'other'].map((table) => ({ name: table, path: 'online.db' }))
      const bytes = editInfra(undefined, tables, new Set())!
      const infra = { kind: 'infra', project: '', name: '' } as const
      let version = await store.write([...projects, { put: { ...infra, bytes } }], undefined)
      expect(
        await database.run('SELECT project_id, infra_name FROM managed_infra ORDER BY project_id'),
      ).toEqual([
        { project_id: 'demo', infra_name: 'infra_obj' },
        { project_id: 'demo_two', infra_name: 'infra_obj' },
      ])
      const read = (await store.read()).records.find(({ kind }) => kind === 'infra')!
      expect(
        decodeInfraTables(read.bytes)
          .map((table) => table.name)
          .sort(),
      ).toEqual(['demo_two_x', 'demo_x', 'other'])
      const fewer = editInfra(read.bytes, [], new Set(['demo_two_x']))!
      version = await store.write([{ put: { ...infra, bytes: fewer } }], version)
      expect(await database.run('SELECT project_id FROM managed_infra')).toEqual([{ project_id: 'demo' }])
    })

    it('keeps companion objects by compare-and-set, leases among them', async () => {
      await store.write([], undefined)
      const { companions } = store
      const others = (await open(database.url())).companions
      expect(await companions.read('runs/a.json')).toBeUndefined()
      await companions.remove('runs/a.json')
      const first = await companions.write('runs/a.json', Buffer.from('one'), undefined)
      expect(await others.read('runs/a.json')).toEqual({ version: first, bytes: Buffer.from('one') })
      await expect(others.write('runs/a.json', Buffer.from('x'), undefined)).rejects.toMatchObject({
        code: 'OBJECT_CONFLICT',
      })
      const second = await others.write('runs/a.json', Buffer.from('two!'), first)
      await expect(companions.write('runs/a.json', Buffer.from('x'), first)).rejects.toMatchObject({
        code: 'OBJECT_CONFLICT',
      })
      expect((await companions.read('runs/a.json'))?.version).toBe(second)
      await companions.write('run', Buffer.alloc(0), undefined)
      const listed = []
      for await (const { uri, bytes } of companions.list('runs/')) listed.push([uri, bytes])
      expect(listed).toEqual([['runs/a.json', 4]])
      await companions.remove('runs/a.json')
      expect(await others.read('runs/a.json')).toBeUndefined()

      const logger: Logger = silentLogger
      const leases = new MaterializationLeases({ objects: companions, project: 'demo', logger })
      const outcomes = await Promise.all(Array.from({ length: 4 }, () => leases.acquire('v')))
      const held = outcomes.filter((outcome) => typeof outcome === 'object')
      expect(held).toHaveLength(1)
      await held[0]!.release()
      const again = await leases.acquire('v')
      expect(typeof again).toBe('object')
      if (typeof again === 'object') await again.release()
    })

    it('schema_mode: verify names the missing tables, skip makes none', async () => {
      const [verify, skip] = await Promise.all(
        ['verify', 'skip'].map((mode) => open(database.url(), { schema_mode: mode })),
      )
      await expect(skip!.write(put('a'), undefined)).rejects.toMatchObject({ code: 'REGISTRY_WRITE_FAILED' })
      await store.write(put('a'), undefined)
      const version = (await verify!.read()).version
      expect(await skip!.write(put('b'), version)).not.toBe(version)
      await database.run('DROP TABLE label_views')
      await expect(verify!.read()).rejects.toMatchObject({
        code: 'REGISTRY_TABLES_MISSING',
        message: expect.stringContaining('label_views'),
      })
      expect((await store.read()).records).toHaveLength(2)
    })

    it('reads a replica until it has written', async () => {
      const version = await store.write(put('a'), undefined)
      const replica = sqlite()
      await replica.make()
      const old = await open(replica.url())
      await old.write(put('old'), undefined)
      const both = await open(database.url(), { read_path: replica.url() })
      expect((await both.read()).records.map(({ name: record }) => record)).toEqual(['old'])
      await both.write(put('b'), version)
      expect((await both.read()).records.map(({ name: record }) => record)).toEqual(['a', 'b'])
      await replica.clean()
    })

    it('killed writers leave nothing half written, and nothing acknowledged is lost', async () => {
      await store.write([], undefined)
      const writer = await startSqlWriter({ url: database.url(), writers: 3, count: 4, prefix: 'ours' })
      const killed = await killWriters(database.url(), 2, seededRandom('sql writers to kill'))
      expect(await writer.ended).toBe(0)
      expect(writer.names()).toHaveLength(12)
      await expectWhole(store, [...writer.names(), ...killed])
    }, 60_000)
  })
}

suite('SQLite', sqlite())

describe('SQLite file', () => {
  const database = sqlite()
  beforeEach(() => database.make())
  afterEach(() => database.clean())
  const file = () => database.url().slice('sqlite:///'.length)

  it('is not made by looking for it, and is found below the feature repo', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'feast-sql-repo-'))
    const store = await open('sqlite:///data/registry.db', {}, folder)
    await expect(store.read()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    expect(await store.changedSince('x')).toBe(true)
    expect(existsSync(join(folder, 'data'))).toBe(false)
    await store.write(put('a'), undefined)
    expect(existsSync(join(folder, 'data/registry.db'))).toBe(true)
    await closeAll()
    rmSync(folder, { recursive: true, force: true })
  })

  it('waits for a lock of somebody else, then writes', async () => {
    const store = await open(database.url())
    const version = await store.write(put('a'), undefined)
    const other = new DatabaseSync(file())
    other.exec('BEGIN IMMEDIATE')
    const written = store.write(put('b'), version)
    await sleep(200)
    other.exec('ROLLBACK')
    other.close()
    await written
    expect((await store.read()).records).toHaveLength(2)
  })

  it('another file in its place is another registry', async () => {
    const store = await open(database.url())
    const version = await store.write(put('a'), undefined)
    expect(await store.changedSince(version)).toBe(false)
    rmSync(file())
    expect(await store.changedSince(version)).toBe(true)
    await expect(store.read()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    await store.write(put('b'), undefined)
    expect((await store.read()).records.map(({ name }) => name)).toEqual(['b'])
  })

  it('that is no database is an error that says so', async () => {
    const store = await open(database.url())
    await store.write(put('a'), undefined)
    await closeAll()
    writeFileSync(file(), 'something else entirely, long enough to be looked at as a header')
    const again = await open(database.url())
    await expect(again.read()).rejects.toMatchObject({
      code: 'REGISTRY_UNREADABLE',
      message: expect.stringContaining('not a database'),
    })
    await expect(again.write(put('b'), undefined)).rejects.toMatchObject({ code: 'REGISTRY_WRITE_FAILED' })
  })
})

;(hasPostgres ? describe : describe.skip)(hasPostgres ? 'PostgreSQL' : `PostgreSQL (${NO_POSTGRES})`, () => {
  const database = postgres()
  suite('PostgreSQL', database)

  describe('server', () => {
    beforeEach(() => database.make())
    afterEach(() => database.clean())

    /** A session that stays open. */
    async function session(): Promise<pg.Client> {
      const client = new pg.Client(database.url().replace('+psycopg', ''))
      await client.connect()
      return client
    }

    it('waits for a transaction of somebody else, and sees what it did', async () => {
      const store = await open(database.url())
      const version = await store.write(put('a'), undefined)
      const other = await session()
      await other.query("BEGIN; SELECT * FROM entities; UPDATE entities SET entity_proto = '' WHERE false")
      const written = store.write(put('b'), version)
      await sleep(300)
      await other.query("INSERT INTO entities SELECT 'c', project_id, 1, entity_proto FROM entities; COMMIT")
      await expect(written).rejects.toMatchObject({ code: 'REGISTRY_CONFLICT' })
      await other.end()
      expect((await store.read()).records.map(({ name }) => name)).toEqual(['a', 'c'])
    })

    it('a reader that does not end keeps nobody from writing', async () => {
      const store = await open(database.url())
      const version = await store.write(put('a'), undefined)
      const dump = await session()
      await dump.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM entities')
      await store.write(put('b'), version)
      const { rows } = await dump.query('SELECT entity_name FROM entities')
      expect(rows).toEqual([{ entity_name: 'a' }])
      await dump.end()
    }, 30_000)

    it('a connection that breaks at the commit is said to be unknown, and is whole', async () => {
      const proxy = await TcpProxy.to(server!.port)
      const store = await open(database.url().replace(/:\d+\//, `:${proxy.address.split(':')[1]}/`))
      const version = await store.write(put('a'), undefined)
      proxy.answer = (chunk, client) => {
        if (chunk.includes('COMMIT')) client.destroy()
        else passOn(chunk, client)
      }
      await expect(store.write(put('b', 'c'), version)).rejects.toMatchObject({
        code: 'REGISTRY_WRITE_UNKNOWN',
      })
      proxy.answer = passOn
      expect((await store.read()).records.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
      await closeAll()
      proxy.close()
    })

    it('says who does not answer, without the password; and is there again after a restart', async () => {
      const store = await open(database.url())
      const version = await store.write(put('a'), undefined)
      await server!.kill()
      const failed = await store.read().catch((error) => error)
      expect(failed).toMatchObject({ code: 'REGISTRY_UNAVAILABLE' })
      expect(failed.message).toContain(`postgresql://feast@127.0.0.1:${server!.port}/`)
      await server!.restart()
      expect((await store.read()).version).toBe(version)
      const wrong = await open(database.url().replace(/:[^:@]+@/, ':nope@'))
      await expect(wrong.read()).rejects.toMatchObject({
        code: 'REGISTRY_UNAVAILABLE',
        message: expect.stringMatching(/password authentication failed/),
      })
    }, 60_000)

    it('sslmode: plain where the server has no TLS and none is asked for, else checked as asked', async () => {
      await expect((await open(`${database.url()}?sslmode=require`)).read()).rejects.toMatchObject({
        message: expect.stringContaining('does not support SSL'),
      })
      const pem = (name: string) => fileURLToPath(new URL(`../online-stores/tls/${name}`, import.meta.url))
      await server!.useTls(pem('server.pem'), pem('server.key'))
      let connections = 0
      const isTls = async (parameters: string) => {
        const name = `connection ${++connections}`
        const store = await open(`${database.url()}?${parameters}&application_name=${name}`)
        await expect(store.read()).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
        const rows = await database.run(
          `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = '${name}'`,
        )
        return rows.map(({ ssl }) => ssl)
      }
      expect(await isTls('sslmode=disable')).toEqual([false])
      expect(await isTls('sslmode=prefer')).toEqual([true])
      expect(await isTls('sslmode=require')).toEqual([true])
      await expect((await open(`${database.url()}?sslmode=verify-full`)).read()).rejects.toMatchObject({
        code: 'REGISTRY_UNAVAILABLE',
      })
      for (const mode of ['verify-ca', 'verify-full']) {
        expect(await isTls(`sslmode=${mode}&sslrootcert=${pem('ca.pem')}`)).toEqual([true])
      }
    })
  })
})
