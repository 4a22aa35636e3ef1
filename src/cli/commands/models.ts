import { feastError } from '../../core/errors.js'
import { parseFeatureRef } from '../../core/feature-ref.js'
import { parseInstant } from '../../core/instant.js'
import type { MetricDifference, VersionComparison } from '../../models/registry/compare-versions.js'
import type { ApprovalStatus, ModelEvent } from '../../models/registry/model-event.js'
import type { ModelChange, ModelRegistry, VersionRef } from '../../models/registry/model-registry.js'
import type { ModelState, VersionState } from '../../models/registry/model-state.js'
import { aliasesOf, modelJson, versionJson } from '../../models/registry/version-json.js'
import type { CliContext } from '../cli-context.js'
import { ExitError, usageError } from '../exit-error.js'
import { emphasis, print, printJson, printNotice, printTable } from '../output.js'
import { person } from '../person.js'

interface JsonFlag {
  readonly json?: boolean
}

interface ChangeFlags extends JsonFlag {
  readonly message: string
  readonly ifRevision?: number
}

/** `feast models list [MODEL]`. */
export async function listModels(
  context: CliContext,
  [name]: readonly [string?],
  flags: JsonFlag & { readonly status?: ApprovalStatus; readonly all?: boolean },
): Promise<void> {
  await withRegistry(context, async (models) => {
    const states = await Promise.all((name ? [name] : await models.names()).map((one) => models.model(one)))
    const kept = (one: VersionState) =>
      (flags.all || !one.isArchived) && one.status === (flags.status ?? one.status)
    const shown = states.map((state) => ({
      ...state,
      versions: new Map([...state.versions].filter(([, version]) => kept(version))),
    }))
    if (flags.json) printJson(shown.map(modelJson))
    else printVersions(shown)
  })
}

function printVersions(states: readonly ModelState[]): void {
  printTable(
    ['MODEL', 'VERSION', 'STATUS', 'ALIASES', 'REGISTERED', 'BY', 'DECIDED BY'],
    states.flatMap((state) =>
      [...state.versions.values()].map(({ version, status, registeredAt, registeredBy, decision }) => [
        state.name,
        String(version),
        status,
        aliasesOf(state, version).join(', ') || '-',
        registeredAt,
        registeredBy,
        decision?.by ?? '-',
      ]),
    ),
  )
}

/** `feast models describe MODEL [VERSION]`. */
export async function describeModel(
  context: CliContext,
  [name, asked]: readonly [string, string?],
  { json }: JsonFlag,
): Promise<void> {
  await withRegistry(context, async (models) => {
    const ref = asked === undefined ? await usualVersion(models, name) : refOf(asked)
    const described = versionJson(await models.version(name, ref))
    if (json) return printJson(described)
    const { stringify } = await import('yaml')
    print(stringify(described, { singleQuote: true, indentSeq: false }).trimEnd())
  })
}

async function usualVersion(models: ModelRegistry, name: string): Promise<number> {
  const { aliases, versions } = await models.model(name)
  return aliases.get('champion')?.version ?? Math.max(...versions.keys())
}

/** `feast models compare MODEL A B`. */
export async function compareModels(
  context: CliContext,
  [name, a, b]: readonly [string, string, string],
  { json }: JsonFlag,
): Promise<void> {
  await withRegistry(context, async (models) => {
    const { compareVersions } = await import('../../models/registry/compare-versions.js')
    const compared = compareVersions(
      await models.version(name, refOf(a)),
      await models.version(name, refOf(b)),
    )
    if (json) return printJson(compared)
    printComparison(compared)
  })
}

function printComparison(compared: VersionComparison): void {
  const [a, b] = compared.versions.map((version) => `V${version}`) as [string, string]
  printTable(['METRIC', a, b, 'CHANGE', 'BETTER'], compared.metrics.map(metricRow(compared.versions)))
  const differing = [...compared.params, ...compared.about]
  if (differing.length > 0) {
    print()
    const text = (value: unknown) => (value === undefined ? '-' : String(value))
    printTable(
      ['DIFFERENT', a, b],
      differing.map((one) => [one.name, text(one.a), text(one.b)]),
    )
  }
  for (const what of ['features', 'inputs', 'outputs'] as const) {
    const { onlyA, onlyB } = compared[what]
    const lines = [...onlyA.map((name) => `  - ${name}`), ...onlyB.map((name) => `  + ${name}`)]
    if (lines.length > 0) print([`\n${what}:`, ...lines].join('\n'))
  }
}

function metricRow([a, b]: readonly [number, number]) {
  const number = (value: number | undefined) =>
    value === undefined ? '-' : String(Number(value.toPrecision(6)))
  return ({ metric, better, ...one }: MetricDifference): readonly string[] => {
    const percent =
      one.percent === undefined ? '' : ` (${one.percent >= 0 ? '+' : ''}${one.percent.toFixed(1)} %)`
    return [
      metric,
      number(one.a),
      number(one.b),
      number(one.delta) + percent,
      better ? `V${better === 'a' ? a : b}` : '-',
    ]
  }
}

export const approveModel = decisionCommand('approve')
export const rejectModel = decisionCommand('reject')
export const revokeModel = decisionCommand('revoke')

/** `feast models approve | reject | revoke MODEL VERSION`. */
function decisionCommand(action: 'approve' | 'reject' | 'revoke') {
  return async (
    context: CliContext,
    [name, version]: readonly [string, string],
    flags: ChangeFlags & { readonly deploy?: boolean },
  ): Promise<void> => {
    const number = numberOf(version)
    await withRegistry(context, async (models) => {
      const before = await models.model(name)
      const decision = {
        action,
        version: number,
        comment: flags.message,
        ifRevision: flags.ifRevision,
      } as const
      let state = await models.change(name, decision, person())
      if (flags.deploy) {
        const deployment = {
          action: 'deploy',
          version: number,
          alias: 'champion',
          comment: flags.message,
        } as const
        state = await models.change(name, deployment, person())
      }
      const lost = aliasesOf(before, number).filter((alias) => !state.aliases.has(alias))
      if (lost.length > 0) printNotice(`Nothing is the ${lost.join(' or ')} of ${name} any more.`)
      printState(state, number, flags)
    })
  }
}

/** `feast models alias MODEL ALIAS [VERSION]`. */
export async function aliasModel(
  context: CliContext,
  [name, alias, version]: readonly [string, string, string?],
  flags: ChangeFlags & { readonly delete?: boolean },
): Promise<void> {
  if ((version === undefined) !== (flags.delete ?? false)) {
    throw usageError('Give a version, or --delete to take the alias away.')
  }
  const number = version === undefined ? null : numberOf(version)
  await changed(context, name, { action: 'set_alias', alias, version: number, comment: flags.message }, flags)
}

/** `feast models deploy MODEL VERSION`. */
export async function deployModel(
  context: CliContext,
  [name, version]: readonly [string, string],
  flags: ChangeFlags & { readonly strategy: 'direct' | 'canary'; readonly weight?: number },
): Promise<void> {
  if ((flags.strategy === 'canary') !== (flags.weight !== undefined)) {
    throw usageError('--weight belongs to --strategy canary, and that needs one.')
  }
  const { weight, message: comment, ifRevision } = flags
  const alias = flags.strategy === 'canary' ? 'canary' : 'champion'
  const deployment = {
    action: 'deploy',
    version: numberOf(version),
    alias,
    weight,
    comment,
    ifRevision,
  } as const
  await changed(context, name, deployment, flags)
}

/** `feast models rollback MODEL`. */
export async function rollbackModel(
  context: CliContext,
  [name]: readonly [string],
  flags: ChangeFlags & { readonly alias: string },
): Promise<void> {
  await changed(context, name, { action: 'rollback', alias: flags.alias, comment: flags.message }, flags)
}

/** `feast models archive MODEL VERSION`. */
export async function archiveModel(
  context: CliContext,
  [name, version]: readonly [string, string],
  flags: ChangeFlags,
): Promise<void> {
  const archival = { action: 'archive', version: numberOf(version), comment: flags.message } as const
  await changed(context, name, archival, flags)
}

/** `feast models history MODEL`. */
export async function modelHistory(
  context: CliContext,
  [name]: readonly [string],
  flags: JsonFlag & { readonly at?: string; readonly alias: string },
): Promise<void> {
  await withRegistry(context, async (models) => {
    const history = await models.history(name)
    if (flags.at === undefined) return printHistory(history, flags)
    const { servedAt } = await import('../../models/registry/model-state.js')
    const served = servedAt(history, flags.alias, Number(parseInstant(flags.at, '--at') / 1000n))
    if (flags.json) return printJson(served ?? null)
    if (served === undefined) return print(`Model ${name} had no ${flags.alias} at ${flags.at}.`)
    print(
      `Version ${emphasis(String(served.version))}, ${flags.alias} since ${served.since}, set by ${served.by}`,
    )
  })
}

function printHistory(history: readonly ModelEvent[], { json }: JsonFlag): void {
  if (json) {
    printJson(history)
    return
  }
  printTable(
    ['SEQ', 'AT', 'BY', 'WHAT', 'VERSION', 'COMMENT'],
    history.map(({ seq, at, by, action, alias, weight, version, from_version, comment }) => [
      String(seq),
      at,
      by,
      [action, alias, weight === undefined ? undefined : `${weight} %`].filter(Boolean).join(' '),
      from_version ? `${from_version} → ${version ?? 'none'}` : String(version ?? 'none'),
      comment,
    ]),
  )
}

/** `feast models uses VIEW:FEATURE`. */
export async function modelUses(
  context: CliContext,
  [text]: readonly [string],
  { json }: JsonFlag,
): Promise<void> {
  const ref = parseFeatureRef(text)
  await withRegistry(context, async (models) => {
    const { registry, project } = await context.registry()
    const { features } = registry.view(project, ref.view)
    if (!features.some(({ name }) => name === ref.feature)) {
      throw feastError('FEATURE_NOT_FOUND', {
        name: ref.feature,
        view: ref.view,
        known: features.map(({ name }) => name),
      })
    }
    const { liveVersions, modelsUsing } = await import('../../models/model-uses.js')
    const uses = modelsUsing(await liveVersions(models), ref, registry, project)
    if (json) return printJson(uses)
    if (uses.length === 0) return print(`No model reads ${text}.`)
    printTable(
      ['MODEL', 'VERSION', 'STATUS', 'ALIASES', 'FEATURE SERVICE', 'THROUGH'],
      uses.map(({ model, version, status, aliases, featureService, through }) => [
        model,
        String(version),
        status,
        aliases.join(', ') || '-',
        featureService,
        through.join(', '),
      ]),
    )
  })
}

/** `feast models verify [MODEL]`: exit code 1 when something is wrong. */
export async function verifyModels(
  context: CliContext,
  [name]: readonly [string?],
  { json }: JsonFlag,
): Promise<void> {
  await withRegistry(context, async (models) => {
    const names = name === undefined ? await models.names() : [name]
    const findings: Record<string, readonly string[]> = {}
    for (const one of names) findings[one] = await models.verify(one)
    const wrong = Object.values(findings).flat()
    if (json) printJson(findings)
    else for (const line of wrong) print(line)
    if (wrong.length > 0)
      throw new ExitError(1, `${wrong.length} of the registry's objects are not what was written.`)
    if (!json)
      print(
        `${names.length} ${names.length === 1 ? 'model' : 'models'} verified: nothing was changed afterwards.`,
      )
  })
}

async function changed(
  context: CliContext,
  name: string,
  change: ModelChange,
  flags: JsonFlag,
): Promise<void> {
  await withRegistry(context, async (models) => {
    const state = await models.change(name, change, person())
    const version = change.action === 'rollback' ? state.aliases.get(change.alias)?.version : change.version
    printState(state, version ?? undefined, flags)
  })
}

function printState(state: ModelState, version: number | undefined, { json }: JsonFlag): void {
  if (json) {
    printJson(modelJson(state))
    return
  }
  const found = version === undefined ? undefined : state.versions.get(version)
  if (found) print(`Version ${emphasis(String(found.version))} of ${state.name} is ${found.status}.`)
  const pointers = [...state.aliases].map(
    ([alias, { version: target, weight }]) =>
      `${alias}: version ${target}${weight === undefined ? '' : `, ${weight} % of the entities`}`,
  )
  print(pointers.length > 0 ? pointers.join('\n') : 'No version is served.')
}

export function refOf(text: string): VersionRef {
  return /^\d+$/.test(text) ? Number(text) : text
}

function numberOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw usageError(`"${text}" is not the number of a version.`)
}

export async function withRegistry(
  context: CliContext,
  work: (models: ModelRegistry) => Promise<void>,
): Promise<void> {
  const { openModelRegistry } = await import('../../models/registry/index.js')
  const models = await openModelRegistry(await context.config())
  try {
    await work(models)
  } finally {
    await models.close()
  }
}
