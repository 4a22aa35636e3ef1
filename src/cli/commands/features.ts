import type { StoredView } from '../../core/feature-view.js'
import type { Field } from '../../core/field.js'
import type { OnDemandFeatureView } from '../../core/on-demand-feature-view.js'
import { typeText } from '../../core/value-type.js'
import type { Registry } from '../../registry/registry.js'
import type { CliContext } from '../cli-context.js'
import { print, printJson, printTable } from '../output.js'

interface FeatureOfView {
  readonly feature: Field
  readonly view: StoredView | OnDemandFeatureView
}

/** `feast features list`. */
export async function listFeatures(
  context: CliContext,
  _: readonly [],
  { output, json }: { readonly output: string; readonly json?: boolean },
): Promise<void> {
  const { registry, project } = await context.registry()
  const features = allFeatures(registry, project)
  if (json || output === 'json') {
    return printJson(
      features.map(({ feature, view }) => ({
        feature_name: feature.name,
        feature_view: view.name,
        dtype: typeText(feature.type),
      })),
    )
  }
  printTable(
    ['Feature', 'Feature View', 'Data Type'],
    features.map(({ feature, view }) => [feature.name, view.name, typeText(feature.type)]),
  )
}

/** `feast features describe NAME`: one entry for each view that has it. */
export async function describeFeature(context: CliContext, [name]: readonly [string]): Promise<void> {
  const { registry, project } = await context.registry()
  const found = allFeatures(registry, project).filter(({ feature }) => feature.name === name)
  if (found.length === 0) return print(`Feature '${name}' not found in any feature view.`)
  printJson(
    found.map(({ feature, view }) => ({
      'Feature Name': feature.name,
      'Feature View': view.name,
      'Data Type': typeText(feature.type),
      Description: feature.description,
      'Online Store': view.kind === 'onDemandFeatureView' ? 'N/A' : view.online,
      Source: view.kind === 'onDemandFeatureView' ? 'N/A' : (view.batchSource?.name ?? 'N/A'),
    })),
  )
}

function allFeatures(registry: Registry, project: string): readonly FeatureOfView[] {
  return [...registry.storedViews(project), ...registry.onDemandFeatureViews(project)].flatMap((view) =>
    view.features.map((feature) => ({ feature, view })),
  )
}
