import { z } from 'zod'
import type { StoreBlock } from '../../config/repo-config.js'
import { parseStoreBlock } from '../../config/store-block.js'
import { feastError } from '../../core/errors.js'

/** What the server was told about its callers. */
export type AuthSettings =
  | { readonly type: 'token'; readonly tokens: readonly StaticToken[] }
  | ({ readonly type: 'oidc' } & OidcSettings)

export type StaticToken = z.infer<typeof staticToken>
export type OidcSettings = z.infer<typeof oidc> & { readonly auth_discovery_url: string }

/** @returns undefined for `no_auth` @throws CONFIG_INVALID */
export function authSettings(block: StoreBlock): AuthSettings | undefined {
  switch (block.type) {
    case 'no_auth':
      return undefined
    case 'token':
      return { type: 'token', ...parseStoreBlock(block, tokens) }
    case 'oidc':
      return { type: 'oidc', ...oidcSettings(block) }
    default:
      throw mistake(block, 'type', KUBERNETES)
  }
}

const KUBERNETES =
  'the server does not ask Kubernetes about tokens. Service account tokens are verified with type oidc and the ' +
  "cluster's own issuer as auth_discovery_url (<issuer>/.well-known/openid-configuration); without an identity " +
  'provider use type token'

const names = z.array(z.string()).default([])

/** What a header can carry (RFC 6750). Half of a random UUID is the least that cannot be tried out. */
const bearer = z
  .string()
  .min(16, 'a token needs at least 16 characters; make one with `openssl rand -hex 32`')
  .max(4096)
  .regex(/^[A-Za-z0-9\-._~+/]+=*$/, 'a token has only letters, digits and -._~+/, and = at its end')

const staticToken = z.strictObject({
  name: z.string().min(1),
  token: bearer,
  roles: names,
  groups: names,
  namespaces: names,
})

const tokens = z.strictObject({
  tokens: z.array(staticToken).min(1, 'name at least one token').superRefine(refuseRepeats),
})

/** Two callers of one token could not be told apart. */
function refuseRepeats(given: readonly { readonly token: string }[], context: z.RefinementCtx): void {
  const seen = new Set<string>()
  for (const [index, { token }] of given.entries()) {
    if (seen.has(token)) {
      context.addIssue({
        code: 'custom',
        message: 'the same token stands there twice',
        path: [index, 'token'],
      })
    }
    seen.add(token)
  }
}

const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })
/** An empty text comes from a variable that is not set, and would check for an empty claim. */
const claim = z.string().min(1, 'is empty; leave it out to accept every one').nullish()

/** Feast's keys: those of servers, and those that only its clients use. */
const oidc = z.strictObject({
  auth_discovery_url: url.nullish(),
  client_id: z.string().nullish(),
  ui_client_id: z.string().nullish(),
  verify_ssl: z.boolean().default(true),
  ca_cert_path: z.string().nullish(),
  audience: claim,
  issuer: claim,
  jwks_cache_lifespan_seconds: z.number().int().positive().default(300),
  jwks_request_timeout_seconds: z.number().positive().default(10),
  username: z.string().nullish(),
  password: z.string().nullish(),
  client_secret: z.string().nullish(),
  token: z.string().nullish(),
  token_env_var: z.string().nullish(),
  token_refresh_margin_seconds: z.number().nullish(),
})

function oidcSettings(block: StoreBlock): OidcSettings {
  const settings = parseStoreBlock(block, oidc)
  const { auth_discovery_url } = settings
  if (auth_discovery_url) return { ...settings, auth_discovery_url }
  const problem =
    "the server needs the identity provider's discovery document, such as https://idp.example.com/realms/x/.well-known/openid-configuration"
  throw mistake(block, 'auth_discovery_url', problem)
}

function mistake({ origin }: StoreBlock, key: string, problem: string): Error {
  const position = origin?.position(key)
  const file = origin?.file ?? 'feature_store.yaml'
  return feastError('CONFIG_INVALID', {
    file: position ? `${file}:${position}` : file,
    path: `auth.${key}`,
    problem,
  })
}
