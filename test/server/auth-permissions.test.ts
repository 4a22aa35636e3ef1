import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Action, permission, READ, WRITE } from '../../src/core/permission.js'
import { addPermissions, type Guarded, openGuarded } from './auth-fixture.js'
import { BytesClient, encoded } from './grpc-fixture.js'

const TOKENS = ['reader', 'writer', 'pusher', 'archivist', 'service', 'member', 'tenant', 'nobody'].map(
  (name) => ({
    name,
    token: `token-of-${name}-0123456789`,
    roles: ['member', 'tenant', 'nobody'].includes(name) ? [] : [name],
    ...(name === 'member' ? { groups: ['analysts'] } : {}),
    ...(name === 'tenant' ? { namespaces: ['payments'] } : {}),
  }),
)
const AUTH = `{ type: token, tokens: ${JSON.stringify(TOKENS)} }`

const forRole = (role: string, actions: readonly Action[], namePatterns: readonly string[] = []) =>
  permission({
    name: `${role}s`,
    types: ['FeatureView', 'OnDemandFeatureView'],
    namePatterns,
    actions,
    policy: { roles: [role] },
  })

const PERMISSIONS = [
  forRole('reader', READ, ['driver_.*', 'od_.*']),
  forRole('writer', ['WRITE_ONLINE']),
  forRole('pusher', WRITE, ['driver_stats']),
  forRole('archivist', ['WRITE_OFFLINE']),
  permission({ name: 'services', types: ['FeatureService'], policy: { roles: ['service'] } }),
  permission({ name: 'members', types: ['FeatureView'], policy: { groups: ['analysts'] } }),
  permission({
    name: 'tenants',
    types: ['FeatureView'],
    actions: READ,
    policy: { groups: ['nobody here'], namespaces: ['payments'] },
  }),
]

let guarded: Guarded
beforeAll(async () => {
  guarded = await openGuarded({ auth: AUTH, permissions: PERMISSIONS })
})
afterAll(() => guarded?.close())

const bearer = (name: string) => ({ authorization: `Bearer token-of-${name}-0123456789` })

async function post(name: string, url: string, payload: object, to: Guarded = guarded) {
  return to.app.inject({ method: 'POST', url, payload, headers: bearer(name) })
}

const lookup = (...features: string[]) => ({
  features,
  entities: { driver_id: [1001], customer_id: ['c1'], val_to_add: [1] },
})
const byService = (feature_service: string) => ({
  feature_service,
  entities: { driver_id: [1001], val_to_add: [1], origin_id: [1], dest_id: [2] },
})
const TIMES = { event_timestamp: ['2026-08-01T10:00:00Z'], created: ['2026-08-01T10:00:00Z'] }
const PUSHED = { driver_id: [1001], trips: [1], ...TIMES }
const push = (to: string) => ({ push_source_name: 'driver_push', df: PUSHED, to })
const write = (feature_view_name: string, df: object) => ({ feature_view_name, df })

const DRIVERS = write('driver_stats', PUSHED)
const PLACES = write('loc_stats', {
  location_id: [1],
  temp: [1.5],
  event_timestamp: ['2026-08-01T10:00:00Z'],
})
const range = (feature_views?: string[]) => ({
  start_ts: '2026-08-01T00:00:00Z',
  end_ts: '2026-08-02T00:00:00Z',
  ...(feature_views ? { feature_views } : {}),
})

const CASES: readonly (readonly [string, string, object, 'yes' | 'no'])[] = [
  ['reader', '/get-online-features', lookup('driver_stats:trips'), 'yes'],
  ['reader', '/get-online-features', lookup('driver_stats:trips', 'dc_stats:score'), 'no'],
  ['reader', '/get-online-features', lookup('od_py:trips_plus'), 'yes'],
  ['reader', '/get-online-features', byService('svc'), 'no'],
  ['reader', '/push', push('online'), 'no'],
  ['reader', '/write-to-online-store', DRIVERS, 'no'],
  ['reader', '/materialize', range(['driver_stats']), 'no'],
  ['service', '/get-online-features', byService('svc'), 'yes'],
  ['service', '/get-online-features', byService('svc_alias'), 'yes'],
  ['service', '/get-online-features', lookup('driver_stats:trips'), 'no'],
  ['writer', '/get-online-features', lookup('driver_stats:trips'), 'no'],
  ['writer', '/push', push('online'), 'yes'],
  ['writer', '/push', push('online_and_offline'), 'no'],
  ['writer', '/push', push('offline'), 'no'],
  ['writer', '/write-to-online-store', PLACES, 'yes'],
  ['archivist', '/push', push('online'), 'no'],
  ['archivist', '/push', push('online_and_offline'), 'no'],
  ['archivist', '/push', push('offline'), 'yes'],
  ['pusher', '/push', push('online_and_offline'), 'yes'],
  ['pusher', '/write-to-online-store', DRIVERS, 'yes'],
  ['pusher', '/write-to-online-store', PLACES, 'no'],
  ['pusher', '/materialize', range(), 'no'],
  ['pusher', '/materialize', range(['driver_stats', 'loc_stats']), 'no'],
  ['pusher', '/materialize?async=true', range(['loc_stats']), 'no'],
  ['pusher', '/materialize-incremental', { end_ts: '2026-08-02T00:00:00Z' }, 'no'],
  ['member', '/get-online-features', lookup('dc_stats:score'), 'yes'],
  ['member', '/get-online-features', lookup('od_py:trips_plus'), 'no'],
  ['tenant', '/get-online-features', lookup('dc_stats:score'), 'yes'],
  ['tenant', '/write-to-online-store', PLACES, 'no'],
  ['nobody', '/get-online-features', lookup('driver_stats:trips'), 'no'],
  ['nobody', '/get-online-features', byService('svc'), 'no'],
  ['nobody', '/push', push('online'), 'no'],
  ['nobody', '/write-to-online-store', PLACES, 'no'],
  ['nobody', '/materialize', range(), 'no'],
  ['nobody', '/materialize-incremental', { end_ts: '2026-08-02T00:00:00Z' }, 'no'],
]

describe('over HTTP', () => {
  it.each(CASES)('%s, %s %j: %s', async (name, url, body, may) => {
    for (let again = 0; again < 2; again++) {
      const { statusCode, payload } = await post(name, url, body)
      if (may === 'no') {
        expect(statusCode).toBe(403)
        const detail = JSON.parse(JSON.parse(payload))
        expect(detail).toMatchObject({ module: 'feast.errors', class: 'FeastPermissionError' })
        expect(detail.message).toMatch(new RegExp(`^Permission error:\n"${name}" may not `))
      } else expect([401, 403]).not.toContain(statusCode)
    }
  })

  it('what is granted is done: a lookup answers 200', async () => {
    for (const [name, body] of [
      ['reader', lookup('driver_stats:trips')],
      ['service', byService('svc')],
      ['member', lookup('dc_stats:score')],
    ] as const) {
      expect((await post(name, '/get-online-features', body)).statusCode).toBe(200)
    }
    expect((await post('writer', '/write-to-online-store', PLACES)).statusCode).toBe(200)
  })

  it('mistakes in the request are told as without permissions', async () => {
    expect((await post('reader', '/get-online-features', lookup('nope:f'))).statusCode).toBe(404)
    expect((await post('reader', '/get-online-features', lookup('nope'))).statusCode).toBe(400)
    expect((await post('reader', '/get-online-features', lookup())).statusCode).toBe(400)
    expect((await post('service', '/get-online-features', byService('nope'))).statusCode).toBe(404)
    expect((await post('writer', '/push', { ...push('online'), push_source_name: 'x' })).statusCode).toBe(422)
    expect((await post('writer', '/write-to-online-store', write('nope', {}))).statusCode).toBe(404)
  })

  it('references with NUL do not stand for others', async () => {
    const two = ['driver_stats:a\0dc_stats:b', 'driver_stats:c']
    expect((await post('reader', '/get-online-features', lookup(...two))).statusCode).toBe(400)
    const other = ['driver_stats:a', 'dc_stats:b\0driver_stats:c']
    expect((await post('reader', '/get-online-features', lookup(...other))).statusCode).toBe(400)
  })

  it('the protobuf body of a lookup is checked as well', async () => {
    const message = encoded('feast.serving.GetOnlineFeaturesRequest', {
      features: { val: ['dc_stats:score'] },
      entities: { driver_id: { val: [{ int64Val: 1 }] }, customer_id: { val: [{ stringVal: 'a' }] } },
    })
    const ask = (name: string) =>
      guarded.app.inject({
        method: 'POST',
        url: '/get-online-features',
        payload: message,
        headers: { ...bearer(name), 'content-type': 'application/x-protobuf' },
      })
    expect((await ask('reader')).statusCode).toBe(403)
    expect((await ask('member')).statusCode).toBe(200)
  })
})

describe('over gRPC', () => {
  let client: BytesClient
  beforeAll(() => {
    client = new BytesClient(guarded.grpc.address)
  })
  afterAll(() => client?.client.close())

  async function codeOf(name: string, path: string, message: Buffer): Promise<string> {
    const metadata = new grpc.Metadata()
    metadata.set('authorization', bearer(name).authorization)
    return grpc.status[(await client.unary(path, message, { metadata })).code]!
  }

  const get = (val: readonly string[]) =>
    encoded('feast.serving.GetOnlineFeaturesRequest', {
      features: { val },
      entities: { driver_id: { val: [{ int64Val: 1 }] }, customer_id: { val: [{ stringVal: 'a' }] } },
    })
  const service = encoded('feast.serving.GetOnlineFeaturesRequest', {
    featureService: 'svc',
    entities: { driver_id: { val: [{ int64Val: 1 }] }, val_to_add: { val: [{ int64Val: 1 }] } },
  })
  const row = {
    driver_id: '1001',
    trips: '1',
    event_timestamp: '2026-08-01T10:00:00Z',
    created: '2026-08-01T10:00:00Z',
  }
  const pushOf = (to: string) =>
    encoded('PushRequest', { streamFeatureView: 'driver_push', features: row, to })
  const writeOf = (featureViewName: string) =>
    encoded('WriteToOnlineStoreRequest', { featureViewName, features: row })

  const LOOKUPS = ['/feast.serving.ServingService/GetOnlineFeatures', '/GrpcFeatureServer/GetOnlineFeatures']
  it.each(LOOKUPS)('%s', async (path) => {
    expect(await codeOf('reader', path, get(['driver_stats:trips']))).toBe('OK')
    expect(await codeOf('reader', path, get(['driver_stats:trips', 'dc_stats:score']))).toBe(
      'PERMISSION_DENIED',
    )
    expect(await codeOf('member', path, get(['dc_stats:score']))).toBe('OK')
    expect(await codeOf('reader', path, service)).toBe('PERMISSION_DENIED')
    expect(await codeOf('service', path, service)).toBe('OK')
    expect(await codeOf('nobody', path, get(['driver_stats:trips']))).toBe('PERMISSION_DENIED')
  })

  it('writes', async () => {
    expect(await codeOf('reader', '/GrpcFeatureServer/Push', pushOf('online'))).toBe('PERMISSION_DENIED')
    expect(await codeOf('writer', '/GrpcFeatureServer/Push', pushOf('offline'))).toBe('PERMISSION_DENIED')
    expect(await codeOf('writer', '/GrpcFeatureServer/Push', pushOf('online'))).not.toBe('PERMISSION_DENIED')
    const path = '/GrpcFeatureServer/WriteToOnlineStore'
    expect(await codeOf('reader', path, writeOf('driver_stats'))).toBe('PERMISSION_DENIED')
    expect(await codeOf('pusher', path, writeOf('loc_stats'))).toBe('PERMISSION_DENIED')
    expect(await codeOf('pusher', path, writeOf('driver_stats'))).not.toBe('PERMISSION_DENIED')
  })
})

describe('the registry', () => {
  it('without permissions lets everybody who is known do everything, and nobody else', async () => {
    const open = await openGuarded({ auth: AUTH })
    try {
      const body = lookup('dc_stats:score')
      expect((await post('nobody', '/get-online-features', body, open)).statusCode).toBe(200)
      const unknown = await open.app.inject({ method: 'POST', url: '/get-online-features', payload: body })
      expect(unknown.statusCode).toBe(401)
      // From now on there is one.
      await addPermissions(open.store, [forRole('reader', READ, ['dc_stats'])])
      await open.store.refreshRegistry()
      expect((await post('nobody', '/get-online-features', body, open)).statusCode).toBe(403)
      expect((await post('reader', '/get-online-features', body, open)).statusCode).toBe(200)
      // Taken away again, what was granted before does not go on.
      await addPermissions(open.store, [forRole('reader', READ, ['driver_stats'])])
      await open.store.refreshRegistry()
      expect((await post('reader', '/get-online-features', body, open)).statusCode).toBe(403)
    } finally {
      await open.close()
    }
  })

  const spec = {
    name: 'readers',
    types: [0],
    actions: [4],
    policy: { roleBasedPolicy: { roles: ['reader'] } },
  }
  it.each([
    ['nothing wrong', {}, 200],
    ['a policy for everybody, which Feast cannot read either', { policy: {} }, 403],
    ['no policy', { policy: undefined }, 403],
    ['an action of a later release', { actions: [4, 99] }, 403],
    ['a type of a later release', { types: [99] }, 403],
    ['no actions', { actions: [] }, 403],
    ['a pattern that is none', { namePatterns: ['('] }, 403],
    ['a pattern that is none beside one that matches', { namePatterns: ['(', 'dc_.*'] }, 200],
  ])('with one permission of %s', async (_, more, status) => {
    const closed = await openGuarded({ auth: AUTH, permissions: [{ spec: { ...spec, ...more } }] })
    try {
      const { statusCode } = await post('reader', '/get-online-features', lookup('dc_stats:score'), closed)
      expect(statusCode).toBe(status)
    } finally {
      await closed.close()
    }
  })
})
