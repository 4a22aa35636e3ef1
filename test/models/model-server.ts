import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import {
  Array as ArrayOf,
  Bool,
  entity,
  Float32,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int64,
  onDemandFeatureView,
  pick,
  requestSource,
  String as Text,
  UnixTimestamp,
} from 'feast-node'
import { field } from '../../src/core/field.js'
import { silentLogger } from '../../src/core/logger.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { type Models, openModels } from '../../src/models/open-models.js'
import { Admission } from '../../src/server/admission.js'
import type { AccessControl } from '../../src/server/auth/access-control.js'
import { createApp } from '../../src/server/http/app.js'
import { MaterializeJobs } from '../../src/server/http/materialize-jobs.js'
import { createServerMetrics, type ServerMetrics } from '../../src/server/http/server-metrics.js'
import { Readiness } from '../../src/server/readiness.js'
import { repoOf, Workbench } from '../feature-store/workbench.js'

export const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
const stats = featureView({
  name: 'driver_stats',
  entities: [driver],
  ttl: '1d',
  schema: {
    city: Text,
    trips: Int64,
    rate: Float32,
    score: Float64,
    active: Bool,
    since: UnixTimestamp,
    recent: ArrayOf(Float32),
  },
  source: fileSource({ path: 'data/stats.parquet', timestampField: 'event_timestamp' }),
})
const request = requestSource({ name: 'ask', schema: { bonus: Int64 } })
const withBonus = onDemandFeatureView({
  name: 'with_bonus',
  sources: [pick(stats, 'trips'), request],
  schema: { trips_with_bonus: Int64 },
  transform: ({ trips, bonus }) => ({
    trips_with_bonus: trips === null || bonus === null ? null : trips + bonus,
  }),
})
const mixed = featureService({ name: 'mixed', features: [pick(stats, 'city', 'trips', 'rate')] })
const numbers = featureService({ name: 'numbers', features: [pick(stats, 'rate', 'score')] })
const bonus = featureService({ name: 'bonus', features: [pick(stats, 'rate'), withBonus] })
const all = featureService({ name: 'all', features: [stats] })

export const SCHEMA = {
  driver_id: Int64,
  event_timestamp: UnixTimestamp,
  city: Text,
  trips: Int64,
  rate: Float32,
  score: Float64,
  active: Bool,
  since: UnixTimestamp,
  recent: ArrayOf(Float32),
}

export type StatsRow = Partial<Record<keyof typeof SCHEMA, unknown>>

const HOUR = 3_600_000_000n

/** 1 and 2 are whole, 3 has no rate and no trips, 4 is older than its ttl; 5 is not there. */
export function statsRows(): readonly StatsRow[] {
  const now = BigInt(Date.now()) * 1000n
  const at = { event_timestamp: now - HOUR, since: 1_785_578_400_500_000n }
  return [
    {
      ...at,
      driver_id: 1n,
      city: 'seoul',
      trips: 10n,
      rate: 0.5,
      score: 0.25,
      active: true,
      recent: [1, 2, 3],
    },
    { ...at, driver_id: 2n, city: 'jeju', trips: 20n, rate: 0.25, score: 0.5, active: false, recent: [4, 5] },
    { ...at, driver_id: 3n, city: 'busan', score: 1 },
    { ...at, driver_id: 4n, event_timestamp: now - 48n * HOUR, city: 'seoul', trips: 40n, rate: 1, score: 1 },
  ]
}

export interface ModelServer {
  readonly bench: Workbench
  readonly store: FeatureStore
  readonly models: Models
  readonly app: FastifyInstance
  readonly metrics: ServerMetrics
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Reply>
  get(path: string): Promise<Reply>
  close(): Promise<void>
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  readonly bytes: Buffer
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into as tests expect them
  readonly body: any
}

export interface ModelServerOptions {
  /** File → bytes, under models/ of the feature repo. */
  readonly files?: Readonly<Record<string, Uint8Array>>
  /** The `models` block, in YAML. */
  readonly models?: string
  readonly inFlight?: number
  readonly access?: (store: FeatureStore) => Promise<AccessControl | undefined>
  readonly auth?: string
}

/** A feature repo with drivers, models from files, and the HTTP application over both. */
export async function openModelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const bench = new Workbench(
    `models: ${options.models ?? '{}'}\n${options.auth === undefined ? '' : `auth: ${options.auth}\n`}`,
  )
  for (const [name, bytes] of Object.entries(options.files ?? {}))
    writeFileSync(join(bench.path, name), bytes)
  const repo = repoOf(driver, stats, withBonus, mixed, numbers, bonus, all)
  const store = await bench.open({ repo })
  await store.apply(repo, { skipSourceValidation: true })
  await writeStats(store, statsRows())
  const access = await options.access?.(store)
  const admission = new Admission(options.inFlight ?? 1000)
  const metrics = createServerMetrics(store, admission)
  const models = await openModels(store, silentLogger)
  metrics.watchModels(models)
  const jobs = new MaterializeJobs({ store, logger: silentLogger, workers: 2 })
  const app = await createApp({
    store,
    models,
    log: { logger: silentLogger, access: undefined },
    metrics,
    jobs,
    admission,
    access,
    readiness: new Readiness(store),
    bodyLimitBytes: 8 << 20,
    timeouts: { keepAliveMs: 1000, headersMs: 5000, requestMs: 10_000, answerMs: 10_000 },
    maxConnections: 1000,
    metricsText: metrics.text,
    stopping: () => false,
  })
  await app.ready()
  const reply = (answer: Awaited<ReturnType<typeof app.inject>>): Reply => ({
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.payload,
    bytes: answer.rawPayload,
    get body() {
      return JSON.parse(answer.payload)
    },
  })
  return {
    bench,
    store,
    models,
    app,
    metrics,
    async post(path, body, headers = {}) {
      const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      return reply(
        await app.inject({
          method: 'POST',
          url: path,
          payload,
          headers: { 'content-type': 'application/json', ...headers },
        }),
      )
    },
    get: async (url) => reply(await app.inject({ method: 'GET', url })),
    async close() {
      await app.close()
      await jobs.stop()
      metrics.close()
      await models.close()
      await bench.close()
    },
  }
}

export async function writeStats(store: FeatureStore, rows: readonly StatsRow[]): Promise<void> {
  const fields = Object.entries(SCHEMA).map(([name, type]) => field(name, type))
  await store.writeToOnlineStore('driver_stats', {
    fields,
    columns: fields.map(({ name }) => rows.map((row) => (row[name as keyof StatsRow] ?? null) as never)),
    rowCount: rows.length,
  })
}
