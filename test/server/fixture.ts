import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { FastifyInstance } from 'fastify'
import {
  Array as ArrayOf,
  Bool,
  Bytes,
  entity,
  Float32,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int32,
  Int64,
  Json,
  Map as MapType,
  mapJoinKeys,
  onDemandFeatureView,
  pick,
  pushSource,
  rename,
  requestSource,
  String as Text,
  UnixTimestamp,
} from 'feast-node'
import { encodeDefinition, kindOf } from '../../src/codec/definitions/definition-codec.js'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import type { Definition } from '../../src/core/definition.js'
import { DUMMY_ENTITY } from '../../src/core/entity.js'
import { nowMicros } from '../../src/core/instant.js'
import { silentLogger } from '../../src/core/logger.js'
import type { AnyView } from '../../src/core/projection.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { onlineTable } from '../../src/feature-store/online-table.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import { openRegistryStore } from '../../src/registry/index.js'
import { Admission } from '../../src/server/admission.js'
import type { AccessControl } from '../../src/server/auth/access-control.js'
import { createApp, type HttpTimeouts } from '../../src/server/http/app.js'
import { MaterializeJobs } from '../../src/server/http/materialize-jobs.js'
import { createServerMetrics } from '../../src/server/http/server-metrics.js'
import { Readiness } from '../../src/server/readiness.js'
import type { ServerLog } from '../../src/server/server-log.js'
import type { RequestTracer } from '../../src/server/tracing.js'

// The fixture that the recorded answers of real Feast were made over, in TypeScript.

const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
const customer = entity({ name: 'customer', joinKey: 'customer_id', valueType: Text })
const location = entity({ name: 'location', joinKey: 'location_id', valueType: Int64 })

function source(name: string, createdTimestampColumn = '') {
  const options = { name, path: `data/${name}.parquet`, timestampField: 'event_timestamp' }
  return fileSource(createdTimestampColumn ? { ...options, createdTimestampColumn } : options)
}

export const driverStats = featureView({
  name: 'driver_stats',
  entities: [driver],
  ttl: 86_400,
  schema: {
    conv_rate: Float32,
    acc_rate: Float64,
    trips: Int64,
    i32: Int32,
    name: Text,
    flag: Bool,
    ts: UnixTimestamp,
    raw: Bytes,
    tags: ArrayOf(Text),
    nums: ArrayOf(Int64),
    floats: ArrayOf(Float32),
    js: Json,
    mp: MapType,
  },
  source: pushSource({ name: 'driver_push', batchSource: source('driver_src', 'created') }),
})
const dcStats = featureView({
  name: 'dc_stats',
  entities: [driver, customer],
  schema: { score: Float64 },
  source: source('dc_src'),
})
const globalStats = featureView({
  name: 'global_stats',
  schema: { total: Int64 },
  source: source('global_src'),
})
const locStats = featureView({
  name: 'loc_stats',
  entities: [location],
  schema: { temp: Float64 },
  source: source('loc_src'),
})
const request = requestSource({ name: 'req', schema: { val_to_add: Int64 } })
const odPy = onDemandFeatureView({
  name: 'od_py',
  sources: [pick(driverStats, 'conv_rate', 'trips'), request],
  schema: { trips_plus: Int64 },
  transform: ({ trips, val_to_add }) => ({
    trips_plus: val_to_add === null ? null : (trips ?? 0n) + val_to_add,
  }),
})
const odPd = onDemandFeatureView({
  name: 'od_pd',
  sources: [pick(driverStats, 'conv_rate'), request],
  schema: { conv_plus: Float64 },
  transform: ({ conv_rate, val_to_add }) => ({
    conv_plus: conv_rate === null || val_to_add === null ? null : conv_rate + Number(val_to_add),
  }),
})
const odFailing = onDemandFeatureView({
  name: 'od_failing',
  sources: [pick(driverStats, 'trips'), request],
  schema: { ratio: Int64 },
  transform: ({ trips, val_to_add }) => ({ ratio: (trips ?? 0n) / (val_to_add ?? 0n) }),
})
/** As a registry made by Python has it. */
const odPython = {
  ...odPd,
  name: 'od_python_only',
  transformation: { language: 'python', mode: 'pandas', text: 'def f(df): return df' },
} as const
const disabled = featureView({
  name: 'disabled_stats',
  entities: [location],
  schema: { temp2: Float64 },
  source: source('loc_src'),
  enabled: false,
})
const service = featureService({ name: 'svc', features: [pick(driverStats, 'conv_rate', 'trips'), odPy] })
const serviceAlias = featureService({
  name: 'svc_alias',
  features: [
    mapJoinKeys(rename(locStats, 'origin'), { location_id: 'origin_id' }),
    mapJoinKeys(rename(locStats, 'dest'), { location_id: 'dest_id' }),
  ],
})

const DEFINITIONS: readonly Definition[] = [
  driver,
  customer,
  location,
  DUMMY_ENTITY,
  driverStats,
  dcStats,
  globalStats,
  locStats,
  disabled,
  odPy,
  odPd,
  odFailing,
  odPython,
  service,
  serviceAlias,
]

export interface Fixture {
  readonly folder: string
  readonly store: FeatureStore
  readonly app: FastifyInstance
  readonly jobs: MaterializeJobs
  /** POSTs a body, as JSON unless it is text already. */
  post(path: string, body: unknown): Promise<{ readonly status: number; readonly text: string }>
  close(): Promise<void>
}

export interface FixtureOptions {
  readonly ttl?: 'enforce' | 'ignore'
  readonly bodyLimitBytes?: number
  readonly inFlight?: number
  readonly log?: ServerLog
  readonly tracer?: RequestTracer
  readonly timeouts?: Partial<HttpTimeouts>
  /** Address of a Redis server; SQLite without. */
  readonly redis?: string
  readonly access?: AccessControl
}

/** A feature repo in a folder of its own: registry file, SQLite, and the HTTP application over both. */
export async function openFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-server-'))
  const store = await makeStore(folder, options.ttl ?? 'ignore', options.redis)
  const admission = new Admission(options.inFlight ?? 1000)
  const metrics = createServerMetrics(store, admission)
  const jobs = new MaterializeJobs({ store, logger: silentLogger, workers: 2 })
  const app = await createApp({
    store,
    log: options.log ?? { logger: silentLogger, access: undefined },
    metrics,
    jobs,
    admission,
    tracer: options.tracer,
    access: options.access,
    readiness: new Readiness(store),
    bodyLimitBytes: options.bodyLimitBytes ?? 1024 * 1024,
    timeouts: {
      keepAliveMs: 1000,
      headersMs: 5000,
      requestMs: 10_000,
      answerMs: 10_000,
      ...options.timeouts,
    },
    maxConnections: 1000,
    metricsText: metrics.text,
    stopping: () => false,
  })
  await app.ready()
  return {
    folder,
    store,
    app,
    jobs,
    async post(path, body) {
      const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      const headers = { 'content-type': 'application/json' }
      const response = await app.inject({ method: 'POST', url: path, payload, headers })
      return { status: response.statusCode, text: response.payload }
    },
    async close() {
      await app.close()
      await jobs.stop()
      metrics.close()
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Writes feature_store.yaml and the registry into the folder and opens them. */
export async function makeStore(
  folder: string,
  ttl: 'enforce' | 'ignore',
  redis?: string,
): Promise<FeatureStore> {
  const online = redis
    ? `{ type: redis, connection_string: "${redis}" }`
    : '{ type: sqlite, path: data/online.db }'
  const yaml = [
    'project: demo',
    'registry: data/registry.db',
    'provider: local',
    `online_store: ${online}`,
    'offline_store: { type: duckdb }',
    'entity_key_serialization_version: 3',
    `feature_server: { ttl: ${ttl} }`,
  ]
  writeFileSync(join(folder, 'feature_store.yaml'), yaml.join('\n'))
  await writeRegistry(folder)
  const store = await openFixtureStore(folder)
  const views = (await store.registry()).storedViews('demo')
  await (await store.onlineStore()).setup(views.map((view) => onlineTable(view, 0, false)))
  return store
}

/** Opens the folder's feature repo as the command line does, its functions from here. */
export async function openFixtureStore(folder: string): Promise<FeatureStore> {
  const config = await loadRepoConfig({ chdir: folder })
  return openFeatureStore(config, {
    loadFeatureRepo: async () => ({
      definitions: DEFINITIONS.map((definition) => ({ definition, file: 'fixture.ts', exportName: 'x' })),
    }),
  })
}

async function writeRegistry(folder: string): Promise<void> {
  const config = await loadRepoConfig({ chdir: folder })
  const context = { project: 'demo', repoPath: folder, entityKeyVersion: 3, logger: silentLogger } as const
  const registry = await openRegistryStore(config.registry, context)
  const isView = (one: Definition): one is AnyView & Definition => one.kind.endsWith('View')
  const views = new Map(DEFINITIONS.filter(isView).map((view) => [view.name, view]))
  const records = DEFINITIONS.map((definition) => ({
    kind: kindOf(definition),
    project: 'demo',
    name: definition.name,
    bytes: encodeDefinition(definition, {
      project: 'demo',
      now: nowMicros(),
      findView: (name) => views.get(name),
    }).bytes,
  }))
  await registry.write(
    records.map((put) => ({ put })),
    undefined,
  )
  await registry.close()
}

/** The rows that the recorded answers start from. */
export async function writeRows({ post }: Fixture): Promise<void> {
  const at = (hour: number) => `2026-08-01T${hour}:00:00Z`
  const frames: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>> = {
    driver_stats: {
      driver_id: [1001, 1002],
      event_timestamp: [at(12), at(11)],
      created: [at(12), at(11)],
      conv_rate: [0.75, 0.25],
      acc_rate: [0.3, 0.2],
      trips: [30, 20],
      i32: [3, 2],
      name: ['c', 'b'],
      flag: [true, false],
      ts: [1785578400, 1785578400],
      raw: ['eQ==', null],
      tags: [['z'], []],
      nums: [[4], []],
      floats: [[2.5], []],
      js: ['{"a":3}', null],
      mp: [{ k: 'x' }, null],
    },
    dc_stats: { driver_id: [1001], customer_id: ['c1'], event_timestamp: [at(10)], score: [1.5] },
    global_stats: { event_timestamp: [at(10)], total: [42] },
    loc_stats: { location_id: [1, 2], event_timestamp: [at(10), at(10)], temp: [10.5, 20.5] },
  }
  for (const [view, df] of Object.entries(frames)) {
    const { status, text } = await post('/write-to-online-store', { feature_view_name: view, df })
    if (status !== 200 || text !== 'null') throw new Error(`${view}: ${status} ${text}`)
  }
}

const SOURCES: Readonly<Record<string, string>> = {
  global_src: '42::BIGINT AS total',
  loc_src: '1::BIGINT AS location_id, 10.5::DOUBLE AS temp, 0.5::DOUBLE AS temp2',
  dc_src: "1001::BIGINT AS driver_id, 'c1' AS customer_id, 1.5::DOUBLE AS score",
  driver_src: `1001::BIGINT AS driver_id, TIMESTAMPTZ '2026-08-01 12:00:00Z' AS created, 0.75::FLOAT AS conv_rate,
    0.3::DOUBLE AS acc_rate, 30::BIGINT AS trips, 3::INTEGER AS i32, 'c' AS name, true AS flag,
    TIMESTAMPTZ '2026-08-01 10:00:00Z' AS ts, 'y'::BLOB AS raw, ['z'] AS tags, [4::BIGINT] AS nums,
    [2.5::FLOAT] AS floats, '{"a":3}' AS js, '{"k":"x"}' AS mp`,
}

/** One row of history for every view, as Parquet files. */
export async function writeSources({ folder }: Pick<Fixture, 'folder'>): Promise<void> {
  mkdirSync(join(folder, 'data'), { recursive: true })
  const duckdb = await (await DuckDBInstance.create()).connect()
  for (const [name, columns] of Object.entries(SOURCES)) {
    const time = "TIMESTAMPTZ '2026-08-01 10:00:00Z' AS event_timestamp"
    await duckdb.run(`COPY (SELECT ${time}, ${columns}) TO '${join(folder, 'data', `${name}.parquet`)}'`)
  }
  duckdb.closeSync()
}
