import { createHash } from 'node:crypto'
import { type ModelLoadEvent, modelLoad } from '../core/diagnostics.js'
import { feastError, isFeastError } from '../core/errors.js'
import { countOf, type Tensor, tensorData } from '../core/tensor.js'
import type { ModelManifest } from './model-manifest.js'
import { type OnnxModel, readOnnx, refuseLarge } from './onnx/onnx-file.js'
import { type Feeds, type Inference, SessionPool } from './onnx/session-pool.js'

/** Where a version comes from: the registry, or a file. */
export interface ModelSource {
  readonly manifest: ModelManifest
  readonly version: string
  /** The file's bytes; checked against the manifest's sha256 before they are read. */
  artifact(): Promise<Uint8Array>
}

export interface InferenceSettings {
  /** Threads of each version. */
  readonly workers: number
  readonly queueLimit: number
  /** Of one run; a worker that takes longer is replaced. */
  readonly timeoutMs: number
  readonly intraOpThreads: number
  readonly maxModelBytes: number
}

export const DEFAULT_INFERENCE: InferenceSettings = {
  workers: 2,
  queueLimit: 256,
  timeoutMs: 1000,
  intraOpThreads: 1,
  maxModelBytes: 512 << 20,
}

/** A version in its workers. */
export interface LoadedModel {
  readonly name: string
  readonly version: string
  readonly manifest: ModelManifest
  /** As the file says: tensors in and out. */
  readonly graph: Pick<OnnxModel, 'inputs' | 'outputs' | 'opset'>
  /**
   * @param outputs default: all
   * @param timeoutMs from now on, waiting for a worker included
   * @throws MODEL_OVERLOADED, DEADLINE_EXCEEDED, MODEL_RUN_FAILED, MODEL_WORKER_FAILED
   */
  infer(
    feeds: Feeds,
    options: { readonly outputs?: readonly string[]; readonly timeoutMs: number },
  ): Promise<Inference>
}

/**
 * Holds the versions that are loaded, any number of each model, and which of them answers requests that name none.
 * A swap is `load` the new, `activate` it, `unload` the old: at no moment does a request find nothing, and the old
 * version goes when the last request that uses it has its answer.
 */
export interface ModelHost {
  /**
   * Reads, checks, loads, warms up and verifies a version; it is then found by its number. Loading what is loaded is
   * the same version again.
   * @throws MODEL_INVALID, MODEL_RUNTIME_MISSING, and what `verify` throws
   */
  load(source: ModelSource): Promise<LoadedModel>
  /** Requests that name no version get this one from now on. @throws MODEL_VERSION_NOT_LOADED */
  activate(name: string, version: string): void
  /** None answers such requests any more. */
  deactivate(name: string): void
  /** No new request finds it; resolves when the last one is through, after 30 s at most, and its threads have ended. */
  unload(name: string, version: string): Promise<void>
  /**
   * Runs `work` with a version, which stays loaded until it is done.
   * @param version default: the active one
   * @throws MODEL_NOT_SERVED, MODEL_VERSION_NOT_LOADED
   */
  use<T>(name: string, version: string | undefined, work: (model: LoadedModel) => Promise<T>): Promise<T>
  /** For what only looks. @throws MODEL_NOT_SERVED, MODEL_VERSION_NOT_LOADED */
  find(name: string, version?: string): LoadedModel
  models(): readonly HostedModel[]
  /** What waits, and how many workers had to be replaced. */
  counts(): readonly ModelCounts[]
  close(): Promise<void>
}

export interface HostedModel {
  readonly name: string
  readonly active: string | undefined
  readonly versions: readonly string[]
}

export interface ModelCounts {
  readonly model: string
  readonly version: string
  readonly waiting: number
  readonly replacements: number
  /** Runs that were given up and have not ended. */
  readonly stuck: number
}

/** How long an old version waits for its last requests. */
const DRAIN_MS = 30_000
const WARM_UP_RUNS = 3
/** A first run may take long; it holds nobody up. */
const WARM_UP_MS = 10_000

/**
 * @param verify asked when the workers have a version, before it may serve; throws what keeps it from that
 */
export function createModelHost(
  settings: InferenceSettings,
  verify: (model: LoadedModel) => Promise<void> = async () => {},
): ModelHost {
  return new Host(settings, verify)
}

interface Entry {
  readonly model: LoadedModel
  readonly pool: SessionPool
  uses: number
  /** Set while it is being unloaded. */
  onIdle: (() => void) | undefined
}

interface Versions {
  active: string | undefined
  readonly entries: Map<string, Entry>
}

class Host implements ModelHost {
  readonly #models = new Map<string, Versions>()
  readonly #loading = new Map<string, Promise<LoadedModel>>()
  readonly #leaving = new Set<Promise<void>>()
  /** Of versions that could not be loaded, while a first run that was given up goes on. */
  readonly #stuck = new Map<string, SessionPool>()
  #isClosed = false

  constructor(
    readonly settings: InferenceSettings,
    readonly verify: (model: LoadedModel) => Promise<void>,
  ) {}

  load(source: ModelSource): Promise<LoadedModel> {
    const { name } = source.manifest
    const known = this.#models.get(name)?.entries.get(source.version)
    if (known) return Promise.resolve(known.model)
    const key = `${name}\0${source.version}`
    let loading = this.#loading.get(key)
    if (loading === undefined) {
      loading = this.#load(source).finally(() => this.#loading.delete(key))
      this.#loading.set(key, loading)
    }
    return loading
  }

  async #load(source: ModelSource): Promise<LoadedModel> {
    const { name } = source.manifest
    const { version } = source
    const key = `${name}\0${version}`
    try {
      this.#refuseStuck(key, name)
      const file = readOnnx(await this.#bytesOf(source), name)
      const { workers, queueLimit, timeoutMs, intraOpThreads } = this.settings
      const pool = await SessionPool.open({
        model: name,
        bytes: file.bytes,
        workers,
        queueLimit,
        timeoutMs,
        intraOpThreads,
      })
      const model = loadedModel(source, file, pool)
      try {
        await warmUp(model, pool)
        await this.verify(model)
        if (this.#isClosed) throw feastError('SHUTTING_DOWN', undefined)
      } catch (error) {
        await pool.close()
        if (pool.stuck > 0) this.#stuck.set(key, pool)
        throw error
      }
      const versions = this.#models.get(name) ?? { active: undefined, entries: new Map() }
      versions.entries.set(version, { model, pool, uses: 0, onIdle: undefined })
      this.#models.set(name, versions)
      publish({ model: name, version, outcome: 'loaded' })
      return model
    } catch (error) {
      publish({ model: name, version, outcome: 'failed' })
      throw error
    }
  }

  /** Each attempt would take more threads for itself. */
  #refuseStuck(key: string, model: string): void {
    if ((this.#stuck.get(key)?.stuck ?? 0) > 0) {
      throw feastError('MODEL_INVALID', { model, why: 'the first run of the last attempt has not ended' })
    }
    this.#stuck.delete(key)
  }

  async #bytesOf(source: ModelSource): Promise<Uint8Array> {
    const { name, artifact } = source.manifest
    const bytes = await source.artifact()
    refuseLarge(name, bytes, this.settings.maxModelBytes)
    if (createHash('sha256').update(bytes).digest('hex') !== artifact.sha256) {
      const why = `the file is not the one that was registered: its sha256 is not ${artifact.sha256}`
      throw feastError('MODEL_INVALID', { model: name, why })
    }
    return bytes
  }

  activate(name: string, version: string): void {
    this.#entry(name, version)
    this.#models.get(name)!.active = version
  }

  deactivate(name: string): void {
    const versions = this.#models.get(name)
    if (versions) versions.active = undefined
  }

  async unload(name: string, version: string): Promise<void> {
    const versions = this.#models.get(name)
    const entry = versions?.entries.get(version)
    if (versions === undefined || entry === undefined) return
    versions.entries.delete(version)
    if (versions.active === version) versions.active = undefined
    if (versions.entries.size === 0) this.#models.delete(name)
    const leaving = this.#release(entry).finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
    await leaving
  }

  async #release(entry: Entry): Promise<void> {
    const { model, pool } = entry
    if (entry.uses > 0 && !this.#isClosed) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        entry.onIdle = resolve
        timer = setTimeout(resolve, DRAIN_MS).unref()
      })
      clearTimeout(timer)
    }
    await pool.close()
    publish({ model: model.name, version: model.version, outcome: 'released' })
  }

  async use<T>(
    name: string,
    version: string | undefined,
    work: (model: LoadedModel) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entry(name, version)
    entry.uses++
    try {
      return await work(entry.model)
    } finally {
      if (--entry.uses === 0) entry.onIdle?.()
    }
  }

  find(name: string, version?: string): LoadedModel {
    return this.#entry(name, version).model
  }

  #entry(name: string, version: string | undefined): Entry {
    const versions = this.#models.get(name)
    if (versions === undefined)
      throw feastError('MODEL_NOT_SERVED', { name, known: [...this.#models.keys()] })
    const wanted = version ?? versions.active
    const entry = wanted === undefined ? undefined : versions.entries.get(wanted)
    if (entry) return entry
    const loaded = [...versions.entries.keys()]
    throw feastError('MODEL_VERSION_NOT_LOADED', {
      name,
      loaded,
      ...(version === undefined ? {} : { version }),
    })
  }

  models(): readonly HostedModel[] {
    return [...this.#models].map(([name, { active, entries }]) => ({
      name,
      active,
      versions: [...entries.keys()],
    }))
  }

  counts(): readonly ModelCounts[] {
    return [...this.#models].flatMap(([model, { entries }]) =>
      [...entries].map(([version, { pool }]) => ({
        model,
        version,
        waiting: pool.waiting,
        replacements: pool.replacements,
        stuck: pool.stuck,
      })),
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#loading.values())
    const entries = [...this.#models.values()].flatMap((versions) => [...versions.entries.values()])
    this.#models.clear()
    await Promise.all([...entries.map((entry) => entry.pool.close()), ...this.#leaving])
  }
}

function publish(event: ModelLoadEvent): void {
  if (modelLoad.hasSubscribers) modelLoad.publish(event)
}

function loadedModel({ manifest, version }: ModelSource, graph: OnnxModel, pool: SessionPool): LoadedModel {
  const all = graph.outputs.map(({ tensor }) => tensor)
  return {
    name: manifest.name,
    version,
    manifest,
    graph: { inputs: graph.inputs, outputs: graph.outputs, opset: graph.opset },
    infer: (feeds, { outputs = all, timeoutMs }) => pool.run(feeds, outputs, timeoutMs),
  }
}

/**
 * A row of zeros through every worker. Not every model takes zeros; that it was run is what counts, and whether it
 * can be run at all is what `verify` finds out.
 */
async function warmUp(model: LoadedModel, pool: SessionPool): Promise<void> {
  const feeds = new Map(model.graph.inputs.map(({ tensor, type, shape }) => [tensor, zeros(type, shape)]))
  for (let run = 0; run < WARM_UP_RUNS; run++) {
    const runs = Array.from({ length: pool.size }, () => model.infer(feeds, { timeoutMs: WARM_UP_MS }))
    for (const outcome of await Promise.allSettled(runs)) {
      if (outcome.status === 'fulfilled' || isFeastError(outcome.reason, 'MODEL_RUN_FAILED')) continue
      if (!isFeastError(outcome.reason, 'DEADLINE_EXCEEDED')) throw outcome.reason
      const why = `a row of zeros is more than it can be run on in the time it has (models.inference.timeout_ms)`
      throw feastError('MODEL_INVALID', { model: model.name, why }, outcome.reason)
    }
  }
}

function zeros(type: Tensor['type'], shape: readonly number[]): Tensor {
  const sizes = shape.map((size) => (size < 0 ? 1 : size))
  return { type, shape: sizes, data: tensorData(type, countOf(sizes)) }
}
