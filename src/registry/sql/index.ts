import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import type { RepoConfig } from '../../config/repo-config.js'
import { parseStoreBlock } from '../../config/store-block.js'
import type { BackendContext } from '../../core/backend.js'
import { messageOf } from '../../core/errors.js'
import type { RegistryStore } from '../registry-store.js'
import { companionRows } from './companion-rows.js'
import { type DatabaseUrl, parseDatabaseUrl } from './database-url.js'
import { postgresConnection } from './postgres-connection.js'
import type { RegistryDatabase } from './registry-database.js'
import { SqlRegistryStore } from './sql-registry-store.js'

/** Connections of one process, if `pool_size` says nothing else: it reads, writes and keeps leases. */
const MAX_CONNECTIONS = 4

/** How to open a database; made while the configuration is checked, so that mistakes are found there. */
type OpenDatabase = (repoPath: string) => Promise<RegistryDatabase>

const engineOptions = z.looseObject({
  pool_size: z.int().min(1).max(100).default(MAX_CONNECTIONS),
  connect_args: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
})

/** Feast's keys and defaults; those that any registry has are the caller's. */
const config = z
  .object({
    path: z.string(),
    read_path: z.string().nullish(),
    sqlalchemy_config_kwargs: engineOptions.prefault({}),
    schema_mode: z.enum(['auto', 'verify', 'skip']).default('auto'),
  })
  .transform(
    ({ path, read_path: readPath, sqlalchemy_config_kwargs: engine, schema_mode: schemaMode }, context) => {
      const opener = (key: string, url: string): OpenDatabase => {
        try {
          return databaseAt(parseDatabaseUrl(url), engine)
        } catch (error) {
          context.addIssue({ code: 'custom', path: [key], message: messageOf(error) })
          return z.NEVER
        }
      }
      return {
        schemaMode,
        database: opener('path', path),
        replica: readPath ? opener('read_path', readPath) : undefined,
      }
    },
  )

/** Feast's SQL registry. Connects to nothing yet. @throws CONFIG_INVALID */
export async function openSqlRegistry(
  block: RepoConfig['registry'],
  { project, repoPath }: BackendContext,
): Promise<RegistryStore> {
  const { schemaMode, ...open } = parseStoreBlock(
    { ...block, options: { ...block.options, path: block.path } },
    config,
  )
  const database = await open.database(repoPath)
  const replica = await open.replica?.(repoPath)
  return new SqlRegistryStore({
    database,
    ...(replica && { replica }),
    companions: companionRows(database),
    schemaMode,
    project,
  })
}

/** @throws Error that says what is wrong with the URL */
function databaseAt(url: DatabaseUrl, engine: z.infer<typeof engineOptions>): OpenDatabase {
  if (url.dialect === 'sqlite') return sqliteAt(url)
  if (url.dialect !== 'postgresql') {
    throw new Error(
      `registries are kept in sqlite and postgresql, not in "${url.dialect}"; write sqlite:///data/registry.db or postgresql://user:password@host:5432/database`,
    )
  }
  const options = {
    location: url.shown,
    maxConnections: engine.pool_size,
    ...postgresConnection(url, engine.connect_args),
  }
  return async () => new (await import('./postgres-database.js')).PostgresDatabase(options)
}

function sqliteAt({ database, host, query, shown }: DatabaseUrl): OpenDatabase {
  if (host) throw new Error('a path after sqlite: starts with three slashes, an absolute one with four')
  if (database === '' || database === ':memory:') {
    throw new Error(
      'a registry in memory is gone with its process; name a file, such as sqlite:///data/registry.db',
    )
  }
  const unknown = [...query.keys()].find((key) => !['timeout', 'check_same_thread'].includes(key))
  if (unknown) throw new Error(`the parameter "${unknown}" is not known here`)
  return async (repoPath) => {
    const path = isAbsolute(database) ? database : join(repoPath, database)
    return new (await import('./sqlite-database.js')).SqliteDatabase(path, shown)
  }
}
