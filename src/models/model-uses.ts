import type { FeatureRef } from '../core/feature-ref.js'
import { nameToUse, type Projection } from '../core/projection.js'
import type { Registry } from '../registry/registry.js'
import type { ModelRegistry, ModelVersion } from './registry/model-registry.js'

/** A version that needs a feature. */
export interface ModelUse {
  readonly model: string
  readonly version: number
  readonly status: ModelVersion['status']
  /** Empty: it is not served. */
  readonly aliases: readonly string[]
  readonly featureService: string
  /** What it takes the feature for: inputs, or on demand features computed from it. */
  readonly through: readonly string[]
}

/** All versions that are not archived. */
export async function liveVersions(models: ModelRegistry): Promise<readonly ModelVersion[]> {
  const versions: ModelVersion[] = []
  for (const name of await models.names()) {
    const state = await models.model(name)
    for (const { version, isArchived } of state.versions.values()) {
      if (!isArchived) versions.push(await models.version(name, version))
    }
  }
  return versions
}

/** Which of the versions read a feature, served ones first. */
export function modelsUsing(
  versions: readonly ModelVersion[],
  ref: Pick<FeatureRef, 'view' | 'feature'>,
  registry: Registry,
  project: string,
): readonly ModelUse[] {
  const uses = versions.flatMap((version) => {
    const through = featuresRead(version, registry, project)
      .filter(({ view, feature }) => view === ref.view && feature === ref.feature)
      .map(({ output }) => output)
    const { name, status, aliases, manifest } = version
    const featureService = manifest.featureService!
    const use = { model: name, version: version.version, status, aliases, featureService }
    return through.length === 0 ? [] : [{ ...use, through: [...new Set(through)].sort() }]
  })
  return uses.sort((a, b) => b.aliases.length - a.aliases.length || a.model.localeCompare(b.model))
}

export interface ReadFeature {
  readonly view: string
  readonly feature: string
  /** Output of the feature service that brings it to the model. */
  readonly output: string
}

/**
 * Stored features that a version reads, by its feature service as it is in the registry; on demand features lead to
 * those they are computed from. None without a feature service, or when the service is gone.
 */
export function featuresRead(
  { manifest }: Pick<ModelVersion, 'manifest'>,
  registry: Registry,
  project: string,
): readonly ReadFeature[] {
  const service = registry.featureServices(project).find(({ name }) => name === manifest.featureService)
  if (service === undefined) return []
  const wanted = new Set(manifest.inputs.flatMap(({ features }) => features.map(({ name }) => name)))
  return service.projections.flatMap((projection) =>
    featureNames(projection, registry, project)
      .flatMap((feature) => {
        const full = `${nameToUse(projection)}__${feature}`
        const output = [full, feature].find((name) => wanted.has(name))
        return output === undefined ? [] : [{ view: projection.view, feature, output }]
      })
      .flatMap((read) => [read, ...behind(read, registry, project)]),
  )
}

/** What an on demand feature is computed from. */
function behind({ view, output }: ReadFeature, registry: Registry, project: string): readonly ReadFeature[] {
  const found = registry.findView(project, view)
  if (found?.kind !== 'onDemandFeatureView') return []
  return found.projections.flatMap((source) =>
    featureNames(source, registry, project).map((feature) => ({ view: source.view, feature, output })),
  )
}

function featureNames(
  { view, features }: Projection,
  registry: Registry,
  project: string,
): readonly string[] {
  return features ?? registry.findView(project, view)?.features.map(({ name }) => name) ?? []
}
