import { formatDuration } from '../../core/duration.js'
import { typeText } from '../../core/value-type.js'
import type { FeatureSpecV2, FeatureViewProjection } from '../messages.generated.js'
import { enumNames, type FieldShape, isMessage, shapeOf } from '../proto.js'
import { decodeDuration } from '../proto-time.js'
import { decodeField } from './field.js'

/** One field in which a definition differs from the stored one, as people read it. */
export interface FieldDifference {
  /** As in Feast's protos: `ttl`, `batch_source.file_options.uri`. */
  readonly field: string
  readonly from: string
  readonly to: string
}

type Message = Readonly<Record<string, unknown>>

/**
 * Where two messages of a type differ in meaning. As Feast has it, the order of entities and of a view's features
 * means nothing, nor do bookkeeping times and the class names of sources inside views.
 */
export function differencesOf(
  type: string,
  from: Message,
  to: Message,
  path = '',
): readonly FieldDifference[] {
  return shapeOf(type).fields.flatMap((field) => {
    const [a, b] = [from[field.name], to[field.name]]
    if (same(type, field, a, b) || canonical(type, field, a) === canonical(type, field, b)) return []
    const name = path + field.protoName
    if (field.isMessage && !field.map && !field.repeated && a && b && !TEXTS[field.type]) {
      return differencesOf(field.type, a as Message, b as Message, `${name}.`)
    }
    return [{ field: name, from: textOf(field, a), to: textOf(field, b) }]
  })
}

const IGNORED: Readonly<Record<string, readonly string[]>> = {
  'feast.core.DataSource': ['meta', 'dataSourceClassType', 'project'],
  // The default, written by some and left out by others.
  'feast.core.FileFormat': ['parquetFormat'],
  // Bytes of a compiled function; its text tells.
  'feast.core.UserDefinedFunctionV2': ['body', 'mode'],
  'feast.core.UserDefinedFunction': ['body'],
}

const UNORDERED: Readonly<Record<string, readonly string[]>> = {
  'feast.core.FeatureViewSpec': ['entities', 'features', 'entityColumns'],
  'feast.core.StreamFeatureViewSpec': ['entities', 'features', 'entityColumns'],
  'feast.core.LabelViewSpec': ['entities', 'features', 'entityColumns'],
  'feast.core.OnDemandFeatureViewSpec': ['features', 'entityColumns'],
  'feast.core.PermissionSpec': ['types'],
  'feast.core.RoleBasedPolicy': ['roles'],
  'feast.core.GroupBasedPolicy': ['groups'],
  'feast.core.NamespaceBasedPolicy': ['namespaces'],
  'feast.core.CombinedGroupNamespacePolicy': ['groups', 'namespaces'],
}

/** Quick and strict about order; what it calls different, {@link canonical} looks at again. */
function same(type: string, field: FieldShape, a: unknown, b: unknown): boolean {
  if (a === b || IGNORED[type]?.includes(field.name)) return true
  if (field.oneof === undefined && isEmpty(a) && isEmpty(b)) return true
  if (a === undefined || b === undefined) return false
  if (field.map) return sameMaps(field, a as ReadonlyMap<string, unknown>, b as ReadonlyMap<string, unknown>)
  if (field.repeated) return sameLists(field, a as readonly unknown[], b as readonly unknown[])
  return sameOnes(field, a, b)
}

function isEmpty(value: unknown): boolean {
  if (value instanceof Map) return value.size === 0
  if (Array.isArray(value)) return value.length === 0
  return value === undefined || value === '' || value === 0 || value === 0n || value === false
}

function sameMaps(
  field: FieldShape,
  a: ReadonlyMap<string, unknown>,
  b: ReadonlyMap<string, unknown>,
): boolean {
  return a.size === b.size && [...a].every(([key, one]) => b.has(key) && sameOnes(field, one, b.get(key)))
}

function sameLists(field: FieldShape, a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, index) => sameOnes(field, one, b[index]))
}

function sameOnes({ type, isMessage }: FieldShape, a: unknown, b: unknown): boolean {
  if (isMessage) {
    const [one, other] = [a as Message, b as Message]
    return shapeOf(type).fields.every((field) => same(type, field, one[field.name], other[field.name]))
  }
  return a === b || (type === 'bytes' && Buffer.compare(a as Uint8Array, b as Uint8Array) === 0)
}

/** Text that is equal for values of equal meaning; empty for the default. */
function canonical(type: string, field: FieldShape, value: unknown): string {
  if (value === undefined || IGNORED[type]?.includes(field.name)) return ''
  if (field.map) {
    const entries = [...(value as ReadonlyMap<string, unknown>)].map(
      ([key, one]) => `${quote(key)}${single(field, one)}`,
    )
    return entries.sort().join(',')
  }
  if (field.repeated) {
    const elements = (value as readonly unknown[]).map((one) => single(field, one))
    return (UNORDERED[type]?.includes(field.name) ? elements.sort() : elements).join(',')
  }
  const text = single(field, value)
  if (text === '{}' && field.type === 'google.protobuf.Duration') return ''
  if (field.name === 'version' && /^"latest"$/i.test(text)) return ''
  return field.oneof === undefined && DEFAULTS.has(text) ? '' : text
}

const DEFAULTS = new Set(['""', '0', 'false', '<>', '{}'])

function single({ type, isMessage }: FieldShape, value: unknown): string {
  if (isMessage) {
    const fields = shapeOf(type).fields.map((field) => [
      field.name,
      canonical(type, field, (value as Message)[field.name]),
    ])
    return `{${fields.filter(([, text]) => text !== '').map(([name, text]) => `${name}:${text}`)}}`
  }
  if (type === 'bytes') return `<${Buffer.from(value as Uint8Array).toString('base64')}>`
  return type === 'string' ? quote(value as string) : String(value)
}

const quote = (text: string): string => JSON.stringify(text)

/** Messages that read better as one text than field by field. */
const TEXTS: Readonly<Record<string, (message: never) => string>> = {
  'google.protobuf.Duration': (duration: Message) => formatDuration(decodeDuration(duration)),
  'feast.core.FeatureSpecV2': (spec: FeatureSpecV2) => fieldText(spec),
  'feast.core.FeatureViewProjection': (projection: FeatureViewProjection) => projectionText(projection),
}

function fieldText(spec: FeatureSpecV2): string {
  const { name, type, description, tags } = decodeField(spec)
  const more = [
    ...(description ? [quote(description)] : []),
    ...Object.entries(tags).map((tag) => tag.join('=')),
  ]
  return `${name}: ${typeText(type)}${more.length > 0 ? ` (${more.join(', ')})` : ''}`
}

function projectionText({
  featureViewName,
  featureViewNameAlias,
  featureColumns,
  joinKeyMap,
}: FeatureViewProjection) {
  const names = (featureColumns ?? []).map(({ name }) => name)
  const alias = featureViewNameAlias ? ` as ${featureViewNameAlias}` : ''
  const keys = [...(joinKeyMap ?? [])].map(([from, to]) => `${from}=${to}`)
  return `${featureViewName}${alias}[${names.join(', ')}]${keys.length > 0 ? ` by ${keys.join(', ')}` : ''}`
}

function textOf(field: FieldShape, value: unknown): string {
  if (value === undefined) return ''
  if (field.repeated) return (value as readonly unknown[]).map((one) => oneText(field.type, one)).join(', ')
  if (!field.map) return oneText(field.type, value)
  return [...(value as ReadonlyMap<string, unknown>)]
    .map(([key, one]) => `${key}=${oneText(field.type, one)}`)
    .join(', ')
}

function oneText(type: string, value: unknown): string {
  const text = TEXTS[type] as ((message: unknown) => string) | undefined
  if (text) return text(value)
  if (isMessage(type)) return messageText(type, value as Message)
  if (type === 'bytes') return `${(value as Uint8Array).length} bytes`
  return enumNames(type)?.[value as number] ?? String(value)
}

/** `name=driver_src timestamp_field=event_timestamp`, without what canonical() leaves out. */
function messageText(type: string, message: Message): string {
  const parts = shapeOf(type).fields.flatMap((field) => {
    const value = message[field.name]
    if (canonical(type, field, value) === '') return []
    const text = textOf(field, value)
    return [`${field.protoName}=${field.isMessage ? `(${text})` : text}`]
  })
  return parts.join(' ')
}
