import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Action, permission, READ, WRITE } from '../../src/core/permission.js'
import { encodedInference } from '../models/inference-messages.js'
import { author, manifestOf } from '../models/model-fixture.js'
import { linearModel } from '../models/onnx-builder.js'
import {
  addPermissions,
  type Guarded,
  OPEN_ROUTES,
  OPEN_RPCS,
  openGuarded,
  routesOf,
  rpcs,
} from './auth-fixture.js'
import { writeSources } from './fixture.js'
import { BytesClient, encoded } from './grpc-fixture.js'

const TOKENS = [
  'reader',
  'writer',
  'pusher',
  'archivist',
  'service',
  'judge',
  'member',
  'tenant',
  'nobody',
].map((name) => ({
  name,
  token: `token-of-${name}-0123456789`,
  roles: ['member', 'tenant', 'nobody'].includes(name) ? [] : [name],
  ...(name === 'member' ? { groups: ['analysts'] } : {}),
  ...(name === 'tenant' ? { namespaces: ['payments'] } : {}),
}))
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
  guarded = await openGuarded({ auth: AUTH, permissions: PERMISSIONS, withModels: true })
  const { registry } = guarded.models!
  for (const weight of [1, 2]) {
    const bytes = linearModel([weight])
    await registry.register(manifestOf('ranking', bytes), bytes, { author: author('anna') })
  }
  await writeSources(guarded)
})
afterAll(() => guarded?.close())

const bearer = (name: string) => ({ authorization: `Bearer token-of-${name}-0123456789` })

async function post(name: string, url: string, payload: object, to: Guarded = guarded) {
  return ask(name, `POST ${url}`, payload, to)
}

async function ask(name: string, route: string, payload?: object, to: Guarded = guarded) {
  const [method, url] = route.split(' ') as ['POST', string]
  return to.app.inject({ method, url, headers: bearer(name), ...(payload && { payload }) })
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
  ['pusher', '/materialize', range(['driver_stats']), 'yes'],
  ['pusher', '/materialize', range(), 'no'],
  ['pusher', '/materialize', range(['driver_stats', 'loc_stats']), 'no'],
  ['pusher', '/materialize?async=true', range(['loc_stats']), 'no'],
  [
    'writer',
    '/materialize-incremental',
    { end_ts: '2026-08-02T00:00:00Z', feature_views: ['loc_stats'] },
    'yes',
  ],
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

const KEYS = { driver_id: [1001], val_to_add: [1] }
const tensor = (name: string, datatype: string, shape: number[], data: number[]) => ({
  name,
  datatype,
  shape,
  data,
})
const MATRIX = { inputs: [tensor('x', 'FP32', [1, 3], [1, 2, 3])] }
const COLUMNS = { inputs: Object.entries(KEYS).map(([name, data]) => tensor(name, 'INT64', [1], data)) }
const REGISTRATION = {
  artifact: { base64: linearModel([1, 1, 1]).toString('base64') },
  feature_service: 'svc',
}
const VERSION_1 = { version: 1 }

/** Of what reads features: "service"; of what decides about models: "judge". In this order. */
const MODEL_CASES: readonly (readonly [string, string, object | undefined, 'yes' | 'no'])[] = [
  ...[
    ['POST /predict', { model: 'linear', entities: KEYS }] as const,
    ['POST /v2/models/linear/infer', MATRIX] as const,
    ['POST /v2/models/linear/versions/1/infer', MATRIX] as const,
    ['POST /v2/models/feature_service.svc/infer', COLUMNS] as const,
    ['POST /models/ranking/versions', REGISTRATION] as const,
    ['POST /training-runs', { pipeline: 'fit', run_id: 'first' }] as const,
    ['POST /training-runs/first/stop', undefined] as const,
    ['POST /training-runs/first/retry', undefined] as const,
  ].flatMap(([route, body]) => [
    ['reader', route, body, 'no'] as const,
    ['judge', route, body, 'no'] as const,
    ['nobody', route, body, 'no'] as const,
    ['service', route, body, 'yes'] as const,
  ]),
  ...[
    ['POST /models/ranking/versions/1/approval', { status: 'approved' }] as const,
    ['PUT /models/ranking/aliases/challenger', VERSION_1] as const,
    ['DELETE /models/ranking/aliases/challenger', undefined] as const,
    ['POST /models/ranking/deployments', VERSION_1] as const,
    ['POST /models/ranking/rollback', undefined] as const,
    ['POST /models/ranking/versions/2/approval', { status: 'rejected' }] as const,
    ['POST /models/ranking/versions/1/approval', { status: 'revoked' }] as const,
  ].flatMap(([route, body]) => [
    ['service', route, body, 'no'] as const,
    ['nobody', route, body, 'no'] as const,
    ['judge', route, body, 'yes'] as const,
  ]),
]

/** What tells nothing of entities and changes nothing is for every caller who is known. */
const KNOWN_CALLERS = [
  'GET /metrics',
  'GET /v2',
  'GET /v2/models/:model',
  'GET /v2/models/:model/ready',
  'GET /v2/models/:model/versions/:version',
  'GET /v2/models/:model/versions/:version/ready',
  'GET /models',
  'GET /models/:name',
  'GET /models/:name/versions/:version',
  'GET /models/:name/history',
  'GET /models/:name/compare',
  'GET /pipelines',
  'GET /training-runs',
  'GET /training-runs/:id',
  'GET /training-runs/:id/events',
]

describe('over HTTP', () => {
  it.each(CASES)('%s, %s %j: %s', async (name, url, body, may) => {
    for (let again = 0; again < 2; again++) {
      const { statusCode, payload } = await post(name, url, body)
      if (may === 'no') expectDenied(name, statusCode, JSON.parse(JSON.parse(payload)))
      else expect([401, 403]).not.toContain(statusCode)
    }
  })

  it.each(MODEL_CASES)('%s, %s %j: %s', async (name, route, body, may) => {
    const { registry } = guarded.models!
    const before = await registry.history('ranking')
    const { statusCode, payload } = await ask(name, route, body)
    if (may === 'yes') {
      // Nothing served before version 1 that a rollback could go back to.
      expect([200, 201, 202, 409]).toContain(statusCode)
      expect(statusCode === 409).toBe(route.endsWith('/rollback'))
      return
    }
    if (route.includes('/v2/')) {
      expect([statusCode, JSON.parse(payload)]).toEqual([403, { error: expect.stringMatching(/ may not /) }])
    } else expectDenied(name, statusCode, JSON.parse(JSON.parse(payload)))
    expect(await registry.history('ranking')).toEqual(before)
  })

  it('every route is open, for all who are known, or here with somebody who may and somebody who may not', () => {
    const cases = [...CASES.map(([name, url, body, may]) => [name, `POST ${url}`, body, may] as const)]
    const all = [...cases, ...MODEL_CASES]
    for (const { method, url } of routesOf(guarded)) {
      const route = `${method} ${url}`
      const pattern = new RegExp(`^${route.replace(/:\w+/g, '[^/]+')}(\\?.*)?$`)
      const answers = new Set(all.flatMap(([, one, , may]) => (pattern.test(one) ? [may] : [])))
      const isFree = OPEN_ROUTES.includes(route) || KNOWN_CALLERS.includes(route)
      expect({ route, answers: [...answers].sort() }).toEqual({ route, answers: isFree ? [] : ['no', 'yes'] })
    }
  })

  it('what is for all who are known answers those without any right', async () => {
    for (const route of KNOWN_CALLERS) {
      const path = route
        .replace(':model', 'linear')
        .replace(':name', 'ranking')
        .replace(':version', '1')
        .replace(':id', 'first')
        .replace('/compare', '/compare?versions=1,2')
      expect({ route, status: (await ask('nobody', path)).statusCode }).toEqual({ route, status: 200 })
    }
  })

  it('all routes are in the OpenAPI document, and nothing else is', async () => {
    const { paths } = (await ask('nobody', 'GET /openapi.json')).json() as { paths: Record<string, object> }
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    )
    const unnamed = (routes: readonly string[]) => routes.map((one) => one.replace(/:\w+/g, ':')).sort()
    expect(unnamed(documented)).toEqual(
      unnamed(routesOf(guarded).map(({ method, url }) => `${method} ${url}`)),
    )
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

function expectDenied(name: string, status: number, detail: { readonly message: string }): void {
  expect(status).toBe(403)
  expect(detail).toMatchObject({ module: 'feast.errors', class: 'FeastPermissionError' })
  expect(detail.message).toMatch(new RegExp(`^Permission error:\n"${name}" may not `))
}

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

  const INFERENCE = '/inference.GRPCInferenceService'
  it('predictions', async () => {
    const contents = [{ fp32_contents: [1, 2, 3] }, { int64_contents: [1001] }, { int64_contents: [1] }]
    const [matrix, columns] = [MATRIX, COLUMNS].map(({ inputs }, at) =>
      inputs.map(({ data: _, ...input }, index) => ({ ...input, contents: contents[at + index]! })),
    )
    for (const message of [
      { model_name: 'linear', inputs: matrix },
      { model_name: 'linear', model_version: '1', inputs: matrix },
      { model_name: 'feature_service.svc', inputs: columns },
    ]) {
      const bytes = encodedInference('ModelInferRequest', message)
      for (const name of ['reader', 'judge', 'nobody']) {
        expect(await codeOf(name, `${INFERENCE}/ModelInfer`, bytes)).toBe('PERMISSION_DENIED')
      }
      expect(await codeOf('service', `${INFERENCE}/ModelInfer`, bytes)).toBe('OK')
    }
  })

  it('every RPC is open, for all who are known, or was looked at here', async () => {
    const empty = Buffer.alloc(0)
    const model = encodedInference('ModelMetadataRequest', { name: 'linear' })
    const known: readonly (readonly [string, Buffer])[] = [
      ['/feast.serving.ServingService/GetFeastServingInfo', empty],
      [`${INFERENCE}/ServerMetadata`, empty],
      [`${INFERENCE}/ModelMetadata`, model],
      [`${INFERENCE}/ModelReady`, model],
    ]
    for (const [path, message] of known) {
      expect([path, await codeOf('nobody', path, message)]).toEqual([path, 'OK'])
    }
    const asked = [...LOOKUPS, ...['Push', 'WriteToOnlineStore'].map((one) => `/GrpcFeatureServer/${one}`)]
    const all = [...asked, `${INFERENCE}/ModelInfer`, ...OPEN_RPCS, ...known.map(([path]) => path)]
    const isReflection = (path: string) => path.startsWith('/grpc.reflection.')
    expect(
      rpcs()
        .filter((path) => !isReflection(path))
        .sort(),
    ).toEqual(all.sort())
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
