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

/** Routes whose answers are counted. */
const COUNTED = new Set([
  '/get-online-features',
  '/push',
  '/write-to-online-store',
  '/materialize',
  '/materialize-incremental',
])

export async function createServerMetrics(store: FeatureStore): Promise<ServerMetrics> {
  const prometheus = (await import('prom-client')).default
  const register = new prometheus.Registry()
  const families = requestFamilies(prometheus, register)
  addGauges(prometheus, register, store)
  const lookups = new WeakMap<FastifyRequest, JsonAnswer>()
  const unsubscribe = subscribe(families)
  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    observeResponse(route, status, seconds, request) {
      if (route === undefined || !COUNTED.has(route)) return
      families.requests.inc({ endpoint: route, status: status < 400 ? 'success' : 'error' })
      const lookup = lookups.get(request)
      const feature_count = lookup ? String(lookup.featureCount) : ''
      const feature_view_count = lookup ? String(lookup.viewCount) : ''
      families.latency.observe({ endpoint: route, feature_count, feature_view_count }, seconds)
    },
    countLookup(request, answer) {
      lookups.set(request, answer)
      families.lookups.inc()
    },
    countPush(push_source, mode) {
      families.pushes.inc({ push_source, mode })
    },
    countMaterialized({ views }) {
      for (const { view, outcome, elapsedMs } of views) {
        families.materialized.inc({
          feature_view: view,
          status: outcome === 'failed' ? 'failure' : 'success',
        })
        families.materializeSeconds.observe({ feature_view: view }, elapsedMs / 1000)
      }
    },
    close() {
      unsubscribe()
      register.clear()
    },
  }
}

type Prometheus = typeof import('prom-client')
type PrometheusRegistry = InstanceType<Prometheus['Registry']>
type Families = ReturnType<typeof requestFamilies>

const LATENCY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const STORE_SECONDS = [0.001, ...LATENCY_SECONDS]
const MATERIALIZE_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
const ENTITY_COUNTS = [1, 5, 10, 25, 50, 100, 250, 500, 1000]

function requestFamilies({ Counter, Histogram }: Prometheus, register: PrometheusRegistry) {
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers: [register] })
  const histogram = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: Label[]
  ) => new Histogram({ name, help, buckets, labelNames, registers: [register] })
  const server = 'feast_feature_server'
  return {
    requests: counter(`${server}_request_total`, 'Requests by route and outcome', 'endpoint', 'status'),
    latency: histogram(
      `${server}_request_latency_seconds`,
      'Time to answer',
      LATENCY_SECONDS,
      'endpoint',
      'feature_count',
      'feature_view_count',
    ),
    lookups: counter('feast_online_features_request_total', 'Lookups of online features'),
    entityCount: histogram('feast_online_features_entity_count', 'Entity rows in a lookup', ENTITY_COUNTS),
    statuses: counter(
      'feast_online_features_status_total',
      'Values looked up, by whether there was a row',
      'feature_view',
      'status',
    ),
    readSeconds: histogram(
      `${server}_online_store_read_duration_seconds`,
      'Time in the online store',
      STORE_SECONDS,
    ),
    transformSeconds: histogram(
      `${server}_transformation_duration_seconds`,
      'Time in on demand functions',
      STORE_SECONDS,
      'odfv_name',
      'mode',
    ),
    pushes: counter('feast_push_request_total', 'Pushes', 'push_source', 'mode'),
    materialized: counter(
      'feast_materialization_result_total',
      'Materializations of a view by outcome',
      'feature_view',
      'status',
    ),
    materializeSeconds: histogram(
      'feast_materialization_duration_seconds',
      'Time to materialize a view',
      MATERIALIZE_SECONDS,
      'feature_view',
    ),
  }
}

/** What the read path publishes. @returns how to stop listening */
function subscribe({ entityCount, readSeconds, statuses, transformSeconds }: Families): () => void {
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
  return () => {
    onlineRead.unsubscribe(onRead)
    onDemandRun.unsubscribe(onTransform)
  }
}

/** Measured when they are scraped. */
function addGauges({ Gauge }: Prometheus, register: PrometheusRegistry, store: FeatureStore): void {
  const registers = [register]
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
    help: 'Percent of the memory of the machine that this process holds',
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
