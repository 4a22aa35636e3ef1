// For programs that ask a feature server. Small: nothing of the feature store itself is loaded.
export { FeastError } from '../core/errors.js'
export type { FieldStatus } from '../core/field-status.js'
export type { CallOptions } from './call.js'
export {
  type ClientOptions,
  createFeastClient,
  FeastClient,
  type MaterializeOptions,
  type MaterializeOutcome,
  type MaterializeRangeOptions,
} from './feast-client.js'
export type { Int64Form } from './feature-value.js'
export type { ClientTls } from './http-transport.js'
export type { OnlineColumn, OnlineFeatures } from './online-features.js'
export type * from './project-schema.js'
export { ServerError } from './server-error.js'
export type { PushTarget } from './server-link.js'
