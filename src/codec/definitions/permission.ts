import type { RegistryRecord } from '../../core/definition.js'
import {
  ALL_ACTIONS,
  type Permission,
  type Policy,
  permission,
  RESOURCE_TYPES,
  type ResourceType,
} from '../../core/permission.js'
import type { Permission as Message, PermissionSpec, Policy as PolicyMessage } from '../messages.generated.js'
import { decodeMessage, enumNames } from '../proto.js'
import type { EncodeContext } from './encode-context.js'

export function encodePermission(definition: Permission, { project }: EncodeContext): PermissionSpec {
  const { name, types, namePatterns, requiredTags, actions, policy, tags } = definition
  return {
    name,
    project,
    types: types.map((type) => numberOf(TYPE_ENUM, enumTextOf(type))),
    namePatterns,
    requiredTags: new Map(Object.entries(requiredTags)),
    actions: actions.map((action) => numberOf(ACTION_ENUM, action)),
    policy: encodePolicy(policy),
    tags: new Map(Object.entries(tags)),
  }
}

/** Feast refuses what has no policy or no actions as well, and would then deny everything to everybody. */
export function decodePermission({ spec = {} }: Message): Permission {
  return permission({
    name: spec.name ?? '',
    types: (spec.types ?? []).map((number) => nameOf(TYPES_BY_NUMBER, number, 'type')),
    namePatterns: spec.namePatterns ?? [],
    requiredTags: Object.fromEntries(spec.requiredTags ?? []),
    actions: (spec.actions ?? []).map((number) => nameOf(ACTIONS_BY_NUMBER, number, 'action')),
    policy: decodePolicy(spec.policy ?? {}),
    tags: Object.fromEntries(spec.tags ?? []),
  })
}

/** The class of an object as Feast reads it from the registry, then the classes which that one extends. */
export function resourceTypesOf({
  kind,
  bytes,
}: Pick<RegistryRecord, 'kind' | 'bytes'>): readonly [ResourceType, ...ResourceType[]] | undefined {
  switch (kind) {
    case 'featureView':
      return isBatchFeatureView(bytes) ? ['BatchFeatureView', 'FeatureView'] : ['FeatureView']
    case 'streamFeatureView':
      return ['StreamFeatureView', 'FeatureView']
    case 'onDemandFeatureView':
    case 'labelView':
    case 'project':
    case 'entity':
    case 'featureService':
    case 'dataSource':
    case 'validationReference':
    case 'savedDataset':
    case 'permission':
      return [`${kind[0]!.toUpperCase()}${kind.slice(1)}` as ResourceType]
    default:
      return undefined
  }
}

/** Feast keeps them among the feature views; what tells them is that they transform. */
function isBatchFeatureView(bytes: Uint8Array): boolean {
  return decodeMessage('feast.core.FeatureView', bytes).spec?.featureTransformation !== undefined
}

function encodePolicy(policy: Policy): PolicyMessage {
  switch (policy.kind) {
    case 'roles':
      return { roleBasedPolicy: { roles: policy.roles } }
    case 'groups':
      return { groupBasedPolicy: { groups: policy.groups } }
    case 'namespaces':
      return { namespaceBasedPolicy: { namespaces: policy.namespaces } }
    case 'groupsOrNamespaces':
      return { combinedGroupNamespacePolicy: { groups: policy.groups, namespaces: policy.namespaces } }
  }
}

function decodePolicy(message: PolicyMessage): Parameters<typeof permission>[0]['policy'] {
  const { roleBasedPolicy, groupBasedPolicy, namespaceBasedPolicy, combinedGroupNamespacePolicy } = message
  if (roleBasedPolicy) return { roles: roleBasedPolicy.roles ?? [] }
  if (groupBasedPolicy) return { groups: groupBasedPolicy.groups ?? [] }
  if (namespaceBasedPolicy) return { namespaces: namespaceBasedPolicy.namespaces ?? [] }
  if (combinedGroupNamespacePolicy) {
    const { groups = [], namespaces = [] } = combinedGroupNamespacePolicy
    return { groups, namespaces }
  }
  throw new TypeError('it has no policy that is known here')
}

const TYPE_ENUM = 'feast.core.PermissionSpec.Type'
const ACTION_ENUM = 'feast.core.PermissionSpec.AuthzedAction'

/** `OnDemandFeatureView` → `ON_DEMAND_FEATURE_VIEW`. */
function enumTextOf(type: ResourceType): string {
  return type.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()
}

function numberOf(type: string, text: string): number {
  const [number] = Object.entries(enumNames(type)!).find(([, name]) => name === text)!
  return Number(number)
}

const TYPES_BY_NUMBER = new Map(RESOURCE_TYPES.map((type) => [numberOf(TYPE_ENUM, enumTextOf(type)), type]))
const ACTIONS_BY_NUMBER = new Map(ALL_ACTIONS.map((action) => [numberOf(ACTION_ENUM, action), action]))

function nameOf<Name>(names: ReadonlyMap<number, Name>, number: number, what: string): Name {
  const name = names.get(number)
  if (name === undefined) throw new TypeError(`the unknown ${what} ${number}`)
  return name
}
