import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { openRegistryStore } from '../../src/registry/index.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import { seededRandom } from '../compat/random.js'
import { registryStoreContract } from '../contract/registry-store.js'
import { hasPostgres, NO_POSTGRES, PostgresServer } from '../postgres-server.js'
import { expectWhole, killWriters, startSqlWriter } from './sql-writers.js'

function open(path: string, options: object = {}, repoPath = '/'): Promise<RegistryStore> {
  const block = {
    type: 'sql',
    path,
    options: { registry_type: 'sql', path, ...options },
    cacheTtlSeconds: 600,
    versioning: false,
    purgeFeastMetadata: false,
  }
  return openRegistryStore(block, { project: 'demo', repoPath, entityKeyVersion: 3, logger: silentLogger })
}

/** Opened by a test; closed when it is done. */
const opened: RegistryStore[] = []

async function opening(store: Promise<RegistryStore>): Promise<RegistryStore> {
  opened.push(await store)
  return store
}

async function closeAll(): Promise<void> {
  for (const store of opened.splice(0)) await store.close()
}

/** Three writers of ours add as others are killed. */
async function expectKillsHarmless(url: string): Promise<void> {
  const store = await opening(open(url))
  await store.write([], undefined)
  const writer = await startSqlWriter({ url, writers: 3, count: 5, prefix: 'ours' })
  const killed = await killWriters(url, 4, seededRandom('sql writers to kill'))
  expect(await writer.ended).toBe(0)
  expect(writer.names()).toHaveLength(15)
  await expectWhole(store, [...writer.names(), ...killed])
  await closeAll()
}

describe('SQLite', () => {
  let folder: string
  const store = () => opening(open('sqlite:///data/registry.db', {}, folder))

  registryStoreContract('SQLite', {
    open() {
      folder = mkdtempSync(join(tmpdir(), 'feast-sql-'))
      return store()
    },
    again: store,
    async clean() {
      await closeAll()
      rmSync(folder, { recursive: true, force: true })
    },
  })

  it('killed writers leave nothing half written, and nothing acknowledged is lost', async () => {
    folder = mkdtempSync(join(tmpdir(), 'feast-sql-'))
    await expectKillsHarmless(`sqlite:///${folder}/registry.db`)
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)
})

;(hasPostgres ? describe : describe.skip)(hasPostgres ? 'PostgreSQL' : `PostgreSQL (${NO_POSTGRES})`, () => {
  let server: PostgresServer
  let url: string
  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 120_000)
  afterAll(() => server.stop())

  registryStoreContract('PostgreSQL', {
    async open() {
      url = await server.database()
      return opening(open(url))
    },
    again: () => opening(open(url)),
    clean: closeAll,
  })

  it('killed writers leave nothing half written, and nothing acknowledged is lost', async () => {
    await expectKillsHarmless(await server.database())
  }, 60_000)
})
