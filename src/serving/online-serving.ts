import { feastError } from '../core/errors.js'
import type { RowFunction } from '../core/on-demand-feature-view.js'
import type { OnlineStore } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import { type AnswerBuffer, writeAnswer } from './answer-buffers.js'
import { type FeatureMatrix, fillMatrix, type MatrixInput, type Overrides } from './feature-matrix.js'
import { writeJsonResponse } from './json-response.js'
import { answerOnline } from './online-answer.js'
import { type OnlinePlan, planOnline, type RequestShape } from './online-plan.js'
import { type OnlineResponse, programResponse } from './program-response.js'
import { writeProtoResponse } from './proto-response.js'

export type { FieldStatus } from '../core/field-status.js'
export type { OnlineResponse } from './program-response.js'

/** The online read path: shapes to plans, plans to rows, rows to answers. */
export interface OnlineServing {
  /** An answer ready to send. @throws the errors of plans, entity values and the online store */
  answer(request: OnlineRequest, format: AnswerFormat): Promise<LookupAnswer>
  /** Features as the tensors of a model, with what else was read. */
  readMatrix(request: MatrixRequest): Promise<MatrixAnswer>
  /** The same lookup for a program. */
  getOnlineFeatures(request: OnlineRequest): Promise<OnlineResponse>
  readonly planCounts: PlanCounts
}

/** How requests met the plans that are kept. */
export interface PlanCounts {
  /** Kept now. */
  readonly plans: number
  readonly hits: number
  readonly misses: number
}

/** `json`: as Feast's HTTP server writes it. `protobuf`: the message feast.serving.GetOnlineFeaturesResponse. */
export type AnswerFormat = 'json' | 'protobuf'

export interface LookupAnswer extends AnswerBuffer {
  readonly rowCount: number
  readonly featureCount: number
  readonly viewCount: number
}

export interface OnlineRequest {
  readonly features?: readonly string[]
  /** Wins over `features`. */
  readonly featureService?: string | undefined
  /** Column → values; numbers, strings, bigints, booleans, bytes, Dates. Request data is given here as well. */
  readonly entities: Readonly<Record<string, readonly unknown[]>>
  readonly fullFeatureNames?: boolean
  /** Names and versions of the views in the answer's metadata; in messages only, as with Feast. */
  readonly includeViewVersions?: boolean
}

export interface MatrixRequest {
  readonly featureService: string
  readonly inputs: readonly MatrixInput[]
  /** As in {@link OnlineRequest}. */
  readonly entities: OnlineRequest['entities']
  readonly overrides?: Overrides
}

export interface MatrixAnswer {
  readonly matrix: FeatureMatrix
  /** How long the online store took, in seconds. */
  readonly seconds: number
  /** Per feature of the service its values, statuses and times: made when asked for. */
  features(): OnlineResponse
}

export interface OnlineServingOptions {
  /** The current snapshot, at once where there is one. */
  registry(): Registry | Promise<Registry>
  readonly onlineStore: OnlineStore
  readonly project: string
  readonly versioning: boolean
  /** `feature_server.ttl` (O2). */
  readonly ttl: 'enforce' | 'ignore'
  readonly entityKeyVersion: 2 | 3
  /** Functions of the loaded feature repo by on demand view name. */
  readonly transformations: ReadonlyMap<string, RowFunction>
  /** Of one lookup: `feature_server.limits`. */
  readonly limits: { readonly entityRows: number; readonly features: number }
  /** Milliseconds since 1970; for tests of what gets old. */
  readonly now?: () => number
}

export function createOnlineServing(options: OnlineServingOptions): OnlineServing {
  const plans = new PlanCache(options)
  const answerOptions = { enforceTtl: options.ttl === 'enforce', now: options.now ?? Date.now }
  return {
    async answer({ entities, includeViewVersions = false, ...rest }, format) {
      const plan = plans.plan(shapeOf(rest), await options.registry())
      refuseTooMuch(options, entities)
      const answer = await answerOnline(plan, entities, answerOptions)
      const buffer = writeAnswer((out) => {
        if (format === 'json') writeJsonResponse(out, answer)
        else writeProtoResponse(out, answer, includeViewVersions)
      })
      return {
        ...buffer,
        rowCount: answer.rows.rowCount,
        featureCount: plan.outputs.length,
        viewCount: plan.viewCount,
      }
    },
    async readMatrix({ featureService, inputs, entities, overrides = {} }) {
      const plan = plans.plan(shapeOf({ featureService, fullFeatureNames: true }), await options.registry())
      refuseTooMuch(options, entities)
      const answer = await answerOnline(plan, entities, answerOptions)
      return {
        matrix: fillMatrix(inputs, answer, entities, overrides),
        seconds: answer.rows.seconds,
        features: () => programResponse(answer),
      }
    },
    async getOnlineFeatures({ entities, ...rest }) {
      const plan = plans.plan(shapeOf(rest), await options.registry())
      refuseTooMuch(options, entities)
      return programResponse(await answerOnline(plan, entities, answerOptions))
    },
    planCounts: plans,
  }
}

function refuseTooMuch({ limits }: OnlineServingOptions, entities: OnlineRequest['entities']): void {
  for (const column in entities) {
    if (entities[column]!.length <= limits.entityRows) continue
    throw feastError('PAYLOAD_TOO_LARGE', { what: 'entity rows', limit: limits.entityRows })
  }
}

function shapeOf({
  features,
  featureService,
  fullFeatureNames,
}: Omit<OnlineRequest, 'entities'>): RequestShape {
  return { features: features ?? [], featureService, fullFeatureNames: fullFeatureNames ?? false }
}

/** Bounds on what is kept: shapes, and the features of all of them together. */
const MAX_PLANS = 1000
const MAX_PLANNED_FEATURES = 200_000

/** Plans of the current registry snapshot; a new snapshot drops them all, the oldest leaves when there are many. */
class PlanCache implements PlanCounts {
  hits = 0
  misses = 0
  #registry: Registry | undefined
  readonly #plans = new Map<string, OnlinePlan>()
  #featureCount = 0

  constructor(readonly options: OnlineServingOptions) {}

  get plans(): number {
    return this.#plans.size
  }

  /** Refuses before it plans: each reference costs planning. @throws PAYLOAD_TOO_LARGE and what planning throws */
  plan(shape: RequestShape, registry: Registry): OnlinePlan {
    const { features } = this.options.limits
    if (shape.features.length > features) {
      throw feastError('PAYLOAD_TOO_LARGE', { what: 'features', limit: features })
    }
    if (registry !== this.#registry) {
      this.#plans.clear()
      this.#featureCount = 0
      this.#registry = registry
    }
    const key = keyOf(shape)
    const known = this.#plans.get(key)
    if (known) {
      this.hits++
      return known
    }
    this.misses++
    return this.#keep(key, planOnline(shape, { ...this.options, registry }))
  }

  #keep(key: string, plan: OnlinePlan): OnlinePlan {
    this.#plans.set(key, plan)
    this.#featureCount += plan.outputs.length
    for (const [oldest, { outputs }] of this.#plans) {
      if (this.#plans.size <= MAX_PLANS && this.#featureCount <= MAX_PLANNED_FEATURES) break
      this.#plans.delete(oldest)
      this.#featureCount -= outputs.length
    }
    return plan
  }
}

function keyOf({ features, featureService, fullFeatureNames }: RequestShape): string {
  const asked = featureService !== undefined ? `s${featureService}` : listText(features)
  return fullFeatureNames ? `full ${asked}` : asked
}

/** Of lists that cannot change: joining and hashing 250 references takes 10 µs. */
const listTexts = new WeakMap<readonly string[], string>()

/** References hold no NUL (a plan refuses them), so the count in front makes the text unambiguous. */
function listText(features: readonly string[]): string {
  const known = listTexts.get(features)
  if (known !== undefined) return known
  const text = `${features.length}\0${features.join('\0')}`
  if (Object.isFrozen(features)) listTexts.set(features, text)
  return text
}
