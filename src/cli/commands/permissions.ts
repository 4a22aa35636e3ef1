import { resourceTypesOf } from '../../codec/definitions/permission.js'
import { allowsActions, denialOf, matchesResource, type Resource } from '../../core/access-decision.js'
import type { RecordKind } from '../../core/definition.js'
import { DUMMY_ENTITY } from '../../core/entity.js'
import { type Action, ALL_ACTIONS, type Permission } from '../../core/permission.js'
import type { Registry } from '../../registry/registry.js'
import type { CliContext } from '../cli-context.js'
import { print, printJson, printTable } from '../output.js'

interface CheckOptions {
  readonly json?: boolean
}

interface RolesOptions extends CheckOptions {
  readonly verbose?: boolean
}

/** `feast permissions check`: what nobody was given rights to. */
export async function checkPermissions(
  context: CliContext,
  _: readonly [],
  { json }: CheckOptions,
): Promise<void> {
  const { registry, project } = await context.registry()
  const permissions = registry.permissions(project)
  const checked = resourcesOf(registry, project).map((resource) => {
    const matching = permissions.filter((permission) => matchesResource(permission, resource))
    const open = ALL_ACTIONS.filter((action) => !matching.some((one) => allowsActions(one, [action])))
    return { name: resource.name, type: resource.types[0], isSecured: matching.length > 0, unsecured: open }
  })
  if (json) return printJson(checked.filter(({ unsecured }) => unsecured.length > 0))
  print('The following resources are not secured by any permission configuration:')
  printTable(
    ['NAME', 'TYPE'],
    checked.filter(({ isSecured }) => !isSecured).map(({ name, type }) => [name, type]),
  )
  print()
  print('The following actions are not secured by any permission configuration:')
  printTable(
    ['NAME', 'TYPE', 'UNSECURED ACTIONS'],
    checked
      .filter(({ unsecured }) => unsecured.length > 0)
      .map(({ name, type, unsecured }) => [name, type, unsecured.join(', ')]),
  )
}

/** `feast permissions list-roles`, with `--verbose` what each may do. */
export async function listRoles(
  context: CliContext,
  _: readonly [],
  { verbose, json }: RolesOptions,
): Promise<void> {
  const { registry, project } = await context.registry()
  const permissions = registry.permissions(project)
  const roles = [...new Set(permissions.flatMap(rolesOf))].sort()
  if (!verbose)
    return json
      ? printJson(roles)
      : printTable(
          ['ROLE NAME'],
          roles.map((role) => [role]),
        )
  const resources = resourcesOf(registry, project)
  const rights = roles.flatMap((role) =>
    resources.map((resource) => ({
      role,
      name: resource.name,
      type: resource.types[0],
      actions: permittedTo(role, permissions, resource),
    })),
  )
  if (json) return printJson(rights)
  printTable(
    ['ROLE NAME', 'RESOURCE NAME', 'RESOURCE TYPE', 'PERMITTED ACTIONS'],
    rights.map(({ role, name, type, actions }) => [role, name, type, actions.join(', ') || '-']),
  )
}

function rolesOf({ policy }: Permission): readonly string[] {
  return policy.kind === 'roles' ? policy.roles : []
}

function permittedTo(
  role: string,
  permissions: readonly Permission[],
  resource: Resource,
): readonly Action[] {
  const caller = { name: role, roles: [role], groups: [], namespaces: [] }
  const rules = { isOpen: false, permissions }
  return ALL_ACTIONS.filter((action) => denialOf(rules, caller, resource, [action]) === undefined)
}

/** Feast's order. */
const KINDS: readonly RecordKind[] = [
  'entity',
  'featureView',
  'streamFeatureView',
  'onDemandFeatureView',
  'labelView',
  'featureService',
  'dataSource',
  'validationReference',
  'savedDataset',
  'permission',
]

function resourcesOf(registry: Registry, project: string): readonly Resource[] {
  const tags = new Map(registry.permissions(project).map((one) => [one.name, one.requiredTags]))
  return KINDS.flatMap((kind) => registry.recordsOf(project, kind))
    .filter(({ kind, name }) => kind !== 'entity' || name !== DUMMY_ENTITY.name)
    .map((record) => {
      const requiredTags = record.kind === 'permission' ? tags.get(record.name) : undefined
      return { name: record.name, types: resourceTypesOf(record)!, ...(requiredTags && { requiredTags }) }
    })
}
