import { type AnyView, type Projection, projectionOf } from './projection.js'

/** The features of one model, by name. */
export interface FeatureService {
  readonly kind: 'featureService'
  readonly name: string
  readonly projections: readonly Projection[]
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
  readonly precomputeOnline: boolean
}

export interface FeatureServiceOptions {
  readonly name: string
  /** Views (all of their features) and projections. */
  readonly features: readonly (AnyView | Projection)[]
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
  readonly precomputeOnline?: boolean
}

export function featureService(options: FeatureServiceOptions): FeatureService {
  return Object.freeze({
    kind: 'featureService',
    name: options.name,
    projections: Object.freeze(options.features.map(projectionOf)),
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
    precomputeOnline: options.precomputeOnline ?? false,
  })
}
