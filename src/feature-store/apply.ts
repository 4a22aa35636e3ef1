import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { decodeInfraTables } from '../codec/definitions/infra.js'
import { decodeViewState } from '../codec/definitions/view-state.js'
import type { FeatureRepo } from '../config/feature-repo.js'
import type { BatchSource } from '../core/data-source.js'
import type { Definition, RecordKey, RegistryChange } from '../core/definition.js'
import type { StoredView } from '../core/feature-view.js'
import type { Field } from '../core/field.js'
import { nowMicros } from '../core/instant.js'
import type { AnyView } from '../core/projection.js'
import type { OnlineStore, OnlineTable } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import { diffRegistry, type RegistryDiff } from '../registry/registry-diff.js'
import { checkNames, checkReferences, type KnownObjects, uselessVectors } from './check-definitions.js'
import { collectDefinitions, type ProjectDefinitions } from './collect-definitions.js'
import type { ApplyOptions, ApplyPlan } from './feature-store.js'
import { type DescribeSource, inferSchemas } from './infer-schemas.js'
import { INFRA_KEY, infraChange } from './infra-change.js'
import { onlineTable, tablesOfRecord, tablesOfService } from './online-table.js'
import { Patience } from './registry-update.js'
import type { StoreParts } from './store-parts.js'
import { validateSources } from './validate-sources.js'

/** What {@link apply} would do. Nothing is changed, anywhere (R5). */
export async function plan(
  parts: StoreParts,
  repo: FeatureRepo,
  options: ApplyOptions = {},
): Promise<ApplyPlan> {
  const resolved = await resolve(parts, repo, options)
  return planOf(resolved, await stepsTo(parts, resolved, resolved.registry, resolved.diff))
}

/**
 * Brings registry and online store to what the repo defines. Online room is made before the registry speaks of it,
 * and given back after it no longer does, so whatever is cut short can be run again.
 * @throws the mistakes in the definitions; REGISTRY_CONFLICT when somebody else changed the same objects meanwhile
 */
export async function apply(
  parts: StoreParts,
  repo: FeatureRepo,
  options: ApplyOptions = {},
): Promise<ApplyPlan> {
  const resolved = await resolve(parts, repo, options)
  const onlineStore = parts.config.onlineStore && (await parts.onlineStore())
  const store = await parts.registryStore()
  const cache = await parts.registryCache()
  const patience = new Patience()
  let { registry, diff } = resolved
  for (;;) {
    const steps = await stepsTo(parts, resolved, registry, diff)
    // All of it: the registry may list a table of a file that is gone.
    await onlineStore?.setup(steps.wanted)
    try {
      if (steps.changes.length > 0) await store.write(steps.changes, registry?.version)
    } catch (error) {
      await patience.afterConflict(error)
      const now = await cache.refreshIfAny()
      diff = diffTo(parts, now, resolved.definitions, options)
      if (!untouched(diff.changes, registry, now)) throw error
      registry = now
      continue
    }
    if (steps.remove.length > 0) await onlineStore?.teardown(steps.remove)
    if (steps.changes.length > 0) cache.forget()
    return planOf(resolved, steps)
  }
}

/** The repo's definitions, complete and checked. */
interface Resolved {
  readonly registry: Registry | undefined
  readonly definitions: ProjectDefinitions
  readonly diff: RegistryDiff
  readonly inferred: readonly string[]
  readonly warnings: readonly string[]
}

async function resolve(parts: StoreParts, repo: FeatureRepo, options: ApplyOptions): Promise<Resolved> {
  const registry = await (await parts.registryCache()).refreshIfAny()
  const projects = registry?.list(parts.project, 'project') ?? []
  const applied = projects.find((definition) => definition.kind === 'project')
  const collected = collectDefinitions(repo, parts.config, applied)
  const known = knownObjects(registry, parts.project, collected)
  if (!options.skipFeatureViewValidation) checkNames(collected, known)
  const describe = describeOnce(parts)
  const { definitions, inferred, warnings } = await inferSchemas(collected, known.findEntity, describe)
  checkReferences(definitions, known)
  const diff = diffTo(parts, registry, definitions, options)
  // What was checked when it was applied is not read again.
  const unchecked = options.skipSourceValidation
    ? []
    : await validateSources(changedViews(definitions, diff), describe)
  const opened = lastPermissionGoes(registry, definitions, diff) ? [EVERYTHING_OPEN] : []
  const useless = uselessVectors(definitions, known)
  return {
    registry,
    definitions,
    diff,
    inferred,
    warnings: [...warnings, ...unchecked, ...opened, ...useless],
  }
}

const EVERYTHING_OPEN =
  'No permission is left: with `auth` configured, every authenticated caller may then do everything.'

function lastPermissionGoes(
  registry: Registry | undefined,
  { project, permissions }: ProjectDefinitions,
  { objects }: RegistryDiff,
): boolean {
  if (permissions.length > 0) return false
  const stored = registry?.recordsOf(project.name, 'permission').length ?? 0
  const going = objects.filter(({ action, kind }) => action === 'delete' && kind === 'permission')
  return stored > 0 && going.length === stored
}

function knownObjects(
  registry: Registry | undefined,
  project: string,
  collected: ProjectDefinitions,
): KnownObjects {
  const own = new Map(collected.entities.map((entity) => [entity.name, entity]))
  const applied = new Map((registry?.entities(project) ?? []).map((entity) => [entity.name, entity]))
  const storedViews = registry?.storedViews(project) ?? []
  // From the lists, which leave out what cannot be decoded: applying it again is what mends it (R3).
  const views = new Map<string, AnyView>(
    [...storedViews, ...(registry?.onDemandFeatureViews(project) ?? [])].map((view) => [view.name, view]),
  )
  return {
    findView: (name) => views.get(name),
    findEntity: (name) => own.get(name) ?? applied.get(name),
    storedViews,
  }
}

/** Sources are told apart by all they say, since two views may know one file under different names. */
function describeOnce(parts: StoreParts): DescribeSource {
  const described = new Map<string, Promise<readonly Field[]>>()
  return (source) => {
    const key = JSON.stringify(identityOf(source))
    const known = described.get(key)
    if (known !== undefined) return known
    const fields = parts.offlineStore().then((store) => store.describe(source))
    described.set(key, fields)
    return fields
  }
}

function identityOf(source: BatchSource): unknown {
  if (source.kind === 'fileSource') return [source.path, source.format, source.s3EndpointOverride]
  if (source.kind === 'trinoSource') return [source.table, source.query]
  if (source.kind === 'athenaSource') return [source.dataSource, source.database, source.table, source.query]
  return [source.kind, source.name]
}

function definitionsIn(definitions: ProjectDefinitions): readonly Definition[] {
  return [
    definitions.project,
    ...definitions.dataSources,
    ...definitions.entities,
    ...definitions.storedViews,
    ...definitions.onDemandViews,
    ...definitions.featureServices,
    ...definitions.permissions,
  ]
}

function diffTo(
  parts: StoreParts,
  registry: Registry | undefined,
  definitions: ProjectDefinitions,
  options: ApplyOptions,
): RegistryDiff {
  return diffRegistry(registry, definitionsIn(definitions), {
    project: parts.project,
    now: nowMicros(),
    newId: randomUUID,
    ...(options.prune !== undefined && { prune: options.prune }),
    ...(options.noPromote !== undefined && { noPromote: options.noPromote }),
  })
}

function changedViews({ storedViews }: ProjectDefinitions, { objects }: RegistryDiff): readonly StoredView[] {
  const changed = new Set(objects.map(({ kind, name }) => `${kind} ${name}`))
  return storedViews.filter(({ kind, name }) => changed.has(`${kind} ${name}`))
}

/** What is to be done from one state of the registry, in order: make room, change, remove. */
interface Steps {
  readonly diff: RegistryDiff
  readonly wanted: readonly OnlineTable[]
  readonly changes: readonly RegistryChange[]
  readonly remove: readonly OnlineTable[]
  readonly infra: ApplyPlan['infra']
}

async function stepsTo(
  parts: StoreParts,
  { definitions }: Resolved,
  registry: Registry | undefined,
  found: RegistryDiff,
): Promise<Steps> {
  const onlineStore = parts.config.onlineStore && (await parts.onlineStore())
  const wanted = wantedTables(parts, registry, definitions, found)
  const create = missingTables(parts, registry, onlineStore, wanted)
  const kept = new Set(wanted.map(({ name }) => name))
  const removed = registry
    ? [
        ...removedTables(parts, registry, found),
        ...(onlineStore?.vectors ? removedVectors(parts, registry, definitions, found) : []),
      ]
    : []
  const remove = removed.filter(({ name }) => !kept.has(name))
  return {
    diff: found,
    wanted,
    changes: [...found.changes, ...infraChange(registry, onlineStore, wanted, remove)],
    remove,
    infra: [
      ...listed(onlineStore, create).map((table) => ({ action: 'create' as const, table })),
      ...listed(onlineStore, remove).map((table) => ({ action: 'delete' as const, table })),
    ],
  }
}

/** Some stores, such as Redis, have nothing to make or drop. */
function listed(onlineStore: OnlineStore | undefined, tables: readonly OnlineTable[]): readonly string[] {
  return onlineStore?.infra(tables).map(({ name }) => name) ?? []
}

/** As Feast: every view but label views that are not online. */
function wantedTables(
  { project, config }: StoreParts,
  registry: Registry | undefined,
  { storedViews }: ProjectDefinitions,
  { changes }: RegistryDiff,
): readonly OnlineTable[] {
  const { versioning } = config.registry
  const written = new Map(
    changes.flatMap((change) =>
      'put' in change ? [[`${change.put.kind} ${change.put.name}`, change.put.bytes]] : [],
    ),
  )
  const versionOf = ({ kind, name }: StoredView): number => {
    if (!versioning) return 0
    const bytes = written.get(`${kind} ${name}`)
    if (bytes !== undefined) return decodeViewState(kind, bytes).versionNumber
    return registry?.findView(project, name) ? registry.viewState(project, name).versionNumber : 0
  }
  return storedViews
    .filter((view) => view.kind !== 'labelView' || view.online)
    .map((view) => onlineTable(view, versionOf(view), versioning))
}

/** Tables that the registry does not list yet; where the store has nothing to list, those of new views. */
function missingTables(
  { project, config }: StoreParts,
  registry: Registry | undefined,
  onlineStore: OnlineStore | undefined,
  wanted: readonly OnlineTable[],
): readonly OnlineTable[] {
  if (onlineStore === undefined || registry === undefined) return onlineStore ? wanted : []
  const listed = onlineStore.infra(wanted)
  if (listed.length === wanted.length) {
    const known = new Set(
      decodeInfraTables(registry.record(INFRA_KEY)?.bytes).map(({ name, path }) => `${path} ${name}`),
    )
    return wanted.filter((_, index) => !known.has(`${listed[index]!.path} ${listed[index]!.name}`))
  }
  const applied = registry
    .storedViews(project)
    .map((view) =>
      onlineTable(view, registry.viewState(project, view.name).versionNumber, config.registry.versioning),
    )
  const known = new Set(applied.map(({ name }) => name))
  return wanted.filter(({ name }) => !known.has(name))
}

function removedTables(
  { project, config }: StoreParts,
  registry: Registry,
  { objects }: RegistryDiff,
): readonly OnlineTable[] {
  return objects
    .filter(({ action }) => action === 'delete')
    .flatMap(({ kind, name }) =>
      tablesOfRecord(registry, { kind, project, name }, config.registry.versioning),
    )
}

/** Of services that go, or ask for no vectors any more. */
function removedVectors(
  { project }: StoreParts,
  registry: Registry,
  { featureServices }: ProjectDefinitions,
  { objects }: RegistryDiff,
): readonly OnlineTable[] {
  const asking = new Set(featureServices.filter((one) => one.precomputeOnline).map(({ name }) => name))
  return objects
    .filter(({ kind, name }) => kind === 'featureService' && !asking.has(name))
    .flatMap(({ name }) => tablesOfService(registry, project, name))
}

/** Whether nobody changed, between two states of the registry, the definitions that these changes are about. */
function untouched(
  changes: readonly RegistryChange[],
  before: Registry | undefined,
  after: Registry | undefined,
): boolean {
  return changes.every((change) => {
    const key = 'put' in change ? change.put : change.remove
    return isDeepStrictEqual(definitionAt(before, key), definitionAt(after, key))
  })
}

/** State beside the definition (intervals, lifecycle) is kept by every change; it may have moved. */
function definitionAt(registry: Registry | undefined, { kind, project, name }: RecordKey): unknown {
  return registry?.list(project, kind).find((definition) => definition.name === name)
}

function planOf({ inferred, warnings }: Resolved, { diff: { objects, orphans }, infra }: Steps): ApplyPlan {
  return { changes: objects, orphans, infra, inferred, warnings }
}
