import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { silentLogger } from '../../src/core/logger.js'
import { authSettings } from '../../src/server/auth/auth-settings.js'
import { type FetchTls, fetchJson, fetchTls } from '../../src/server/auth/fetch-json.js'
import { oidcTokens } from '../../src/server/auth/oidc-tokens.js'
import { SigningKeys } from '../../src/server/auth/signing-keys.js'
import { IdentityProvider, type SigningKey, signedToken, signingKey } from './auth-fixture.js'

const TIMERS = [
  ...([
    'setTimeout',
    'clearTimeout',
    'setInterval',
    'clearInterval',
    'setImmediate',
    'clearImmediate',
  ] as const),
  ...(['nextTick', 'queueMicrotask'] as const),
]
const PLAIN: FetchTls = { rejectUnauthorized: true }
let first: SigningKey
let second: SigningKey
beforeAll(() => {
  first = signingKey('first')
  second = signingKey('second')
})

let provider: IdentityProvider
let clockMs: number
beforeEach(async () => {
  provider = new IdentityProvider()
  provider.keys = [first]
  await provider.start()
  clockMs = 1_000_000
})
afterEach(() => provider.stop())

function keysOf(timeoutMs = 2000): SigningKeys {
  return new SigningKeys({
    discoveryUrl: provider.url,
    lifespanMs: 300_000,
    timeoutMs,
    logger: silentLogger,
    fetchJson: (url, signal) => fetchJson(url, PLAIN, signal),
    now: () => clockMs,
  })
}

const kids = (set: ReadonlyMap<string, unknown>): readonly string[] => [...set.keys()]

describe('keys of the provider', () => {
  it('are read once for many, however many come at a time', async () => {
    const keys = keysOf()
    const sets = await Promise.all(Array.from({ length: 20 }, () => keys.having('first')))
    expect(new Set(sets).size).toBe(1)
    await keys.current()
    expect(provider.reads).toBe(1)
  })

  it('that are new are found at once', async () => {
    const keys = keysOf()
    await keys.current()
    provider.keys = [first, second]
    clockMs += 5_000
    expect(kids(await keys.having('second'))).toEqual(['first', 'second'])
    expect(provider.reads).toBe(2)
  })

  it('that nobody has are looked for every five seconds at most', async () => {
    const keys = keysOf()
    for (let i = 0; i < 100; i++) {
      expect((await keys.having(`made up ${i}`)).has(`made up ${i}`)).toBe(false)
      clockMs += 100
    }
    expect(provider.reads).toBe(2)
  })

  it('that were taken back are gone when their time is over', async () => {
    const keys = keysOf()
    await keys.current()
    provider.keys = [second]
    clockMs += 299_000
    expect(kids(await keys.having('first'))).toEqual(['first'])
    clockMs += 1_000
    expect(kids(await keys.having('first'))).toEqual(['second'])
  })

  it.each(['gone', 'broken', 'mute'] as const)('go on while the provider is %s', async (how) => {
    const keys = keysOf(300)
    await keys.current()
    if (how === 'gone') await provider.stop()
    else provider.mode = how
    for (let i = 0; i < 5; i++) {
      clockMs += 301_000
      expect(kids(await keys.having('first'))).toEqual(['first'])
    }
    provider.mode = 'well'
    provider.keys = [second]
    if (how === 'gone') await provider.start()
    clockMs += 301_000
    expect(kids(await keys.having('second'))).toEqual(['second'])
  })

  it('of a provider that is away from the start: 503, and it is not asked at every call', async () => {
    provider.mode = 'broken'
    const keys = keysOf()
    const unavailable = { code: 'IDENTITY_PROVIDER_UNAVAILABLE', http: 503, grpc: 'UNAVAILABLE', retry: true }
    for (let i = 0; i < 10; i++) await expect(keys.having('first')).rejects.toMatchObject(unavailable)
    provider.mode = 'well'
    await expect(keys.current()).rejects.toMatchObject(unavailable)
    expect(provider.reads).toBe(0)
    clockMs += 5_000
    expect(kids(await keys.current())).toEqual(['first'])
  })

  it('that cannot verify RS256 are left out', async () => {
    const jwk = second.publicKey.export({ format: 'jwk' })
    const short = signingKey('short', 1024).publicKey.export({ format: 'jwk' })
    provider.oddKeys = [
      null,
      'text',
      { kid: 'no numbers', kty: 'RSA' },
      { ...jwk, kid: 'for encryption', use: 'enc' },
      { ...jwk, kid: 'another algorithm', alg: 'PS256' },
      { ...jwk, kid: 7 },
      { ...short, kid: 'short' },
      { kid: 'shared', kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' },
      { kid: 'curve', kty: 'EC', crv: 'P-256', x: 'a', y: 'b' },
      { ...jwk, kid: 'plain' },
    ]
    expect(kids(await keysOf().current())).toEqual(['plain', 'first'])
  })
})

describe('a provider over TLS', () => {
  const file = (name: string) => fileURLToPath(new URL(`../online-stores/tls/${name}`, import.meta.url))
  let server: Server
  let url: string
  beforeAll(async () => {
    const tls = { key: readFileSync(file('server.key')), cert: readFileSync(file('server.pem')) }
    server = createServer(tls, (_request, response) => response.end('{"a":1}'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  afterAll(() => {
    server?.close()
  })

  it('is believed with its authority, or when told not to look', async () => {
    const ask = async (verify: boolean, ca?: string) =>
      fetchJson(url, await fetchTls(verify, ca), AbortSignal.timeout(5_000))
    await expect(ask(true)).rejects.toThrow(/certificate/)
    expect(await ask(true, file('ca.pem'))).toEqual({ a: 1 })
    expect(await ask(false)).toEqual({ a: 1 })
  })
})

describe('verified tokens', () => {
  const tokens = async (more = '') => {
    const options = { auth_discovery_url: provider.url, ...(more ? JSON.parse(more) : {}) }
    const settings = authSettings({ type: 'oidc', options })
    if (settings?.type !== 'oidc') throw new Error('no settings')
    return oidcTokens(settings, silentLogger)
  }
  const seconds = () => Math.floor(Date.now() / 1000)
  // Only the clocks: what waits goes on waiting in earnest.
  beforeEach(() => void jest.useFakeTimers({ doNotFake: TIMERS, now: Date.now() }))
  afterEach(() => void jest.useRealTimers())
  const claims = (more: object) => ({ exp: seconds() + 300, ...more })

  it('are the same caller again, without being verified again', async () => {
    const verifier = await tokens()
    const token = signedToken(first, claims({ sub: 'a' }))
    expect(await verifier.callerOf(token)).toBe(await verifier.callerOf(token))
  })

  it('are refused once they have expired', async () => {
    const verifier = await tokens()
    // Beyond that time it is still taken for ten seconds.
    const token = signedToken(first, claims({ sub: 'a', exp: seconds() + 10 }))
    await verifier.callerOf(token)
    jest.advanceTimersByTime(19_000)
    expect(await verifier.callerOf(token)).toMatchObject({ name: 'a' })
    jest.advanceTimersByTime(2_000)
    await expect(verifier.callerOf(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it('are refused once their key was taken back', async () => {
    const verifier = await tokens('{"jwks_cache_lifespan_seconds": 6}')
    const token = signedToken(first, claims({ sub: 'a' }))
    await verifier.callerOf(token)
    provider.keys = [second]
    jest.advanceTimersByTime(6_500)
    await expect(verifier.callerOf(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it.each([
    [{ preferred_username: 'a', upn: 'b', sub: 'e' }, 'a'],
    [{ preferred_username: null, upn: 'b', sub: 'e' }, 'b'],
    [{ preferred_username: 7, azp: 'c', appid: 'd', sub: 'e' }, 'c'],
    [{ appid: 'd', sub: 'e' }, 'd'],
    [{ sub: 'e' }, 'e'],
  ])('name the caller: %j', async (payload, name) => {
    const caller = await (await tokens()).callerOf(signedToken(first, claims(payload)))
    expect(caller).toMatchObject({ name, roles: [], groups: [], namespaces: [] })
  })

  it.each([
    [{ resource_access: { feast: { roles: ['a', 'b'] }, other: { roles: ['z'] } } }, ['a', 'b'], []],
    [{ resource_access: { feast: { roles: ['a'] } }, roles: ['b', 'a'] }, ['a', 'b'], []],
    [{ roles: ['b', 7, null] }, ['b'], []],
    [{ roles: 'admin', groups: 'g' }, [], []],
    [{ resource_access: ['feast'], groups: ['g', 'h'] }, [], ['g', 'h']],
    [{ resource_access: { __proto__: null }, groups: {} }, [], []],
  ])('tell roles and groups: %j', async (payload, roles, groups) => {
    const verifier = await tokens('{"client_id": "feast"}')
    const caller = await verifier.callerOf(signedToken(first, claims({ sub: 'a', ...payload })))
    expect(caller).toMatchObject({ roles, groups })
  })

  it("of a cluster's service accounts tell their namespace", async () => {
    const verifier = await tokens()
    const sub = 'system:serviceaccount:payments:scorer'
    const service = await verifier.callerOf(signedToken(first, claims({ sub, 'kubernetes.io': {} })))
    expect(service).toMatchObject({ name: sub, namespaces: ['payments'] })
    const other = await verifier.callerOf(signedToken(first, claims({ sub })))
    expect(other.namespaces).toEqual([])
  })
})
