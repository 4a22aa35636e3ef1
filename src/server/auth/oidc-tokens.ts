import { createHash } from 'node:crypto'
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Caller } from '../../core/access-decision.js'
import { feastError, messageOf } from '../../core/errors.js'
import type { Logger } from '../../core/logger.js'
import type { OidcSettings } from './auth-settings.js'
import { fetchJson, fetchTls } from './fetch-json.js'
import { type KeySet, SigningKeys } from './signing-keys.js'
import type { TokenVerifier } from './token-verifier.js'

/** As Feast: the only algorithm. No token says how it is to be verified. */
const ALGORITHM = 'RS256'
const LEEWAY_SECONDS = 10
/** How long a verified token is believed without looking again. */
const BELIEVED_MS = 60_000
const MAX_BELIEVED = 10_000

interface Believed {
  readonly caller: Caller
  /** Milliseconds since 1970. */
  readonly until: number
  /** Verified with one of these; new keys ask anew. */
  readonly keys: KeySet
}

/** Verifies the tokens of an OIDC provider. @throws FILE_NOT_READABLE for its authorities' file */
export async function oidcTokens(settings: OidcSettings, logger: Logger): Promise<TokenVerifier> {
  const tls = await tlsOf(settings)
  const keys = new SigningKeys({
    discoveryUrl: settings.auth_discovery_url,
    lifespanMs: settings.jwks_cache_lifespan_seconds * 1000,
    timeoutMs: settings.jwks_request_timeout_seconds * 1000,
    logger,
    fetchJson: (url, signal) => fetchJson(url, tls, signal),
  })
  warnOfLaxness(settings, logger)
  return new OidcTokens(settings, keys)
}

async function tlsOf({ verify_ssl, ca_cert_path }: OidcSettings) {
  try {
    return await fetchTls(verify_ssl, ca_cert_path ?? undefined)
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path: ca_cert_path!, why: messageOf(error) }, error)
  }
}

function warnOfLaxness({ audience, issuer, verify_ssl }: OidcSettings, logger: Logger): void {
  const unset = [...(audience ? [] : ['audience']), ...(issuer ? [] : ['issuer'])]
  if (unset.length > 0) {
    const mend = 'set them, so that tokens which the provider made for others are refused'
    logger.warn({ unset }, `auth: claims that are not checked; ${mend}`)
  }
  if (!verify_ssl) logger.warn({}, 'auth.verify_ssl is false: whoever is on the way can forge tokens')
}

class OidcTokens implements TokenVerifier {
  readonly #believed = new Map<string, Believed>()

  constructor(
    readonly settings: OidcSettings,
    readonly keys: SigningKeys,
  ) {}

  async warmUp(): Promise<void> {
    await this.keys.current()
  }

  async callerOf(token: string): Promise<Caller> {
    const hash = createHash('sha256').update(token).digest('base64')
    const keys = await this.keys.current()
    const believed = this.#believed.get(hash)
    if (believed?.keys === keys && Date.now() < believed.until) return believed.caller
    this.#believed.delete(hash)
    return this.#verify(token, hash)
  }

  async #verify(token: string, hash: string): Promise<Caller> {
    const kid = kidOf(token)
    const keys = await this.keys.having(kid)
    const key = keys.get(kid)
    if (key === undefined)
      throw refused('The token is signed with a key that is not of the identity provider.')
    const { audience, issuer } = this.settings
    const { payload } = await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
      clockTolerance: LEEWAY_SECONDS,
      requiredClaims: ['exp'],
      ...(audience ? { audience } : {}),
      ...(issuer ? { issuer } : {}),
    }).catch((error: unknown) => {
      throw refused(reasonOf(error))
    })
    const caller = callerIn(payload, this.settings.client_id ?? undefined)
    this.#believe(hash, { caller, until: Math.min(payload.exp! * 1000, Date.now() + BELIEVED_MS), keys })
    return caller
  }

  #believe(hash: string, believed: Believed): void {
    if (this.#believed.size >= MAX_BELIEVED) {
      const [oldest] = this.#believed.keys()
      this.#believed.delete(oldest!)
    }
    this.#believed.set(hash, believed)
  }
}

/** Looked at before any key is: what is not signed at all, or another way, does not make us ask for keys. */
function kidOf(token: string): string {
  const { alg, kid } = headerOf(token)
  if (alg !== ALGORITHM) throw refused(`The token is not signed with ${ALGORITHM}.`)
  if (typeof kid !== 'string' || kid === '') throw refused('The token does not name its key (kid).')
  return kid
}

function headerOf(token: string): { readonly alg?: unknown; readonly kid?: unknown } {
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw refused('The token is not a JSON Web Token.')
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired.'
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf') return 'The token is not valid yet.'
    return `The token's claim "${error.claim}" is missing or is not the one expected.`
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'The signature of the token is wrong.'
  return 'The token is not valid.'
}

/** Feast's: people first, then the application that asks for itself. */
const NAME_CLAIMS = ['preferred_username', 'upn', 'azp', 'appid', 'sub']

/** Name, roles and groups where Feast finds them: Keycloak's and Entra's claims. */
function callerIn(payload: JWTPayload, clientId: string | undefined): Caller {
  if (typeof payload.iat === 'number' && payload.iat > Date.now() / 1000 + LEEWAY_SECONDS) {
    throw refused('The token was issued in the future.')
  }
  const name = NAME_CLAIMS.map((claim) => payload[claim]).find((value) => typeof value === 'string')
  if (typeof name !== 'string') {
    throw refused(`The token names nobody; one of ${NAME_CLAIMS.join(', ')} has to.`)
  }
  const clientRoles = clientId ? textsAt(payload, 'resource_access', clientId, 'roles') : []
  return Object.freeze({
    name,
    roles: [...new Set([...clientRoles, ...textsAt(payload, 'roles')])],
    groups: textsAt(payload, 'groups'),
    namespaces: namespacesIn(payload),
  })
}

/** Service accounts of Kubernetes: with the cluster as provider, its tokens say where they are from. */
function namespacesIn(payload: JWTPayload): readonly string[] {
  const claim = payload['kubernetes.io']
  if (typeof claim !== 'object' || claim === null || typeof payload.sub !== 'string') return []
  const [system, kind, namespace, account] = payload.sub.split(':')
  return system === 'system' && kind === 'serviceaccount' && namespace && account ? [namespace] : []
}

function textsAt(payload: JWTPayload, ...keys: readonly string[]): readonly string[] {
  let node: unknown = payload
  for (const key of keys) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return []
    node = (node as Readonly<Record<string, unknown>>)[key]
  }
  return Array.isArray(node) ? node.filter((one) => typeof one === 'string') : []
}

function refused(why: string): Error {
  return feastError('UNAUTHENTICATED', { why })
}
