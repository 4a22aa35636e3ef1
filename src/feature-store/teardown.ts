import type { RecordKind, RegistryChange } from '../core/definition.js'
import { feastError, isFeastError } from '../core/errors.js'
import type { OnlineStore, OnlineTable } from '../online-stores/online-store.js'
import { type Registry, VIEW_KINDS } from '../registry/registry.js'
import { infraChange } from './infra-change.js'
import { tablesOfRecord } from './online-table.js'
import { updateRegistry } from './registry-update.js'
import type { StoreParts } from './store-parts.js'

const PROTECTED_TAG = 'feast.dev/protected-project'

const KINDS: readonly RecordKind[] = [
  'project',
  'dataSource',
  'entity',
  'featureView',
  'onDemandFeatureView',
  'streamFeatureView',
  'labelView',
  'featureService',
  'savedDataset',
  'validationReference',
  'permission',
  'featureViewVersion',
  'projectMetadata',
]

/**
 * Deletes the project's online data and its records; the registry itself goes with its last project. Repeatable.
 * @throws INVALID_REQUEST for a project that Feast's tag protects
 */
export async function teardown(parts: StoreParts): Promise<void> {
  const cache = await parts.registryCache()
  const registry = await cache.refreshIfAny()
  if (registry === undefined) return
  refuseProtected(registry, parts.project)
  const onlineStore = parts.config.onlineStore && (await parts.onlineStore())
  const tables = projectTables(parts, registry)
  // Online data first: while the records are there, a run that was cut short can be repeated.
  await onlineStore?.teardown(tables, 'project')
  const after = await updateRegistry(parts, (current) =>
    removals(current, parts.project, onlineStore, tables),
  ).catch(ifGone)
  if (after === undefined || after.records.some(({ kind }) => kind !== 'infra')) return
  await (await parts.registryStore()).destroy(after.version).catch(ifTaken)
  cache.forget()
}

/** Another project came into it meanwhile. */
function ifTaken(error: unknown): void {
  if (!isFeastError(error, 'REGISTRY_CONFLICT')) throw error
}

function ifGone(error: unknown): undefined {
  if (!isFeastError(error, 'REGISTRY_NOT_FOUND')) throw error
}

function refuseProtected(registry: Registry, project: string): void {
  const [definition] = registry.list(project, 'project')
  if (definition?.kind === 'project' && definition.tags[PROTECTED_TAG] === 'true') {
    throw feastError('INVALID_REQUEST', {
      message: `Project "${project}" is protected by its tag ${PROTECTED_TAG} and is not torn down. Take the tag off first.`,
    })
  }
}

function projectTables({ project, config }: StoreParts, registry: Registry): readonly OnlineTable[] {
  return VIEW_KINDS.flatMap((kind) => registry.recordsOf(project, kind)).flatMap((record) =>
    tablesOfRecord(registry, record, config.registry.versioning),
  )
}

function removals(
  registry: Registry,
  project: string,
  onlineStore: OnlineStore | undefined,
  tables: readonly OnlineTable[],
): readonly RegistryChange[] {
  const keys = KINDS.flatMap((kind) => registry.recordsOf(project, kind)).map(({ kind, name }) => ({
    kind,
    project,
    name,
  }))
  return [...keys.map((remove) => ({ remove })), ...infraChange(registry, onlineStore, [], tables)]
}
