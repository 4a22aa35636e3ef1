import type { FeastType } from './value-type.js'

/** A named, typed column: a feature, a join key or a request value. */
export interface Field {
  readonly name: string
  readonly type: FeastType
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  /** Vector search settings; kept for Feast, not used here. */
  readonly vector?: { readonly index: boolean; readonly metric: string; readonly length: number }
}

export type Schema = Readonly<Record<string, FeastType | FieldOptions>>

export interface FieldOptions<T extends FeastType = FeastType> {
  readonly type: T
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
}

/** The column type behind one entry of a schema. */
export type TypeOf<Entry> = Entry extends FieldOptions<infer T> ? T : Entry extends FeastType ? Entry : never

export function field(name: string, type: FeastType, options: Omit<FieldOptions, 'type'> = {}): Field {
  return Object.freeze({
    name,
    type,
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
  })
}

/** `{ conv_rate: Float32, trips: { type: Int64, description: '…' } }` as fields, in the order written. */
export function fieldsOf(schema: Schema): readonly Field[] {
  return Object.freeze(
    Object.entries(schema).map(([name, entry]) =>
      'valueType' in entry ? field(name, entry) : field(name, entry.type, entry),
    ),
  )
}
