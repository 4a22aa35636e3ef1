export * from './core/data-source.js'
export * from './core/entity.js'
export * from './core/feature-service.js'
export * from './core/feature-view.js'
export * from './core/on-demand-feature-view.js'
export * from './core/project.js'
export * from './core/projection.js'
export {
  ArrayOf as Array,
  Bool,
  Bytes,
  Decimal,
  Float32,
  Float64,
  ImageBytes,
  Int32,
  Int64,
  Json,
  MapType as Map,
  PdfBytes,
  ScalarMap,
  SetOf as Set,
  StringType as String,
  Struct,
  TimeUuid,
  UnixTimestamp,
  Uuid,
  ZonedTimestamp,
} from './core/value-type.js'
export { FeastError } from './core/errors.js'
