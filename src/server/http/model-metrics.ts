import {
  type ModelLoadEvent,
  type ModelRequestEvent,
  modelLoad,
  modelRequest,
} from '../../core/diagnostics.js'
import type { ShadowCounts } from '../../models/model-proxy.js'
import type { Models } from '../../models/open-models.js'
import { Counts, counter, type Family, gauge, Histogram, Keyed, type Sample } from './tally.js'

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const ROWS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000]

type Counting = Pick<Models, 'proxy' | 'log'>

/** What is counted of models. Label values that belong together are one key, apart by NULs. */
export class ModelTally {
  readonly #requests = new Counts()
  readonly #imputed = new Counts()
  readonly #reloads = new Counts()
  readonly #loaded = new Map<string, number>()
  readonly #parts = {
    request: new Keyed(() => new Histogram(SECONDS)),
    feature: new Keyed(() => new Histogram(SECONDS)),
    queue: new Keyed(() => new Histogram(SECONDS)),
    infer: new Keyed(() => new Histogram(SECONDS)),
  }
  readonly #rows = new Keyed(() => new Histogram(ROWS))
  #models: Counting | undefined

  /** What is counted there is told when it is asked for. */
  watch(models: Counting): void {
    this.#models = models
  }

  /** @returns how to stop */
  listen(): () => void {
    const onRequest = (message: unknown) => this.request(message as ModelRequestEvent)
    const onLoad = (message: unknown) => this.load(message as ModelLoadEvent)
    modelRequest.subscribe(onRequest)
    modelLoad.subscribe(onLoad)
    return () => {
      modelRequest.unsubscribe(onRequest)
      modelLoad.unsubscribe(onLoad)
    }
  }

  request(event: ModelRequestEvent): void {
    const { model, version, role, code, rows, seconds, featureSeconds, queueSeconds, inferSeconds } = event
    this.#requests.add([model, version, role, code].join('\0'))
    const key = `${model}\0${version}`
    this.#parts.request.at(key).observe(seconds)
    if (featureSeconds !== undefined) this.#parts.feature.at(key).observe(featureSeconds)
    if (queueSeconds !== undefined) this.#parts.queue.at(key).observe(queueSeconds)
    if (inferSeconds !== undefined) this.#parts.infer.at(key).observe(inferSeconds)
    this.#rows.at(key).observe(rows)
    for (const { feature, reason, count } of event.imputed) {
      this.#imputed.add([model, feature, reason].join('\0'), count)
    }
  }

  load({ model, version, outcome }: ModelLoadEvent): void {
    const key = `${model}\0${version}`
    if (outcome === 'loaded') this.#loaded.set(key, 1)
    else if (outcome === 'released') this.#loaded.delete(key)
    if (outcome !== 'released') this.#reloads.add(`${model}\0${outcome}`)
  }

  families(): Family[] {
    const histogram = (name: string, help: string, keyed: Keyed<Histogram>): Family => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      samples: () =>
        keyed.entries().flatMap(([key, one]) => one.samples(name, labelsOf(key, ['model', 'version']))),
    })
    const counted = (name: string, help: string, counts: Counts, labels: readonly string[]): Family =>
      counter(name, help, () => labelled(counts.samples('key'), labels))
    return [
      counted(
        'feast_model_requests_total',
        'Requests to models, by the code of their outcome',
        this.#requests,
        ['model', 'version', 'role', 'code'],
      ),
      histogram('feast_model_request_duration_seconds', 'Time to answer', this.#parts.request),
      histogram('feast_model_feature_duration_seconds', 'Time to have the features', this.#parts.feature),
      histogram('feast_model_queue_duration_seconds', 'Time of waiting for a worker', this.#parts.queue),
      histogram('feast_model_infer_duration_seconds', 'Time in the model', this.#parts.infer),
      histogram('feast_model_batch_rows', 'Rows of a request', this.#rows),
      counted('feast_model_imputed_total', 'Values that stood in for missing ones', this.#imputed, [
        'model',
        'feature',
        'reason',
      ]),
      counted('feast_model_reload_total', 'Versions that were loaded, or failed to', this.#reloads, [
        'model',
        'result',
      ]),
      gauge('feast_model_loaded', 'Versions that are loaded', () => byVersion([...this.#loaded])),
      ...this.#proxyFamilies(),
      ...this.#logFamilies(),
    ]
  }

  #proxyFamilies(): Family[] {
    const counts = () => this.#models?.proxy.counts
    const rows = (of: keyof ShadowCounts) => () =>
      byVersion([...(counts()?.shadows ?? [])].map(([key, one]) => [key, one[of]]))
    return [
      counter(
        'feast_shadow_compared_total',
        'Answered rows that a shadow predicted as well',
        rows('compared'),
      ),
      counter(
        'feast_shadow_disagreement_total',
        'Rows of which a shadow said something else',
        rows('differing'),
      ),
      counter('feast_shadow_failed_total', 'Answered rows that a shadow could not predict', rows('failed')),
      counter('feast_shadow_dropped_total', 'Shadow runs given up because too many waited', () =>
        single(counts()?.dropped),
      ),
      gauge('feast_shadow_waiting', 'Shadow runs that wait', () => single(counts()?.waiting)),
      counter('feast_canary_taken_out_total', 'Canaries taken out for their errors or their latency', () =>
        byVersion([...(counts()?.takenOut ?? [])]),
      ),
    ]
  }

  #logFamilies(): Family[] {
    const counts = () => this.#models?.log?.counts
    return [
      counter('feast_prediction_log_rows_total', 'Rows written to the prediction log', () =>
        single(counts()?.written),
      ),
      counter('feast_prediction_log_dropped_total', 'Rows that the prediction log lost', () =>
        single(counts()?.dropped),
      ),
      counter(
        'feast_prediction_log_failed_writes_total',
        'Files of the prediction log that could not be written, each time it was tried',
        () => single(counts()?.failedWrites),
      ),
      gauge('feast_prediction_log_waiting_rows', 'Rows that are not written yet', () =>
        single(counts()?.waiting),
      ),
    ]
  }
}

function byVersion(counts: readonly (readonly [key: string, value: number])[]): Sample[] {
  return counts.map(([key, value]) => ({ labels: labelsOf(key, ['model', 'version']), value }))
}

/** None where there is nothing to count. */
function single(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }]
}

function labelled(samples: readonly Sample[], names: readonly string[]): Sample[] {
  return samples.map(({ labels, value }) => ({ labels: labelsOf(String(labels['key']), names), value }))
}

function labelsOf(key: string, names: readonly string[]): Record<string, string> {
  const values = key.split('\0')
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}
