import { feastError } from './errors.js'

/** Who may do what to which objects. Objects that no permission speaks of are denied to everybody. */
export interface Permission {
  readonly kind: 'permission'
  readonly name: string
  readonly types: readonly ResourceType[]
  /** Python regular expressions; one of them must match the whole name. Empty: every name. */
  readonly namePatterns: readonly string[]
  /** Feast compares them with an attribute that only permissions have; for all else they mean nothing. */
  readonly requiredTags: Readonly<Record<string, string>>
  readonly actions: readonly Action[]
  readonly policy: Policy
  readonly tags: Readonly<Record<string, string>>
}

/** Whom a permission is for. */
export type Policy =
  | { readonly kind: 'roles'; readonly roles: readonly string[] }
  | { readonly kind: 'groups'; readonly groups: readonly string[] }
  | { readonly kind: 'namespaces'; readonly namespaces: readonly string[] }
  | {
      readonly kind: 'groupsOrNamespaces'
      readonly groups: readonly string[]
      readonly namespaces: readonly string[]
    }

/** Feast's classes, in its order. FeatureView includes BatchFeatureView and StreamFeatureView. */
export const RESOURCE_TYPES = [
  'Project',
  'FeatureView',
  'OnDemandFeatureView',
  'BatchFeatureView',
  'StreamFeatureView',
  'LabelView',
  'Entity',
  'FeatureService',
  'DataSource',
  'ValidationReference',
  'SavedDataset',
  'Permission',
] as const
export type ResourceType = (typeof RESOURCE_TYPES)[number]

/** Feast's actions, in its order. */
export const ALL_ACTIONS = [
  'CREATE',
  'DESCRIBE',
  'UPDATE',
  'DELETE',
  'READ_ONLINE',
  'READ_OFFLINE',
  'WRITE_ONLINE',
  'WRITE_OFFLINE',
] as const
export type Action = (typeof ALL_ACTIONS)[number]

/** Feast's names for some of them. */
export const READ: readonly Action[] = ['READ_OFFLINE', 'READ_ONLINE']
export const WRITE: readonly Action[] = ['WRITE_OFFLINE', 'WRITE_ONLINE']
export const CRUD: readonly Action[] = ['CREATE', 'DESCRIBE', 'UPDATE', 'DELETE']

export interface PermissionOptions {
  readonly name: string
  /** Default: all. */
  readonly types?: readonly ResourceType[]
  /** Python regular expressions for the whole name; default: every name. */
  readonly namePatterns?: readonly string[]
  /** Default: all. */
  readonly actions?: readonly Action[]
  /** One of the roles; or one of the groups or namespaces. */
  readonly policy: RolesOf | MembersOf
  readonly requiredTags?: Readonly<Record<string, string>>
  readonly tags?: Readonly<Record<string, string>>
}

interface RolesOf {
  readonly roles: readonly string[]
  readonly groups?: never
  readonly namespaces?: never
}

interface MembersOf {
  readonly roles?: never
  readonly groups?: readonly string[]
  readonly namespaces?: readonly string[]
}

/** @throws INVALID_DEFINITION */
export function permission(options: PermissionOptions): Permission {
  const { name, types = [], actions = ALL_ACTIONS } = options
  refuseUnknown(name, 'type', types, RESOURCE_TYPES)
  refuseUnknown(name, 'action', actions, ALL_ACTIONS)
  if (actions.length === 0) throw mistake(name, 'it has no actions', 'Name some, or leave `actions` out.')
  return Object.freeze({
    kind: 'permission',
    name,
    types: Object.freeze([...(types.length > 0 ? types : RESOURCE_TYPES)]),
    namePatterns: Object.freeze((options.namePatterns ?? []).map((pattern) => pattern.trim())),
    requiredTags: trimmed(options.requiredTags),
    actions: Object.freeze([...actions]),
    policy: Object.freeze(policyOf(options)),
    tags: trimmed(options.tags),
  })
}

function policyOf({ name, policy }: PermissionOptions): Policy {
  const { roles, groups, namespaces } = policy ?? {}
  if (roles && (groups || namespaces)) {
    throw mistake(name, 'its policy has roles and others', 'Make a permission for each.')
  }
  if (roles) return { kind: 'roles', roles: [...roles] }
  if (groups && namespaces) {
    return { kind: 'groupsOrNamespaces', groups: [...groups], namespaces: [...namespaces] }
  }
  if (groups) return { kind: 'groups', groups: [...groups] }
  if (namespaces) return { kind: 'namespaces', namespaces: [...namespaces] }
  throw mistake(name, 'it has no policy', 'Name the roles, groups or namespaces that it is for.')
}

function refuseUnknown(name: string, what: string, given: readonly string[], known: readonly string[]): void {
  const unknown = given.find((one) => !known.includes(one))
  if (unknown === undefined) return
  throw mistake(name, `"${unknown}" is no ${what}`, `Known are ${known.join(', ')}.`)
}

function mistake(name: string, problem: string, mend: string): Error {
  return feastError('INVALID_DEFINITION', { object: `Permission "${name}"`, problem, mend })
}

/** As Feast does. */
function trimmed(tags: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return Object.freeze(
    Object.fromEntries(Object.entries(tags).map(([key, value]) => [key.trim(), value.trim()])),
  )
}
