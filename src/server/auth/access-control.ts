import { resourceTypesOf } from '../../codec/definitions/permission.js'
import { type AccessRules, type Caller, denialOf, type Resource } from '../../core/access-decision.js'
import type { RecordKind } from '../../core/definition.js'
import { feastError, messageOf } from '../../core/errors.js'
import { parseFeatureRef } from '../../core/feature-ref.js'
import type { Logger } from '../../core/logger.js'
import type { Action } from '../../core/permission.js'
import { pythonPattern } from '../../core/python-pattern.js'
import type { FeatureStore, PushRequest } from '../../feature-store/feature-store.js'
import type { Registry } from '../../registry/registry.js'
import { type AuthSettings, authSettings } from './auth-settings.js'
import type { TokenVerifier } from './token-verifier.js'

export type { Caller } from '../../core/access-decision.js'

/** What is asked for, as in requests. */
export interface LookupShape {
  readonly features?: readonly string[] | undefined
  /** Wins over `features`. */
  readonly featureService?: string | undefined
}

/**
 * Who calls, and what they may do, for HTTP and gRPC alike. There is none where `auth` is not configured.
 * Every `demand` throws PERMISSION_DENIED, or what is wrong with a name in the request.
 */
export interface AccessControl {
  /** @param authorization the header @throws UNAUTHENTICATED, IDENTITY_PROVIDER_UNAVAILABLE */
  authenticate(authorization: string | undefined): Promise<Caller>
  /** READ_ONLINE on the service; else on each view, and on those that on demand views are computed from. */
  demandRead(caller: Caller, shape: LookupShape): Promise<void>
  /** WRITE_ONLINE, WRITE_OFFLINE or both on every view that the push source feeds. */
  demandPush(caller: Caller, pushSource: string, to: PushRequest['to']): Promise<void>
  /** WRITE_ONLINE on each view: for writes and for materialization. */
  demandWrite(caller: Caller, views: readonly string[]): Promise<void>
  /** READ_OFFLINE on the feature service, whose history a training run reads. */
  demandTraining(caller: Caller, featureService: string): Promise<void>
}

/**
 * @returns undefined where everybody may do everything (`no_auth`)
 * @throws CONFIG_INVALID, FILE_NOT_READABLE
 */
export async function openAccessControl(
  store: FeatureStore,
  logger: Logger,
): Promise<AccessControl | undefined> {
  const settings = authSettings(store.config.auth)
  if (process.env['INTRA_COMMUNICATION_BASE64']) {
    logger.warn({}, 'INTRA_COMMUNICATION_BASE64 is set and means nothing here: no unsigned token is taken')
  }
  if (settings === undefined) return undefined
  const verifier = await openVerifier(settings, logger)
  try {
    await verifier.warmUp()
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'tokens cannot be verified yet')
  }
  return new RegistryAccess(store, verifier, logger)
}

async function openVerifier(settings: AuthSettings, logger: Logger): Promise<TokenVerifier> {
  if (settings.type === 'token') return (await import('./static-tokens.js')).staticTokens(settings.tokens)
  return (await import('./oidc-tokens.js')).oidcTokens(settings, logger)
}

/** Longer than the tokens of any provider. */
const MAX_TOKEN_LENGTH = 16_384
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i

class RegistryAccess implements AccessControl {
  #snapshot: SnapshotAccess | undefined
  #said: string | undefined

  constructor(
    readonly store: FeatureStore,
    readonly verifier: TokenVerifier,
    readonly logger: Logger,
  ) {}

  async authenticate(authorization: string | undefined): Promise<Caller> {
    if (authorization === undefined) throw feastError('UNAUTHENTICATED', { why: 'There is no token.' })
    const token = authorization.length <= MAX_TOKEN_LENGTH ? BEARER.exec(authorization)?.[1] : undefined
    if (token === undefined) throw feastError('UNAUTHENTICATED', { why: 'That is no bearer token.' })
    return this.verifier.callerOf(token)
  }

  async demandRead(caller: Caller, shape: LookupShape): Promise<void> {
    const access = await this.#access()
    const key = keyOf(caller, shape)
    if (access.granted.has(key)) return
    const { featureService, features = [] } = shape
    if (featureService !== undefined) access.demand(caller, 'featureService', featureService, ['READ_ONLINE'])
    else for (const view of access.viewsOf(features)) access.demandView(caller, view, ['READ_ONLINE'])
    access.granted.add(key)
  }

  async demandPush(caller: Caller, pushSource: string, to: PushRequest['to']): Promise<void> {
    const access = await this.#access()
    for (const view of access.viewsFedBy(pushSource)) access.demandView(caller, view, PUSH_ACTIONS[to])
  }

  async demandWrite(caller: Caller, views: readonly string[]): Promise<void> {
    const access = await this.#access()
    for (const view of views) access.demandView(caller, view, ['WRITE_ONLINE'])
  }

  async demandTraining(caller: Caller, featureService: string): Promise<void> {
    const access = await this.#access()
    access.demand(caller, 'featureService', featureService, ['READ_OFFLINE'])
  }

  /** Once: registries are written often, by every materialization. */
  #say(concern: string | undefined): void {
    if (concern !== undefined && concern !== this.#said) this.logger.warn({ concern }, 'auth')
    this.#said = concern
  }

  async #access(): Promise<SnapshotAccess> {
    const registry = await this.store.registry()
    if (this.#snapshot?.registry !== registry) {
      this.#snapshot = new SnapshotAccess(registry, this.store.project)
      this.#say(this.#snapshot.concern())
    }
    return this.#snapshot
  }
}

const PUSH_ACTIONS: Readonly<Record<PushRequest['to'], readonly Action[]>> = {
  online: ['WRITE_ONLINE'],
  offline: ['WRITE_OFFLINE'],
  online_and_offline: ['WRITE_OFFLINE', 'WRITE_ONLINE'],
}

/** The permissions of one registry snapshot, and what was granted by them. */
class SnapshotAccess {
  readonly granted = new BoundedTexts()
  readonly #rules: AccessRules
  readonly #resources = new Map<string, Resource>()

  constructor(
    readonly registry: Registry,
    readonly project: string,
  ) {
    const permissions = registry.permissions(project)
    this.#rules = { isOpen: registry.recordsOf(project, 'permission').length === 0, permissions }
  }

  /** What an operator should know of the permissions; undefined: nothing. */
  concern(): string | undefined {
    const { isOpen, permissions } = this.#rules
    if (isOpen) return 'the registry has no permissions: every authenticated caller may do everything'
    const readable = new Set(permissions.map(({ name }) => name))
    const unreadable = this.registry
      .recordsOf(this.project, 'permission')
      .flatMap(({ name }) => (readable.has(name) ? [] : [`${name} cannot be read`]))
    const unusable = permissions.flatMap(({ name, namePatterns }) =>
      namePatterns.flatMap((pattern) => {
        const compiled = pythonPattern(pattern)
        return compiled instanceof RegExp ? [] : [`the pattern ${pattern} of ${name}: ${compiled}`]
      }),
    )
    const all = [...unreadable, ...unusable]
    return all.length > 0 ? `permissions that give no rights: ${all.join('; ')}` : undefined
  }

  /** @throws PERMISSION_DENIED, FEATURE_VIEW_NOT_FOUND */
  demandView(caller: Caller, name: string, actions: readonly Action[]): void {
    this.demand(caller, this.registry.view(this.project, name).kind, name, actions)
  }

  demand(caller: Caller, kind: RecordKind, name: string, actions: readonly Action[]): void {
    const details = denialOf(this.#rules, caller, this.#resource(kind, name), actions)
    if (details !== undefined) throw feastError('PERMISSION_DENIED', { details })
  }

  /** Views of the references, with those that on demand views among them are computed from. */
  viewsOf(features: readonly string[]): ReadonlySet<string> {
    const nul = features.find((ref) => ref.includes('\0'))
    if (nul !== undefined) throw feastError('INVALID_FEATURE_REF', { ref: nul })
    const asked = new Set(features.map((ref) => parseFeatureRef(ref).view))
    const views = new Set(asked)
    for (const name of asked) {
      const view = this.registry.view(this.project, name)
      if (view.kind !== 'onDemandFeatureView') continue
      for (const source of view.projections) views.add(source.view)
    }
    return views
  }

  viewsFedBy(pushSource: string): readonly string[] {
    return this.registry
      .storedViews(this.project)
      .filter(({ streamSource }) => streamSource?.kind === 'pushSource' && streamSource.name === pushSource)
      .map(({ name }) => name)
  }

  /** @throws FEATURE_SERVICE_NOT_FOUND */
  #resource(kind: RecordKind, name: string): Resource {
    const key = `${kind} ${name}`
    let resource = this.#resources.get(key)
    if (resource === undefined) {
      const record = this.registry.record({ kind, project: this.project, name })
      if (record === undefined) return this.registry.featureService(this.project, name) as never
      resource = { name, types: resourceTypesOf(record)! }
      this.#resources.set(key, resource)
    }
    return resource
  }
}

/** Texts of a bounded length in all; when they are too many, none. */
class BoundedTexts {
  readonly #texts = new Set<string>()
  #length = 0

  has(text: string): boolean {
    return this.#texts.has(text)
  }

  add(text: string): void {
    this.#length += text.length
    if (this.#length > MAX_GRANTED_LENGTH) {
      this.#texts.clear()
      this.#length = text.length
    }
    if (this.#length <= MAX_GRANTED_LENGTH) this.#texts.add(text)
  }
}

/** Two bytes each at most. */
const MAX_GRANTED_LENGTH = 4_000_000

const rights = new WeakMap<Caller, string>()

/**
 * Callers of equal rights share what was decided. What was granted holds no NUL, so no other list of as many
 * references makes the same text.
 */
function keyOf(caller: Caller, { features = [], featureService }: LookupShape): string {
  let held = rights.get(caller)
  if (held === undefined) {
    const { name, roles, groups, namespaces } = caller
    held = JSON.stringify([name === '', [...roles].sort(), [...groups].sort(), [...namespaces].sort()])
    rights.set(caller, held)
  }
  const service = featureService !== undefined
  return service ? `${held}s${featureService}` : `${held}${features.length}\0${features.join('\0')}`
}
