import type {
  AthenaSource,
  BatchSource,
  DataSource,
  FileSource,
  KafkaSource,
  KinesisSource,
  PushSource,
  RequestSource,
  StreamFormat,
  StreamSource,
  TrinoSource,
  UnknownSource,
} from '../../core/data-source.js'
import { isBatchSource } from '../../core/data-source.js'
import type { DataSource as Message, StreamFormat as StreamFormatMessage } from '../messages.generated.js'
import { decodeMessage, encodeMessage, shapeOf } from '../proto.js'
import { decodeDuration, encodeDuration, encodeTimestamp } from '../proto-time.js'
import type { EncodeContext } from './encode-context.js'
import { decodeField, encodeField } from './field.js'

const SOURCE_TYPES = {
  fileSource: 1,
  kafkaSource: 3,
  kinesisSource: 4,
  requestSource: 7,
  pushSource: 9,
  trinoSource: 10,
  athenaSource: 12,
} as const

/** The Python classes that Feast looks these up by. */
const CLASSES: Readonly<Record<keyof typeof SOURCE_TYPES, string>> = {
  fileSource: 'feast.infra.offline_stores.file_source.FileSource',
  athenaSource: 'feast.infra.offline_stores.contrib.athena_offline_store.athena_source.AthenaSource',
  trinoSource: 'feast.infra.offline_stores.contrib.trino_offline_store.trino_source.TrinoSource',
  kafkaSource: 'feast.data_source.KafkaSource',
  kinesisSource: 'feast.data_source.KinesisSource',
  pushSource: 'feast.data_source.PushSource',
  requestSource: 'feast.data_source.RequestSource',
}

/** Names of the sources that this release does not read, by type number. */
const FOREIGN_CLASSES: Readonly<Record<number, string>> = {
  2: 'BigQuerySource',
  5: 'RedshiftSource',
  8: 'SnowflakeSource',
  11: 'SparkSource',
  13: 'IcebergSource',
}

/** A source as a record of its own, or as it stands inside a view (no project there). */
export function encodeDataSource(
  source: DataSource,
  context: EncodeContext,
  place: 'record' | 'view',
): Message {
  if (source.kind === 'unknownSource') return encodeUnknown(source)
  return {
    ...encodeEmbedded(source, context),
    dataSourceClassType: CLASSES[source.kind],
    ...(place === 'record' && { project: context.project }),
  }
}

/** A source inside a projection or another source: Feast leaves its class and project out there. */
export function encodeEmbedded(source: DataSource, context: EncodeContext): Message {
  if (source.kind === 'unknownSource') return encodeUnknown(source)
  const now = encodeTimestamp(context.now)
  return {
    ...encodeOptions(source, context),
    type: SOURCE_TYPES[source.kind],
    name: source.name,
    description: source.description,
    tags: new Map([...Object.entries(source.tags), ...formatTag(source)]),
    owner: source.owner,
    meta: { createdTimestamp: now, lastUpdatedTimestamp: now },
  }
}

/** Its own bytes, with every other field of the message declared empty so that nothing of another source stays. */
function encodeUnknown(source: UnknownSource): Message {
  const empty = Object.fromEntries(
    shapeOf('feast.core.DataSource').fields.map(({ name }) => [name, undefined]),
  )
  return { ...empty, ...decodeMessage('feast.core.DataSource', source.bytes) }
}

function encodeOptions(source: Exclude<DataSource, UnknownSource>, context: EncodeContext): Message {
  switch (source.kind) {
    case 'fileSource':
      return { ...encodeRows(source), fileOptions: encodeFileOptions(source) }
    case 'athenaSource': {
      const { table, query, database, dataSource } = source
      return { ...encodeRows(source), athenaOptions: { table, query, database, dataSource } }
    }
    case 'trinoSource':
      return { ...encodeRows(source), trinoOptions: { table: source.table, query: source.query } }
    case 'kafkaSource':
      return {
        ...encodeRows(source),
        ...encodeBatch(source, context),
        kafkaOptions: {
          kafkaBootstrapServers: source.bootstrapServers,
          topic: source.topic,
          messageFormat: encodeStreamFormat(source.messageFormat),
          watermarkDelayThreshold:
            source.watermarkDelaySeconds === 0 ? undefined : encodeDuration(source.watermarkDelaySeconds),
        },
      }
    case 'kinesisSource':
      return {
        ...encodeRows(source),
        ...encodeBatch(source, context),
        kinesisOptions: {
          region: source.region,
          streamName: source.streamName,
          recordFormat: encodeStreamFormat(source.recordFormat),
        },
      }
    case 'pushSource':
      return encodePush(source, context)
    case 'requestSource':
      return { timestampField: '', requestDataOptions: { schema: source.schema.map(encodeField) } }
  }
}

function encodeRows(source: Omit<FileSource, 'kind' | 'path' | 'format' | 's3EndpointOverride'>): Message {
  return {
    timestampField: source.timestampField,
    createdTimestampColumn: source.createdTimestampColumn,
    fieldMapping: new Map(Object.entries(source.fieldMapping)),
    datePartitionColumn: source.datePartitionColumn,
  }
}

function encodeBatch(
  { batchSource }: { batchSource: BatchSource | undefined },
  context: EncodeContext,
): Message {
  return { batchSource: batchSource && encodeEmbedded(batchSource, context) }
}

/** Feast copies the columns of the batch source to the push source. */
function encodePush(source: PushSource, context: EncodeContext): Message {
  const columns = source.batchSource ? encodeRows(source.batchSource) : {}
  return { ...columns, ...encodeBatch(source, context) }
}

/** Feast has no CSV, so a path that does not show its format is helped by a tag. */
const FORMAT_TAG = 'feast-node:format'

function formatTag(source: DataSource): readonly (readonly [string, string])[] {
  if (source.kind !== 'fileSource' || source.format === 'delta') return []
  return source.format === formatOf(source.path) ? [] : [[FORMAT_TAG, source.format]]
}

function formatOf(path: string): 'csv' | 'parquet' {
  return /\.csv(\.gz)?$/i.test(path) ? 'csv' : 'parquet'
}

function encodeFileOptions({ path, format, s3EndpointOverride }: FileSource) {
  return {
    // Parquet is Feast's default.
    fileFormat: format === 'delta' ? { deltaFormat: {} } : undefined,
    uri: path,
    s3EndpointOverride,
  }
}

function encodeStreamFormat(format: StreamFormat): StreamFormatMessage {
  if (format.type === 'json') return { jsonFormat: { schemaJson: format.schema } }
  if (format.type === 'avro') return { avroFormat: { schemaJson: format.schema } }
  return { protoFormat: { classPath: format.classPath } }
}

export function decodeDataSource(message: Message): DataSource {
  const { fileOptions, athenaOptions, trinoOptions, kafkaOptions, kinesisOptions } = message
  if (message.type === SOURCE_TYPES.fileSource) return decodeFile(message, fileOptions ?? {})
  if (message.type === SOURCE_TYPES.athenaSource) return decodeAthena(message, athenaOptions ?? {})
  if (message.type === SOURCE_TYPES.trinoSource) return decodeTrino(message, trinoOptions ?? {})
  if (message.type === SOURCE_TYPES.kafkaSource) return decodeKafka(message, kafkaOptions ?? {})
  if (message.type === SOURCE_TYPES.kinesisSource) return decodeKinesis(message, kinesisOptions ?? {})
  if (message.type === SOURCE_TYPES.requestSource) return decodeRequestSource(message)
  if (message.type === SOURCE_TYPES.pushSource) {
    return Object.freeze({ kind: 'pushSource', ...decodeCommon(message), batchSource: decodeBatch(message) })
  }
  return decodeUnknown(message)
}

export function decodeBatchSource(message: Message | undefined): BatchSource | undefined {
  if (message === undefined) return undefined
  const source = decodeDataSource(message)
  return isBatchSource(source) ? source : decodeUnknown(message)
}

export function decodeStreamSource(message: Message | undefined): StreamSource | undefined {
  if (message === undefined) return undefined
  const source = decodeDataSource(message)
  // A custom stream class is carried along in the view's bytes, but nothing here can read it.
  return isBatchSource(source) || source.kind === 'requestSource' ? undefined : source
}

function decodeBatch({ batchSource }: Message): BatchSource | undefined {
  return decodeBatchSource(batchSource)
}

function decodeCommon(message: Message) {
  return {
    name: message.name ?? '',
    description: message.description ?? '',
    tags: Object.freeze(Object.fromEntries([...(message.tags ?? [])].filter(([tag]) => tag !== FORMAT_TAG))),
    owner: message.owner ?? '',
  }
}

function decodeRows(message: Message) {
  return {
    ...decodeCommon(message),
    timestampField: message.timestampField ?? '',
    createdTimestampColumn: message.createdTimestampColumn ?? '',
    fieldMapping: Object.freeze(Object.fromEntries(message.fieldMapping ?? [])),
    datePartitionColumn: message.datePartitionColumn ?? '',
  }
}

function decodeFile(message: Message, options: NonNullable<Message['fileOptions']>): FileSource {
  const path = options.uri ?? ''
  const tagged = message.tags?.get(FORMAT_TAG)
  const plain = tagged === 'csv' || tagged === 'parquet' ? tagged : formatOf(path)
  return Object.freeze({
    kind: 'fileSource',
    ...decodeRows(message),
    path,
    format: options.fileFormat?.deltaFormat ? 'delta' : plain,
    s3EndpointOverride: options.s3EndpointOverride ?? '',
  })
}

function decodeAthena(message: Message, options: NonNullable<Message['athenaOptions']>): AthenaSource {
  return Object.freeze({
    kind: 'athenaSource',
    ...decodeRows(message),
    table: options.table ?? '',
    query: options.query ?? '',
    database: options.database ?? '',
    dataSource: options.dataSource ?? '',
  })
}

function decodeTrino(message: Message, options: NonNullable<Message['trinoOptions']>): TrinoSource {
  return Object.freeze({
    kind: 'trinoSource',
    ...decodeRows(message),
    table: options.table ?? '',
    query: options.query ?? '',
  })
}

function decodeKafka(message: Message, options: NonNullable<Message['kafkaOptions']>): KafkaSource {
  return Object.freeze({
    kind: 'kafkaSource',
    ...decodeRows(message),
    bootstrapServers: options.kafkaBootstrapServers ?? '',
    topic: options.topic ?? '',
    messageFormat: decodeStreamFormat(options.messageFormat),
    watermarkDelaySeconds: decodeDuration(options.watermarkDelayThreshold),
    batchSource: decodeBatch(message),
  })
}

function decodeKinesis(message: Message, options: NonNullable<Message['kinesisOptions']>): KinesisSource {
  return Object.freeze({
    kind: 'kinesisSource',
    ...decodeRows(message),
    region: options.region ?? '',
    streamName: options.streamName ?? '',
    recordFormat: decodeStreamFormat(options.recordFormat),
    batchSource: decodeBatch(message),
  })
}

function decodeStreamFormat(format: StreamFormatMessage | undefined): StreamFormat {
  if (format?.avroFormat) return { type: 'avro', schema: format.avroFormat.schemaJson ?? '' }
  if (format?.protoFormat) return { type: 'proto', classPath: format.protoFormat.classPath ?? '' }
  return { type: 'json', schema: format?.jsonFormat?.schemaJson ?? '' }
}

export function decodeRequestSource(message: Message): RequestSource {
  const { schema = [], deprecatedSchema = new Map() } = message.requestDataOptions ?? {}
  const old = [...deprecatedSchema].map(([name, valueType]) => ({ name, valueType }))
  return Object.freeze({
    kind: 'requestSource',
    ...decodeCommon(message),
    schema: Object.freeze([...schema, ...old].map(decodeField)),
  })
}

function decodeUnknown(message: Message): UnknownSource {
  const ownClass = message.dataSourceClassType?.split('.').at(-1)
  return Object.freeze({
    kind: 'unknownSource',
    ...decodeRows(message),
    type: FOREIGN_CLASSES[message.type ?? 0] ?? (ownClass || `source of type ${message.type ?? 0}`),
    bytes: encodeMessage('feast.core.DataSource', message),
  })
}
