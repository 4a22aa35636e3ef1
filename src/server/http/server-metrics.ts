import type { Channel } from 'node:diagnostics_channel'
import { totalmem } from 'node:os'
import type { FastifyRequest } from 'fastify'
import type { Metric } from 'prom-client'
import {
  type OnDemandEvent,
  type OnlineReadEvent,
  onDemandRun,
  onlineRead,
  type RegistryReadEvent,
  registryRead,
  type StoreConnectionEvent,
  type StoreFailureEvent,
  storeConnection,
  storeFailure,
  type ViewMaterializedEvent,
  viewMaterialized,
} from '../../core/diagnostics.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import type { Models } from '../../models/open-models.js'
import type { LookupAnswer } from '../../serving/online-serving.js'
import type { Admission } from '../admission.js'
import { ModelTally } from './model-metrics.js'
import { StatusTally } from './status-tally.js'
import { Counts, counter, type Family, gauge, Histogram, Keyed, type Sample, type Samples } from './tally.js'

export type LookupSize = Pick<LookupAnswer, 'featureCount' | 'viewCount'>

/** Metrics of one process: Feast's under Feast's names (spec 7.8), others as `feast_node_…`, `process_…`, `nodejs_…`. */
export interface ServerMetrics {
  text(): Promise<string>
  /** The same as data, to be summed over workers. */
  samples(): Promise<readonly object[]>
  /** Every answer; those of other endpoints than lookups, writes and materializations are passed over. */
  observe(endpoint: string, isSuccess: boolean, seconds: number, lookup: LookupSize | undefined): void
  /** What a lookup over HTTP asked for, for the labels of its answer. */
  countLookup(request: FastifyRequest, answer: LookupSize): void
  lookupOf(request: FastifyRequest): LookupSize | undefined
  countPush(pushSource: string, mode: string): void
  watchConnections(protocol: string, count: () => number): void
  watchModels(models: Models): void
  close(): void
}

const LATENCY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const STORE_SECONDS = [0.001, ...LATENCY_SECONDS]
const MATERIALIZE_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
const ENTITY_COUNTS = [1, 5, 10, 25, 50, 100, 250, 500, 1000]

/** Endpoints whose answers are counted. */
const COUNTED = [
  '/get-online-features',
  '/push',
  '/write-to-online-store',
  '/predict',
  '/materialize',
  '/materialize-incremental',
  '/feast.serving.ServingService/GetOnlineFeatures',
  '/GrpcFeatureServer/GetOnlineFeatures',
  '/GrpcFeatureServer/Push',
  '/GrpcFeatureServer/WriteToOnlineStore',
]

const LOOKUP = Symbol('lookup')

export function createServerMetrics(store: FeatureStore, admission: Admission): ServerMetrics {
  const tally = new RequestTally()
  const connections = new Map<string, () => number>()
  const unsubscribe = subscribe(tally)
  const models = new ModelTally()
  const stopModels = models.listen()
  let register: Promise<PrometheusRegistry> | undefined
  const registered = () => {
    register ??= registerAll([
      ...requestFamilies(tally),
      ...processFamilies(),
      ...serverFamilies(store, admission, connections),
      ...storeFamilies(store, tally),
      ...models.families(),
    ])
    return register
  }
  return {
    text: async () => (await registered()).metrics(),
    samples: async () => (await registered()).getMetricsAsJSON(),
    observe: (endpoint, isSuccess, seconds, lookup) => tally.answer(endpoint, isSuccess, seconds, lookup),
    countLookup(request, answer) {
      ;(request as Marked)[LOOKUP] = answer
    },
    lookupOf: (request) => (request as Marked)[LOOKUP],
    countPush: (pushSource, mode) => tally.pushes.add(`${pushSource}\0${mode}`),
    watchConnections: (protocol, count) => connections.set(protocol, count),
    watchModels: (served) => models.watch(served),
    close() {
      unsubscribe()
      stopModels()
    },
  }
}

type Marked = FastifyRequest & { [LOOKUP]?: LookupSize }
type PrometheusRegistry = InstanceType<typeof import('prom-client')['Registry']>

/** Everything that is counted while requests run. */
class RequestTally {
  readonly endpoints = new Map(COUNTED.map((endpoint) => [endpoint, new EndpointTally()]))
  lookups = 0
  readonly entityCount = new Histogram(ENTITY_COUNTS)
  readonly readSeconds = new Histogram(STORE_SECONDS)
  readonly statuses = new StatusTally()
  readonly transforms = new Keyed(() => new Histogram(STORE_SECONDS))
  readonly pushes = new Counts()
  readonly materializations = new Counts()
  readonly connections = new Counts()
  readonly storeFailures = new Counts()
  /** When the registry was last known to be as it is served; the server starts with reading it. */
  registryReadAt = performance.now()
  registryFailures = 0
  readonly materializeSeconds = new Keyed(() => new Histogram(MATERIALIZE_SECONDS))

  answer(endpoint: string, isSuccess: boolean, seconds: number, lookup: LookupSize | undefined): void {
    const tally = this.endpoints.get(endpoint)
    if (tally === undefined) return
    if (isSuccess) tally.successes++
    else tally.errors++
    if (lookup !== undefined) this.lookups++
    tally.latency(lookup).observe(seconds)
  }

  read({ rowCount, seconds, views, statusCounts }: OnlineReadEvent): void {
    this.entityCount.observe(rowCount)
    this.readSeconds.observe(seconds)
    this.statuses.add(views, statusCounts)
  }

  materialized({ view, outcome, seconds }: ViewMaterializedEvent): void {
    this.materializations.add(`${view}\0${outcome === 'failed' ? 'failure' : 'success'}`)
    this.materializeSeconds.at(view).observe(seconds)
  }

  registryRead({ isSuccess }: RegistryReadEvent): void {
    if (isSuccess) this.registryReadAt = performance.now()
    else this.registryFailures++
  }
}

/** Shapes of lookups that get a latency of their own; the rest goes with the answers that looked nothing up. */
const MAX_SHAPES = 200

class EndpointTally {
  successes = 0
  errors = 0
  /** By feature count * 2^20 + view count; -1 without a lookup. */
  readonly #latencies = new Map<number, Histogram>()

  latency(lookup: LookupSize | undefined): Histogram {
    const key = lookup === undefined ? -1 : lookup.featureCount * 0x10_0000 + lookup.viewCount
    return this.#latencies.get(key) ?? this.#add(this.#latencies.size < MAX_SHAPES ? key : -1)
  }

  samples(name: string, endpoint: string): Sample[] {
    return [...this.#latencies].flatMap(([key, histogram]) => {
      const feature_count = key < 0 ? '' : String(Math.floor(key / 0x10_0000))
      const feature_view_count = key < 0 ? '' : String(key % 0x10_0000)
      return histogram.samples(name, { endpoint, feature_count, feature_view_count })
    })
  }

  #add(key: number): Histogram {
    const histogram = this.#latencies.get(key) ?? new Histogram(LATENCY_SECONDS)
    this.#latencies.set(key, histogram)
    return histogram
  }
}

/** What the layers below publish. @returns how to stop listening */
function subscribe(tally: RequestTally): () => void {
  const stops = [
    listen<OnlineReadEvent>(onlineRead, (event) => tally.read(event)),
    listen<OnDemandEvent>(onDemandRun, ({ view, mode, seconds }) =>
      tally.transforms.at(`${view}\0${mode}`).observe(seconds),
    ),
    listen<ViewMaterializedEvent>(viewMaterialized, (event) => tally.materialized(event)),
    listen<RegistryReadEvent>(registryRead, (event) => tally.registryRead(event)),
    listen<StoreConnectionEvent>(storeConnection, ({ outcome }) => tally.connections.add(outcome)),
    listen<StoreFailureEvent>(storeFailure, ({ reason }) => tally.storeFailures.add(reason)),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

function listen<Event>(channel: Channel, hear: (event: Event) => void): () => void {
  const onMessage = (message: unknown) => hear(message as Event)
  channel.subscribe(onMessage)
  return () => channel.unsubscribe(onMessage)
}

function requestFamilies(tally: RequestTally): Family[] {
  const server = 'feast_feature_server'
  const latency = `${server}_request_latency_seconds`
  const entities = 'feast_online_features_entity_count'
  const reads = `${server}_online_store_read_duration_seconds`
  const transforms = `${server}_transformation_duration_seconds`
  const materialize = 'feast_materialization_duration_seconds'
  const endpoints = () => [...tally.endpoints]
  return [
    counter(`${server}_request_total`, 'Requests by endpoint and outcome', () =>
      endpoints().flatMap(([endpoint, { successes, errors }]) => [
        ...(successes > 0 ? [{ labels: { endpoint, status: 'success' }, value: successes }] : []),
        ...(errors > 0 ? [{ labels: { endpoint, status: 'error' }, value: errors }] : []),
      ]),
    ),
    histogram(latency, 'Time to answer', () =>
      endpoints().flatMap(([endpoint, one]) => one.samples(latency, endpoint)),
    ),
    counter('feast_online_features_request_total', 'Lookups of online features', () => [
      { labels: {}, value: tally.lookups },
    ]),
    histogram(entities, 'Entity rows in a lookup', () => tally.entityCount.samples(entities)),
    counter('feast_online_features_status_total', 'Values looked up, by whether there was a row', () =>
      tally.statuses.presence(),
    ),
    counter('feast_node_online_values_total', 'Values looked up, by status', () => tally.statuses.samples()),
    histogram(reads, 'Time in the online store', () => tally.readSeconds.samples(reads)),
    histogram(transforms, 'Time in on demand functions', () =>
      labelled(tally.transforms, 'odfv_name', 'mode').flatMap(([labels, one]) =>
        one.samples(transforms, labels),
      ),
    ),
    counter('feast_push_request_total', 'Pushes', () =>
      split(tally.pushes.samples('key'), 'push_source', 'mode'),
    ),
    counter('feast_materialization_result_total', 'Materializations of a view by outcome', () =>
      split(tally.materializations.samples('key'), 'feature_view', 'status'),
    ),
    histogram(materialize, 'Time to materialize a view', () =>
      tally.materializeSeconds
        .entries()
        .flatMap(([feature_view, one]) => one.samples(materialize, { feature_view })),
    ),
  ]
}

/** Keys of two labels, apart by a NUL. */
function labelled<Value>(keyed: Keyed<Value>, ...names: readonly [string, string]) {
  return keyed.entries().map(([key, value]) => [labelsOf(key, names), value] as const)
}

function split(samples: readonly Sample[], ...names: readonly [string, string]): Sample[] {
  return samples.map(({ labels, value }) => ({ labels: labelsOf(String(labels['key']), names), value }))
}

function labelsOf(key: string, [first, second]: readonly [string, string]): Record<string, string> {
  const [a = '', b = ''] = key.split('\0')
  return { [first]: a, [second]: b }
}

function processFamilies(): Family[] {
  const pid = String(process.pid)
  const cpuPercent = cpuMeter()
  const memoryPercent = () => (process.memoryUsage.rss() / totalmem()) * 100
  return [
    gauge('feast_feature_server_cpu_usage', 'Percent of one core since the last scrape', () => [
      { labels: { pid }, value: cpuPercent() },
    ]),
    gauge('feast_feature_server_memory_usage', 'Percent of the memory of the machine that it holds', () => [
      { labels: { pid }, value: memoryPercent() },
    ]),
  ]
}

function serverFamilies(
  store: FeatureStore,
  admission: Admission,
  connections: ReadonlyMap<string, () => number>,
): Family[] {
  return [
    highest(
      'feast_feature_freshness_seconds',
      'Time since the end of the last interval that was materialized',
      () => freshness(store),
    ),
    gauge('feast_node_open_connections', 'Connections of clients', () =>
      [...connections].map(([protocol, count]) => ({ labels: { protocol }, value: count() })),
    ),
    gauge('feast_node_requests_in_flight', 'Lookups and writes under way', () => [
      { labels: {}, value: admission.inFlight },
    ]),
    counter('feast_node_requests_rejected_total', 'Requests and clients turned away, by reason', () =>
      [...admission.rejections].map(([reason, value]) => ({ labels: { reason }, value })),
    ),
    counter(
      'feast_node_request_failures_total',
      'Answers that were no fault of the caller, by error code',
      () => [...admission.failures].map(([code, value]) => ({ labels: { code }, value })),
    ),
  ]
}

/** What lies behind the server. */
function storeFamilies(store: FeatureStore, tally: RequestTally): Family[] {
  const one = (value: number): Sample[] => [{ labels: {}, value }]
  const plans = async () => (await store.serving().catch(() => undefined))?.planCounts
  return [
    counter(
      'feast_node_online_store_failures_total',
      'Calls of the online store that gave up, by reason',
      () => tally.storeFailures.samples('reason'),
    ),
    counter(
      'feast_node_online_store_connections_total',
      'Connections to the online store that were opened, could not be opened, or were lost',
      () => tally.connections.samples('outcome'),
    ),
    gauge('feast_node_plan_cache_plans', 'Request shapes whose plan is kept', async () =>
      one((await plans())?.plans ?? 0),
    ),
    counter('feast_node_plan_cache_hits_total', 'Lookups whose plan was kept', async () =>
      one((await plans())?.hits ?? 0),
    ),
    counter('feast_node_plan_cache_misses_total', 'Lookups that were planned', async () =>
      one((await plans())?.misses ?? 0),
    ),
    highest('feast_node_registry_age_seconds', 'Time since the registry was last looked at', () =>
      one((performance.now() - tally.registryReadAt) / 1000),
    ),
    counter('feast_node_registry_refresh_failures_total', 'Reads of the registry that failed', () =>
      one(tally.registryFailures),
    ),
  ]
}

function histogram(name: string, help: string, samples: Samples): Family {
  return { name, help, type: 'histogram', aggregator: 'sum', samples }
}

/** Of what each worker knows by itself. */
function highest(name: string, help: string, samples: Samples): Family {
  return { name, help, type: 'gauge', aggregator: 'max', samples }
}

/** prom-client is loaded by the first scrape; its own metrics of the process start then. */
async function registerAll(families: readonly Family[]): Promise<PrometheusRegistry> {
  const { Registry, collectDefaultMetrics } = (await import('prom-client')).default
  const register = new Registry()
  for (const { name, help, type, aggregator, samples } of families) {
    const get = async () => ({ name, help, type, aggregator, values: await samples() })
    register.registerMetric({ name, get } as unknown as Metric<string>)
  }
  collectDefaultMetrics({ register })
  return register
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

async function freshness(store: FeatureStore): Promise<Sample[]> {
  const registry = await store.registry().catch(() => undefined)
  if (registry === undefined) return []
  return registry.storedViews(store.project).flatMap(({ name }) => {
    const ends = registry.viewState(store.project, name).intervals.map(({ end }) => Number(end) / 1e6)
    if (ends.length === 0) return []
    const labels = { feature_view: name, project: store.project }
    return [{ labels, value: Date.now() / 1000 - Math.max(...ends) }]
  })
}
