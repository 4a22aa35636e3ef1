import {
  type ModelLoadEvent,
  type ModelRequestEvent,
  modelLoad,
  modelRequest,
} from '../../core/diagnostics.js'
import { Counts, type Family, Histogram, Keyed, type Sample } from './tally.js'

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const ROWS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000]

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
    const counter = (name: string, help: string, counts: Counts, labels: readonly string[]): Family => ({
      name,
      help,
      type: 'counter',
      aggregator: 'sum',
      samples: () => labelled(counts.samples('key'), labels),
    })
    return [
      counter(
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
      counter('feast_model_imputed_total', 'Values that stood in for missing ones', this.#imputed, [
        'model',
        'feature',
        'reason',
      ]),
      counter('feast_model_reload_total', 'Versions that were loaded, or failed to', this.#reloads, [
        'model',
        'result',
      ]),
      {
        name: 'feast_model_loaded',
        help: 'Versions that are loaded',
        type: 'gauge',
        aggregator: 'sum',
        samples: () =>
          [...this.#loaded].map(([key, value]) => ({ labels: labelsOf(key, ['model', 'version']), value })),
      },
    ]
  }
}

function labelled(samples: readonly Sample[], names: readonly string[]): Sample[] {
  return samples.map(({ labels, value }) => ({ labels: labelsOf(String(labels['key']), names), value }))
}

function labelsOf(key: string, names: readonly string[]): Record<string, string> {
  const values = key.split('\0')
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}
