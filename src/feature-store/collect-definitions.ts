import { isDeepStrictEqual } from 'node:util'
import type { FeatureRepo } from '../config/feature-repo.js'
import type { RepoConfig } from '../config/repo-config.js'
import type { DataSource } from '../core/data-source.js'
import type { Definition } from '../core/definition.js'
import { DUMMY_ENTITY, type Entity } from '../core/entity.js'
import { type FeastError, feastError } from '../core/errors.js'
import type { FeatureService } from '../core/feature-service.js'
import type { StoredView } from '../core/feature-view.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import type { Permission } from '../core/permission.js'
import { type Project, project } from '../core/project.js'

/** All that a feature repo defines, each object once, with the sources that its views bring along. */
export interface ProjectDefinitions {
  readonly project: Project
  readonly dataSources: readonly DataSource[]
  /** Feast's dummy entity included. */
  readonly entities: readonly Entity[]
  readonly storedViews: readonly StoredView[]
  readonly onDemandViews: readonly OnDemandFeatureView[]
  readonly featureServices: readonly FeatureService[]
  readonly permissions: readonly Permission[]
  /** `features/driver.ts (driverStats)`; empty for what no file exports. */
  readonly where: (definition: Definition) => string
}

/**
 * @param applied the project as the registry has it: a repo that does not define it leaves it as it is
 * @throws the mistakes found in names, all of them (see {@link throwMistakes})
 */
export function collectDefinitions(
  repo: FeatureRepo,
  config: RepoConfig,
  applied?: Project,
): ProjectDefinitions {
  const places = new Map<Definition, string>()
  for (const { definition, file, exportName } of repo.definitions) {
    if (!places.has(definition)) places.set(definition, `${file} (${exportName})`)
  }
  const where = (definition: Definition) => places.get(definition) ?? ''
  const found = [...places.keys()]
  for (const definition of found) {
    for (const source of ownSources(definition)) {
      if (!places.has(source)) places.set(source, where(definition))
    }
  }
  const collector = new Collector(where)
  for (const definition of found) collector.add(definition)
  return collector.finish(projectOf(found, config, applied, where))
}

function projectOf(
  found: readonly Definition[],
  config: RepoConfig,
  applied: Project | undefined,
  where: (definition: Definition) => string,
): Project {
  const projects = found.filter((definition) => definition.kind === 'project')
  const [only, second] = projects
  if (only === undefined) {
    const description = config.projectDescription || applied?.description
    return project({ ...applied, name: config.project, ...(description && { description }) })
  }
  if (second !== undefined) {
    throw feastError('INVALID_DEFINITION', {
      object: `Project "${second.name}"`,
      problem: `${where(only)} and ${where(second)} both define a project`,
      mend: 'Keep one of them; a feature repo is one project.',
      file: where(second),
    })
  }
  if (only.name !== config.project) {
    throw feastError('INVALID_DEFINITION', {
      object: `Project "${only.name}"`,
      problem: `${config.file} says project: ${config.project}`,
      mend: 'Use the same name in both places.',
      file: where(only),
    })
  }
  return only
}

/** The sources inside a definition, which need no export of their own. */
function ownSources(definition: Definition): readonly DataSource[] {
  const direct = ['batchSource', 'streamSource'].flatMap((key) => {
    const source = (definition as unknown as Record<string, DataSource | undefined>)[key]
    return source === undefined ? [] : [source]
  })
  return direct.flatMap((source) => [source, ...ownSources(source)])
}

class Collector {
  readonly #where: (definition: Definition) => string
  readonly #sources = new Map<string, DataSource>()
  readonly #entities = new Map<string, Entity>()
  readonly #services = new Map<string, FeatureService>()
  readonly #permissions = new Map<string, Permission>()
  readonly #storedViews: StoredView[] = []
  readonly #onDemandViews: OnDemandFeatureView[] = []
  readonly #mistakes: FeastError[] = []

  constructor(where: (definition: Definition) => string) {
    this.#where = where
  }

  add(definition: Definition): void {
    switch (definition.kind) {
      case 'project':
        break
      case 'entity':
        this.#once(this.#entities, definition.name, definition, 'Entity')
        break
      case 'featureService':
        this.#once(this.#services, definition.name, definition, 'Feature service')
        break
      case 'permission':
        this.#once(this.#permissions, definition.name, definition, 'Permission')
        break
      case 'onDemandFeatureView':
        this.#onDemandViews.push(definition)
        break
      case 'featureView':
      case 'streamFeatureView':
      case 'labelView':
        this.#storedViews.push(definition)
        break
      default:
        this.#source(definition)
    }
    for (const source of ownSources(definition)) this.#source(source)
  }

  finish(projectDefinition: Project): ProjectDefinitions {
    throwMistakes(this.#mistakes)
    // One of the repo's own by that name stays, to be refused.
    if (!this.#entities.has(DUMMY_ENTITY.name)) this.#entities.set(DUMMY_ENTITY.name, DUMMY_ENTITY)
    return {
      project: projectDefinition,
      dataSources: [...this.#sources.values()],
      entities: [...this.#entities.values()],
      storedViews: this.#storedViews,
      onDemandViews: this.#onDemandViews,
      featureServices: [...this.#services.values()],
      permissions: [...this.#permissions.values()],
      where: this.#where,
    }
  }

  #source(source: DataSource): void {
    // Feast compares the names of sources whatever their case.
    this.#once(this.#sources, source.name.toLowerCase(), source, 'Data source')
  }

  /** The same definition twice (a source that two views share) is one; two different ones are a mistake. */
  #once<T extends Definition>(known: Map<string, T>, key: string, definition: T, what: string): void {
    const other = known.get(key)
    if (other === undefined) {
      known.set(key, definition)
      return
    }
    if (other === definition || isDeepStrictEqual(other, definition)) return
    const places = [this.#where(other), this.#where(definition)].filter((place) => place !== '')
    this.#mistakes.push(
      feastError('INVALID_DEFINITION', {
        object: `${what} "${definition.name}"`,
        problem: `there are two different ones of that name${places.length > 0 ? `, in ${places.join(' and ')}` : ''}`,
        mend: 'Give one of them another name.',
      }),
    )
  }
}

/** One mistake is thrown as it is, several as one error that lists them. */
export function throwMistakes(mistakes: readonly FeastError[]): void {
  if (mistakes.length === 1) throw mistakes[0]
  if (mistakes.length > 1) {
    throw feastError('INVALID_DEFINITIONS', { problems: mistakes.map(({ message }) => message) })
  }
}
