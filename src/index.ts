// For programs that embed the feature store. Backends are loaded when they are used.
export { type FeatureRepo, loadFeatureRepo } from './config/feature-repo.js'
export { loadRepoConfig, type RepoConfig, type RepoLocation } from './config/repo-config.js'
export type { Cell, ColumnBatch } from './core/cell.js'
export * from './core/data-source.js'
export * from './core/entity.js'
export { FeastError } from './core/errors.js'
export * from './core/feature-service.js'
export * from './core/feature-view.js'
export type { Logger } from './core/logger.js'
export * from './core/on-demand-feature-view.js'
export * from './core/permission.js'
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
export type * from './feature-store/feature-store.js'
export { type OpenOptions, openFeatureStore } from './feature-store/open.js'
export type { EntityRows, PersistOptions, RetrievalJob } from './offline-stores/offline-store.js'
export type { Registry } from './registry/registry.js'
export type { OnlineRequest, OnlineResponse, OnlineServing } from './serving/online-serving.js'
export { type Pipeline, type PipelineText, pipeline } from './training/pipeline.js'
