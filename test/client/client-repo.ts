import {
  Array as ArrayOf,
  Bool,
  Bytes,
  Decimal,
  entity,
  Float32,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int32,
  Int64,
  Json,
  Map as MapType,
  mapJoinKeys,
  onDemandFeatureView,
  pick,
  pushSource,
  rename,
  requestSource,
  ScalarMap,
  Set as SetOf,
  Struct,
  String as Text,
  TimeUuid,
  UnixTimestamp,
  Uuid,
  ZonedTimestamp,
} from 'feast-node'

// A project with all that a client meets.

function source(name: string, createdTimestampColumn = '') {
  return fileSource({
    name,
    path: `data/${name}.parquet`,
    timestampField: 'event_timestamp',
    createdTimestampColumn,
  })
}

export const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
export const customer = entity({ name: 'customer', joinKey: 'customer_id', valueType: Text })
export const location = entity({ name: 'location', joinKey: 'location_id', valueType: Int32 })
export const session = entity({ name: 'session', joinKey: 'session_id', valueType: Bytes })
export const day = entity({ name: 'day', joinKey: 'day', valueType: UnixTimestamp })

export const driverStats = featureView({
  name: 'driver_stats',
  entities: [driver],
  schema: { conv_rate: Float32, trips: Int64, level: Int32, last_seen: UnixTimestamp, photo: Bytes },
  source: pushSource({ name: 'driver_push', batchSource: source('driver_source', 'created') }),
})
export const pairStats = featureView({
  name: 'pair_stats',
  entities: [driver, customer],
  schema: { score: Float64 },
  source: source('pair_source'),
})
export const locationStats = featureView({
  name: 'location_stats',
  entities: [location],
  schema: { temp: Float64, rain: Float64 },
  source: source('location_source'),
})
export const sessionStats = featureView({
  name: 'session_stats',
  entities: [session, day],
  schema: { clicks: Int64 },
  source: source('session_source'),
})
export const globalStats = featureView({
  name: 'global_stats',
  schema: { total: Int64 },
  source: source('global_source'),
})
export const hidden = featureView({
  name: 'hidden_stats',
  entities: [driver],
  online: false,
  offline: true,
  schema: { secret: Int64 },
  source: source('hidden_source'),
})
/** Names that TypeScript has other ideas about. */
export const oddNames = featureView({
  name: 'odd-names',
  entities: [driver],
  schema: { 'a b': Int64, "it's": Text, class: Bool, '1st': Float64, 'dö"t': Text, constructor: Int64 },
  source: source('odd_source'),
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
    f_mixed_struct: Struct({ small: Int32, at: UnixTimestamp, text: Text }),
    f_nested: ArrayOf(ArrayOf(Int64)),
    f_nested_set: SetOf(ArrayOf(Text)),
    f_nested_times: ArrayOf(ArrayOf(UnixTimestamp)),
    f_scalar_map: ScalarMap,
    f_zoned: ZonedTimestamp,
  },
  source: source('every_source'),
})

export const bonus = requestSource({ name: 'bonus', schema: { extra: Int64, factor: Float64 } })
export const tripsPlus = onDemandFeatureView({
  name: 'trips_plus',
  sources: [pick(driverStats, 'trips'), bonus],
  schema: { trips_sum: Int64, trips_scaled: Float64 },
  transform: ({ trips, extra, factor }) => ({
    trips_sum: extra === null ? null : (trips ?? 0n) + extra,
    trips_scaled: factor === null ? null : Number(trips ?? 0n) * factor,
  }),
})

export const ranking = featureService({
  name: 'ranking',
  features: [pick(driverStats, 'conv_rate', 'trips'), locationStats],
})
export const bonusService = featureService({
  name: 'bonus',
  features: [pick(driverStats, 'trips'), tripsPlus],
})
export const routes = featureService({
  name: 'routes',
  features: [
    mapJoinKeys(rename(locationStats, 'origin'), { location_id: 'origin_id' }),
    mapJoinKeys(rename(pick(locationStats, 'temp'), 'dest'), { location_id: 'dest_id' }),
  ],
})
export const everything = featureService({ name: 'everything', features: [everyType] })
export const totals = featureService({ name: 'totals', features: [globalStats] })
