import type { RecordKind, RegistryRecord } from '../core/definition.js'
import { messageOf } from '../core/errors.js'
import { formatInstant } from '../core/instant.js'
import type { OnDemandFeatureView } from '../core/on-demand-feature-view.js'
import { decodeDefinition, MESSAGE_NAMES } from './definitions/definition-codec.js'
import type { Duration, Timestamp } from './messages.generated.js'
import { decodeMessage, enumNames, type FieldShape, isMessage, type MessageName, shapeOf } from './proto.js'
import { decodeTimestamp } from './proto-time.js'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/**
 * A record as protobuf's JSON: camelCase, defaults left out, int64 as text, RFC 3339 times, durations such as
 * `86400s`, bytes in base64. @throws an Error when the record does not decode
 */
export function recordJson({ kind, bytes }: Pick<RegistryRecord, 'kind' | 'bytes'>): JsonObject {
  return messageJson(MESSAGE_NAMES[kind], decodeMessage(MESSAGE_NAMES[kind], bytes))
}

export function messageJson(
  type: MessageName | (string & {}),
  message: Readonly<Record<string, unknown>>,
): JsonObject {
  const entries = shapeOf(type).fields.flatMap((field): [string, Json][] => {
    const value = message[field.name]
    return value === undefined || isEmpty(field, value) ? [] : [[field.name, fieldJson(field, value)]]
  })
  return Object.fromEntries(entries)
}

function isEmpty({ type, repeated, map, oneof }: FieldShape, value: unknown): boolean {
  if (repeated) return (value as readonly unknown[]).length === 0
  if (map) return (value as ReadonlyMap<string, unknown>).size === 0
  if (oneof !== undefined || isMessage(type)) return false
  if (type === 'bytes') return (value as Uint8Array).length === 0
  return value === '' || value === 0 || value === 0n || value === false
}

function fieldJson({ type, repeated, map }: FieldShape, value: unknown): Json {
  if (repeated) return (value as readonly unknown[]).map((one) => valueJson(type, one))
  if (!map) return valueJson(type, value)
  return Object.fromEntries(
    [...(value as ReadonlyMap<string, unknown>)].map(([key, one]) => [key, valueJson(type, one)]),
  )
}

function valueJson(type: string, value: unknown): Json {
  if (type === 'google.protobuf.Timestamp') return timestampJson(value as Timestamp)
  if (type === 'google.protobuf.Duration') return durationJson(value as Duration)
  if (type === 'google.protobuf.StringValue') return (value as { value?: string }).value ?? ''
  if (isMessage(type)) return messageJson(type, value as Readonly<Record<string, unknown>>)
  if (type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64')
  if (typeof value === 'bigint') return value.toString()
  if (type === 'float') return floatJson(value as number)
  return enumNames(type)?.[value as number] ?? (value as Json)
}

function timestampJson(timestamp: Timestamp): string {
  return formatInstant(decodeTimestamp(timestamp))
}

function durationJson({ seconds = 0n, nanos = 0 }: Duration): string {
  const sign = seconds < 0n || nanos < 0 ? '-' : ''
  const fraction = Math.abs(nanos)
    .toString()
    .padStart(9, '0')
    .replace(/(000)+$/, '')
  return `${sign}${seconds < 0n ? -seconds : seconds}${fraction === '' ? '' : `.${fraction}`}s`
}

/** The shortest text that is the same 32-bit float. */
function floatJson(value: number): Json {
  if (!Number.isFinite(value)) return String(value)
  const digits = [6, 7, 8].find((count) => Math.fround(Number(value.toPrecision(count))) === value)
  return Number(value.toPrecision(digits ?? 9))
}

/** A record as `feast X describe` and the dump show it: without its project, code as text. */
export function describeJson(record: RegistryRecord): JsonObject {
  const json = mutable(recordJson(record))
  delete json['project']
  if (record.kind === 'dataSource') delete json['dataSourceClassType']
  const spec = json['spec'] as Mutable | undefined
  if (spec) delete spec['project']
  if (record.kind === 'onDemandFeatureView' || record.kind === 'streamFeatureView')
    showCode(record, spec ?? {})
  return json
}

type Mutable = { [key: string]: Json }

function mutable(json: JsonObject): Mutable {
  const copy: Mutable = { ...json }
  if (copy['spec']) copy['spec'] = { ...(copy['spec'] as JsonObject) }
  return copy
}

/** Instead of a compiled body: its source. */
function showCode(record: RegistryRecord, spec: Mutable): void {
  const text = sourceText(record)
  const old = spec['userDefinedFunction'] as JsonObject | undefined
  if (old) spec['userDefinedFunction'] = { ...old, body: text }
  const transformation = spec['featureTransformation'] as JsonObject | undefined
  const udf = transformation?.['userDefinedFunction'] as JsonObject | undefined
  if (udf) spec['featureTransformation'] = { ...transformation, userDefinedFunction: { ...udf, body: text } }
}

function sourceText(record: RegistryRecord): string {
  if (record.kind === 'onDemandFeatureView') {
    const view = decodeDefinition('onDemandFeatureView', record.bytes) as OnDemandFeatureView
    return view.transformation.text
  }
  const { spec = {} } = decodeMessage('feast.core.StreamFeatureView', record.bytes)
  const udf = spec.featureTransformation?.userDefinedFunction ?? spec.userDefinedFunction
  return udf?.bodyText ?? ''
}

const DUMP_KEYS: Partial<Record<RecordKind, string>> = {
  dataSource: 'dataSources',
  entity: 'entities',
  featureService: 'featureServices',
  featureView: 'featureViews',
  labelView: 'labelViews',
  onDemandFeatureView: 'onDemandFeatureViews',
  permission: 'permissions',
  projectMetadata: 'projectMetadata',
  savedDataset: 'savedDatasets',
  streamFeatureView: 'streamFeatureViews',
}

/**
 * What `feast registry-dump` prints of a project: its records by kind, sorted by name, keys sorted. Infra belongs
 * to all projects. A record that does not decode is there with its name and the reason.
 */
export function dumpJson(records: readonly RegistryRecord[], project: string): JsonObject {
  const dump: Record<string, Json> = { project }
  for (const [kind, key] of Object.entries(DUMP_KEYS)) {
    const own = records.filter((record) => record.kind === kind && record.project === project)
    const sorted = [...own].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    if (sorted.length > 0) dump[key] = sorted.map(describeOrReason)
  }
  const infra = records.filter(({ kind }) => kind === 'infra').flatMap(infraObjects)
  if (infra.length > 0) dump['infra'] = infra
  return sortedKeys(dump) as JsonObject
}

function describeOrReason(record: RegistryRecord): JsonObject {
  return orReason(record, () => describeJson(record))
}

function orReason<T>(record: RegistryRecord, describe: () => T): T | JsonObject {
  try {
    return describe()
  } catch (error) {
    return { name: record.name, unreadable: messageOf(error) }
  }
}

/** Each object alone: what its arm holds. */
function infraObjects(record: RegistryRecord): Json | readonly Json[] {
  return orReason(record, () => {
    const objects = (recordJson(record)['infraObjects'] ?? []) as readonly JsonObject[]
    return objects.flatMap(({ infraObjectClassType: _, ...arms }) => Object.values(arms))
  })
}

function sortedKeys(json: Json): Json {
  if (Array.isArray(json)) return json.map(sortedKeys)
  if (json === null || typeof json !== 'object') return json
  return Object.fromEntries(
    Object.entries(json)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key, sortedKeys(value)]),
  )
}
