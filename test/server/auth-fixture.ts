import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import protobuf from 'protobufjs'
import { encodeDefinition } from '../../src/codec/definitions/definition-codec.js'
import type { Permission as PermissionMessage } from '../../src/codec/messages.generated.js'
import { encodeMessage } from '../../src/codec/proto.js'
import { type Logger, silentLogger } from '../../src/core/logger.js'
import type { Permission } from '../../src/core/permission.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { type Models, openModels } from '../../src/models/open-models.js'
import { openRegistryStore } from '../../src/registry/index.js'
import { Admission } from '../../src/server/admission.js'
import { type AccessControl, openAccessControl } from '../../src/server/auth/access-control.js'
import { createApp } from '../../src/server/http/app.js'
import { MaterializeJobs } from '../../src/server/http/materialize-jobs.js'
import { createServerMetrics } from '../../src/server/http/server-metrics.js'
import { Readiness } from '../../src/server/readiness.js'
import { freePort } from '../free-port.js'
import { linearModel } from '../models/onnx-builder.js'
import { makeStore, openFixtureStore } from './fixture.js'
import { type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'

export interface Guarded {
  readonly folder: string
  readonly store: FeatureStore
  readonly app: FastifyInstance
  readonly grpc: GrpcFixture
  readonly access: AccessControl
  readonly models: Models | undefined
  close(): Promise<void>
}

export interface GuardedOptions {
  /** The auth block of feature_store.yaml. */
  readonly auth: string
  readonly permissions?: readonly (Permission | PermissionMessage)[]
  readonly logger?: Logger
  /** Also what needs a `models` block and pipelines: the model "linear" over the service "svc", the pipeline "fit". */
  readonly withModels?: boolean
}

/** The feature repo of the server tests behind access control, over HTTP and gRPC. */
export async function openGuarded({
  auth,
  permissions = [],
  logger,
  withModels = false,
}: GuardedOptions): Promise<Guarded> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-auth-'))
  await (await makeStore(folder, 'ignore')).close()
  appendFileSync(join(folder, 'feature_store.yaml'), `\nauth: ${auth}\n`)
  if (withModels) writeModelsAndPipelines(folder)
  const store = await openFixtureStore(folder)
  await addPermissions(store, permissions)
  const models = withModels ? await openModels(store, silentLogger) : undefined
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
    models,
    readiness: new Readiness(store),
    bodyLimitBytes: 1024 * 1024,
    timeouts: { keepAliveMs: 1000, headersMs: 5000, requestMs: 10_000, answerMs: 10_000 },
    maxConnections: 1000,
    metricsText: metrics.text,
    stopping: () => false,
  })
  await app.ready()
  const grpc = await openGrpcFixture({ store, access, models })
  return {
    folder,
    store,
    app,
    grpc,
    access,
    models,
    async close() {
      await grpc.close()
      await app.close()
      await jobs.stop()
      await models?.close()
      metrics.close()
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Who may decide about models: the role "judge". The pipeline has one step, which does not end by itself. */
function writeModelsAndPipelines(folder: string): void {
  const yaml = `models:
  inference: { workers: 1, timeout_ms: 20000 }
  approval: { approvers: [judge] }
  files: { linear: { path: linear.onnx, feature_service: svc } }
`
  appendFileSync(join(folder, 'feature_store.yaml'), yaml)
  writeFileSync(join(folder, 'linear.onnx'), linearModel([1, 1, 1]))
  const pipeline = `name: fit
dataset:
  feature_service: svc
  entities:
    sql: >-
      SELECT 1001::BIGINT AS driver_id, 1::BIGINT AS val_to_add, TIMESTAMPTZ '2026-08-01 13:00:00Z' AS event_timestamp
steps:
  - train: { command: [node, -e, "setInterval(() => {}, 1000)"], hyperparameters: {} }
register: { model: ranking }
`
  mkdirSync(join(folder, 'pipelines'))
  writeFileSync(join(folder, 'pipelines/fit.yaml'), pipeline)
}

/** Of fastify's own picture of its routes, so that none is forgotten. */
export function routesOf({ app }: Guarded): readonly { readonly method: string; readonly url: string }[] {
  const above: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent, path, methods] = /^([│ ]*)[├└]── (\S+)(?: \((.*)\))?/.exec(line) ?? []
      if (path === undefined) return []
      const depth = indent!.length / 4
      above.splice(depth, above.length, path)
      const url = above.join('')
      return (methods ?? '').split(', ').flatMap((method) => (method ? [{ method, url }] : []))
    })
}

/** What answers whoever asks. */
export const OPEN_ROUTES = [
  'GET /health',
  'GET /ready',
  'GET /openapi.json',
  'GET /v2/health/live',
  'GET /v2/health/ready',
]
export const OPEN_RPCS = [
  ...['Check', 'List', 'Watch'].map((method) => `/grpc.health.v1.Health/${method}`),
  ...['ServerLive', 'ServerReady'].map((method) => `/inference.GRPCInferenceService/${method}`),
]

const protos = fileURLToPath(new URL('../../protos/', import.meta.url))

/** Methods of every service of a server that also has models, from the contracts that clients are made of. */
export function rpcs(): readonly string[] {
  const root = new protobuf.Root()
  root.resolvePath = (_origin, path) => (path.startsWith('google/') ? path : protos + path)
  root.loadSync([
    'feast/serving/ServingService.proto',
    'feast/serving/GrpcServer.proto',
    'inference/grpc_service.proto',
    'grpc/health/v1/health.proto',
    'grpc/reflection/v1/reflection.proto',
    'grpc/reflection/v1alpha/reflection.proto',
  ])
  const services: protobuf.Service[] = []
  const walk = (namespace: protobuf.NamespaceBase): void => {
    for (const one of namespace.nestedArray) {
      if (one instanceof protobuf.Service) services.push(one)
      else if (one instanceof protobuf.Namespace) walk(one)
    }
  }
  walk(root)
  return services.flatMap((service) =>
    Object.keys(service.methods).map((method) => `/${service.fullName.slice(1)}/${method}`),
  )
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
    this.#port ||= await freePort()
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
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
