import type { Action, Permission, Policy, ResourceType } from './permission.js'
import { pythonPattern } from './python-pattern.js'

/** Somebody who proved who they are. */
export interface Caller {
  readonly name: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  readonly namespaces: readonly string[]
}

/** An object as permissions see it. */
export interface Resource {
  readonly name: string
  /** Its class, then the classes that this one extends. */
  readonly types: readonly [ResourceType, ...ResourceType[]]
  /** Only permissions have them. */
  readonly requiredTags?: Readonly<Record<string, string>>
}

export interface AccessRules {
  /** The registry has no permission at all, not even a broken one: whoever has a name may do everything. */
  readonly isOpen: boolean
  readonly permissions: readonly Permission[]
}

/** Why not; undefined: it may be done. One matching permission that accepts the caller is enough. */
export function denialOf(
  { isOpen, permissions }: AccessRules,
  caller: Caller,
  resource: Resource,
  actions: readonly Action[],
): string | undefined {
  const [type] = resource.types
  const what = `"${caller.name}" may not ${actions.join(', ')} ${type} "${resource.name}"`
  if (isOpen) return caller.name === '' ? `${what}: the caller has no name` : undefined
  const matching = permissions.filter(
    (permission) => matchesResource(permission, resource) && allowsActions(permission, actions),
  )
  if (matching.some(({ policy }) => accepts(policy, caller))) return undefined
  if (matching.length === 0) return `${what}: no permission speaks of that`
  return `${what}: ${matching.map(({ name, policy }) => `permission "${name}" is for ${policyText(policy)}`).join('; ')}`
}

/** Type (subclasses count), whole name, and required tags where the object has any. */
export function matchesResource(
  { types, namePatterns, requiredTags }: Permission,
  resource: Resource,
): boolean {
  return (
    resource.types.some((type) => types.includes(type)) &&
    (namePatterns.length === 0 || namePatterns.some((pattern) => matchesName(pattern, resource.name))) &&
    hasTags(resource.requiredTags, requiredTags)
  )
}

export function allowsActions({ actions: allowed }: Permission, actions: readonly Action[]): boolean {
  return actions.every((action) => allowed.includes(action))
}

/** A pattern that is none matches nothing: it can only take rights away. */
function matchesName(pattern: string, name: string): boolean {
  const compiled = pythonPattern(pattern)
  return compiled instanceof RegExp && compiled.test(name)
}

/** Without required tags at all, an object is not asked for any. */
function hasTags(
  tags: Readonly<Record<string, string>> | undefined,
  required: Readonly<Record<string, string>>,
): boolean {
  if (tags === undefined || Object.keys(tags).length === 0) return true
  return Object.entries(required).every(([key, value]) => Object.hasOwn(tags, key) && tags[key] === value)
}

function accepts(policy: Policy, { roles, groups, namespaces }: Caller): boolean {
  switch (policy.kind) {
    case 'roles':
      return shareOne(policy.roles, roles)
    case 'groups':
      return shareOne(policy.groups, groups)
    case 'namespaces':
      return shareOne(policy.namespaces, namespaces)
    case 'groupsOrNamespaces':
      return shareOne(policy.groups, groups) || shareOne(policy.namespaces, namespaces)
  }
}

function shareOne(wanted: readonly string[], held: readonly string[]): boolean {
  return wanted.some((one) => held.includes(one))
}

function policyText(policy: Policy): string {
  switch (policy.kind) {
    case 'roles':
      return `roles ${named(policy.roles)}`
    case 'groups':
      return `groups ${named(policy.groups)}`
    case 'namespaces':
      return `namespaces ${named(policy.namespaces)}`
    case 'groupsOrNamespaces':
      return `groups ${named(policy.groups)} or namespaces ${named(policy.namespaces)}`
  }
}

function named(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ') || '(none)'
}
