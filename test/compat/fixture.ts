import {
  Array as ArrayOf,
  athenaSource,
  Bool,
  Bytes,
  Decimal,
  entity,
  Float32,
  Float64,
  featureService,
  featureView,
  fileSource,
  ImageBytes,
  Int32,
  Int64,
  Json,
  kafkaSource,
  kinesisSource,
  Map as MapType,
  mapJoinKeys,
  onDemandFeatureView,
  PdfBytes,
  pick,
  project as projectOf,
  pushSource,
  rename,
  requestSource,
  ScalarMap,
  Set as SetOf,
  Struct,
  streamFeatureView,
  String as Text,
  TimeUuid,
  UnixTimestamp,
  Uuid,
  ZonedTimestamp,
} from 'feast-node'

/** The fixture of the differential suite; `python/definitions.py` defines the same for real Feast. */
export const project = projectOf({
  name: 'demo',
  description: 'differential fixture',
  tags: { team: 'payments' },
  owner: 'owner@example.org',
})

export const driver = entity({
  name: 'driver',
  joinKey: 'driver_id',
  valueType: Int64,
  description: 'who drives',
  tags: { k: 'v' },
  owner: 'x@example.org',
})
export const customer = entity({ name: 'customer', joinKey: 'customer_id', valueType: Text })
export const location = entity({ name: 'location', joinKey: 'location_id', valueType: Int64 })

export const driverSource = fileSource({
  name: 'driver_source',
  path: 'data/driver_stats.parquet',
  timestampField: 'event_timestamp',
  createdTimestampColumn: 'created',
  description: 'rides by driver',
  tags: { layer: 'gold' },
  owner: 'rides@example.org',
})
export const driverPush = pushSource({ name: 'driver_push', batchSource: driverSource })
export const driverStats = featureView({
  name: 'driver_stats',
  entities: [driver],
  ttl: '365d',
  schema: {
    driver_id: Int64,
    conv_rate: { type: Float32, description: 'accepted rides', tags: { unit: 'ratio' } },
    acc_rate: Float64,
    trips: Int64,
    level: Int32,
    nickname: Text,
    active: Bool,
    last_seen: UnixTimestamp,
    photo: Bytes,
    labels: ArrayOf(Text),
    counts: ArrayOf(Int64),
    scores: ArrayOf(Float64),
  },
  source: driverPush,
  description: 'numbers by driver',
  tags: { tier: '1', owner: 'rides' },
  owner: 'rides@example.org',
})

export const pairSource = fileSource({
  name: 'pair_source',
  path: 'data/pairs.parquet',
  timestampField: 'at',
  fieldMapping: { raw_score: 'score' },
})
export const pairStats = featureView({
  name: 'pair_stats',
  entities: [driver, customer],
  schema: { score: Float64 },
  source: pairSource,
})

export const totalSource = fileSource({
  name: 'total_source',
  path: 'data/totals.parquet',
  timestampField: 'event_timestamp',
})
export const globalStats = featureView({
  name: 'global_stats',
  schema: { total: Int64 },
  source: totalSource,
})

export const locationSource = fileSource({
  name: 'location_source',
  path: 'data/locations.parquet',
  timestampField: 'event_timestamp',
})
export const locStats = featureView({
  name: 'loc_stats',
  entities: [location],
  ttl: '36h500us',
  schema: { temp: Float64, rain: Float64 },
  source: locationSource,
})

/** Neither features nor the join key's type are named: both come from the source. */
export const inferredSource = fileSource({ name: 'inferred_source', path: 'data/inferred.parquet' })
export const shop = entity({ name: 'shop', joinKey: 'shop_id' })
export const inferredStats = featureView({
  name: 'inferred_stats',
  entities: [shop],
  ttl: '10d',
  source: inferredSource,
})

const SCALARS = {
  bytes: Bytes,
  string: Text,
  int32: Int32,
  int64: Int64,
  double: Float64,
  float: Float32,
  bool: Bool,
  time: UnixTimestamp,
  uuid: Uuid,
  time_uuid: TimeUuid,
  decimal: Decimal,
}
const scalars = Object.entries(SCALARS)
export const wideSource = fileSource({
  name: 'wide_source',
  path: 'data/wide.parquet',
  timestampField: 'event_timestamp',
})
export const everyType = featureView({
  name: 'every_type',
  entities: [driver],
  schema: {
    ...Object.fromEntries(scalars.map(([name, type]) => [`f_${name}`, type])),
    ...Object.fromEntries(scalars.map(([name, type]) => [`f_${name}_list`, ArrayOf(type)])),
    ...Object.fromEntries(scalars.map(([name, type]) => [`f_${name}_set`, SetOf(type)])),
    f_json: Json,
    f_json_list: ArrayOf(Json),
    f_map: MapType,
    f_map_list: ArrayOf(MapType),
    f_struct: Struct({ a: Int64 }),
    f_struct_list: ArrayOf(Struct({ a: Int64 })),
    f_nested: ArrayOf(ArrayOf(Int64)),
    f_nested_set: SetOf(ArrayOf(Text)),
    f_scalar_map: ScalarMap,
    f_zoned: ZonedTimestamp,
  },
  source: wideSource,
})
/** Feast lists these types and cannot write them: its conversion knows no such values. */
export const blobs = featureView({
  name: 'blobs',
  entities: [driver],
  online: false,
  offline: true,
  source: wideSource,
  schema: { f_pdf: PdfBytes, f_image: ImageBytes },
})

export const request = requestSource({ name: 'request', schema: { bonus: Int64 } })

export const kafka = kafkaSource({
  name: 'kafka_rides',
  timestampField: 'event_timestamp',
  batchSource: driverSource,
  messageFormat: { type: 'json', schema: 'driver_id integer, event_timestamp timestamp, trips integer' },
  bootstrapServers: 'broker:9092',
  topic: 'rides',
  watermarkDelay: '5m',
  tags: { stream: 'yes' },
})
export const streamStats = streamFeatureView({
  name: 'stream_stats',
  entities: [driver],
  ttl: '1d',
  schema: { trips: Int64 },
  source: kafka,
})
export const kinesis = kinesisSource({
  name: 'kinesis_rides',
  timestampField: 'event_timestamp',
  batchSource: driverSource,
  recordFormat: { type: 'avro', schema: '{"type":"record"}' },
  region: 'eu-central-1',
  streamName: 'rides',
})
export const athena = athenaSource({
  name: 'athena_rides',
  timestampField: 'event_timestamp',
  table: 'rides',
  database: 'lake',
  dataSource: 'AwsDataCatalog',
  datePartitionColumn: 'day',
})

/** Only TypeScript can run it; Python must list it and carry it along. */
export const tripsPlusTypescriptOnly = onDemandFeatureView({
  name: 'trips_plus_typescript_only',
  sources: [pick(driverStats, 'trips'), request],
  schema: { trips_sum: Int64 },
  transform: ({ trips, bonus }) => ({ trips_sum: bonus === null ? null : (trips ?? 0n) + bonus }),
})

export const service = featureService({
  name: 'service',
  features: [pick(driverStats, 'trips', 'conv_rate'), locStats],
  description: 'a model',
  tags: { model: 'm1' },
  owner: 'ml@example.org',
})
export const serviceAlias = featureService({
  name: 'service_alias',
  features: [
    mapJoinKeys(rename(locStats, 'origin'), { location_id: 'origin_id' }),
    mapJoinKeys(rename(pick(locStats, 'temp'), 'dest'), { location_id: 'dest_id' }),
  ],
})
export const serviceTypescriptOnly = featureService({
  name: 'service_typescript_only',
  features: [pick(driverStats, 'trips'), tripsPlusTypescriptOnly],
})
