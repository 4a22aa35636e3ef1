import { feastError, isFeastError, messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import { compareRows } from './agreement.js'
import { CanaryWatch } from './canary-watch.js'
import type { Deployer } from './deployer.js'
import type { ModelHost } from './model-host.js'
import type { ModelManifest } from './model-manifest.js'
import type { ModelsConfig } from './models-config.js'
import type { PredictAnswer, PredictionRecord, Predictor, PredictRequest } from './predict.js'
import type { LoggedPrediction } from './prediction-rows.js'
import type { ModelRegistry } from './registry/model-registry.js'
import { SYSTEM } from './registry/plan-change.js'
import { ShadowQueue } from './shadow-queue.js'
import { mergeAnswers, rowsOf } from './share-request.js'
import { type Canary, entityKeys, type Route, type Share, shareOut } from './traffic.js'

export interface ProxyOptions {
  readonly deployer: Deployer
  readonly registry: ModelRegistry
  readonly predictor: Predictor
  /** Versions that may be looked at and never answer. */
  readonly shadows: { readonly host: ModelHost; readonly predictor: Predictor }
  readonly config: Pick<ModelsConfig, 'serve' | 'inference'>
  readonly logger: Logger
  /** The columns of a request by which a version's entities are told apart, each with the join key it stands for. */
  readonly keyColumns: (model: string, version: string) => Promise<ReadonlyMap<string, string>>
  /** Told of every answer and shadow run. Must not throw. */
  readonly log: ((prediction: LoggedPrediction) => void) | undefined
}

/** A request to the model, whichever version answers. */
export interface ProxiedRequest extends PredictRequest {
  readonly requestId: string
  /** Of a share of a request: positions of its rows in the whole. */
  readonly rows?: readonly number[]
}

/** Which version got which rows, where there were several. */
export interface ProxiedAnswer extends PredictAnswer {
  readonly shares?: readonly Share[]
}

/** Codes of what a version does wrong; all others are the caller's, the store's or nobody's fault. */
const FAULTS: readonly string[] = [
  'MODEL_RUN_FAILED',
  'MODEL_WORKER_FAILED',
  'DEADLINE_EXCEEDED',
  'MODEL_OVERLOADED',
  'INTERNAL',
]

/**
 * Stands before the versions of a model: shares entities out over champion and canaries, lets shadows look at what was
 * answered, watches canaries, and tells the prediction log.
 */
export class ModelProxy {
  readonly #options: ProxyOptions
  readonly #queue = new ShadowQueue()
  readonly #watches = new Map<string, CanaryWatch>()
  readonly #shadows = new Map<string, ShadowCounts>()
  readonly #takenOut = new Map<string, number>()

  constructor(options: ProxyOptions) {
    this.#options = options
  }

  get counts(): ProxyCounts {
    const { dropped, waiting } = this.#queue
    return { dropped, waiting, shadows: this.#shadows, takenOut: this.#takenOut }
  }

  /** @throws what {@link Predictor.predict} throws */
  async predict(request: ProxiedRequest): Promise<ProxiedAnswer> {
    const { deployer } = this.#options
    const keys = await this.#keysOf(request)
    // Nothing may come between the route and its use: the version could be gone.
    const route = deployer.route(request.model)
    if (route === undefined) return this.#one(request, undefined, 'champion')
    const pinned = request.version === undefined ? undefined : answering(request, route)
    const shares = pinned ?? shareOut(route, keys)
    const [only] = shares
    if (only === undefined || shares.length === 1) {
      return this.#one({ ...request, version: only?.version }, only, only?.role ?? 'champion')
    }
    const answers = await Promise.all(
      shares.map((share) =>
        this.#one(
          { ...rowsOf({ ...request, version: share.version }, share.rows), rows: share.rows },
          share,
          share.role,
        ),
      ),
    )
    return { ...mergeAnswers(shares, answers), shares }
  }

  /** Told by the predictor of every prediction. */
  onPrediction = (record: PredictionRecord): void => {
    // The answer goes out first.
    setImmediate(() => this.#after(record))
  }

  /** Told by the shadows' predictor. */
  onShadow = (record: PredictionRecord): void => {
    const { primary } = record.request as ShadowRequest
    this.#settle({ ...record, at: primary.at }, primary)
  }

  close(): void {
    this.#queue.close()
  }

  /** One per row. Without a canary they tell nothing apart. */
  async #keysOf({ model, version, entities }: ProxiedRequest): Promise<readonly string[]> {
    const { deployer, keyColumns } = this.#options
    const rowCount = Object.values(entities)[0]?.length ?? 0
    const { champion, canaries = [] } = deployer.route(model) ?? {}
    const tellsApart = champion !== undefined && canaries.length > 0 && version === undefined
    return entityKeys(tellsApart ? keysOnly(entities, await keyColumns(model, champion)) : {}, rowCount)
  }

  async #one(request: ProxiedRequest, share: Share | undefined, role: Share['role']): Promise<PredictAnswer> {
    const at = Date.now()
    const started = performance.now()
    try {
      const answer = await this.#options.predictor.predict(request, role)
      this.#watch(request.model, share, performance.now() - started, false)
      return answer
    } catch (error) {
      const ms = performance.now() - started
      const { timeout_ms: limitMs } = this.#options.config.inference
      if (isFault(error, request, limitMs)) this.#watch(request.model, share, ms, true)
      this.#options.log?.({
        kind: 'failed',
        request,
        version: share?.version,
        role,
        error: messageOf(error),
        at,
        ms,
      })
      throw error
    }
  }

  #watch(model: string, share: Share | undefined, ms: number, isFailure: boolean): void {
    const limits = this.#options.config.serve[model]?.rollback
    if (limits === undefined || share?.role !== 'canary') return
    const key = `${model}\0${share.alias}\0${share.version}`
    const watch = this.#watches.get(key) ?? new CanaryWatch(limits)
    this.#watches.set(key, watch)
    const why = watch.observe(ms, isFailure)
    if (why === undefined) return
    this.#watches.delete(key)
    void this.#takeOut(model, share, why)
  }

  /** Opt-in: the canary gets no entities any more, here at once and elsewhere when they look next. */
  async #takeOut(model: string, { alias, version }: Share, why: string): Promise<void> {
    const { registry, deployer, logger } = this.#options
    logger.error({ model, version, alias, why }, 'canary taken out')
    try {
      const { aliases } = await registry.model(model)
      if (aliases.get(alias)?.version !== Number(version)) return
      const change = { action: 'deploy', version: Number(version), alias, weight: 0, comment: why } as const
      await registry.change(model, change, SYSTEM)
      const key = `${model}\0${version}`
      this.#takenOut.set(key, (this.#takenOut.get(key) ?? 0) + 1)
      await deployer.refresh()
    } catch (error) {
      logger.error({ model, version, error: messageOf(error) }, 'canary not taken out')
    }
  }

  #after(record: PredictionRecord): void {
    const { log, deployer } = this.#options
    log?.({ kind: 'answered', record })
    const route = deployer.route(record.request.model)
    for (const version of route?.shadows ?? []) this.#queue.add(() => this.#shadow(version, record))
  }

  /** With the very rows of the answer where it takes the same inputs; else it looks up its own. */
  async #shadow(version: string, primary: PredictionRecord): Promise<void> {
    const { shadows, config, logger, log } = this.#options
    const { matrix, model, inference } = primary
    const { authorize: _, ...request } = primary.request as ProxiedRequest
    const started = performance.now()
    try {
      await shadows.host.use(request.model, version, async (shadow) => {
        if (!takesTheSame(shadow.manifest, model.manifest)) {
          const own: ShadowRequest = { ...request, version, primary }
          await shadows.predictor.predict(own, 'shadow')
        } else if (inference !== undefined) {
          const again = await shadow.infer(matrix.tensors, { timeoutMs: config.inference.timeout_ms })
          const ms = performance.now() - started
          this.#settle({ ...primary, model: shadow, role: 'shadow', inference: again, ms }, primary)
        }
      })
    } catch (error) {
      logger.debug({ model: request.model, version, error: messageOf(error) }, 'shadow failed')
      const ms = performance.now() - started
      const { at } = primary
      log?.({ kind: 'failed', request, version, role: 'shadow', error: messageOf(error), at, ms })
      this.#count(request.model, version, { failed: matrix.rowCount - matrix.failures.size })
    }
  }

  #settle(shadow: PredictionRecord, primary: PredictionRecord): void {
    this.#options.log?.({ kind: 'answered', record: shadow, primary })
    this.#count(shadow.model.name, shadow.model.version, compareRows(primary, shadow))
  }

  #count(model: string, version: string, rows: Partial<ShadowCounts>): void {
    const key = `${model}\0${version}`
    const before = this.#shadows.get(key) ?? { compared: 0, differing: 0, failed: 0 }
    this.#shadows.set(key, {
      compared: before.compared + (rows.compared ?? 0),
      differing: before.differing + (rows.differing ?? 0),
      failed: before.failed + (rows.failed ?? 0),
    })
  }
}

/** Since the start. Keys are model and version, apart by a NUL. */
export interface ProxyCounts {
  /** Shadow runs that were given up because too many waited. */
  readonly dropped: number
  readonly waiting: number
  readonly shadows: ReadonlyMap<string, ShadowCounts>
  /** Canaries that were taken out because of their errors or their latency. */
  readonly takenOut: ReadonlyMap<string, number>
}

/** Rows that were answered, and what a shadow made of them. */
export interface ShadowCounts {
  readonly compared: number
  /** Of those compared. */
  readonly differing: number
  readonly failed: number
}

interface ShadowRequest extends ProxiedRequest {
  /** What was answered. */
  readonly primary: PredictionRecord
}

const compared = new WeakMap<ModelManifest, WeakMap<ModelManifest, boolean>>()

/** Whether what the one was fed with can be fed to the other. Looked at once for each two. */
function takesTheSame(a: ModelManifest, b: ModelManifest): boolean {
  const known = compared.get(a) ?? new WeakMap<ModelManifest, boolean>()
  compared.set(a, known)
  const isSame = known.get(b) ?? JSON.stringify(a.inputs) === JSON.stringify(b.inputs)
  known.set(b, isSame)
  return isSame
}

/** A caller may choose among the versions that answer. */
function answering({ model, version }: PredictRequest, { champion, canaries }: Route): readonly Share[] {
  const canary = canaries.find((one: Canary) => one.version === version || one.alias === version)
  const rows: readonly number[] = []
  if (canary) return [{ version: canary.version, role: 'canary', alias: canary.alias, rows }]
  if (champion !== undefined && (version === champion || version === 'champion')) {
    return [{ version: champion, role: 'champion', alias: 'champion', rows }]
  }
  const loaded = [champion, ...canaries.map((one) => one.version)].filter((one) => one !== undefined)
  throw feastError('MODEL_VERSION_NOT_LOADED', { name: model, loaded, version: version! })
}

/** Nor is it the version's fault when a caller gives it less time than it may take. */
function isFault(error: unknown, { options }: PredictRequest, limitMs: number): boolean {
  const code = isFeastError(error) ? error.code : 'INTERNAL'
  const isHaste = code === 'DEADLINE_EXCEEDED' && (options?.timeoutMs ?? limitMs) < limitMs
  return FAULTS.includes(code) && !isHaste
}

/** Request data may stand among the entities and differs from one request to the next. */
function keysOnly(
  entities: PredictRequest['entities'],
  keyColumns: ReadonlyMap<string, string>,
): PredictRequest['entities'] {
  const keys = Object.entries(entities).flatMap(([column, values]) => {
    const key = keyColumns.get(column)
    return key === undefined ? [] : [[key, values] as const]
  })
  return Object.fromEntries(keys)
}
