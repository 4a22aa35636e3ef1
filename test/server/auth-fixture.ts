import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { encodeDefinition } from '../../src/codec/definitions/definition-codec.js'
import type { Permission as PermissionMessage } from '../../src/codec/messages.generated.js'
import { encodeMessage } from '../../src/codec/proto.js'
import { type Logger, silentLogger } from '../../src/core/logger.js'
import type { Permission } from '../../src/core/permission.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { openRegistryStore } from '../../src/registry/index.js'
import { Admission } from '../../src/server/admission.js'
import { type AccessControl, openAccessControl } from '../../src/server/auth/access-control.js'
import { createApp } from '../../src/server/http/app.js'
import { MaterializeJobs } from '../../src/server/http/materialize-jobs.js'
import { createServerMetrics } from '../../src/server/http/server-metrics.js'
import { Readiness } from '../../src/server/readiness.js'
import { makeStore, openFixtureStore } from './fixture.js'
import { type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'

export interface Guarded {
  readonly folder: string
  readonly store: FeatureStore
  readonly app: FastifyInstance
  readonly grpc: GrpcFixture
  readonly access: AccessControl
  close(): Promise<void>
}

export interface GuardedOptions {
  /** The auth block of feature_store.yaml. */
  readonly auth: string
  readonly permissions?: readonly (Permission | PermissionMessage)[]
  readonly logger?: Logger
}

/** The feature repo of the server tests behind access control, over HTTP and gRPC. */
export async function openGuarded({ auth, permissions = [], logger }: GuardedOptions): Promise<Guarded> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-auth-'))
  await (await makeStore(folder, 'ignore')).close()
  appendFileSync(join(folder, 'feature_store.yaml'), `\nauth: ${auth}\n`)
  const store = await openFixtureStore(folder)
  await addPermissions(store, permissions)
  const access = (await openAccessControl(store, logger ?? silentLogger))!
  const admission = new Admission(1000)
  const metrics = createServerMetrics(store, admission)
  const jobs = new MaterializeJobs({ store, logger: silentLogger, workers: 2 })
  const app = await createApp({
    store,
    log: { logger: silentLogger, access: undefined },
    metrics,
    jobs,
    admission,
    access,
    readiness: new Readiness(store),
    bodyLimitBytes: 1024 * 1024,
    timeouts: { keepAliveMs: 1000, headersMs: 5000, requestMs: 10_000, answerMs: 10_000 },
    maxConnections: 1000,
    metricsText: metrics.text,
    stopping: () => false,
  })
  await app.ready()
  const grpc = await openGrpcFixture({ store, access })
  return {
    folder,
    store,
    app,
    grpc,
    access,
    async close() {
      await grpc.close()
      await app.close()
      await jobs.stop()
      metrics.close()
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Writes them into the registry as `apply` does; messages stand for what the maker refuses. */
export async function addPermissions(
  { config }: FeatureStore,
  permissions: readonly (Permission | PermissionMessage)[],
): Promise<void> {
  if (permissions.length === 0) return
  const { project, repoPath, entityKeyVersion } = config
  const context = { project, repoPath, entityKeyVersion, logger: silentLogger }
  const registry = await openRegistryStore(config.registry, context)
  const { version } = await registry.read()
  const puts = permissions.map((one) => {
    const name = 'kind' in one ? one.name : one.spec!.name!
    const bytes =
      'kind' in one
        ? encodeDefinition(one, { project, now: 1n, findView: () => undefined }).bytes
        : encodeMessage('feast.core.Permission', { spec: { project, ...one.spec } })
    return { put: { kind: 'permission' as const, project, name, bytes } }
  })
  await registry.write(puts, version)
  await registry.close()
}

export interface SigningKey {
  readonly kid: string
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export function signingKey(kid: string, modulusLength = 2048): SigningKey {
  return { kid, ...generateKeyPairSync('rsa', { modulusLength }) }
}

/** A token as a provider would make it, or as a forger would; none of our code takes part. */
export function signedToken(key: SigningKey, payload: object, header: object = {}): string {
  const text = `${part({ alg: 'RS256', typ: 'JWT', kid: key.kid, ...header })}.${part(payload)}`
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key.privateKey, 'base64url')}`
}

export function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** A small OIDC provider over HTTP: its discovery document and its keys. */
export class IdentityProvider {
  keys: SigningKey[] = []
  /** Published as they are, before the keys. */
  oddKeys: unknown[] = []
  /** How often the keys were read. */
  reads = 0
  /** `mute`: takes requests and answers none. */
  mode: 'well' | 'mute' | 'broken' = 'well'
  #server: Server | undefined
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}/realms/test/.well-known/openid-configuration`
  }

  /** On the same port as before, if there was one. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      if (this.mode === 'mute') return
      const isKeys = request.url === '/keys'
      if (isKeys) this.reads++
      if (this.mode === 'broken') response.writeHead(500).end('out of order')
      else response.end(JSON.stringify(isKeys ? this.#jwks() : this.#discovery()))
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  /** Python Feast's server wants the endpoints of logins as well. */
  #discovery(): object {
    const provider = `http://127.0.0.1:${this.#port}`
    const [authorization_endpoint, token_endpoint] = [`${provider}/authorize`, `${provider}/token`]
    return { jwks_uri: `${provider}/keys`, authorization_endpoint, token_endpoint }
  }

  #jwks(): object {
    const own = this.keys.map(({ kid, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
      use: 'sig',
      alg: 'RS256',
    }))
    return { keys: [...this.oddKeys, ...own] }
  }
}
