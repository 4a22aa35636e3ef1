import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { BackendContext, BackendFactory } from '../../core/backend.js'
import { feastError, messageOf } from '../../core/errors.js'
import type { OfflineStore } from '../offline-store.js'
import { cleanKept } from '../sql/kept-table.js'
import { textLiteral } from '../sql/trino-types.js'
import { warehouseOfflineStore } from '../sql/warehouse-offline-store.js'
import { TrinoClient, type TrinoConnection } from './trino-client.js'
import { TrinoTables } from './trino-tables.js'
import { TrinoWarehouse } from './trino-warehouse.js'

const auth = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('basic'),
    config: z.strictObject({ username: z.string(), password: z.string() }),
  }),
  z.strictObject({ type: z.literal('jwt'), config: z.strictObject({ token: z.string() }) }),
  z.strictObject({
    type: z.literal('certificate'),
    config: z.strictObject({ 'cert-file': z.string(), 'key-file': z.string() }),
  }),
  z.looseObject({ type: z.literal(['kerberos', 'oauth2']) }),
])

/** Feast's keys. */
const config = z
  .strictObject({
    host: z.string(),
    port: z.number().int().positive(),
    catalog: z.string(),
    user: z.string(),
    /** How tables are made that rows are staged in; Feast wants it named. */
    connector: z.strictObject({ type: z.string(), file_format: z.string().optional() }).nullish(),
    /** Schema in which rows are staged, and in which tables without a schema are. */
    dataset: z.string().default('feast'),
    source: z.string().nullish(),
    'http-scheme': z.enum(['http', 'https']).default('http'),
    'ssl-verify': z.boolean().default(true),
    'x-trino-extra-credential-header': z.string().nullish(),
    auth: auth.nullish(),
  })
  .superRefine(({ auth: given, 'http-scheme': scheme }, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['auth', 'type'], message })
    if (given?.type === 'kerberos' || given?.type === 'oauth2') {
      refuse(`${given.type} is not supported; use basic, jwt or certificate`)
    } else if (given && scheme !== 'https') refuse(`${given.type} needs http-scheme: https`)
  })

export type TrinoConfig = z.infer<typeof config>

export const trinoOfflineStore: BackendFactory<TrinoConfig, OfflineStore> = {
  type: 'trino',
  config: config as never,
  create: async (block: TrinoConfig, { repoPath, aws, logger }: BackendContext) => {
    const format = block.connector?.file_format
    const own = {
      catalog: block.catalog,
      schema: block.dataset,
      properties: format === undefined ? '' : `format = ${textLiteral(format.toUpperCase())}`,
    }
    const client = new TrinoClient(connection(block, repoPath))
    const tables = new TrinoTables(client, own, logger)
    const warehouse = new TrinoWarehouse(client, tables)
    const clean = async (now = Date.now()) => ({
      tables: [...(await tables.cleanScratch(now)), ...(await cleanKept(warehouse, now))],
      folders: [],
    })
    return { ...warehouseOfflineStore(warehouse, aws), clean }
  },
}

function connection(block: TrinoConfig, repoPath: string): TrinoConnection {
  const scheme = block['http-scheme']
  const credential = block['x-trino-extra-credential-header']
  return {
    url: `${scheme}://${block.host}:${block.port}`,
    user: block.user,
    catalog: block.catalog,
    schema: block.dataset,
    source: block.source ?? 'feast-node',
    headers: {
      ...authorization(block.auth),
      ...(credential == null ? {} : { 'X-Trino-Extra-Credential': credential }),
    },
    tls: { rejectUnauthorized: block['ssl-verify'], ...certificate(block.auth, repoPath) },
  }
}

function authorization(given: TrinoConfig['auth']): Readonly<Record<string, string>> {
  switch (given?.type) {
    case 'basic': {
      const { username, password } = given.config
      return { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
    }
    case 'jwt':
      return { Authorization: `Bearer ${given.config.token}` }
    default:
      return {}
  }
}

function certificate(given: TrinoConfig['auth'], repoPath: string) {
  if (given?.type !== 'certificate') return {}
  const read = (path: string) => {
    try {
      return readFileSync(resolve(repoPath, path))
    } catch (error) {
      throw feastError('FILE_NOT_READABLE', { path, why: messageOf(error) }, error)
    }
  }
  return { cert: read(given.config['cert-file']), key: read(given.config['key-file']) }
}
