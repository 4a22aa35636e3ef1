import type { FeatureRepo } from '../config/feature-repo.js'
import { messageOf } from '../core/errors.js'
import type { ApplyPlan, FeatureStore } from '../feature-store/feature-store.js'
import type { ModelVersion } from '../models/registry/model-registry.js'
import { printNotice } from './output.js'

/** Says which models that are served, or may be, read what a plan takes away. A registry of models that cannot be asked is said, and holds nothing up. */
export async function warnOfModels(store: FeatureStore, repo: FeatureRepo, plan: ApplyPlan): Promise<void> {
  const mayTakeAway = plan.changes.some(({ action }) => action !== 'create')
  if (store.config.models === undefined || !mayTakeAway) return
  try {
    for (const line of await modelsAtRisk(store, repo, plan)) printNotice(`Warning: ${line}`)
  } catch (error) {
    printNotice(`Warning: which models read what goes cannot be told: ${messageOf(error)}`)
  }
}

async function modelsAtRisk(
  store: FeatureStore,
  repo: FeatureRepo,
  plan: ApplyPlan,
): Promise<readonly string[]> {
  const { openModelRegistry } = await import('../models/registry/index.js')
  const { featuresRead, liveVersions } = await import('../models/model-uses.js')
  const models = await openModelRegistry(store.config)
  try {
    const versions = (await liveVersions(models)).filter(
      ({ aliases, status }) => aliases.length > 0 || status === 'approved',
    )
    if (versions.length === 0) return []
    const registry = await store.registry()
    const goes = goneBy(repo, plan)
    return versions.flatMap((version) => {
      const { featureService } = version.manifest
      const lost = featuresRead(version, registry, store.project).filter(goes.feature)
      const refs = [...new Set(lost.map(({ view, feature }) => `${view}:${feature}`))]
      if (featureService !== undefined && goes.service(featureService)) {
        return [`${nameOf(version)} takes the features of ${featureService}, which is about to go`]
      }
      return refs.length === 0 ? [] : [`${nameOf(version)} reads ${refs.join(', ')}, about to go`]
    })
  } finally {
    await models.close()
  }
}

/** What will not be there after the plan. */
function goneBy({ definitions }: FeatureRepo, { changes }: ApplyPlan) {
  const deleted = changes.filter(({ action }) => action === 'delete')
  const updated = changes.filter(({ action }) => action === 'update')
  const left = new Map(
    definitions.flatMap(({ definition }) =>
      'features' in definition
        ? [[definition.name, definition.features.map(({ name }) => name)] as const]
        : [],
    ),
  )
  return {
    service: (name: string) => deleted.some((one) => one.kind === 'featureService' && one.name === name),
    feature({ view, feature }: { readonly view: string; readonly feature: string }): boolean {
      if (deleted.some((one) => one.kind.endsWith('View') && one.name === view)) return true
      const features = updated.some((one) => one.name === view) ? left.get(view) : undefined
      // A view whose features are inferred names none here.
      return features !== undefined && features.length > 0 && !features.includes(feature)
    },
  }
}

function nameOf({ name, version, aliases }: ModelVersion): string {
  return `model ${name} version ${version}${aliases.length > 0 ? ` (${aliases.join(', ')})` : ''}`
}
