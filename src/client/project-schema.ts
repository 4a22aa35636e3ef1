import type { FeastType, ValueType } from '../core/value-type.js'

/** A column's type: the value type's name, or the whole type where the name does not say it all. */
export type TypeSpec = ValueType | FeastType
export type Columns = Readonly<Record<string, TypeSpec>>

/** What a client knows of a project: `feast generate client` writes it from the registry. */
export interface ProjectSchema {
  readonly views: Readonly<Record<string, ViewSchema>>
  readonly services: Readonly<Record<string, ServiceSchema>>
  /** What a row of each push source has. */
  readonly pushSources: Readonly<Record<string, RowSchema>>
}

/** What must be known to look something up. */
interface LookupSchema {
  /** Entity columns. */
  readonly entities: Columns
  /** Values that on demand features are computed from. */
  readonly requestData: Columns
}

export interface ViewSchema extends LookupSchema {
  readonly features: Columns
  /** What a row has when it is written; absent for views that hold no rows. */
  readonly rows?: RowSchema
}

export interface ServiceSchema extends LookupSchema {
  /** In order, by `view:feature`; the view is named as the service names it. */
  readonly features: Columns
  /** True when two of them have the same short name. */
  readonly needsFullNames?: true
}

export interface RowSchema {
  /** Join keys, times and features. */
  readonly columns: Columns
  /** Those of them that are times of the row itself. */
  readonly times: readonly string[]
  /** Those of them that a row need not have. */
  readonly optional: readonly string[]
}

/** As core's type. */
export function typeOfSpec(spec: TypeSpec): FeastType {
  return typeof spec === 'string' ? { valueType: spec } : spec
}

// Types of values. `Int` is bigint or number: how the client gives INT64.

interface Scalars<Int> {
  BYTES: Uint8Array
  STRING: string
  INT32: number
  INT64: Int
  DOUBLE: number
  FLOAT: number
  BOOL: boolean
  UNIX_TIMESTAMP: Date
  PDF_BYTES: Uint8Array
  IMAGE_BYTES: Uint8Array
  JSON: string
  UUID: string
  TIME_UUID: string
  DECIMAL: string
  MAP: MapValue<Int>
  STRUCT: MapValue<Int>
  SCALAR_MAP: ReadonlyMap<unknown, unknown>
  ZONED_TIMESTAMP: { readonly instant: Date; readonly zone: string }
  NULL: null
}

type MapItem<Int> =
  | null
  | boolean
  | number
  | Int
  | string
  | Date
  | Uint8Array
  | readonly MapItem<Int>[]
  | MapValue<Int>
/** A map's values say their type by themselves. */
export interface MapValue<Int> {
  readonly [key: string]: MapItem<Int>
}

/** The value of a type, as the client gives it; null apart. Only instants may be null within a list. */
export type ValueOfSpec<Spec, Int> = Spec extends keyof Scalars<Int>
  ? Scalars<Int>[Spec]
  : Spec extends `${infer Element}_LIST` | `${infer Element}_SET`
    ? readonly (Element extends 'VALUE'
        ? unknown
        : ValueOfSpec<Element, Int> | (Element extends 'UNIX_TIMESTAMP' ? null : never))[]
    : Spec extends { readonly element: infer Element }
      ? readonly (ValueOfSpec<Element, Int> | null)[]
      : Spec extends { readonly valueType: 'STRUCT_LIST'; readonly fields: infer Fields }
        ? readonly StructValue<Fields, Int>[]
        : Spec extends { readonly fields: infer Fields }
          ? StructValue<Fields, Int>
          : Spec extends { readonly valueType: infer Name }
            ? ValueOfSpec<Name, Int>
            : unknown

type StructValue<Fields, Int> = { readonly [K in keyof Fields]: ValueOfSpec<Fields[K], Int> | null }

/** What a program may give for a column of this type. */
export type GivenValue<Spec> = Spec extends 'INT64' | 'INT32'
  ? bigint | number
  : ValueOfSpec<Spec, bigint | number>

// Types of requests and answers. A client without schema knows no names: all of them are text.

type Untyped<S extends ProjectSchema> = string extends keyof S['views'] ? true : false

export type ServiceName<S extends ProjectSchema> = keyof S['services'] & string
export type ViewName<S extends ProjectSchema> = keyof S['views'] & string
export type PushSourceName<S extends ProjectSchema> = keyof S['pushSources'] & string
export type WritableViewName<S extends ProjectSchema> = {
  [V in ViewName<S>]: S['views'][V] extends { readonly rows: RowSchema }
    ? V
    : Untyped<S> extends true
      ? V
      : never
}[ViewName<S>]

export type FeatureRefOf<S extends ProjectSchema> = Untyped<S> extends true ? string : TypedRefOf<S>
type TypedRefOf<S extends ProjectSchema> = {
  [V in ViewName<S>]: `${V}:${keyof S['views'][V]['features'] & string}`
}[ViewName<S>]

type ViewOf<Ref> = Ref extends `${infer View}:${string}` ? View : never
type FeatureOf<Ref> = Ref extends `${string}:${infer Feature}` ? Feature : never

/** The column of an answer in which a reference's values are. */
type OutputName<Ref, Full> = Full extends true ? `${ViewOf<Ref>}__${FeatureOf<Ref>}` : FeatureOf<Ref>

type Merged<Union> = (Union extends unknown ? (one: Union) => void : never) extends (one: infer All) => void
  ? All
  : never
type Plain<T> = { [K in keyof T]: T[K] }

/** Rows, or columns of equal length. */
type Table<C> =
  | readonly Plain<{ readonly [K in keyof C]: GivenValue<C[K]> }>[]
  | Plain<{ readonly [K in keyof C]: readonly GivenValue<C[K]>[] }>

type Needs<Entities, RequestData> = { readonly entities: Table<Entities> } & (keyof RequestData extends never
  ? { readonly requestData?: never }
  : { readonly requestData: Table<RequestData> })

type UntypedNeeds = { readonly entities: AnyTable; readonly requestData?: AnyTable }

/** Any rows or columns. */
export type AnyTable =
  | readonly Readonly<Record<string, unknown>>[]
  | Readonly<Record<string, readonly unknown[]>>

export type ServiceRequest<S extends ProjectSchema, N extends ServiceName<S>, Full extends boolean> = {
  readonly featureService: N
  readonly features?: never
} & FullNames<S['services'][N], Full> &
  (Untyped<S> extends true
    ? UntypedNeeds
    : Needs<S['services'][N]['entities'], S['services'][N]['requestData']>)

type FullNames<Service, Full> = Service extends { readonly needsFullNames: true }
  ? { readonly fullFeatureNames: Full & true }
  : { readonly fullFeatureNames?: Full }

export type FeaturesRequest<S extends ProjectSchema, Ref extends FeatureRefOf<S>, Full extends boolean> = {
  readonly features: readonly Ref[]
  readonly featureService?: never
  readonly fullFeatureNames?: Full
} & (Untyped<S> extends true
  ? UntypedNeeds
  : Needs<Merged<S['views'][ViewOf<Ref>]['entities']>, Merged<S['views'][ViewOf<Ref>]['requestData']>>)

type Values<C, Int> = { readonly [K in keyof C]: ValueOfSpec<C[K], Int> }

export type ServiceRow<S extends ProjectSchema, N extends ServiceName<S>, Full, Int> =
  Untyped<S> extends true
    ? Readonly<Record<string, unknown>>
    : Plain<
        Values<S['services'][N]['entities'], Int> & {
          readonly [Ref in keyof S['services'][N]['features'] as OutputName<Ref, Full>]: ValueOfSpec<
            S['services'][N]['features'][Ref],
            Int
          > | null
        }
      >

export type FeaturesRow<S extends ProjectSchema, Refs extends string, Full, Int> =
  Untyped<S> extends true
    ? Readonly<Record<string, unknown>>
    : Plain<
        Values<Merged<S['views'][ViewOf<Refs>]['entities']>, Int> & {
          readonly [Ref in Refs as OutputName<Ref, Full>]: ValueOfSpec<
            S['views'][ViewOf<Ref>]['features'][FeatureOf<Ref>],
            Int
          > | null
        }
      >

type RowOf<R extends RowSchema> = {
  readonly [K in keyof R['columns'] as K extends R['optional'][number] ? never : K]: WrittenValue<R, K>
} & { readonly [K in keyof R['columns'] as K extends R['optional'][number] ? K : never]?: WrittenValue<R, K> }

type WrittenValue<R extends RowSchema, K extends keyof R['columns']> = K extends R['times'][number]
  ? Date | string
  : GivenValue<R['columns'][K]> | null

/** Rows to be written. */
export type RowsOf<S extends ProjectSchema, R> =
  Untyped<S> extends true
    ? readonly Readonly<Record<string, unknown>>[]
    : R extends RowSchema
      ? readonly Plain<RowOf<R>>[]
      : never
