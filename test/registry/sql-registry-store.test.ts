import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { openRegistryStore } from '../../src/registry/index.js'
import type { RegistryStore } from '../../src/registry/registry-store.js'
import { registryStoreContract } from '../contract/registry-store.js'
import { hasPostgres, NO_POSTGRES, PostgresServer } from '../postgres-server.js'

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
})
