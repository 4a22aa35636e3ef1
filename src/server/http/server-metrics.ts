import { totalmem } from 'node:os'
import type { FastifyRequest } from 'fastify'
import { type OnDemandEvent, type OnlineReadEvent, onDemandRun, onlineRead } from '../../core/diagnostics.js'
import type { FeatureStore, MaterializeReport } from '../../feature-store/feature-store.js'
import type { JsonAnswer } from '../../serving/online-serving.js'

/** Prometheus metrics under Feast's names (spec 7.8). */
export interface ServerMetrics {
  readonly contentType: string
  text(): Promise<string>
  /** Every answer of a known route. */
  observeResponse(route: string | undefined, status: number, seconds: number, request: FastifyRequest): void
  /** What a lookup asked for, for the labels of its answer. */
  countLookup(request: FastifyRequest, answer: JsonAnswer): void
  countPush(pushSource: string, mode: string): void
  countMaterialized(report: MaterializeReport): void
  close(): void
}

const LATENCY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const ENTITY_COUNTS = [1, 5, 10, 25, 50, 100, 250, 500, 1000]

/** Routes whose answers Feast counts. */
const COUNTED = new Set([
  '/get-online-features',
  '/push',
  '/write-to-online-store',
  '/materialize',
  '/materialize-incremental',
])

export async function createServerMetrics(store: FeatureStore): Promise<ServerMetrics> {
  const { Counter, Gauge, Histogram, Registry } = (await import('prom-client')).default
  const register = new Registry()
  const registers = [register]
  const lookups = new WeakMap<FastifyRequest, JsonAnswer>()

  const requests = new Counter({
    name: 'feast_feature_server_request_total',
    help: 'Requests by route and outcome',
    labelNames: ['endpoint', 'status'],
    registers,
  })
  const latency = new Histogram({
    name: 'feast_feature_server_request_latency_seconds',
    help: 'Time to answer',
    labelNames: ['endpoint', 'feature_count', 'feature_view_count'],
    buckets: LATENCY_SECONDS,
    registers,
  })
  const online = new Counter({
    name: 'feast_online_features_request_total',
    help: 'Lookups of online features',
    registers,
  })
  const entityCount = new Histogram({
    name: 'feast_online_features_entity_count',
    help: 'Entity rows in a lookup',
    buckets: ENTITY_COUNTS,
    registers,
  })
  const statuses = new Counter({
    name: 'feast_online_features_status_total',
    help: 'Values looked up, by whether there was a row',
    labelNames: ['feature_view', 'status'],
    registers,
  })
  const readSeconds = new Histogram({
    name: 'feast_feature_server_online_store_read_duration_seconds',
    help: 'Time in the online store',
    buckets: [0.001, ...LATENCY_SECONDS],
    registers,
  })
  const transformSeconds = new Histogram({
    name: 'feast_feature_server_transformation_duration_seconds',
    help: 'Time in on demand functions',
    labelNames: ['odfv_name', 'mode'],
    buckets: [0.001, ...LATENCY_SECONDS],
    registers,
  })
  const pushes = new Counter({
    name: 'feast_push_request_total',
    help: 'Pushes',
    labelNames: ['push_source', 'mode'],
    registers,
  })
  const materialized = new Counter({
    name: 'feast_materialization_result_total',
    help: 'Materializations of a view by outcome',
    labelNames: ['feature_view', 'status'],
    registers,
  })
  const materializeSeconds = new Histogram({
    name: 'feast_materialization_duration_seconds',
    help: 'Time to materialize a view',
    labelNames: ['feature_view'],
    buckets: [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600],
    registers,
  })
  const pid = String(process.pid)
  const cpuPercent = cpuMeter()
  new Gauge({
    name: 'feast_feature_server_cpu_usage',
    help: 'Percent of one core since the last scrape',
    labelNames: ['pid'],
    registers,
    collect() {
      this.set({ pid }, cpuPercent())
    },
  })
  new Gauge({
    name: 'feast_feature_server_memory_usage',
    help: 'Percent of the machine that this process holds',
    labelNames: ['pid'],
    registers,
    collect() {
      this.set({ pid }, (process.memoryUsage.rss() / totalmem()) * 100)
    },
  })
  new Gauge({
    name: 'feast_feature_freshness_seconds',
    help: 'Time since the end of the last interval that was materialized',
    labelNames: ['feature_view', 'project'],
    registers,
    async collect() {
      this.reset()
      for (const [view, seconds] of await freshness(store)) {
        this.set({ feature_view: view, project: store.project }, seconds)
      }
    },
  })

  const onRead = (message: unknown) => {
    const { rowCount, seconds, views } = message as OnlineReadEvent
    entityCount.observe(rowCount)
    readSeconds.observe(seconds)
    for (const { view, present, notFound } of views) {
      if (present > 0) statuses.inc({ feature_view: view, status: 'present' }, present)
      if (notFound > 0) statuses.inc({ feature_view: view, status: 'not_found' }, notFound)
    }
  }
  const onTransform = (message: unknown) => {
    const { view, mode, seconds } = message as OnDemandEvent
    transformSeconds.observe({ odfv_name: view, mode }, seconds)
  }
  onlineRead.subscribe(onRead)
  onDemandRun.subscribe(onTransform)

  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    observeResponse(route, status, seconds, request) {
      if (route === undefined || !COUNTED.has(route)) return
      requests.inc({ endpoint: route, status: status < 400 ? 'success' : 'error' })
      const lookup = lookups.get(request)
      const feature_count = lookup ? String(lookup.featureCount) : ''
      const feature_view_count = lookup ? String(lookup.viewCount) : ''
      latency.observe({ endpoint: route, feature_count, feature_view_count }, seconds)
    },
    countLookup(request, answer) {
      lookups.set(request, answer)
      online.inc()
    },
    countPush(push_source, mode) {
      pushes.inc({ push_source, mode })
    },
    countMaterialized({ views }) {
      for (const { view, outcome, elapsedMs } of views) {
        materialized.inc({ feature_view: view, status: outcome === 'failed' ? 'failure' : 'success' })
        materializeSeconds.observe({ feature_view: view }, elapsedMs / 1000)
      }
    },
    close() {
      onlineRead.unsubscribe(onRead)
      onDemandRun.unsubscribe(onTransform)
      register.clear()
    },
  }
}

function cpuMeter(): () => number {
  let lastUsage = process.cpuUsage()
  let lastMs = performance.now()
  return () => {
    const { user, system } = process.cpuUsage(lastUsage)
    const elapsedMs = performance.now() - lastMs
    lastUsage = process.cpuUsage()
    lastMs = performance.now()
    return elapsedMs > 0 ? (user + system) / 10 / elapsedMs : 0
  }
}

async function freshness(
  store: FeatureStore,
): Promise<readonly (readonly [view: string, seconds: number])[]> {
  const registry = await store.registry().catch(() => undefined)
  if (registry === undefined) return []
  return registry.storedViews(store.project).flatMap(({ name }) => {
    const ends = registry.viewState(store.project, name).intervals.map(({ end }) => Number(end) / 1e6)
    return ends.length > 0 ? [[name, Date.now() / 1000 - Math.max(...ends)] as const] : []
  })
}
