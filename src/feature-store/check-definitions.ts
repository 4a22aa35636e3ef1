import { fieldHash } from '../codec/field-hash.js'
import type { Definition } from '../core/definition.js'
import { DUMMY_ENTITY, type Entity } from '../core/entity.js'
import { type FeastError, feastError } from '../core/errors.js'
import { isEntityless, type StoredView } from '../core/feature-view.js'
import { nearest } from '../core/nearest.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import type { Permission } from '../core/permission.js'
import type { AnyView, Projection } from '../core/projection.js'
import { pythonPattern } from '../core/python-pattern.js'
import { JOIN_KEY_TYPES, typeText } from '../core/value-type.js'
import { type ProjectDefinitions, throwMistakes } from './collect-definitions.js'

/** What is known beside the repo: objects applied before. */
export interface KnownObjects {
  findView(name: string): AnyView | undefined
  findEntity(name: string): Entity | undefined
  readonly storedViews: readonly StoredView[]
}

/** Names of views, sources, entities and services (spec 6.5). @throws all mistakes found */
export function checkNames(definitions: ProjectDefinitions, known: KnownObjects): void {
  const views = [...definitions.storedViews, ...definitions.onDemandViews]
  const named = [
    ...views,
    ...definitions.dataSources,
    ...definitions.entities,
    ...definitions.featureServices,
    ...definitions.permissions,
  ]
  throwMistakes([
    ...named.flatMap((definition) => nameMistakes(definition, definitions)),
    ...duplicateViews(views, definitions),
    ...views.flatMap((view) => kindChange(view, known, definitions)),
    ...definitions.permissions.flatMap((permission) => patternMistakes(permission, definitions)),
  ])
}

/** What views, services and on demand views say of each other; schemas are filled in. @throws all mistakes found */
export function checkReferences(definitions: ProjectDefinitions, known: KnownObjects): void {
  const own = new Map<string, AnyView>(
    [...definitions.storedViews, ...definitions.onDemandViews].map((view) => [view.name, view]),
  )
  const findView = (name: string) => own.get(name) ?? known.findView(name)
  const check: Check = { definitions, known, findView, viewNames: [...own.keys()] }
  throwMistakes([
    ...definitions.storedViews.flatMap((view) => storedViewMistakes(view, check)),
    ...definitions.onDemandViews.flatMap((view) => onDemandMistakes(view, check)),
    ...definitions.featureServices.flatMap((service) => [
      ...service.projections.flatMap((projection) =>
        projectionMistakes(`Feature service "${service.name}"`, service, projection, check),
      ),
      ...precomputeMistakes(service, check),
    ]),
    ...hashCollisions([
      ...definitions.storedViews,
      ...known.storedViews.filter(({ name }) => !own.has(name)),
    ]),
  ])
}

interface Check {
  readonly definitions: ProjectDefinitions
  readonly known: KnownObjects
  readonly findView: (name: string) => AnyView | undefined
  readonly viewNames: readonly string[]
}

const KIND_WORDS: Readonly<Record<string, string>> = {
  featureView: 'Feature view',
  streamFeatureView: 'Stream feature view',
  onDemandFeatureView: 'On demand feature view',
  labelView: 'Label view',
  entity: 'Entity',
  featureService: 'Feature service',
  permission: 'Permission',
}

function objectText(definition: Definition): string {
  return `${KIND_WORDS[definition.kind] ?? 'Data source'} "${definition.name}"`
}

function mistake(
  definition: Definition,
  { where }: ProjectDefinitions,
  problem: string,
  mend: string,
): FeastError {
  const file = where(definition)
  return feastError('INVALID_DEFINITION', {
    object: objectText(definition),
    problem,
    mend,
    ...(file && { file }),
  })
}

function nameMistakes(definition: Definition, definitions: ProjectDefinitions): readonly FeastError[] {
  const { name, kind } = definition
  if (name === '') return [mistake(definition, definitions, 'it has no name', 'Give it one.')]
  if (name.includes('\0')) return [mistake(definition, definitions, 'its name contains NUL', 'Take it out.')]
  if (name === DUMMY_ENTITY.name && kind === 'entity' && definition !== DUMMY_ENTITY) {
    const problem = 'its name stands for no entity, so a view of it would have one row for everybody'
    return [mistake(definition, definitions, problem, 'Give it another name, or leave it out.')]
  }
  const isView = kind.endsWith('View')
  const mark = isView ? ['@', ':'].find((character) => name.includes(character)) : undefined
  if (mark === undefined) return []
  const use = mark === '@' ? 'a version, as in "view@v2:feature"' : 'a feature, as in "view:feature"'
  return [
    mistake(
      definition,
      definitions,
      `its name contains "${mark}", which in a reference sets off ${use}`,
      'Give it a name without.',
    ),
  ]
}

/** A pattern that is none would match nothing, so whoever is meant would be denied. */
function patternMistakes(permission: Permission, definitions: ProjectDefinitions): readonly FeastError[] {
  return permission.namePatterns.flatMap((pattern) => {
    const compiled = pythonPattern(pattern)
    if (compiled instanceof RegExp) return []
    const problem = `the name pattern ${JSON.stringify(pattern)} cannot be used: ${compiled}`
    return [mistake(permission, definitions, problem, 'Write a simpler one.')]
  })
}

function duplicateViews(views: readonly AnyView[], { where }: ProjectDefinitions): readonly FeastError[] {
  const byName = new Map<string, AnyView>()
  return views.flatMap((view) => {
    const other = byName.get(view.name.toLowerCase())
    byName.set(view.name.toLowerCase(), view)
    if (other === undefined) return []
    return [
      feastError('CONFLICTING_NAMES', {
        name: view.name,
        a: `${kindText(other)} in ${where(other)}`,
        b: `${kindText(view)} in ${where(view)}`,
      }),
    ]
  })
}

function kindText({ kind }: AnyView): string {
  const words = KIND_WORDS[kind]!.toLowerCase()
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`
}

function kindChange(
  view: AnyView,
  known: KnownObjects,
  { where }: ProjectDefinitions,
): readonly FeastError[] {
  const applied = known.findView(view.name)
  if (applied === undefined || applied.kind === view.kind) return []
  return [
    feastError('CONFLICTING_NAMES', {
      name: view.name,
      a: `${kindText(view)} in ${where(view)}`,
      b: `${kindText(applied)} in the registry (\`feast delete ${view.name}\` removes that one)`,
    }),
  ]
}

function storedViewMistakes(view: StoredView, check: Check): readonly FeastError[] {
  const { definitions, known } = check
  const found: FeastError[] = []
  const add = (problem: string, mend: string) => found.push(mistake(view, definitions, problem, mend))
  if (view.streamSource !== undefined && view.batchSource === undefined) {
    add(`its stream source "${view.streamSource.name}" has no batch source`, 'Give the stream source one.')
  }
  const shared = repeated(view.entityColumns.map(({ name }) => name))
  if (shared !== undefined) {
    add(`two of its entities have the join key "${shared}"`, 'Give one of them another join key.')
  }
  for (const { name, type } of view.entityColumns) {
    if (!JOIN_KEY_TYPES.includes(type.valueType)) {
      add(
        `join key "${name}" is ${typeText(type)}`,
        'A join key is String, Bytes, Int32, Int64 or UnixTimestamp.',
      )
    }
    const entity = view.entities.map((one) => known.findEntity(one)).find((one) => one?.joinKey === name)
    if (entity !== undefined && entity.valueType !== 'INVALID' && entity.valueType !== type.valueType) {
      add(
        `its schema says that "${name}" is ${typeText(type)}, but entity "${entity.name}" says ${typeText({ valueType: entity.valueType })}`,
        'Make them agree.',
      )
    }
  }
  const mapping = view.batchSource?.fieldMapping ?? {}
  for (const { name } of [...view.features, ...view.entityColumns]) {
    if (Object.hasOwn(mapping, name) && mapping[name] !== name && !Object.values(mapping).includes(name)) {
      add(
        `"${name}" is mapped to "${mapping[name]}" by its source's fieldMapping`,
        `Use "${mapping[name]}" in the schema.`,
      )
    }
  }
  if (view.features.filter(({ vector }) => vector?.index).length > 1) {
    add('more than one of its features has a vector index', 'Keep one.')
  }
  if (!/^(|latest|v(ersion)?\d{1,9})$/i.test(view.version)) {
    add(`its version is ${JSON.stringify(view.version)}`, 'Write "latest", or a number as in "v2".')
  }
  return found
}

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index)
}

function onDemandMistakes(view: OnDemandFeatureView, check: Check): readonly FeastError[] {
  const found: FeastError[] = []
  const add = (problem: string, mend: string) => found.push(mistake(view, check.definitions, problem, mend))
  if (view.projections.length + view.requestSources.length === 0) {
    add('it has no sources', 'Name the views and request sources that its function reads.')
  }
  const source = repeated([
    ...view.projections.map((one) => one.alias || one.view),
    ...view.requestSources.map(({ name }) => name),
  ])
  if (source !== undefined) add(`"${source}" is among its sources twice`, 'Name each source once.')
  if (view.features.length === 0) add('it has no features', 'Declare in `schema` what its function returns.')
  for (const projection of view.projections) {
    found.push(...projectionMistakes(objectText(view), view, projection, check))
    if (check.findView(projection.view)?.kind === 'onDemandFeatureView') {
      add(
        `its source "${projection.view}" is itself an on demand feature view`,
        'Take the features that it is computed from as sources instead.',
      )
    }
  }
  return found
}

function projectionMistakes(
  object: string,
  definition: Definition,
  projection: Projection,
  check: Check,
): readonly FeastError[] {
  const file = check.definitions.where(definition)
  const report = (problem: string, mend: string) => [
    feastError('INVALID_DEFINITION', { object, problem, mend, ...(file && { file }) }),
  ]
  const view = check.findView(projection.view)
  if (view === undefined) {
    return report(
      `it refers to feature view "${projection.view}", which is neither in the feature repo nor in the registry`,
      `${didYouMean(projection.view, check.viewNames)}Export the view from one of the repo's files.`,
    )
  }
  const known = view.features.map(({ name }) => name)
  const unknown = (projection.features ?? []).filter((name) => !known.includes(name))
  const joinKeys = view.kind === 'onDemandFeatureView' ? [] : view.entityColumns.map(({ name }) => name)
  const unmapped = Object.keys(projection.joinKeyMap).filter((name) => !joinKeys.includes(name))
  return [
    ...unknown.flatMap((name) =>
      report(
        `it picks "${name}", which is not a feature of "${view.name}"`,
        `${didYouMean(name, known)}"${view.name}" has ${known.join(', ')}.`,
      ),
    ),
    ...unmapped.flatMap((name) =>
      report(
        `it maps join key "${name}", which "${view.name}" does not have`,
        `${didYouMean(name, joinKeys)}"${view.name}" is looked up by ${joinKeys.join(', ') || 'nothing'}.`,
      ),
    ),
  ]
}

function didYouMean(name: string, known: readonly string[]): string {
  const close = nearest(name, known)
  return close === undefined ? '' : `Did you mean "${close}"? `
}

function precomputeMistakes(
  service: Definition & { kind: 'featureService' },
  check: Check,
): readonly FeastError[] {
  const computed = service.projections.find(
    ({ view }) => check.findView(view)?.kind === 'onDemandFeatureView',
  )
  if (!service.precomputeOnline || computed === undefined) return []
  return [
    mistake(
      service,
      check.definitions,
      `precomputeOnline is on, but "${computed.view}" is computed on demand and stored nowhere`,
      'Turn it off, or take that view out.',
    ),
  ]
}

/** One line per service that asks for vectors in vain: its views are looked up by different keys, a vector by one. */
export function uselessVectors(definitions: ProjectDefinitions, known: KnownObjects): readonly string[] {
  const own = new Map<string, AnyView>(definitions.storedViews.map((view) => [view.name, view]))
  return definitions.featureServices
    .filter(({ precomputeOnline }) => precomputeOnline)
    .flatMap(({ name, projections }) => {
      const lookups = new Set(
        projections.map(({ view, joinKeyMap }) => {
          const found = own.get(view) ?? known.findView(view)
          if (found === undefined || found.kind === 'onDemandFeatureView') return ''
          return found.entityColumns.map((key) => joinKeyMap[key.name] ?? key.name).join(', ')
        }),
      )
      if (lookups.size < 2) return []
      const keys = [...lookups].map((columns) => columns || 'nothing').join('; ')
      return `Feature service "${name}": precomputeOnline does nothing, its views are looked up by different keys (${keys}).`
    })
}

/** Redis keeps the features of all views with the same join keys in one hash, under 32-bit names (R7). */
function hashCollisions(views: readonly StoredView[]): readonly FeastError[] {
  const taken = new Map<string, Map<number, string>>()
  return views.flatMap((view) => {
    const keys = isEntityless(view)
      ? ''
      : view.entityColumns
          .map(({ name }) => name)
          .sort()
          .join('\0')
    const fields = taken.get(keys) ?? new Map<number, string>()
    taken.set(keys, fields)
    return view.features.flatMap(({ name }) => {
      const ref = `${view.name}:${name}`
      const hash = fieldHash(view.name, name)
      const other = fields.get(hash)
      if (other === undefined) fields.set(hash, ref)
      return other === undefined || other === ref
        ? []
        : [feastError('FIELD_HASH_COLLISION', { a: other, b: ref })]
    })
  })
}
