import { feastError } from '../../core/errors.js'
import type { ModelsConfig } from '../models-config.js'
import type { ApprovalStatus, NewEvent } from './model-event.js'
import type { Author, ModelChange } from './model-registry.js'
import { CHAMPION, type ModelState, type VersionState } from './model-state.js'

export type ApprovalRules = ModelsConfig['approval']

/**
 * What a change means for a model as it is: the entry to append, or undefined when there is nothing to do.
 * @throws MODEL_VERSION_NOT_FOUND, MODEL_STATE, MODEL_CONFLICT, PERMISSION_DENIED
 */
export function planChange(
  state: ModelState,
  change: ModelChange,
  author: Author,
  rules: ApprovalRules,
): NewEvent | undefined {
  demandRight(state, change, author, rules)
  switch (change.action) {
    case 'approve':
    case 'reject':
    case 'revoke':
      return decision(state, change, author, rules)
    case 'archive':
      return archival(state, change)
    case 'set_alias':
      return aliasChange(state, change)
    case 'deploy':
      return deployment(state, change)
    case 'rollback':
      return rollback(state, change)
  }
}

/** Who acts for the server itself, on what people decided. */
export const SYSTEM: Author = { name: 'system', groups: [], requestId: '' }

/** All of these change what may answer; an empty name is nobody. */
function demandRight(state: ModelState, { action }: ModelChange, author: Author, rules: ApprovalRules): void {
  if (author === SYSTEM) return
  const { approvers } = rules
  const may = approvers.length === 0 || [author.name, ...author.groups].some((one) => approvers.includes(one))
  if (author.name !== '' && may) return
  const who = author.name === '' ? 'The caller has no name, and' : `"${author.name}" may not`
  const only = approvers.length === 0 ? 'whoever has a name' : approvers.join(', ')
  throw denied(`${who} ${action} versions of model "${state.name}": that is for ${only} (models.approval).`)
}

function denied(details: string): Error {
  return feastError('PERMISSION_DENIED', { details })
}

const OUTCOMES = { approve: 'approved', reject: 'rejected', revoke: 'revoked' } as const
const BEFORE: Readonly<Record<keyof typeof OUTCOMES, ApprovalStatus>> = {
  approve: 'pending',
  reject: 'pending',
  revoke: 'approved',
}

function decision(
  state: ModelState,
  { action, version, comment, ifRevision }: Extract<ModelChange, { action: keyof typeof OUTCOMES }>,
  author: Author,
  { four_eyes }: ApprovalRules,
): NewEvent {
  const found = versionAt(state, version, ifRevision)
  if (found.status !== BEFORE[action]) {
    const { decision } = found
    const by = decision ? ` since ${decision.at}, by ${decision.by}` : ''
    throw wrongState(
      state,
      version,
      `is ${found.status}${by}; only a ${BEFORE[action]} one can be ${OUTCOMES[action]}`,
    )
  }
  if (action === 'approve' && four_eyes && found.registeredBy === author.name) {
    throw denied(
      `"${author.name}" registered version ${version} of model "${state.name}"; somebody else has to approve it (models.approval.four_eyes).`,
    )
  }
  return { action, version, comment, from: found.status, to: OUTCOMES[action] }
}

function archival(
  state: ModelState,
  { version, comment, ifRevision }: Extract<ModelChange, { action: 'archive' }>,
): NewEvent | undefined {
  const found = versionAt(state, version, ifRevision)
  if (found.isArchived) return undefined
  const alias = [...state.aliases].find(([, target]) => target.version === version)?.[0]
  if (alias !== undefined) throw wrongState(state, version, `is the ${alias}; point that elsewhere first`)
  return { action: 'archive', version, comment }
}

function aliasChange(
  state: ModelState,
  { alias, version, comment, ifRevision }: Extract<ModelChange, { action: 'set_alias' }>,
): NewEvent | undefined {
  refuseStale(state, ifRevision, state.seq)
  const before = state.aliases.get(alias)
  if (version === null) {
    if (before === undefined) return undefined
    return { action: 'set_alias', alias, version, comment, from_version: before.version }
  }
  demandServable(state, version, alias)
  if (before?.version === version) return undefined
  return { action: 'set_alias', alias, version, comment, from_version: before?.version ?? null }
}

function deployment(
  state: ModelState,
  {
    version,
    alias,
    weight,
    comment,
    ifRevision,
    ifNewlyApproved,
  }: Extract<ModelChange, { action: 'deploy' }>,
): NewEvent | undefined {
  const before = state.aliases.get(alias)
  if (ifNewlyApproved && !isNewlyApproved(state, version)) return undefined
  const found = demandServable(state, version, alias)
  refuseStale(state, ifRevision, found.revision)
  if (before?.version === version && before.weight === weight) return undefined
  return {
    action: 'deploy',
    version,
    alias,
    comment,
    from_version: before?.version ?? null,
    ...(weight !== undefined && { weight }),
  }
}

/** An approval that nobody acted on yet: the champion has not moved since. */
export function isNewlyApproved(state: ModelState, version: number): boolean {
  const found = state.versions.get(version)
  if (found?.status !== 'approved' || found.isArchived) return false
  return (state.moves.get(CHAMPION) ?? 0) < found.decision!.seq
}

function rollback(
  state: ModelState,
  { alias, comment, ifVersion }: Extract<ModelChange, { action: 'rollback' }>,
): NewEvent | undefined {
  const now = state.aliases.get(alias)
  if (now === undefined) {
    throw feastError('MODEL_STATE', {
      message: `Model "${state.name}" has no ${alias} to roll back; \`feast models deploy\` sets one.`,
    })
  }
  if (ifVersion !== undefined && now.version !== ifVersion) return undefined
  const earlier = now.past.findLast((version) => isServable(state.versions.get(version)))
  if (earlier === undefined && alias === CHAMPION) {
    throw wrongState(state, now.version, `is the ${alias}, and no approved version was it before`)
  }
  return { action: 'rollback', alias, version: earlier ?? null, comment, from_version: now.version }
}

/** Shadows may be looked at before they are approved; what answers may not. */
function demandServable(state: ModelState, version: number, alias: string): VersionState {
  const found = versionAt(state, version)
  const isShadow = alias !== CHAMPION && alias !== CANARY && found.status === 'pending'
  if (isServable(found) || (isShadow && !found.isArchived)) return found
  const what = found.isArchived ? 'archived' : found.status
  throw wrongState(state, version, `is ${what}, not approved: it cannot become ${alias}`)
}

export const CANARY = 'canary'

function isServable(found: VersionState | undefined): boolean {
  return found?.status === 'approved' && !found.isArchived
}

function versionAt(state: ModelState, version: number, ifRevision?: number): VersionState {
  const found = state.versions.get(version)
  if (found === undefined) {
    throw feastError('MODEL_VERSION_NOT_FOUND', { name: state.name, version: String(version) })
  }
  refuseStale(state, ifRevision, found.revision)
  return found
}

function refuseStale({ name }: ModelState, seen: number | undefined, now: number): void {
  if (seen !== undefined && seen !== now) {
    const why = `it is at revision ${now}, and what was seen was ${seen}`
    throw feastError('MODEL_CONFLICT', { name, why })
  }
}

function wrongState({ name }: ModelState, version: number, is: string): Error {
  return feastError('MODEL_STATE', { message: `Version ${version} of model "${name}" ${is}.` })
}
