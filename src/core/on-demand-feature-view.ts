import type { RequestSource, TypedRequestSource } from './data-source.js'
import type { TypedFeatureView, TypedStreamFeatureView } from './feature-view.js'
import { type Field, fieldsOf, type Schema, type TypeOf } from './field.js'
import { type AnyView, type Projection, projectionOf, type TypedProjection } from './projection.js'
import type { ValueOf } from './value-type.js'

/** One row in, one row out; values as `core/value-type.ts` types them, null where absent. */
export type RowFunction = (row: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

/** Features computed from other features and request values when they are asked for. */
export interface OnDemandFeatureView {
  readonly kind: 'onDemandFeatureView'
  readonly name: string
  readonly features: readonly Field[]
  readonly projections: readonly Projection[]
  readonly requestSources: readonly RequestSource[]
  readonly transformation: Transformation
  readonly enabled: boolean
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
  readonly version: string
}

export type Transformation =
  /** `run` is absent when the view was read from a registry and the feature repo is not loaded. */
  | { readonly language: 'typescript'; readonly text: string; readonly run?: RowFunction }
  /** Kept for Feast, never executed here; `mode` is Feast's: pandas, python, substrait. */
  | {
      readonly language: 'python'
      readonly mode: string
      readonly text: string
      /** Python Feast computes it at materialization and keeps the result online. */
      readonly writeToOnlineStore?: boolean
    }

export interface TypedOnDemandFeatureView<S extends Schema> extends OnDemandFeatureView {
  readonly __schema?: S
}

type Row<S extends Schema> = { readonly [K in keyof S]: ValueOf<TypeOf<S[K]>> | null }

type RowOf<Source> =
  Source extends TypedRequestSource<infer R>
    ? R
    : Source extends TypedFeatureView<infer S>
      ? Row<S>
      : Source extends TypedStreamFeatureView<infer S>
        ? Row<S>
        : Source extends TypedProjection<infer S>
          ? Row<S>
          : never

type Intersection<Union> = (Union extends unknown ? (member: Union) => void : never) extends (
  member: infer I,
) => void
  ? I
  : never

export interface OnDemandFeatureViewOptions<Sources extends readonly unknown[], S extends Schema> {
  readonly name: string
  /** Views, projections of views, and request sources whose values the function sees, by their short names. */
  readonly sources: Sources
  /** What the function returns. */
  readonly schema: S
  /** Called once a row, with the values of all sources. Return null for a value that is absent. */
  readonly transform: (row: Intersection<RowOf<Sources[number]>>) => Row<S>
  readonly enabled?: boolean
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
  readonly version?: string
}

export function onDemandFeatureView<
  const Sources extends readonly (AnyView | Projection | RequestSource)[],
  S extends Schema,
>(options: OnDemandFeatureViewOptions<Sources, S>): TypedOnDemandFeatureView<S> {
  const views = options.sources.filter((source) => source.kind !== 'requestSource')
  return Object.freeze({
    kind: 'onDemandFeatureView',
    name: options.name,
    features: fieldsOf(options.schema),
    projections: Object.freeze(views.map(projectionOf)),
    requestSources: Object.freeze(options.sources.filter((source) => source.kind === 'requestSource')),
    transformation: Object.freeze({
      language: 'typescript',
      text: options.transform.toString(),
      run: options.transform as unknown as RowFunction,
    }),
    enabled: options.enabled ?? true,
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
    version: options.version ?? 'latest',
  })
}
