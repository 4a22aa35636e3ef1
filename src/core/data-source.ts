import { type Duration, parseDuration } from './duration.js'
import { feastError } from './errors.js'
import { type Field, fieldsOf, type Schema, type TypeOf } from './field.js'
import type { ValueOf } from './value-type.js'

interface SourceCommon {
  readonly name: string
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly owner: string
}

/** What every source that holds rows has. Column names are post-mapping names where `fieldMapping` names them. */
interface RowSource extends SourceCommon {
  readonly timestampField: string
  readonly createdTimestampColumn: string
  /** Source column → name by which definitions know it. */
  readonly fieldMapping: Readonly<Record<string, string>>
  readonly datePartitionColumn: string
}

export interface FileSource extends RowSource {
  readonly kind: 'fileSource'
  /** A file, a folder or a glob, relative to the feature repo; or a URI. */
  readonly path: string
  readonly format: 'parquet' | 'csv' | 'delta'
  readonly s3EndpointOverride: string
}

export interface AthenaSource extends RowSource {
  readonly kind: 'athenaSource'
  readonly table: string
  readonly query: string
  readonly database: string
  readonly dataSource: string
}

export interface TrinoSource extends RowSource {
  readonly kind: 'trinoSource'
  /** `table`, `schema.table` or `catalog.schema.table`. */
  readonly table: string
  readonly query: string
}

/** Rows arrive by push; `batchSource` keeps their history. */
export interface PushSource extends SourceCommon {
  readonly kind: 'pushSource'
  readonly batchSource: BatchSource | undefined
}

/** Values given with the request. */
export interface RequestSource extends SourceCommon {
  readonly kind: 'requestSource'
  readonly schema: readonly Field[]
}

export type StreamFormat =
  | { readonly type: 'json'; readonly schema: string }
  | { readonly type: 'avro'; readonly schema: string }
  | { readonly type: 'proto'; readonly classPath: string }

export interface KafkaSource extends RowSource {
  readonly kind: 'kafkaSource'
  readonly bootstrapServers: string
  readonly topic: string
  readonly messageFormat: StreamFormat
  readonly watermarkDelaySeconds: number
  readonly batchSource: BatchSource | undefined
}

export interface KinesisSource extends RowSource {
  readonly kind: 'kinesisSource'
  readonly region: string
  readonly streamName: string
  readonly recordFormat: StreamFormat
  readonly batchSource: BatchSource | undefined
}

/** A source that this release cannot read (BigQuery, Snowflake, a custom class, …); its bytes are kept. */
export interface UnknownSource extends RowSource {
  readonly kind: 'unknownSource'
  /** Feast's class or type name, for messages. */
  readonly type: string
  readonly bytes: Uint8Array
}

export type BatchSource = FileSource | AthenaSource | TrinoSource | UnknownSource
export type StreamSource = PushSource | KafkaSource | KinesisSource
export type DataSource = BatchSource | StreamSource | RequestSource

interface SourceOptions {
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly owner?: string
}

interface RowOptions extends SourceOptions {
  /** Inferred at apply when exactly one column is a timestamp. */
  readonly timestampField?: string
  readonly createdTimestampColumn?: string
  readonly fieldMapping?: Readonly<Record<string, string>>
  readonly datePartitionColumn?: string
}

function common(name: string, options: SourceOptions): SourceCommon {
  return {
    name,
    description: options.description ?? '',
    tags: Object.freeze({ ...options.tags }),
    owner: options.owner ?? '',
  }
}

function rows(what: string, name: string, options: RowOptions): RowSource {
  const timestampField = options.timestampField ?? ''
  const createdTimestampColumn = options.createdTimestampColumn ?? ''
  if (timestampField !== '' && timestampField === createdTimestampColumn) {
    throw feastError('INVALID_DEFINITION', {
      object: `${what} "${name}"`,
      problem: `timestampField and createdTimestampColumn are both "${timestampField}"`,
      mend: 'Name two different columns, or leave createdTimestampColumn out.',
    })
  }
  return {
    ...common(name, options),
    timestampField,
    createdTimestampColumn,
    fieldMapping: Object.freeze({ ...options.fieldMapping }),
    datePartitionColumn: options.datePartitionColumn ?? '',
  }
}

/** Parquet or CSV files; the format follows the path's ending unless given. `name` defaults to the path. */
export function fileSource(
  options: RowOptions & {
    readonly name?: string
    readonly path: string
    readonly format?: 'parquet' | 'csv' | 'delta'
    readonly s3EndpointOverride?: string
  },
): FileSource {
  return Object.freeze({
    kind: 'fileSource',
    ...rows('File source', options.name ?? options.path, options),
    path: options.path,
    format: options.format ?? (/\.csv(\.gz)?$/i.test(options.path) ? 'csv' : 'parquet'),
    s3EndpointOverride: options.s3EndpointOverride ?? '',
  })
}

/** A column that keeps a table's files apart by time, and how times are written in it: `yyyy-MM-dd`, `yyyyMMddHH`, … */
export interface DatePartition {
  readonly column: string
  readonly format: string
}

/** What Feast's own `date_partition_column` means. */
const FEAST_DATE_FORMAT = 'yyyy-MM-dd'
/** Where partitions stand that Feast has no field for: it would take their values for days. */
const DATE_PARTITIONS_TAG = 'feast-node.date-partitions'

/** Coarsest first. */
export function datePartitionsOf({
  datePartitionColumn,
  tags,
}: AthenaSource | TrinoSource): readonly DatePartition[] {
  const tagged = (tags[DATE_PARTITIONS_TAG] ?? '').split(',').flatMap((text) => {
    const [column, format] = text.split('=')
    return column && format ? [{ column, format }] : []
  })
  if (tagged.length > 0) return tagged
  return datePartitionColumn === '' ? [] : [{ column: datePartitionColumn, format: FEAST_DATE_FORMAT }]
}

interface DatePartitioned extends RowOptions {
  readonly name?: string
  readonly table?: string
  readonly datePartitions?: Readonly<Record<string, string>>
}

function partitionOptions<Options extends DatePartitioned>(options: Options): Options {
  const parts = Object.entries(options.datePartitions ?? {})
  if (parts.length === 0) return options
  for (const [column, format] of parts) {
    if (/^[yMdHms '/_.:-]+$/.test(format) && /^[^=,]+$/.test(column)) continue
    throw feastError('INVALID_DEFINITION', {
      object: `Athena source "${options.name ?? options.table}"`,
      problem: `datePartitions has "${column}": ${JSON.stringify(format)}`,
      mend: 'Write a format of yyyy, MM, dd, HH, mm and ss, such as "yyyy-MM-dd".',
    })
  }
  if (parts.length === 1 && parts[0]![1] === FEAST_DATE_FORMAT)
    return { ...options, datePartitionColumn: parts[0]![0] }
  const text = parts.map(([column, format]) => `${column}=${format}`).join(',')
  return { ...options, tags: { ...options.tags, [DATE_PARTITIONS_TAG]: text } }
}

/**
 * An Athena table or query; exactly one of the two. `name` defaults to the table. `datePartitions`: the columns that
 * keep the table's files apart by time and the format of each, coarsest first, as `{ dt: 'yyyy-MM-dd' }` or
 * `{ year: 'yyyy', month: 'MM', day: 'dd' }`; no other partitions are read than those a query's times can be in.
 */
export function athenaSource(
  options: RowOptions & {
    readonly datePartitions?: Readonly<Record<string, string>>
    readonly name?: string
    readonly table?: string
    readonly query?: string
    readonly database?: string
    readonly dataSource?: string
  },
): AthenaSource {
  return Object.freeze({
    kind: 'athenaSource',
    ...tableOrQuery('Athena source', partitionOptions(options)),
    database: options.database ?? '',
    dataSource: options.dataSource ?? '',
  })
}

/** A Trino table or query; exactly one of the two. `name` defaults to the table. */
export function trinoSource(
  options: RowOptions & {
    readonly name?: string
    readonly table?: string
    readonly query?: string
  },
): TrinoSource {
  return Object.freeze({ kind: 'trinoSource', ...tableOrQuery('Trino source', options) })
}

function tableOrQuery(
  what: string,
  options: RowOptions & { readonly name?: string; readonly table?: string; readonly query?: string },
) {
  const name = options.name ?? options.table ?? ''
  if (!options.table === !options.query || name === '') {
    throw feastError('INVALID_DEFINITION', {
      object: `${what} "${name}"`,
      problem:
        options.table && options.query
          ? 'it has both a table and a query'
          : 'it has neither a table nor a named query',
      mend: 'Give exactly one of `table` and `query`, and a `name` with a query.',
    })
  }
  return { ...rows(what, name, options), table: options.table ?? '', query: options.query ?? '' }
}

export function pushSource(
  options: SourceOptions & { readonly name: string; readonly batchSource: BatchSource },
): PushSource {
  return Object.freeze({
    kind: 'pushSource',
    ...common(options.name, options),
    batchSource: options.batchSource,
  })
}

/** A request source that remembers its schema's types for on demand views. */
export interface TypedRequestSource<Row> extends RequestSource {
  readonly __row?: Row
}

export function requestSource<S extends Schema>(
  options: SourceOptions & { readonly name: string; readonly schema: S },
): TypedRequestSource<{ readonly [K in keyof S]: ValueOf<TypeOf<S[K]>> | null }> {
  return Object.freeze({
    kind: 'requestSource',
    ...common(options.name, options),
    schema: fieldsOf(options.schema),
  })
}

export function kafkaSource(
  options: RowOptions & {
    readonly name: string
    readonly bootstrapServers: string
    readonly topic: string
    readonly messageFormat: StreamFormat
    readonly batchSource: BatchSource
    readonly watermarkDelay?: Duration
  },
): KafkaSource {
  return Object.freeze({
    kind: 'kafkaSource',
    ...rows('Kafka source', options.name, options),
    bootstrapServers: options.bootstrapServers,
    topic: options.topic,
    messageFormat: Object.freeze({ ...options.messageFormat }),
    watermarkDelaySeconds: parseDuration(
      options.watermarkDelay ?? 0,
      `Kafka source "${options.name}": watermarkDelay`,
    ),
    batchSource: options.batchSource,
  })
}

export function kinesisSource(
  options: RowOptions & {
    readonly name: string
    readonly region: string
    readonly streamName: string
    readonly recordFormat: StreamFormat
    readonly batchSource: BatchSource
  },
): KinesisSource {
  return Object.freeze({
    kind: 'kinesisSource',
    ...rows('Kinesis source', options.name, options),
    region: options.region,
    streamName: options.streamName,
    recordFormat: Object.freeze({ ...options.recordFormat }),
    batchSource: options.batchSource,
  })
}

export function isBatchSource(source: DataSource): source is BatchSource {
  return ['fileSource', 'athenaSource', 'trinoSource', 'unknownSource'].includes(source.kind)
}
