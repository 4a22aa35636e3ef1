import { nameToUse } from '../../src/core/projection.js'
import { typeText } from '../../src/core/value-type.js'
import {
  Array,
  athenaSource,
  entity,
  Float32,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int64,
  kafkaSource,
  mapJoinKeys,
  onDemandFeatureView,
  pick,
  pushSource,
  rename,
  requestSource,
  String,
  Struct,
  streamFeatureView,
} from '../../src/index.js'

const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
const stats = featureView({
  name: 'driver_hourly_stats',
  entities: [driver],
  ttl: '1d',
  schema: { conv_rate: Float32, trips: { type: Int64, description: 'trips that day' } },
  source: fileSource({ path: 'data/driver_stats.parquet', timestampField: 'event_timestamp' }),
})

describe('definitions', () => {
  it('are frozen data with defaults filled in', () => {
    expect(stats).toEqual({
      kind: 'featureView',
      name: 'driver_hourly_stats',
      entities: ['driver'],
      entityColumns: [{ name: 'driver_id', type: Int64, description: '', tags: {} }],
      features: [
        { name: 'conv_rate', type: Float32, description: '', tags: {} },
        { name: 'trips', type: Int64, description: 'trips that day', tags: {} },
      ],
      ttlSeconds: 86_400,
      online: true,
      offline: false,
      enabled: true,
      batchSource: expect.objectContaining({
        kind: 'fileSource',
        path: 'data/driver_stats.parquet',
        format: 'parquet',
      }),
      streamSource: undefined,
      description: '',
      tags: {},
      owner: '',
      version: 'latest',
    })
    expect(Object.isFrozen(stats) && Object.isFrozen(stats.features) && Object.isFrozen(driver)).toBe(true)
  })

  it('take the join key out of the features', () => {
    const view = featureView({
      name: 'v',
      entities: [driver],
      schema: { driver_id: Int64, f: String },
      source: fileSource({ path: 'x.csv' }),
    })
    expect(view.features.map(({ name }) => name)).toEqual(['f'])
    expect(view.entityColumns.map(({ name }) => name)).toEqual(['driver_id'])
  })

  it('give a view without entity the dummy one', () => {
    const view = featureView({ name: 'g', schema: { f: Float64 }, source: fileSource({ path: 'x.parquet' }) })
    expect(view.entities).toEqual(['__dummy'])
    expect(view.entityColumns).toEqual([{ name: '__dummy_id', type: String, description: '', tags: {} }])
  })

  it('find the batch source behind a stream', () => {
    const batchSource = fileSource({ path: 'x.parquet' })
    const push = pushSource({ name: 'p', batchSource })
    const pushed = streamFeatureView({ name: 's', entities: [driver], schema: { f: Float64 }, source: push })
    expect(pushed.batchSource).toBe(batchSource)
    expect(pushed.streamSource).toBe(push)
    const kafka = kafkaSource({
      name: 'k',
      bootstrapServers: 'b:9092',
      topic: 't',
      messageFormat: { type: 'json', schema: 'f double' },
      batchSource,
      watermarkDelay: '5m',
    })
    expect(kafka.watermarkDelaySeconds).toBe(300)
  })

  it('project, rename and map join keys without touching the view', () => {
    const origin = mapJoinKeys(rename(pick(stats, 'trips'), 'origin'), { driver_id: 'origin_id' })
    expect(origin).toEqual({
      kind: 'projection',
      view: 'driver_hourly_stats',
      features: ['trips'],
      alias: 'origin',
      joinKeyMap: { driver_id: 'origin_id' },
      versionTag: '',
    })
    expect(nameToUse(origin)).toBe('origin')
    expect(featureService({ name: 's', features: [stats, origin] }).projections).toHaveLength(2)
  })

  it('write types as people do', () => {
    expect(typeText(Array(Array(Int64)))).toBe('Array(Array(Int64))')
    expect(typeText(Array(Struct({ a: Float32 })))).toBe('Array(Struct({a: Float32}))')
  })

  it('refuse what cannot be', () => {
    expect(() => athenaSource({ name: 'a', table: 't', query: 'select 1' })).toThrow(
      'it has both a table and a query',
    )
    expect(() => athenaSource({ query: 'select 1' })).toThrow('neither a table nor a named query')
    expect(() => fileSource({ path: 'p', timestampField: 't', createdTimestampColumn: 't' })).toThrow(
      'are both "t"',
    )
    expect(() => rename(stats, 'a:b')).toThrow('must not be empty or contain')
    expect(() => Struct({})).toThrow('at least one field')
  })
})

// The compiler is part of the product: each line below must not compile. `npm run typecheck` holds them.
void function mistakesTheCompilerFinds() {
  // @ts-expect-error: not a feature of the view
  pick(stats, 'conv_rat')
  // @ts-expect-error: not a feature of the projection's view
  pick(featureView({ name: 'v', schema: { a: Int64 }, source: fileSource({ path: 'x' }) }), 'b')
  // @ts-expect-error: a stream feature view needs a schema
  streamFeatureView({ name: 's', source: pushSource({ name: 'p', batchSource: fileSource({ path: 'x' }) }) })
  // @ts-expect-error: a type is not a text
  featureView({ name: 'v', schema: { a: 'Int64' }, source: fileSource({ path: 'x' }) })

  const request = requestSource({ name: 'r', schema: { amount: Float64 } })
  onDemandFeatureView({
    name: 'ok',
    sources: [pick(stats, 'trips'), request],
    schema: { ratio: Float64 },
    transform: (row) => ({
      ratio: row.amount === null || row.trips === null ? null : row.amount / Number(row.trips),
    }),
  })
  onDemandFeatureView({
    name: 'unknown_input',
    sources: [pick(stats, 'trips'), request],
    schema: { ratio: Float64 },
    // @ts-expect-error: conv_rate was not picked
    transform: (row) => ({ ratio: row.conv_rate }),
  })
  onDemandFeatureView({
    name: 'wrong_output',
    sources: [request],
    schema: { ratio: Float64 },
    // @ts-expect-error: a text is not a Float64
    transform: () => ({ ratio: 'high' }),
  })
  onDemandFeatureView({
    name: 'missing_output',
    sources: [request],
    schema: { ratio: Float64, other: Int64 },
    // @ts-expect-error: other is not returned
    transform: () => ({ ratio: 1 }),
  })
}
