import { createHmac } from 'node:crypto'
import { connect } from 'node:http2'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  type Guarded,
  IdentityProvider,
  OPEN_ROUTES,
  OPEN_RPCS,
  openGuarded,
  part,
  routesOf,
  rpcs,
  type SigningKey,
  signedToken,
  signingKey,
} from './auth-fixture.js'
import { BytesClient, encoded } from './grpc-fixture.js'

const now = () => Math.floor(Date.now() / 1000)
const AUDIENCE = 'features'
const ISSUER = 'https://idp.example.com/realms/test'

const provider = new IdentityProvider()
let key: SigningKey
let stranger: SigningKey
let guarded: Guarded
beforeAll(async () => {
  key = signingKey('first')
  stranger = signingKey('first')
  provider.keys = [key]
  await provider.start()
  guarded = await openGuarded({
    auth: `{ type: oidc, auth_discovery_url: "${provider.url}", client_id: feast, audience: ${AUDIENCE}, issuer: "${ISSUER}" }`,
    withModels: true,
  })
})
afterAll(async () => {
  await guarded?.close()
  await provider.stop()
})

const claims = (more: object = {}): object => ({
  iss: ISSUER,
  aud: [AUDIENCE, 'account'],
  sub: 'a1b2',
  preferred_username: 'alice',
  iat: now(),
  exp: now() + 300,
  ...more,
})

const good = (): string => signedToken(key, claims())

/** Signed with the public key as if it were a shared secret. */
function confused(format: 'pem' | 'der'): string {
  const secret = key.publicKey.export({ type: 'spki', format } as { type: 'spki'; format: 'pem' })
  const text = `${part({ alg: 'HS256', typ: 'JWT', kid: key.kid })}.${part(claims())}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function unsigned(alg: string, payload = claims()): string {
  return `${part({ alg, typ: 'JWT', kid: key.kid })}.${part(payload)}.`
}

/** The signature of one token under the claims of another. */
function spliced(): string {
  const [, , signature] = good().split('.')
  return `${part({ alg: 'RS256', typ: 'JWT', kid: key.kid })}.${part(claims({ preferred_username: 'root' }))}.${signature}`
}

const BAD: readonly (readonly [string, RegExp, () => string | undefined])[] = [
  ['no header', /There is no token/, () => undefined],
  ['an empty header', /no bearer/, () => ''],
  ['another scheme', /no bearer/, () => `Basic ${Buffer.from('alice:secret').toString('base64')}`],
  ['the scheme alone', /no bearer/, () => 'Bearer'],
  ['an empty token', /no bearer/, () => 'Bearer '],
  ['two tokens', /no bearer/, () => `Bearer ${good()} ${good()}`],
  ['garbage', /not a JSON Web Token/, () => 'Bearer garbage'],
  ['three parts of garbage', /not a JSON Web Token/, () => 'Bearer a.b.c'],
  ['a long token', /not a JSON Web Token/, () => `Bearer ${'a'.repeat(10_000)}`],
  [
    'a forged signature',
    /signature of the token is wrong/,
    () => `Bearer ${signedToken(stranger, claims())}`,
  ],
  [
    'an unknown key',
    /key that is not of/,
    () => `Bearer ${signedToken({ ...stranger, kid: 'unknown' }, claims())}`,
  ],
  ['no signature, alg none', /not signed with RS256/, () => `Bearer ${unsigned('none')}`],
  ['no signature, alg NONE', /not signed with RS256/, () => `Bearer ${unsigned('NONE')}`],
  ['no signature, alg RS256', /signature of the token is wrong/, () => `Bearer ${unsigned('RS256')}`],
  ["another token's signature", /signature of the token is wrong/, () => `Bearer ${spliced()}`],
  ['HS256 with the public key (PEM)', /not signed with RS256/, () => `Bearer ${confused('pem')}`],
  ['HS256 with the public key (DER)', /not signed with RS256/, () => `Bearer ${confused('der')}`],
  ['RS512', /not signed with RS256/, () => `Bearer ${signedToken(key, claims(), { alg: 'RS512' })}`],
  ['an own key in the header', /signature of the token is wrong/, () => `Bearer ${withOwnKey()}`],
  [
    'a critical extension',
    /not valid/,
    () => `Bearer ${signedToken(key, claims(), { crit: ['b64'], b64: false })}`,
  ],
  ['no kid', /does not name its key/, () => `Bearer ${signedToken(key, claims(), { kid: undefined })}`],
  [
    'a kid that is no text',
    /does not name its key/,
    () => `Bearer ${signedToken(key, claims(), { kid: 7 })}`,
  ],
  ['an expired token', /has expired/, () => `Bearer ${signedToken(key, claims({ exp: now() - 11 }))}`],
  ['no expiry', /claim "exp"/, () => `Bearer ${signedToken(key, claims({ exp: undefined }))}`],
  [
    'an expiry that is no number',
    /claim "exp"|not valid/,
    () => `Bearer ${signedToken(key, claims({ exp: 'tomorrow' }))}`,
  ],
  ['a token of later', /not valid yet/, () => `Bearer ${signedToken(key, claims({ nbf: now() + 60 }))}`],
  [
    'a token issued later',
    /issued in the future/,
    () => `Bearer ${signedToken(key, claims({ iat: now() + 60 }))}`,
  ],
  ['another audience', /claim "aud"/, () => `Bearer ${signedToken(key, claims({ aud: 'other' }))}`],
  ['no audience', /claim "aud"/, () => `Bearer ${signedToken(key, claims({ aud: undefined }))}`],
  ['another issuer', /claim "iss"/, () => `Bearer ${signedToken(key, claims({ iss: `${ISSUER}/x` }))}`],
  ['no issuer', /claim "iss"/, () => `Bearer ${signedToken(key, claims({ iss: undefined }))}`],
  [
    'nobody',
    /names nobody/,
    () => `Bearer ${signedToken(key, claims({ preferred_username: undefined, sub: undefined }))}`,
  ],
  ['claims that are a list', /not valid/, () => `Bearer ${signedToken(key, [claims()])}`],
]

/** With the key it is signed with, as `jwk` and by URL. */
function withOwnKey(): string {
  const jwk = stranger.publicKey.export({ format: 'jwk' })
  return signedToken(stranger, claims(), { jwk, jku: 'http://127.0.0.1:1/keys' })
}

/** Sends one empty message. @returns the status, or `answered` as soon as an answer begins */
async function rpcStatus(address: string, path: string, authorization: string | undefined): Promise<string> {
  const session = connect(`http://${address}`)
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(authorization === undefined ? {} : { authorization }),
    })
    stream.end(Buffer.alloc(5))
    return await new Promise((resolve, reject) => {
      stream.on('error', reject)
      stream.on('response', (headers) => {
        const status = headers['grpc-status']
        if (status === undefined) stream.on('data', () => resolve('answered'))
        else resolve(grpc.status[Number(status)]!)
      })
      stream.on('trailers', (trailers) => resolve(grpc.status[Number(trailers['grpc-status'])]!))
    })
  } finally {
    session.destroy()
  }
}

describe('without a valid token', () => {
  it.each(BAD)('%s: every route refuses', async (_, why, authorization) => {
    const routes = routesOf(guarded)
    expect(routes.length).toBeGreaterThan(30)
    for (const { method, url } of routes) {
      if (OPEN_ROUTES.includes(`${method} ${url}`)) continue
      const header = authorization()
      const headers = header === undefined ? {} : { authorization: header }
      const response = await guarded.app.inject({ method: method as 'GET', url, headers })
      expect({ method, url, status: response.statusCode }).toEqual({ method, url, status: 401 })
      expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="feast"/)
      // The Open Inference Protocol has a form of its own.
      const member = /^\/v2\b/.test(url) ? 'error' : 'detail'
      expect(response.json()).toEqual({ [member]: expect.stringMatching(why) })
    }
  })

  it.each(BAD)('%s: every RPC refuses', async (_, _why, authorization) => {
    const paths = rpcs()
    expect(paths.length).toBeGreaterThan(14)
    for (const path of paths) {
      if (OPEN_RPCS.includes(path)) continue
      const status = await rpcStatus(guarded.grpc.address, path, authorization()?.trim())
      expect({ path, status }).toEqual({ path, status: 'UNAUTHENTICATED' })
    }
  })

  it('what is open answers', async () => {
    for (const route of OPEN_ROUTES) {
      const { statusCode } = await guarded.app.inject({ method: 'GET', url: route.split(' ')[1]! })
      expect({ route, statusCode }).toEqual({ route, statusCode: 200 })
    }
    for (const path of OPEN_RPCS) {
      expect(await rpcStatus(guarded.grpc.address, path, undefined)).toMatch(/answered|OK/)
    }
  })

  it('paths that do not exist are not told apart', async () => {
    for (const url of ['/nope', '/v2/nope', '/models/m/nope', '/training-runs/r/nope']) {
      const { statusCode } = await guarded.app.inject({ method: 'POST', url })
      expect({ url, statusCode }).toEqual({ url, statusCode: 401 })
    }
  })

  it('there is no service beside those that are looked at here', async () => {
    const client = new BytesClient(guarded.grpc.address)
    const { statuses } = await client.ask('/grpc.health.v1.Health/List')
    client.client.close()
    const services = new Set(rpcs().map((path) => path.split('/')[1]!))
    expect(
      Object.keys(statuses as object)
        .filter(Boolean)
        .sort(),
    ).toEqual([...services].sort())
  })

  it('the refused do not make us ask the provider again and again', async () => {
    const before = provider.reads
    for (let i = 0; i < 50; i++) {
      const token = signedToken({ ...stranger, kid: `made up ${i}` }, claims())
      const { statusCode } = await guarded.app.inject({
        url: '/metrics',
        headers: { authorization: `Bearer ${token}` },
      })
      expect(statusCode).toBe(401)
    }
    expect(provider.reads - before).toBeLessThanOrEqual(1)
  })
})

describe('with a valid token', () => {
  it.each([
    ['as it is', {}],
    ['old', { exp: now() + 3600, iat: now() - 7200 }],
    ['of an application', { preferred_username: undefined, azp: 'job' }],
    ['with one audience', { aud: AUDIENCE }],
  ])('%s, every route and RPC goes on', async (_, more) => {
    const authorization = `Bearer ${signedToken(key, claims(more))}`
    for (const { method, url } of routesOf(guarded)) {
      const response = await guarded.app.inject({ method: method as 'GET', url, headers: { authorization } })
      expect([401, 403, 500]).not.toContain(response.statusCode)
    }
    for (const path of rpcs()) {
      const status = await rpcStatus(guarded.grpc.address, path, authorization)
      expect(['UNAUTHENTICATED', 'PERMISSION_DENIED', 'INTERNAL']).not.toContain(status)
    }
  })

  it('within ten seconds of its expiry it still goes, whatever the case of the scheme', async () => {
    const token = signedToken(key, claims({ exp: now() - 5 }))
    const headers = { authorization: `bEaReR ${token}` }
    expect((await guarded.app.inject({ url: '/metrics', headers })).statusCode).toBe(200)
  })

  it('gRPC answers a lookup', async () => {
    const client = new BytesClient(guarded.grpc.address)
    const metadata = new grpc.Metadata()
    metadata.set('authorization', `Bearer ${good()}`)
    const message = encoded('feast.serving.GetOnlineFeaturesRequest', {
      features: { val: ['driver_stats:trips'] },
      entities: { driver_id: { val: [{ int64Val: 1001 }] } },
    })
    const path = '/feast.serving.ServingService/GetOnlineFeatures'
    expect((await client.unary(path, message, { metadata })).code).toBe(grpc.status.OK)
    expect((await client.unary(path, message)).code).toBe(grpc.status.UNAUTHENTICATED)
    client.client.close()
  })
})
