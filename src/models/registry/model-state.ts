import type { ApprovalStatus, LoggedEvent, ModelEvent } from './model-event.js'

/** The alias that answers. */
export const CHAMPION = 'champion'

/** A model as its log leaves it. */
export interface ModelState {
  readonly name: string
  /** Of the last entry: what `ifRevision` of an alias means. */
  readonly seq: number
  readonly versions: ReadonlyMap<number, VersionState>
  readonly aliases: ReadonlyMap<string, AliasState>
  /** Client token → version. */
  readonly tokens: ReadonlyMap<string, number>
  /** Position of the last entry by which an alias moved, or went. */
  readonly moves: ReadonlyMap<string, number>
}

export interface VersionState {
  readonly version: number
  readonly manifestSha256: string
  readonly artifactSha256: string
  readonly status: ApprovalStatus
  readonly isArchived: boolean
  /** Position of the last entry that changed it. */
  readonly revision: number
  readonly registeredBy: string
  readonly registeredAt: string
  /** The last approval, rejection or revocation. */
  readonly decision: DecisionState | undefined
}

export interface DecisionState {
  readonly by: string
  readonly at: string
  readonly comment: string
  readonly seq: number
}

export interface AliasState {
  readonly version: number
  /** Percent of the entities, where it was deployed with one. */
  readonly weight: number | undefined
  readonly since: string
  readonly by: string
  /** Where it pointed before, latest last. */
  readonly past: readonly number[]
}

interface Draft {
  name: string
  seq: number
  versions: Map<number, VersionState>
  aliases: Map<string, AliasState>
  tokens: Map<string, number>
  moves: Map<string, number>
}

/** The state after some more entries. */
export function foldEvents(state: ModelState, events: readonly LoggedEvent[]): ModelState {
  const draft: Draft = {
    name: state.name,
    seq: state.seq,
    versions: new Map(state.versions),
    aliases: new Map(state.aliases),
    tokens: new Map(state.tokens),
    moves: new Map(state.moves),
  }
  for (const { event } of events) {
    draft.seq = event.seq
    apply(draft, event)
  }
  return draft
}

export function emptyState(name: string): ModelState {
  return { name, seq: 0, versions: new Map(), aliases: new Map(), tokens: new Map(), moves: new Map() }
}

function apply(draft: Draft, event: ModelEvent): void {
  switch (event.action) {
    case 'register':
      register(draft, event)
      break
    case 'approve':
    case 'reject':
    case 'revoke':
      decide(draft, event)
      break
    case 'archive':
      change(draft, event, { isArchived: true })
      break
    default:
      point(draft, event)
  }
}

function register(draft: Draft, event: ModelEvent): void {
  const version = event.version!
  draft.versions.set(version, {
    version,
    manifestSha256: event.manifest!,
    artifactSha256: event.artifact!,
    status: 'pending',
    isArchived: false,
    revision: event.seq,
    registeredBy: event.by,
    registeredAt: event.at,
    decision: undefined,
  })
  if (event.client_token !== undefined) draft.tokens.set(event.client_token, version)
}

function decide(draft: Draft, event: ModelEvent): void {
  const { by, at, comment, seq } = event
  change(draft, event, { status: event.to!, decision: { by, at, comment, seq } })
  if (event.to !== 'revoked') return
  // Nothing may lead to it any more.
  for (const [alias, { version }] of draft.aliases) {
    if (version !== event.version) continue
    draft.aliases.delete(alias)
    draft.moves.set(alias, event.seq)
  }
}

function change(draft: Draft, { version, seq }: ModelEvent, to: Partial<VersionState>): void {
  const before = draft.versions.get(version!)
  if (before !== undefined) draft.versions.set(version!, { ...before, ...to, revision: seq })
}

function point(draft: Draft, event: ModelEvent): void {
  const alias = event.alias!
  draft.moves.set(alias, event.seq)
  if (event.version === null) {
    draft.aliases.delete(alias)
    return
  }
  const { version, weight, at: since, by } = event
  draft.aliases.set(alias, { version, weight, since, by, past: pastOf(draft.aliases.get(alias), event) })
  // A canary that became champion is no canary any more.
  if (alias !== CHAMPION || event.action !== 'deploy') return
  for (const [other, { version: shared, weight: share }] of draft.aliases) {
    if (other !== CHAMPION && shared === version && share !== undefined) draft.aliases.delete(other)
  }
}

function pastOf(before: AliasState | undefined, { action, version }: ModelEvent): readonly number[] {
  if (before === undefined) return []
  if (action === 'rollback') return before.past.slice(0, before.past.lastIndexOf(version!))
  return before.version === version ? before.past : [...before.past, before.version].slice(-MAX_PAST)
}

/** More steps back than anybody takes one by one. */
const MAX_PAST = 100

/** Which version an alias pointed to at a time; undefined: none. */
export function servedAt(
  events: readonly ModelEvent[],
  alias: string,
  atMillis: number,
): { readonly version: number; readonly since: string; readonly by: string } | undefined {
  let served: { version: number; since: string; by: string } | undefined
  for (const event of events) {
    if (Date.parse(event.at) > atMillis) break
    if (event.alias === alias) {
      const { version, at: since, by } = event
      served = version === null ? undefined : { version, since, by }
    } else if (event.to === 'revoked' && served?.version === event.version) served = undefined
  }
  return served
}
