import type { RecordKey, RecordKind } from '../../core/definition.js'
import { type ErrorCode, feastError } from '../../core/errors.js'
import type { Registry } from '../../registry/registry.js'
import type { CliContext } from '../cli-context.js'
import { OBJECT_GROUPS } from '../command-table.js'
import { print, printJson } from '../output.js'

interface DescribeOptions {
  readonly json?: boolean
}

/** `feast <kind> describe NAME`: the record as Feast's protobuf JSON, in YAML. */
export function describeObject(kind: RecordKind) {
  return async (context: CliContext, [name]: readonly [string], options: DescribeOptions): Promise<void> => {
    const { registry, project } = await context.registry()
    await describe(registry, { kind, project: kind === 'project' ? name : project, name }, options)
  }
}

/** `feast projects current_project`. */
export async function describeCurrentProject(
  context: CliContext,
  _: readonly [],
  options: DescribeOptions,
): Promise<void> {
  const { registry, project } = await context.registry()
  await describe(registry, { kind: 'project', project, name: project }, options)
}

async function describe(registry: Registry, key: RecordKey, { json }: DescribeOptions): Promise<void> {
  const record = registry.record(key)
  if (!record) throw notFound(registry, key)
  const { describeJson } = await import('../../codec/registry-json.js')
  const view = registry.findView(key.project, key.name)
  const description = {
    ...describeJson(record),
    ...(key.kind.endsWith('View') && view
      ? { enabled: view.enabled, state: registry.viewState(key.project, key.name).lifecycle }
      : {}),
  }
  if (json) return printJson(description)
  const { stringify } = await import('yaml')
  print(stringify(description, { version: '1.1', singleQuote: true, indentSeq: false }))
}

const NOT_FOUND: Partial<Record<RecordKind, ErrorCode>> = {
  entity: 'ENTITY_NOT_FOUND',
  dataSource: 'DATA_SOURCE_NOT_FOUND',
  onDemandFeatureView: 'ON_DEMAND_FEATURE_VIEW_NOT_FOUND',
  featureService: 'FEATURE_SERVICE_NOT_FOUND',
  savedDataset: 'SAVED_DATASET_NOT_FOUND',
  validationReference: 'VALIDATION_REFERENCE_NOT_FOUND',
  permission: 'PERMISSION_NOT_FOUND',
  project: 'PROJECT_NOT_FOUND',
}

/** Names the nearest known object; a view of another kind is named as the one that is meant. */
function notFound(registry: Registry, { kind, project, name }: RecordKey): Error {
  const other = kind.endsWith('View') ? registry.findView(project, name) : undefined
  if (other) {
    const group = OBJECT_GROUPS.find((one) => one.kind === other.kind)!
    return feastError('INVALID_REQUEST', {
      message: `"${name}" is ${/^[aeiou]/.test(group.noun) ? 'an' : 'a'} ${group.noun}; use \`feast ${group.command} describe ${name}\`.`,
    })
  }
  const known =
    kind === 'project' ? registry.projects : registry.recordsOf(project, kind).map((one) => one.name)
  const code = (NOT_FOUND[kind] ?? 'FEATURE_VIEW_NOT_FOUND') as 'ENTITY_NOT_FOUND'
  return feastError(code, { name, project, known })
}
