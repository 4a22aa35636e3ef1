import type { BatchSource } from './data-source.js'
import { feastError } from './errors.js'
import { type AnyView, type Projection, projectionOf } from './projection.js'

/** The features of one model, by name. */
export interface FeatureService {
  readonly kind: 'featureService'
  readonly name: string
  readonly projections: readonly Projection[]
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
  readonly precomputeOnline: boolean
  /** Where a server writes what it served; undefined: nowhere that this definition knows of. */
  readonly logging: FeatureLogging | undefined
}

export interface FeatureLogging {
  /** A table of Athena, or Parquet files. */
  readonly destination: BatchSource
  /** Of the requests, 0 to 1. */
  readonly sampleRate: number
}

/** Columns of a log, besides keys, request values and features. */
export const LOG_TIMESTAMP = '__log_timestamp'
export const LOG_DATE = '__log_date'
export const LOG_REQUEST_ID = '__request_id'

export interface FeatureServiceOptions {
  readonly name: string
  /** Views (all of their features) and projections. */
  readonly features: readonly (AnyView | Projection)[]
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
  readonly precomputeOnline?: boolean
  readonly logging?: { readonly destination: BatchSource; readonly sampleRate?: number }
}

export function featureService(options: FeatureServiceOptions): FeatureService {
  const { logging } = options
  if (logging) refuseDestination(options.name, logging.destination)
  return Object.freeze({
    kind: 'featureService',
    name: options.name,
    projections: Object.freeze(options.features.map(projectionOf)),
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
    precomputeOnline: options.precomputeOnline ?? false,
    logging: logging && Object.freeze({ sampleRate: 1, ...logging }),
  })
}

/** Feast keeps the name of a table, or a path, and no more. */
function refuseDestination(service: string, destination: BatchSource): void {
  const isPlain =
    destination.kind === 'athenaSource'
      ? destination.table !== '' && destination.database === '' && destination.dataSource === ''
      : destination.kind === 'fileSource' || destination.kind === 'unknownSource'
  if (isPlain) return
  throw feastError('INVALID_DEFINITION', {
    object: `Feature service "${service}"`,
    problem: `its log "${destination.name}" is no plain table of Athena and no folder of Parquet files`,
    mend: 'Write athenaSource({ table }) without database and catalog, or fileSource({ path }).',
  })
}
