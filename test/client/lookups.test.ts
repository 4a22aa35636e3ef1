import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type ClientOptions, createFeastClient, type FeastClient } from 'feast-node/client'
import { rowValueOf } from '../../src/codec/row-value.js'
import type { Cell } from '../../src/core/cell.js'
import { Int64, UnixTimestamp } from '../../src/core/value-type.js'
import { seededRandom } from '../compat/random.js'
import { COMPOSITES, randomValue } from '../compat/random-values.js'
import { everyType } from './client-repo.js'
import { type ServedStore, serveStore, type TypedCells } from './served-store.js'

let served: ServedStore
const clients: FeastClient[] = []
const DRIVERS = [1001n, 1002n, 1003n, 1004n]
/** In whole seconds, as Feast's stores keep it. */
const EVENT = BigInt(Math.floor(Date.now() / 1000) - 3600) * 1_000_000n

beforeAll(async () => {
  served = await serveStore()
  const random = seededRandom('client lookups')
  const times: TypedCells = { type: UnixTimestamp, cells: DRIVERS.map(() => EVENT) }
  const ids: TypedCells = { type: Int64, cells: DRIVERS }
  const features = everyType.features.map(({ name, type }): [string, TypedCells] => {
    const value = () => MORE_COMPOSITES[name] ?? (COMPOSITES[name] ?? randomValue(random, type))!.cell
    return [name, { type, cells: DRIVERS.map((_, row) => (row === 3 ? null : value())) }]
  })
  await served.write('every_type', {
    driver_id: ids,
    event_timestamp: times,
    ...Object.fromEntries(features),
  })
  const http = open({ url: `http://127.0.0.1:${served.httpPort}` })
  await http.push({
    pushSource: 'driver_push',
    rows: DRIVERS.map((driver_id, i) => ({
      driver_id,
      conv_rate: i / 2,
      trips: 2n ** 60n + BigInt(i),
      level: i,
      last_seen: 1_700_000_000 + i,
      photo: Buffer.from([i]),
      event_timestamp: new Date(Number(EVENT / 1000n)),
      created: new Date(),
    })),
  })
})

afterAll(async () => {
  for (const client of clients) client.close()
  await served.stop()
})

const MORE_COMPOSITES: Readonly<Record<string, Cell>> = {
  f_mixed_struct: { small: 7n, at: new Date(1_700_000_000_000), text: 'x' },
  f_nested_times: [[1_700_000_000_000_000n], [0n, -1_000_000n]],
}

type Protocol = readonly [name: string, options: () => ClientOptions]
const PROTOCOLS: readonly Protocol[] = [
  ['HTTP and JSON', () => ({ url: `http://127.0.0.1:${served.httpPort}`, format: 'json' })],
  ['HTTP and protobuf', () => ({ url: `http://127.0.0.1:${served.httpPort}/` })],
  ['gRPC', () => ({ url: `grpc://127.0.0.1:${served.grpcPort}` })],
]

function open(options: ClientOptions): FeastClient {
  const client = createFeastClient(options)
  clients.push(client)
  return client
}

/** What the store itself gives, as a client gives it. */
async function expected(refs: readonly string[], entities: Readonly<Record<string, readonly unknown[]>>) {
  const { columns } = await (await served.store.serving()).getOnlineFeatures({ features: refs, entities })
  const types = new Map(everyType.features.map(({ name, type }) => [name, type]))
  return columns.map(({ name, values, statuses, eventTimestamps }) => ({
    name,
    values: values.map((cell) => rowValueOf(cell, types.get(name) ?? Int64)),
    statuses,
    eventTimestamps: eventTimestamps.map((micros) =>
      micros === 0n ? null : new Date(Number(micros / 1000n)),
    ),
  }))
}

describe.each(PROTOCOLS)('over %s', (protocol, options) => {
  it('gives every value type as the store does', async () => {
    const client = createFeastClient({ ...options(), schema: served.schema })
    clients.push(client)
    const refs = everyType.features.map(({ name }) => `every_type:${name}` as const)
    const entities = { driver_id: [...DRIVERS, 9999n, 1001n] }
    // The second time the server is known to speak protobuf, and is asked in it.
    for (let time = 0; time < 2; time++) {
      const answer = await client.getOnlineFeatures({ features: refs, entities })
      const columns = answer.names.map((name) => {
        const { values, statuses, eventTimestamps } = answer.columns[name]!
        return { name, values, statuses, eventTimestamps }
      })
      const wanted = await expected(refs, entities)
      if (protocol === 'HTTP and JSON') {
        expect(columns.map(withoutJsonLosses)).toEqual(wanted.map(withoutJsonLosses))
      } else expect(columns).toEqual(wanted)
    }
  })

  it('gives rows and columns of the same values', async () => {
    const { rows, columns, names, rowCount } = await open(options()).getOnlineFeatures({
      featureService: 'ranking',
      entities: [
        { driver_id: 1001, location_id: 1 },
        { driver_id: 5n, location_id: 1 },
      ],
    })
    expect(names).toEqual(['driver_id', 'location_id', 'conv_rate', 'trips', 'temp', 'rain'])
    expect(rowCount).toBe(2)
    expect(rows[0]).toMatchObject({ driver_id: 1001n, conv_rate: 0, trips: 2n ** 60n, temp: null })
    const { values, statuses, eventTimestamps } = columns['trips']!
    expect(values).toEqual([2n ** 60n, null])
    expect(statuses).toEqual(['PRESENT', 'NOT_FOUND'])
    expect(eventTimestamps).toEqual([new Date(Number(EVENT / 1000n)), null])
    expect(rows).toEqual(
      [0, 1].map((row) => Object.fromEntries(names.map((name) => [name, columns[name]!.values[row]]))),
    )
  })

  it('computes on demand features from request data', async () => {
    const client = open(options())
    const request = { featureService: 'bonus', entities: [{ driver_id: 1001 }, { driver_id: 1002 }] } as const
    const { rows } = await client.getOnlineFeatures({
      ...request,
      requestData: { extra: [1, 2n ** 60n], factor: [0.5, 2] },
    })
    expect(rows.map(({ trips_sum }) => trips_sum)).toEqual([2n ** 60n + 1n, 2n ** 61n + 1n])
    expect(rows[1]!['trips_scaled']).toBe(Number(2n ** 60n + 1n) * 2)
    await expect(client.getOnlineFeatures(request)).rejects.toMatchObject({
      code: 'REQUEST_DATA_MISSING',
      http: 404,
      grpc: 'NOT_FOUND',
      feastClass: 'RequestDataNotFoundInEntityRowsException',
    })
  })

  it('takes keys of every type', async () => {
    const client = open(options())
    const at = new Date('2026-08-01T00:00:00Z')
    const session_id = Buffer.from([0, 255, 10])
    await client.writeToOnlineStore({
      featureView: 'location_stats',
      rows: [{ location_id: -7, temp: 1.5, rain: 2, event_timestamp: new Date() }],
    })
    const { rows } = await client.getOnlineFeatures({
      features: ['location_stats:temp'],
      entities: { location_id: [-7, '-7', -7n] },
    })
    expect(rows).toEqual(
      [-7, -7, -7].map((id) => ({ location_id: protocol === 'HTTP and JSON' ? BigInt(id) : id, temp: 1.5 })),
    )
    await served.write('session_stats', {
      session_id: { type: { valueType: 'BYTES' }, cells: [session_id] },
      day: { type: UnixTimestamp, cells: [BigInt(at.getTime()) * 1000n] },
      clicks: { type: Int64, cells: [3n] },
      event_timestamp: { type: UnixTimestamp, cells: [EVENT] },
    })
    const found = await client.getOnlineFeatures({
      features: ['session_stats:clicks'],
      entities: [{ session_id, day: at }],
    })
    expect(found.columns['clicks']!.values).toEqual([3n])
  })

  it('looks up views without entity', async () => {
    await served.write('global_stats', {
      total: { type: Int64, cells: [42n] },
      event_timestamp: { type: UnixTimestamp, cells: [EVENT] },
    })
    const { rows } = await open(options()).getOnlineFeatures({ featureService: 'totals', entities: [{}] })
    expect(rows).toEqual([{ total: 42n }])
  })

  it('gives INT64 as numbers where it may', async () => {
    const client = createFeastClient({ ...options(), int64: 'number' })
    await client.writeToOnlineStore({
      featureView: 'odd-names',
      rows: [
        {
          driver_id: 1,
          'a b': 7,
          "it's": 'x',
          class: true,
          '1st': 1.5,
          'dö"t': null,
          constructor: 2,
          event_timestamp: new Date(),
        },
      ],
    })
    const { rows } = await client.getOnlineFeatures({
      features: ['a b', "it's", 'class', '1st', 'dö"t', 'constructor'].map((name) => `odd-names:${name}`),
      entities: [{ driver_id: 1 }],
    })
    expect(rows).toEqual([
      { driver_id: 1, 'a b': 7, "it's": 'x', class: true, '1st': 1.5, 'dö"t': null, constructor: 2 },
    ])
    const large = await client.getOnlineFeatures({
      features: ['driver_stats:trips'],
      entities: [{ driver_id: 1001 }],
    })
    expect(() => large.rows).toThrow(/1152921504606846976, which a number cannot hold exactly/)
    client.close()
  })

  it.each<[what: string, code: string, http: number, request: object]>([
    [
      'view',
      'FEATURE_VIEW_NOT_FOUND',
      404,
      { features: ['driver_stat:trips'], entities: [{ driver_id: 1 }] },
    ],
    ['feature', 'FEATURE_NOT_FOUND', 404, { features: ['driver_stats:trip'], entities: [{ driver_id: 1 }] }],
    ['service', 'FEATURE_SERVICE_NOT_FOUND', 404, { featureService: 'x', entities: [{ driver_id: 1 }] }],
    [
      'key',
      'ENTITY_COLUMN_MISSING',
      400,
      { features: ['driver_stats:trips'], entities: [{ location_id: 1 }] },
    ],
    [
      'value',
      'ENTITY_VALUE_INVALID',
      422,
      { features: ['driver_stats:trips'], entities: [{ driver_id: 1.5 }] },
    ],
    ['reference', 'INVALID_FEATURE_REF', 400, { features: ['driver_stats'], entities: [{ driver_id: 1 }] }],
    [
      'names',
      'FEATURE_NAME_COLLISION',
      400,
      { featureService: 'routes', entities: [{ origin_id: 1, dest_id: 2 }] },
    ],
  ])('says what is wrong with a %s by its code', async (_, code, http, request) => {
    const failed = open(options()).getOnlineFeatures(request as never)
    await expect(failed).rejects.toMatchObject({ name: 'FeastError', code, http, retry: false })
  })

  it('refuses what cannot be sent before it is sent', async () => {
    const client = open(options())
    const ask = (entities: never) => client.getOnlineFeatures({ features: ['driver_stats:trips'], entities })
    await expect(ask([] as never)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await expect(ask([{ driver_id: 1 }, {}] as never)).rejects.toThrow('row 1 has no "driver_id"')
    await expect(ask({ driver_id: [1, 2], x: [1] } as never)).rejects.toThrow('"x" has 1 values')
    await expect(ask([{ driver_id: () => 1 }] as never)).rejects.toMatchObject({ code: 'INVALID_VALUE' })
  })
})

/** What JSON has no form for. */
function withoutJsonLosses({
  name,
  values,
  ...rest
}: {
  readonly name: string
  readonly values: readonly unknown[]
}) {
  if (name === 'f_scalar_map') return { name, ...rest }
  if (name === 'f_zoned') {
    return {
      name,
      ...rest,
      values: values.map((value) => (value as { instant: Date } | null)?.instant ?? null),
    }
  }
  return { name, ...rest, values }
}
