import { feastError } from './errors.js'
import type {
  FeatureView,
  LabelView,
  StreamFeatureView,
  TypedFeatureView,
  TypedStreamFeatureView,
} from './feature-view.js'
import type { Schema } from './field.js'
import type { OnDemandFeatureView, TypedOnDemandFeatureView } from './on-demand-feature-view.js'

/** Some or all features of a view, perhaps under another name and other join keys. */
export interface Projection {
  readonly kind: 'projection'
  readonly view: string
  /** Feature names in order; undefined = all of the view's. */
  readonly features: readonly string[] | undefined
  /** Name to use instead of the view's; empty = the view's. */
  readonly alias: string
  /** The view's join key → the entity column that holds it. */
  readonly joinKeyMap: Readonly<Record<string, string>>
  /** `v2` to read that version; empty = current. */
  readonly versionTag: string
}

/** A projection that remembers its features' types for on demand views. */
export interface TypedProjection<S extends Schema> extends Projection {
  readonly __schema?: S
}

export type AnyView = FeatureView | StreamFeatureView | LabelView | OnDemandFeatureView

type SchemaOf<V> =
  V extends TypedFeatureView<infer S>
    ? S
    : V extends TypedStreamFeatureView<infer S>
      ? S
      : V extends TypedOnDemandFeatureView<infer S>
        ? S
        : V extends TypedProjection<infer S>
          ? S
          : Schema

/**
 * Chooses features of a view: `pick(driverStats, 'conv_rate', 'acc_rate')`; none named means all.
 * An unknown feature does not compile; from JavaScript it is INVALID_DEFINITION when it is applied.
 */
export function pick<V extends AnyView, K extends keyof SchemaOf<V> & string>(
  view: V,
  ...features: K[]
): TypedProjection<Pick<SchemaOf<V>, K> & Schema> {
  return Object.freeze({
    kind: 'projection',
    view: view.name,
    features: features.length > 0 ? Object.freeze([...features]) : undefined,
    alias: '',
    joinKeyMap: Object.freeze({}),
    versionTag: '',
  })
}

/** The same features under another view name: `rename(pick(locationStats), 'origin')`. */
export function rename<P extends AnyView | Projection>(
  of: P,
  alias: string,
): TypedProjection<SchemaOf<P> & Schema> {
  if (!/^[^:@]+$/.test(alias)) {
    throw feastError('INVALID_DEFINITION', {
      object: `rename(…, ${JSON.stringify(alias)})`,
      problem: 'a view name must not be empty or contain ":" or "@"',
      mend: 'Choose another name.',
    })
  }
  return Object.freeze({ ...projectionOf(of), alias })
}

/** Looks the view up by other entity columns: `mapJoinKeys(origin, { location_id: 'origin_id' })`. */
export function mapJoinKeys<P extends AnyView | Projection>(
  of: P,
  joinKeyMap: Readonly<Record<string, string>>,
): TypedProjection<SchemaOf<P> & Schema> {
  return Object.freeze({ ...projectionOf(of), joinKeyMap: Object.freeze({ ...joinKeyMap }) })
}

/** A view stands for all of its features. */
export function projectionOf(of: AnyView | Projection): Projection {
  return of.kind === 'projection' ? of : pick(of)
}

/** Name under which the projection's columns appear. */
export function nameToUse(projection: Projection): string {
  const name = projection.alias || projection.view
  return projection.versionTag ? `${name}@${projection.versionTag}` : name
}
