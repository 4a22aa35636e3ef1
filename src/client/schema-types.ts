import { outputName } from '../core/feature-ref.js'
import type { FeastType } from '../core/value-type.js'
import type { Lookup } from './lookup.js'
import {
  type Columns,
  type ProjectSchema,
  type RowSchema,
  type TypeSpec,
  typeOfSpec,
} from './project-schema.js'

type Asked = Pick<Lookup, 'features' | 'featureService'>

/** Finds types in a schema; knows none where there is no schema. */
export class SchemaTypes {
  readonly #schema: ProjectSchema | undefined
  /** Column types by service; full names apart. */
  readonly #services = new Map<string, ReadonlyMap<string, FeastType>>()

  constructor(schema: ProjectSchema | undefined) {
    this.#schema = schema
  }

  /** Types of the columns of an answer, looked for when the first is asked for. */
  ofColumns(lookup: Lookup): (column: string) => FeastType | undefined {
    if (this.#schema === undefined) return () => undefined
    let types: ReadonlyMap<string, FeastType> | undefined
    return (column) => {
      types ??= this.#columnTypes(lookup)
      return types.get(column)
    }
  }

  ofRequestData(asked: Asked, name: string): FeastType | undefined {
    for (const { requestData } of this.#parts(asked)) {
      const spec = own(requestData, name)
      if (spec !== undefined) return typeOfSpec(spec)
    }
    return undefined
  }

  rowsOf(kind: 'views' | 'pushSources', name: string): RowSchema | undefined {
    if (kind === 'pushSources') return own(this.#schema?.pushSources, name)
    return own(this.#schema?.views, name)?.rows
  }

  #columnTypes(lookup: Lookup): ReadonlyMap<string, FeastType> {
    const { featureService, fullFeatureNames } = lookup
    if (featureService === undefined) return this.#readTypes(lookup)
    const key = `${fullFeatureNames}:${featureService}`
    const types = this.#services.get(key) ?? this.#readTypes(lookup)
    // Only services that the schema has are kept, so there are no more than it has.
    if (own(this.#schema?.services, featureService)) this.#services.set(key, types)
    return types
  }

  #readTypes({ features, featureService, fullFeatureNames }: Lookup): ReadonlyMap<string, FeastType> {
    const types = new Map<string, FeastType>()
    for (const { entities } of this.#parts({ features, featureService })) {
      for (const [name, spec] of Object.entries(entities)) types.set(name, typeOfSpec(spec))
    }
    for (const [ref, spec] of this.#featureSpecs(features, featureService)) {
      const [label, feature] = splitRef(ref)
      types.set(outputName(label, feature, fullFeatureNames), typeOfSpec(spec))
    }
    return types
  }

  #featureSpecs(
    features: readonly string[],
    service: string | undefined,
  ): readonly (readonly [string, TypeSpec])[] {
    if (service !== undefined) return Object.entries(own(this.#schema?.services, service)?.features ?? {})
    return features.flatMap((ref) => {
      const [view, feature] = splitRef(ref)
      const spec = own(own(this.#schema?.views, view)?.features, feature)
      return spec === undefined ? [] : [[ref, spec] as const]
    })
  }

  #parts({
    features,
    featureService,
  }: Partial<Asked>): readonly { entities: Columns; requestData: Columns }[] {
    if (featureService !== undefined)
      return [own(this.#schema?.services, featureService)].filter((one) => one !== undefined)
    const views = new Set((features ?? []).map((ref) => splitRef(ref)[0]))
    return [...views].map((view) => own(this.#schema?.views, view)).filter((one) => one !== undefined)
  }
}

/** The server says what is wrong with a reference that is none. */
function splitRef(ref: string): readonly [view: string, feature: string] {
  const colon = ref.indexOf(':')
  return colon < 0 ? [ref, ''] : [ref.slice(0, colon), ref.slice(colon + 1)]
}

function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined
}
