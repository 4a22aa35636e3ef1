import { athenaSource, fileSource, type UnknownSource } from '../../core/data-source.js'
import { type FeatureLogging, LOG_DATE, LOG_TIMESTAMP } from '../../core/feature-service.js'
import type { LoggingConfig } from '../messages.generated.js'
import { shapeOf } from '../proto.js'

/** A destination of another kind keeps its own bytes: undefined leaves what is there. */
export function encodeLogging({ destination, sampleRate }: FeatureLogging): LoggingConfig | undefined {
  // With every other field declared empty, so that nothing of another destination stays.
  const empty = Object.fromEntries(
    shapeOf('feast.core.LoggingConfig').fields.map(({ name }) => [name, undefined]),
  )
  switch (destination.kind) {
    case 'athenaSource':
      return { ...empty, sampleRate, athenaDestination: { tableName: destination.table } }
    case 'fileSource': {
      const { path, s3EndpointOverride, datePartitionColumn } = destination
      const partitionBy = datePartitionColumn === '' ? [] : [datePartitionColumn]
      return { ...empty, sampleRate, fileDestination: { path, s3EndpointOverride, partitionBy } }
    }
    default:
      return undefined
  }
}

export function decodeLogging(config: LoggingConfig | undefined): FeatureLogging | undefined {
  const destination = config && destinationOf(config)
  return destination && Object.freeze({ destination, sampleRate: config.sampleRate ?? 0 })
}

function destinationOf({ athenaDestination, fileDestination, ...other }: LoggingConfig) {
  if (athenaDestination) return athenaSource({ table: athenaDestination.tableName ?? '', ...TIMES })
  if (fileDestination) {
    const { path = '', s3EndpointOverride = '', partitionBy = [] } = fileDestination
    const partition = partitionBy.includes(LOG_DATE) ? { datePartitionColumn: LOG_DATE } : {}
    return fileSource({ path, s3EndpointOverride, format: 'parquet', ...TIMES, ...partition })
  }
  const kind = Object.entries(other).find(([name, value]) => name.endsWith('Destination') && value)?.[0]
  return kind === undefined ? undefined : unknown(other.customDestination?.kind ?? kind)
}

const TIMES = { timestampField: LOG_TIMESTAMP }

function unknown(type: string): UnknownSource {
  return Object.freeze({
    kind: 'unknownSource',
    name: type,
    type,
    bytes: new Uint8Array(),
    description: '',
    tags: {},
    owner: '',
    createdTimestampColumn: '',
    fieldMapping: {},
    datePartitionColumn: '',
    ...TIMES,
  })
}
