import type { DataSource } from '../../core/data-source.js'
import type { Definition, RecordKind } from '../../core/definition.js'
import { isEntityless, type StoredView } from '../../core/feature-view.js'
import type { OnDemandFeatureView } from '../../core/on-demand-feature-view.js'
import { nameToUse, type Projection } from '../../core/projection.js'
import type { Registry } from '../../registry/registry.js'
import type { CliContext } from '../cli-context.js'
import { printJson, printNotice, printTable } from '../output.js'
import { hasTags, parseTags } from '../tag-filter.js'

interface ListOptions {
  readonly tags?: readonly string[]
  readonly json?: boolean
}

/** One object as a row: the cells of its table, and what `--json` prints. */
interface Listed {
  readonly cells: readonly string[]
  readonly tags: Readonly<Record<string, string>>
}

interface Listing {
  readonly headers: readonly string[]
  rows(registry: Registry, project: string): readonly Listed[]
}

/** `feast <kind> list`. */
export function listObjects(kind: RecordKind) {
  return async (context: CliContext, _: readonly [], { tags = [], json }: ListOptions): Promise<void> => {
    const wanted = parseTags(tags)
    const { registry, project } = await context.registry()
    const { headers, rows } = LISTINGS[kind] ?? (await recordListing(kind))
    const listed = rows(registry, project).filter((row) => hasTags(row.tags, wanted))
    warnOfBroken(registry, project, kind)
    if (!json)
      return printTable(
        headers,
        listed.map(({ cells }) => cells),
      )
    printJson(
      listed.map(({ cells, tags }) => ({
        ...Object.fromEntries(headers.map((header, i) => [header.toLowerCase(), cells[i]])),
        tags,
      })),
    )
  }
}

/** Looks at every record of the registry, so only when some of this kind are missing from its list. */
function warnOfBroken(registry: Registry, project: string, kind: RecordKind): void {
  if (!isListed(kind) || registry.list(project, kind).length === registry.recordsOf(project, kind).length)
    return
  for (const { key, error } of registry.broken()) {
    if (key.kind === kind && key.project === project) printNotice(`Warning: ${error.message}`)
  }
}

function isListed(kind: RecordKind): boolean {
  return LISTINGS[kind] !== undefined
}

type Of<Kind extends Definition['kind']> = Extract<Definition, { kind: Kind }>

const LISTINGS: Partial<Record<RecordKind, Listing>> = {
  project: {
    headers: ['NAME', 'DESCRIPTION', 'TAGS', 'OWNER'],
    rows: (registry) =>
      registry.projects.flatMap((project) =>
        (registry.list(project, 'project') as Of<'project'>[]).map(({ name, description, tags, owner }) => ({
          cells: [name, description, JSON.stringify(tags), owner],
          tags,
        })),
      ),
  },
  entity: {
    headers: ['NAME', 'DESCRIPTION', 'TYPE'],
    rows: (registry, project) =>
      registry
        .entities(project)
        .filter(({ name }) => name !== '__dummy')
        .map(({ name, description, valueType, tags }) => ({
          cells: [name, description, `ValueType.${valueType}`],
          tags,
        })),
  },
  dataSource: {
    headers: ['NAME', 'CLASS'],
    rows: (registry, project) =>
      registry
        .dataSources(project)
        .map((source) => ({ cells: [source.name, className(source)], tags: source.tags })),
  },
  featureView: {
    headers: ['NAME', 'ENTITIES', 'TYPE', 'ENABLED', 'STATE'],
    rows: (registry, project) =>
      [
        ...(registry.list(project, 'featureView') as StoredView[]),
        ...registry.onDemandFeatureViews(project),
      ].map((view) => viewRow(registry, project, view)),
  },
  onDemandFeatureView: {
    headers: ['NAME'],
    rows: (registry, project) =>
      registry.onDemandFeatureViews(project).map(({ name, tags }) => ({ cells: [name], tags })),
  },
  streamFeatureView: {
    headers: ['NAME', 'ENTITIES', 'TYPE', 'ENABLED', 'STATE'],
    rows: (registry, project) =>
      (registry.list(project, 'streamFeatureView') as StoredView[]).map((view) =>
        viewRow(registry, project, view),
      ),
  },
  featureService: {
    headers: ['NAME', 'FEATURES'],
    rows: (registry, project) =>
      registry.featureServices(project).map(({ name, projections, tags }) => ({
        cells: [name, projections.flatMap((one) => featuresOf(registry, project, one)).join(', ')],
        tags,
      })),
  },
  permission: {
    headers: ['NAME', 'TYPES', 'NAME_PATTERNS', 'ACTIONS', 'ROLES', 'REQUIRED_TAGS'],
    rows: (registry, project) =>
      registry
        .permissions(project)
        .map(({ name, types, namePatterns, actions, policy, requiredTags, tags }) => ({
          cells: [
            name,
            types.join(', '),
            namePatterns.join(', ') || '-',
            actions.join(', '),
            (policy.kind === 'roles' ? [...policy.roles].sort().join(', ') : '') || '-',
            Object.entries(requiredTags)
              .map((tag) => tag.join(' : '))
              .join(', ') || '-',
          ],
          tags,
        })),
  },
}

function viewRow(registry: Registry, project: string, view: StoredView | OnDemandFeatureView): Listed {
  const entities = [...entitiesOf(registry, project, view)].sort()
  return {
    cells: [
      view.name,
      entities.length > 0 ? `{${entities.map((name) => `'${name}'`).join(', ')}}` : 'n/a',
      TYPES[view.kind],
      view.enabled ? 'Yes' : 'No',
      registry.viewState(project, view.name).lifecycle,
    ],
    tags: view.tags,
  }
}

const TYPES = {
  featureView: 'FeatureView',
  streamFeatureView: 'StreamFeatureView',
  labelView: 'LabelView',
  onDemandFeatureView: 'OnDemandFeatureView',
} as const

function entitiesOf(
  registry: Registry,
  project: string,
  view: StoredView | OnDemandFeatureView,
): ReadonlySet<string> {
  if (view.kind !== 'onDemandFeatureView') return new Set(isEntityless(view) ? [] : view.entities)
  const sources = view.projections.map((one) => registry.findView(project, one.view))
  return new Set(sources.flatMap((source) => (source ? [...entitiesOf(registry, project, source)] : [])))
}

function featuresOf(registry: Registry, project: string, projection: Projection): readonly string[] {
  const names =
    projection.features ?? registry.findView(project, projection.view)?.features.map(({ name }) => name) ?? []
  return names.map((name) => `${nameToUse(projection)}:${name}`)
}

/** Feast's class of a source, as its own listing shows it. */
function className(source: DataSource): string {
  if (source.kind === 'unknownSource') return source.type
  return `${source.kind[0]!.toUpperCase()}${source.kind.slice(1)}`
}

/** Kinds that only have records: shown by name, and by what their JSON says. */
async function recordListing(kind: RecordKind): Promise<Listing> {
  const { recordJson } = await import('../../codec/registry-json.js')
  const specs = (registry: Registry, project: string) =>
    registry.recordsOf(project, kind).map((record) => {
      const json = recordJson(record) as { readonly spec?: Spec }
      return { name: record.name, spec: json.spec ?? (json as Spec) }
    })
  const listing = RECORD_LISTINGS[kind] ?? { headers: ['NAME'], cells: () => [] }
  return {
    headers: listing.headers,
    rows: (registry, project) =>
      specs(registry, project).map(({ name, spec }) => ({
        cells: [name, ...listing.cells(spec)],
        tags: (spec['tags'] ?? {}) as Readonly<Record<string, string>>,
      })),
  }
}

type Spec = Readonly<Record<string, unknown>>

const RECORD_LISTINGS: Partial<
  Record<RecordKind, { readonly headers: readonly string[]; cells(spec: Spec): readonly string[] }>
> = {
  labelView: {
    headers: ['NAME', 'ENTITIES', 'CONFLICT_POLICY'],
    cells: (spec) => [words(spec['entities']) || 'n/a', String(spec['conflictPolicy'] ?? 'LAST_WRITE_WINS')],
  },
}

function words(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : ''
}
