import { type BatchSource, type DataSource, isBatchSource } from '../core/data-source.js'
import { DUMMY_ENTITY, type Entity } from '../core/entity.js'
import { type FeastError, feastError, messageOf } from '../core/errors.js'
import type { StoredView } from '../core/feature-view.js'
import { type Field, field } from '../core/field.js'
import { typeText } from '../core/value-type.js'
import { type ProjectDefinitions, throwMistakes } from './collect-definitions.js'
import { sourceColumn } from './source-columns.js'

/** Columns of a source under its own names. Each source is asked once. */
export type DescribeSource = (source: BatchSource) => Promise<readonly Field[]>

export interface InferredDefinitions {
  readonly definitions: ProjectDefinitions
  /** What was inferred, one line each. */
  readonly inferred: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * Fills in what definitions leave to their sources: timestamp fields, join key types, features (spec 5.5).
 * Sources that leave nothing open are not read.
 * @throws INFERENCE_FAILED, ENTITY_NOT_FOUND
 */
export async function inferSchemas(
  definitions: ProjectDefinitions,
  findEntity: (name: string) => Entity | undefined,
  describe: DescribeSource,
): Promise<InferredDefinitions> {
  const notes: Notes = { inferred: [], warnings: [], mistakes: [] }
  const sources = new Map<DataSource, DataSource>()
  for (const source of definitions.dataSources) {
    if (isBatchSource(source)) sources.set(source, await withTimestampField(source, describe, notes))
  }
  const byName = new Map([...sources.values()].map((source) => [source.name, source]))
  const filled = <T extends DataSource>(source: T): T => filledSource(source, byName)
  const views: StoredView[] = []
  for (const view of definitions.storedViews) {
    const known = { ...view, batchSource: view.batchSource && filled(view.batchSource) }
    const streamed = { ...known, streamSource: view.streamSource && filled(view.streamSource) } as StoredView
    views.push(Object.freeze(await withSchema(streamed, definitions, findEntity, describe, notes)))
  }
  throwMistakes(notes.mistakes)
  const dataSources = definitions.dataSources.map(filled)
  return { definitions: { ...definitions, dataSources, storedViews: views }, ...notes }
}

interface Notes {
  readonly inferred: string[]
  readonly warnings: string[]
  readonly mistakes: FeastError[]
}

/** A source with the timestamp fields that were found for it and for the batch source inside it. */
function filledSource<T extends DataSource>(source: T, filled: ReadonlyMap<string, DataSource>): T {
  if (isBatchSource(source)) return (filled.get(source.name) ?? source) as T
  const batchSource = 'batchSource' in source ? source.batchSource : undefined
  const found = batchSource && filled.get(batchSource.name)
  if (found === undefined || found === batchSource) return source
  return Object.freeze<DataSource>({ ...source, batchSource: found } as DataSource) as T
}

async function withTimestampField(
  source: BatchSource,
  describe: DescribeSource,
  notes: Notes,
): Promise<BatchSource> {
  if (source.timestampField !== '') return source
  const object = `Data source "${source.name}"`
  const columns = await describedFor(object, 'timestampField', source, describe, notes)
  if (columns === undefined) return source
  const created = sourceColumn(source, source.createdTimestampColumn)
  const candidates = columns
    .filter(({ name, type }) => type.valueType === 'UNIX_TIMESTAMP' && name !== created)
    .map(({ name }) => source.fieldMapping[name] ?? name)
  const [only] = candidates
  if (only === undefined || candidates.length > 1) {
    const why =
      only === undefined
        ? `no timestampField is set and none of its columns is a timestamp (${columns.map(({ name }) => name).join(', ')})`
        : `no timestampField is set and several columns are timestamps (${candidates.join(', ')})`
    notes.mistakes.push(feastError('INFERENCE_FAILED', { object, why: `${why}. Set timestampField.` }))
    return source
  }
  notes.inferred.push(`${object}: timestampField "${only}"`)
  return Object.freeze({ ...source, timestampField: only })
}

async function withSchema(
  view: StoredView,
  definitions: ProjectDefinitions,
  findEntity: (name: string) => Entity | undefined,
  describe: DescribeSource,
  notes: Notes,
): Promise<StoredView> {
  const entities = entitiesOf(view, definitions, findEntity, notes)
  const joinKeys = new Set(entities.map(({ joinKey }) => joinKey))
  const declared = [...view.entityColumns, ...view.features].filter(({ name }) => joinKeys.has(name))
  const features = view.features.filter(({ name }) => !joinKeys.has(name))
  const open: Entity[] = []
  const entityColumns = entities.flatMap((entity) => {
    const column = declared.find(({ name }) => name === entity.joinKey)
    if (column) return [column]
    if (entity.valueType !== 'INVALID') return [field(entity.joinKey, { valueType: entity.valueType })]
    open.push(entity)
    return []
  })
  const source = view.batchSource
  if ((open.length === 0 && features.length > 0) || source === undefined) {
    if (features.length === 0)
      notes.mistakes.push(noFeatures(view, 'it has no schema and no source to infer it from'))
    return { ...view, entityColumns, features }
  }
  const object = `Feature view "${view.name}"`
  const what = open.length > 0 ? `the type of join key "${open[0]!.joinKey}"` : 'its schema'
  const columns = await describedFor(object, what, source, describe, notes)
  if (columns === undefined) return { ...view, entityColumns, features }
  const found = open.flatMap((entity) => inferredKey(view, entity, source, columns, notes))
  const inferred = features.length > 0 ? features : inferredFeatures(view, joinKeys, source, columns, notes)
  return {
    ...view,
    entityColumns: inEntityOrder(entities, [...entityColumns, ...found]),
    features: inferred,
  }
}

function entitiesOf(
  view: StoredView,
  definitions: ProjectDefinitions,
  findEntity: (name: string) => Entity | undefined,
  notes: Notes,
): readonly Entity[] {
  return view.entities.flatMap((name) => {
    if (name === DUMMY_ENTITY.name) return [DUMMY_ENTITY]
    const entity = findEntity(name)
    if (entity !== undefined) return [entity]
    notes.mistakes.push(
      feastError('INVALID_DEFINITION', {
        object: `Feature view "${view.name}"`,
        problem: `its entity "${name}" is neither in the feature repo nor in the registry`,
        mend: 'Export the entity from one of the repo’s files.',
        file: definitions.where(view),
      }),
    )
    return []
  })
}

function inEntityOrder(entities: readonly Entity[], columns: readonly Field[]): readonly Field[] {
  return entities.flatMap(({ joinKey }) => columns.filter(({ name }) => name === joinKey))
}

function inferredKey(
  view: StoredView,
  entity: Entity,
  source: BatchSource,
  columns: readonly Field[],
  notes: Notes,
): readonly Field[] {
  const name = sourceColumn(source, entity.joinKey)
  const column = columns.find((one) => one.name === name)
  if (column === undefined) {
    const known = columns.map((one) => one.name)
    notes.mistakes.push(
      feastError('SOURCE_COLUMN_MISSING', { source: source.name, column: name, known, view: view.name }),
    )
    return []
  }
  notes.inferred.push(`Feature view "${view.name}": join key ${entity.joinKey}: ${typeText(column.type)}`)
  return [field(entity.joinKey, column.type)]
}

/** All columns but times, join keys and names that begin with `__`; Feast means those that end so too, and takes them. */
function inferredFeatures(
  view: StoredView,
  joinKeys: ReadonlySet<string>,
  source: BatchSource,
  columns: readonly Field[],
  notes: Notes,
): readonly Field[] {
  const times = [source.timestampField, source.createdTimestampColumn].map((name) =>
    sourceColumn(source, name),
  )
  const features: Field[] = []
  for (const { name, type } of columns) {
    const feature = source.fieldMapping[name] ?? name
    if (times.includes(name) || joinKeys.has(feature) || name.startsWith('__')) continue
    if (type.valueType === 'INVALID') {
      notes.warnings.push(
        `Feature view "${view.name}": column "${name}" of data source "${source.name}" has no Feast type and was left out; declare it in the schema to use it.`,
      )
    } else features.push(field(feature, type))
  }
  if (features.length === 0) {
    notes.mistakes.push(noFeatures(view, `data source "${source.name}" has no columns left to be features`))
  } else {
    const text = features.map(({ name, type }) => `${name}: ${typeText(type)}`).join(', ')
    notes.inferred.push(`Feature view "${view.name}": ${text}`)
  }
  return features
}

function noFeatures(view: StoredView, why: string): FeastError {
  return feastError('INFERENCE_FAILED', {
    object: `Feature view "${view.name}"`,
    why: `${why}. Declare its features in \`schema\`.`,
  })
}

async function describedFor(
  object: string,
  what: string,
  source: BatchSource,
  describe: DescribeSource,
  notes: Notes,
): Promise<readonly Field[] | undefined> {
  try {
    return await describe(source)
  } catch (error) {
    notes.mistakes.push(
      feastError(
        'INFERENCE_FAILED',
        { object, why: `${what} has to be inferred, but: ${messageOf(error)}` },
        error,
      ),
    )
    return undefined
  }
}
