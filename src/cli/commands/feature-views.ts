import { formatInstant } from '../../core/instant.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print, printJson, printTable } from '../output.js'

/** `feast feature-views enable NAME`. */
export async function enableView(context: CliContext, [name]: readonly [string]): Promise<void> {
  await setEnabled(context, name, true)
}

/** `feast feature-views disable NAME`. */
export async function disableView(context: CliContext, [name]: readonly [string]): Promise<void> {
  await setEnabled(context, name, false)
}

async function setEnabled(context: CliContext, name: string, enabled: boolean): Promise<void> {
  const { registry, project } = await context.registry()
  const word = enabled ? 'enabled' : 'disabled'
  if (registry.view(project, name).enabled === enabled) {
    return print(`Feature view '${name}' is already ${word}.`)
  }
  const store = await context.store()
  await store.setViewEnabled(name, enabled)
  print(`Feature view '${name}' has been ${word}.`)
}

const STATES = ['CREATED', 'GENERATED', 'MATERIALIZING', 'AVAILABLE_ONLINE']

/** `feast feature-views set-state NAME STATE`. */
export async function setViewState(
  context: CliContext,
  [name, stateText]: readonly [string, string],
): Promise<void> {
  const state = stateText.toUpperCase()
  if (!STATES.includes(state)) {
    throw usageError(`"${stateText}" is not a state; choose from ${STATES.join(', ').toLowerCase()}.`)
  }
  const { registry, project } = await context.registry()
  registry.view(project, name)
  if (registry.viewState(project, name).lifecycle === state) {
    return print(`Feature view '${name}' is already in state ${state}.`)
  }
  const store = await context.store()
  await store.setViewState(name, state)
  print(`Feature view '${name}' state set to ${state}.`)
}

/** `feast feature-views list-versions NAME`. */
export async function listVersions(
  context: CliContext,
  [name]: readonly [string],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const { registry, project } = await context.registry()
  const { decodeViewVersion } = await import('../../codec/definitions/view-version.js')
  const versions = registry
    .recordsOf(project, 'featureViewVersion')
    .filter((record) => record.name.replace(/@v\d+$/, '') === name)
    .map((record) => decodeViewVersion(record.bytes))
    .map((one) => ({
      version: `v${one.number}`,
      type: one.kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      created: formatInstant(one.createdAt),
      version_id: one.versionId,
    }))
  if (json) return printJson(versions)
  if (versions.length === 0) return print(`No version history found for feature view '${name}'.`)
  printTable(
    ['VERSION', 'TYPE', 'CREATED', 'VERSION_ID'],
    versions.map((one) => [one.version, one.type, one.created, one.version_id]),
  )
}
