import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { BackendContext, BackendFactory } from '../../core/backend.js'
import { feastError, messageOf } from '../../core/errors.js'
import type { OnlineStore } from '../online-store.js'
import type { RedisOptions } from './connection-string.js'
import { RedisClient } from './redis-client.js'
import { type RedisConfig, redisConfig } from './redis-config.js'
import { addressText, type ConnectionOptions, type RedisAddress } from './redis-connection.js'
import { RedisOnlineStore } from './redis-online-store.js'
import { ClusterRouter, type RedisRouter, SingleRouter, sentinelLocator } from './redis-router.js'

const CONNECT_TIMEOUT_MS = 1000
const READ_TIMEOUT_MS = 2000
const WRITE_TIMEOUT_MS = 10_000

export const redisOnlineStore: BackendFactory<RedisConfig, OnlineStore> = {
  type: 'redis',
  config: redisConfig,
  async create(config: RedisConfig, { project, repoPath, entityKeyVersion, logger }: BackendContext) {
    const { nodes, options } = config.connection_string
    if (config.redis_type === 'redis' && nodes.length > 1) {
      logger.warn(
        { store: 'redis' },
        'online_store.connection_string: redis_type redis uses its first host alone',
      )
    }
    const timeoutMs = options.socketTimeoutSeconds && options.socketTimeoutSeconds * 1000
    const used = config.redis_type === 'redis' ? nodes.slice(0, 1) : nodes
    return new RedisOnlineStore({
      client: new RedisClient(routerOf(config, repoPath)),
      describe: used.map(addressText).join(', '),
      project,
      entityKeyVersion,
      ttlSeconds: config.key_ttl_seconds ?? 0,
      skipDedup: config.skip_dedup,
      fullScanForDeletion: config.full_scan_for_deletion === true,
      readTimeoutMs: timeoutMs ?? READ_TIMEOUT_MS,
      writeTimeoutMs: timeoutMs ?? WRITE_TIMEOUT_MS,
      logger,
    })
  },
}

function routerOf(config: RedisConfig, repoPath: string): RedisRouter {
  const { nodes, options } = config.connection_string
  const greeting = connectionOptions(options, repoPath)
  if (config.redis_type === 'redis_cluster') return new ClusterRouter(nodes, greeting)
  if (config.redis_type === 'redis') {
    return new SingleRouter(addressText(nodes[0]!), async () => nodes[0]!, greeting)
  }
  return sentinelRouter(nodes, config.sentinel_master, { ...greeting, masterOnly: true }, options, repoPath)
}

/** As with redis-py: the options are the master's; sentinels have those of `sentinel_kwargs` and the timeouts. */
function sentinelRouter(
  sentinels: readonly RedisAddress[],
  master: string,
  greeting: ConnectionOptions,
  { sentinel = {} }: RedisOptions,
  repoPath: string,
): RedisRouter {
  const { connectTimeoutMs } = greeting
  const toSentinels = { ...connectionOptions(sentinel, repoPath), db: 0, connectTimeoutMs }
  const name = `${sentinels.map(addressText).join(', ')} (${master})`
  return new SingleRouter(name, sentinelLocator(sentinels, master, toSentinels), greeting)
}

function connectionOptions(options: RedisOptions, repoPath: string): ConnectionOptions {
  const { username, password, db = 0, clientName, ssl, connectTimeoutSeconds } = options
  return {
    username,
    password,
    db,
    clientName,
    tls: ssl ? tlsOptions(options, repoPath) : undefined,
    connectTimeoutMs: connectTimeoutSeconds ? connectTimeoutSeconds * 1000 : CONNECT_TIMEOUT_MS,
    masterOnly: false,
  }
}

function tlsOptions(options: RedisOptions, repoPath: string): TlsOptions {
  const { caFile, caText, certFile, keyFile, keyPassword, ciphers, minVersion } = options
  const read = (option: string, path: string | undefined) => path && readPem(option, resolve(repoPath, path))
  const ca = caText ?? read('ssl_ca_certs', caFile)
  const cert = read('ssl_certfile', certFile)
  const key = read('ssl_keyfile', keyFile)
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(keyPassword && { passphrase: keyPassword }),
    ...(ciphers && { ciphers }),
    ...(minVersion && { minVersion }),
    rejectUnauthorized: options.verifyCertificate ?? true,
    ...(options.verifyHostname === false && { checkServerIdentity: () => undefined }),
  }
}

function readPem(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw feastError(
      'CONFIG_INVALID',
      {
        file: 'feature_store.yaml',
        path: 'online_store.connection_string',
        problem: `the file of ${option} cannot be read: ${messageOf(error)}`,
      },
      error,
    )
  }
}
