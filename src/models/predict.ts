import { type ModelRequestEvent, modelRequest } from '../core/diagnostics.js'
import { feastError, isFeastError } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import {
  defaultMatrix,
  type FeatureMatrix,
  type Imputed,
  type Overrides,
  unusable,
} from '../serving/feature-matrix.js'
import type { MatrixAnswer, OnlineResponse } from '../serving/online-serving.js'
import type { LoadedModel, ModelHost } from './model-host.js'
import type { Inference } from './onnx/session-pool.js'
import { predictionRows, type RowValue } from './output-rows.js'

export interface PredictRequest {
  readonly model: string
  /** Default: the active one. */
  readonly version?: string | undefined
  readonly entities: Columns
  readonly requestData?: Columns | undefined
  readonly overrides?: Overrides | undefined
  readonly options?: PredictOptions | undefined
  /** Asked before anything is looked up: throws when the caller may not read that feature service. */
  readonly authorize?: ((featureService: string) => Promise<void>) | undefined
}

type Columns = Readonly<Record<string, readonly unknown[]>>

export interface PredictOptions {
  /** Tell the features with their statuses and times. */
  readonly explain?: boolean
  readonly timeoutMs?: number | undefined
  /** Rows that cannot be predicted fail alone. */
  readonly partial?: boolean
}

export interface PredictAnswer {
  readonly model: string
  readonly version: string
  readonly role: string
  /** One per entity row, in their order. */
  readonly predictions: readonly Prediction[]
  readonly imputed: readonly Imputed[]
  /** The features did not come in time, and defaults stood in for all of them. */
  readonly isDegraded: boolean
  /** Where they were asked for. */
  readonly features: OnlineResponse | undefined
}

export type Prediction =
  | { readonly outputs: Readonly<Record<string, RowValue>> }
  | { readonly error: { readonly code: string; readonly message: string } }

/** All that one request to one version came to: what is logged, and what a shadow is compared with. */
export interface PredictionRecord {
  readonly request: PredictRequest
  readonly model: LoadedModel
  readonly role: string
  readonly matrix: FeatureMatrix
  readonly inference: Inference | undefined
  /** Milliseconds since 1970. */
  readonly at: number
  readonly ms: number
}

export interface PredictorOptions {
  readonly store: FeatureStore
  readonly host: ModelHost
  readonly logger: Logger
  /** Of a request that says nothing itself; features may take 60 % of it. */
  readonly timeoutMs: number
  /** Entity rows of one request. */
  readonly maxRows: number
  /** Told of every prediction after it was answered. Must not throw. */
  readonly onPrediction?: (record: PredictionRecord) => void
}

export interface Predictor {
  /**
   * Features, then the model.
   * @param role what the version answers as
   * @throws MODEL_NOT_SERVED, MODEL_VERSION_NOT_LOADED, MODEL_INPUT_UNUSABLE, DEADLINE_EXCEEDED, PAYLOAD_TOO_LARGE, and
   * what lookups and {@link LoadedModel.infer} throw
   */
  predict(request: PredictRequest, role?: string): Promise<PredictAnswer>
}

const FEATURE_SHARE = 0.6

export function createPredictor(options: PredictorOptions): Predictor {
  const told = new Set<string>()
  const warnOfDigits = ({ name, version }: LoadedModel, { inexact }: FeatureMatrix) => {
    for (const feature of inexact) {
      const key = `${name} ${version} ${feature}`
      if (told.has(key) || told.size >= MAX_TOLD) continue
      told.add(key)
      options.logger.warn(
        { model: name, version, feature },
        'integers of this feature lose digits in a float tensor',
      )
    }
  }
  return {
    async predict(request, role = 'champion') {
      const course = new Course(request, role)
      try {
        return await options.host.use(request.model, request.version, (model) => {
          course.model = model
          return predictWith(model, options, course, warnOfDigits)
        })
      } catch (error) {
        course.error = error
        throw error
      } finally {
        course.publish()
      }
    },
  }
}

const MAX_TOLD = 1000

/** What becomes known of a request on its way. */
class Course {
  readonly at = Date.now()
  readonly started = performance.now()
  model: LoadedModel | undefined
  error: unknown
  rows = 0
  featureSeconds: number | undefined
  inference: Inference | undefined
  matrix: FeatureMatrix | undefined

  constructor(
    readonly request: PredictRequest,
    readonly role: string,
  ) {}

  get ms(): number {
    return performance.now() - this.started
  }

  publish(): void {
    if (!modelRequest.hasSubscribers) return
    const { error, inference, matrix } = this
    modelRequest.publish({
      model: this.model === undefined ? '' : this.request.model,
      version: this.model?.version ?? '',
      role: this.role,
      code: codeOf(error),
      rows: this.rows,
      seconds: this.ms / 1000,
      featureSeconds: this.featureSeconds,
      queueSeconds: inference && inference.queueMs / 1000,
      inferSeconds: inference && inference.runMs / 1000,
      imputed: countImputed(matrix?.imputed ?? []),
    } satisfies ModelRequestEvent)
  }
}

export function codeOf(error: unknown): string {
  if (error === undefined) return 'OK'
  return isFeastError(error) ? error.code : 'INTERNAL'
}

function countImputed(imputed: readonly Imputed[]): ModelRequestEvent['imputed'] {
  const counts = new Map<string, { feature: string; reason: string; count: number }>()
  for (const { feature, reason } of imputed) {
    const key = `${reason} ${feature}`
    const known = counts.get(key)
    if (known) known.count++
    else counts.set(key, { feature, reason, count: 1 })
  }
  return [...counts.values()]
}

async function predictWith(
  model: LoadedModel,
  { store, timeoutMs, maxRows, onPrediction }: PredictorOptions,
  course: Course,
  warnOfDigits: (model: LoadedModel, matrix: FeatureMatrix) => void,
): Promise<PredictAnswer> {
  const { request, role } = course
  const { explain = false, partial = false, timeoutMs: asked } = request.options ?? {}
  const budgetMs = Math.min(asked ?? timeoutMs, timeoutMs)
  const { featureService } = model.manifest
  if (featureService !== undefined) await request.authorize?.(featureService)
  const entities = entityColumns(request)
  course.rows = Object.values(entities)[0]?.length ?? 0
  if (course.rows > maxRows) throw feastError('PAYLOAD_TOO_LARGE', { what: 'entity rows', limit: maxRows })
  const read = await readFeatures(model, store, entities, request.overrides, budgetMs * FEATURE_SHARE)
  const { matrix } = read
  course.matrix = matrix
  course.featureSeconds = course.ms / 1000
  warnOfDigits(model, matrix)
  if (!partial) for (const failure of matrix.failures.values()) throw unusable(failure)
  const kept = matrix.rowCount - matrix.failures.size
  if (kept > 0) {
    course.inference = await model.infer(matrix.tensors, { timeoutMs: budgetMs - course.ms })
  }
  const { inference, at } = course
  const rows = inference ? predictionRows(model.name, model.graph.outputs, inference.outputs, kept) : []
  onPrediction?.({ request, model, role, matrix, inference, at, ms: course.ms })
  return {
    model: model.name,
    version: model.version,
    role,
    predictions: inRowOrder(matrix, rows),
    imputed: matrix.imputed,
    isDegraded: read.isDegraded,
    features: explain ? read.features?.() : undefined,
  }
}

/** Request data is looked up like entity columns; what stands in both is a mistake. */
function entityColumns({ entities, requestData = {} }: PredictRequest): Columns {
  for (const name of Object.keys(requestData)) {
    if (!Object.hasOwn(entities, name)) continue
    throw feastError('INVALID_REQUEST', {
      message: `"${name}" is given in entities and in request_data; give it once.`,
    })
  }
  return { ...entities, ...requestData }
}

interface ReadFeatures {
  readonly matrix: FeatureMatrix
  readonly isDegraded: boolean
  readonly features: MatrixAnswer['features'] | undefined
}

async function readFeatures(
  { name, manifest }: LoadedModel,
  store: FeatureStore,
  entities: Columns,
  overrides: Overrides = {},
  timeoutMs: number,
): Promise<ReadFeatures> {
  const { featureService, inputs } = manifest
  if (featureService === undefined) {
    throw feastError('INVALID_REQUEST', {
      message: `Model "${name}" has no feature service, so there is nothing to look up; send its tensors to /v2/models/${name}/infer.`,
    })
  }
  const serving = await store.serving()
  try {
    const answer = await within(
      timeoutMs,
      serving.readMatrix({ featureService, inputs, entities, overrides }),
    )
    return { matrix: answer.matrix, isDegraded: false, features: answer.features }
  } catch (error) {
    if (!isFeastError(error, 'DEADLINE_EXCEEDED') && !isFeastError(error, 'ONLINE_STORE_UNAVAILABLE'))
      throw error
    const matrix = defaultMatrix(inputs, Object.values(entities)[0]?.length ?? 0)
    if (matrix === undefined) throw error
    return { matrix, isDegraded: true, features: undefined }
  }
}

/** What comes later is dropped: a lookup costs little and ends by itself. */
function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        feastError('DEADLINE_EXCEEDED', {
          what: 'The lookup of the features',
          timeoutMs: Math.round(timeoutMs),
        }),
      )
    }, timeoutMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function inRowOrder(
  { rowCount, failures }: FeatureMatrix,
  rows: readonly Readonly<Record<string, RowValue>>[],
): Prediction[] {
  let next = 0
  return Array.from({ length: rowCount }, (_, row): Prediction => {
    const failure = failures.get(row)
    if (failure === undefined) return { outputs: rows[next++]! }
    const { message } = unusable(failure)
    return { error: { code: 'MODEL_INPUT_UNUSABLE', message } }
  })
}
