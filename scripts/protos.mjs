/**
 * Writes from protos/:
 * - src/codec/messages.generated.ts: a table of the messages that a registry is made of and of those of the gRPC
 *   services that are not hot, and their TypeScript types;
 * - src/server/grpc/descriptors.generated.ts: the files of the services served, for gRPC reflection.
 *
 * The results are kept in git, so that nothing needs a build to run; a test holds the two together. `--check`
 * writes nothing and exits with 1 when they differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor/index.js'

const SERVED = [
  'feast/serving/ServingService.proto',
  'feast/serving/GrpcServer.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto',
  'inference/grpc_service.proto',
]
const ROOTS = [
  'feast.core.Registry',
  'feast.serving.GetFeastServingInfoResponse',
  'feast.serving.GetOnlineFeaturesResponseMetadata',
  'PushRequest',
  'PushResponse',
  'WriteToOnlineStoreRequest',
  'WriteToOnlineStoreResponse',
  'grpc.health.v1.HealthCheckRequest',
  'grpc.health.v1.HealthCheckResponse',
  'grpc.health.v1.HealthListResponse',
  'grpc.reflection.v1.ServerReflectionRequest',
  'grpc.reflection.v1.ServerReflectionResponse',
  'inference.ServerLiveResponse',
  'inference.ServerReadyResponse',
  'inference.ModelReadyRequest',
  'inference.ModelReadyResponse',
  'inference.ServerMetadataResponse',
  'inference.ModelMetadataRequest',
  'inference.ModelMetadataResponse',
  'inference.ModelInferRequest',
  'inference.ModelInferResponse',
]
/** Left as bytes: codec/value-decode.ts reads them. */
const OPAQUE = 'feast.types.Value'

const protos = fileURLToPath(new URL('../protos/', import.meta.url))
const sources = fileURLToPath(new URL('../src/', import.meta.url))

/** Path under src/ → text. */
export function generate() {
  const root = new protobuf.Root()
  root.resolvePath = (_origin, path) => (protobuf.common.get(path) ? path : protos + path)
  root.loadSync(['feast/core/Registry.proto', ...SERVED], { keepCase: true })
  root.resolveAll()
  return {
    'codec/messages.generated.ts': messageTable(root),
    'server/grpc/descriptors.generated.ts': descriptors(root),
  }
}

function messageTable(root) {
  const { messages, enums } = reachable(root)
  return [
    '// Written by scripts/protos.mjs from protos/. Not to be edited.',
    '',
    '/** Number, name in the proto, type (of key and value), label: `` (absent means the default), `repeated`, `map`, or a oneof. */',
    'export type FieldRow = readonly [number, string, string, string]',
    '',
    'export const MESSAGES: Readonly<Record<string, readonly FieldRow[]>> = {',
    ...messages.map((message) => `  ${JSON.stringify(nameOf(message))}: ${JSON.stringify(rows(message))},`),
    '}',
    '',
    'export const ENUMS: Readonly<Record<string, Readonly<Record<number, string>>>> = {',
    ...enums.map((type) => `  ${JSON.stringify(nameOf(type))}: ${JSON.stringify(enumNames(type))},`),
    '}',
    ...messages.flatMap(typeLines),
    '',
    'export interface MessageTypes {',
    ...messages.map((message) => `  readonly ${JSON.stringify(nameOf(message))}: ${typeName(message)}`),
    '}',
    '',
  ].join('\n')
}

function reachable(root) {
  const found = new Set()
  const visit = (type) => {
    if (found.has(type) || nameOf(type) === OPAQUE) return
    found.add(type)
    for (const field of type.fieldsArray ?? []) if (field.resolvedType) visit(field.resolvedType)
  }
  for (const name of ROOTS) visit(root.lookupType(name))
  const byName = [...found].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  return {
    messages: byName.filter((type) => type instanceof protobuf.Type),
    enums: byName.filter((type) => type instanceof protobuf.Enum),
  }
}

const nameOf = (type) => type.fullName.slice(1)
const sorted = (message) => [...message.fieldsArray].sort((a, b) => a.id - b.id)

function fieldType(field) {
  if (!field.resolvedType) return field.type
  return nameOf(field.resolvedType) === OPAQUE ? 'bytes' : nameOf(field.resolvedType)
}

function rows(message) {
  return sorted(message).map((field) => {
    if (field.map) return [field.id, field.name, `${field.keyType} ${fieldType(field)}`, 'map']
    const label = field.partOf ? `oneof ${field.partOf.name}` : field.repeated ? 'repeated' : ''
    return [field.id, field.name, fieldType(field), label]
  })
}

function enumNames(type) {
  return Object.fromEntries(Object.entries(type.values).map(([name, number]) => [number, name]))
}

/** `feast.core.DataSource.FileOptions` is DataSourceFileOptions. */
function typeName(type) {
  return nameOf(type)
    .split('.')
    .filter((part) => /^[A-Z]/.test(part))
    .join('')
}

function typeLines(message) {
  return [
    '',
    `export type ${typeName(message)} = {`,
    ...sorted(message).map(
      (field) => `  readonly ${camel(field.name)}?: ${typeScriptType(field)} | undefined`,
    ),
    '}',
  ]
}

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase())

function typeScriptType(field) {
  const one = valueType(field)
  if (field.map) return `ReadonlyMap<string, ${one}>`
  return field.repeated ? `readonly ${one}[]` : one
}

function valueType(field) {
  if (field.resolvedType instanceof protobuf.Enum) return 'number'
  if (field.resolvedType && nameOf(field.resolvedType) !== OPAQUE) return typeName(field.resolvedType)
  if (field.type === 'string') return 'string'
  if (field.type === 'bool') return 'boolean'
  if (fieldType(field) === 'bytes') return 'Uint8Array'
  return /64$/.test(field.type) ? 'bigint' : 'number'
}

function descriptors(root) {
  const files = new Map()
  for (const path of SERVED) addFile(root, path, files)
  return [
    '// Written by scripts/protos.mjs from protos/. Not to be edited.',
    '',
    'export interface ProtoFile {',
    '  readonly name: string',
    '  readonly imports: readonly string[]',
    '  /** Full names of what it defines: messages, enums, services, methods. */',
    '  readonly symbols: readonly string[]',
    '  /** A FileDescriptorProto, in base64. */',
    '  readonly descriptor: string',
    '}',
    '',
    'export const PROTO_FILES: readonly ProtoFile[] = [',
    ...[...files.values()].map((file) => `  ${JSON.stringify(file)},`),
    ']',
    '',
  ].join('\n')
}

function addFile(root, path, files) {
  if (files.has(path)) return
  const imports = importsOf(path)
  for (const name of imports) addFile(root, name, files)
  const objects = objectsOf(root, path)
  const message = descriptor.FileDescriptorProto.encode({
    name: path,
    package: nameOf(objects[0].parent) || undefined,
    dependency: imports,
    messageType: objects.filter((one) => one instanceof protobuf.Type).map(messageDescriptor),
    enumType: objects.filter((one) => one instanceof protobuf.Enum).map(enumDescriptor),
    service: objects.filter((one) => one instanceof protobuf.Service).map(serviceDescriptor),
    syntax: 'proto3',
  }).finish()
  const symbols = objects.flatMap(symbolsOf)
  files.set(path, { name: path, imports, symbols, descriptor: Buffer.from(message).toString('base64') })
}

const isBundled = (path) => path.startsWith('google/')

function importsOf(path) {
  return isBundled(path) ? [] : (protobuf.parse(readFileSync(protos + path, 'utf8')).imports ?? [])
}

/** The top-level objects of a file. */
function objectsOf(root, path) {
  if (isBundled(path)) {
    const names = Object.keys(protobuf.common.get(path).nested.google.nested.protobuf.nested)
    return names.map((name) => root.lookup(`google.protobuf.${name}`))
  }
  const found = []
  const visit = (namespace) => {
    for (const one of namespace.nestedArray) {
      const isPackage = one.constructor === protobuf.Namespace
      if (isPackage) visit(one)
      else if (one.filename === protos + path) found.push(one)
    }
  }
  visit(root)
  return found
}

function symbolsOf(object) {
  const parts = object instanceof protobuf.Service ? object.methodsArray : (object.nestedArray ?? [])
  return [nameOf(object), ...parts.flatMap(symbolsOf)]
}

const SCALARS = [
  '',
  'double',
  'float',
  'int64',
  'uint64',
  'int32',
  'fixed64',
  'fixed32',
  'bool',
  'string',
  '',
]
SCALARS.push('', 'bytes', 'uint32', '', 'sfixed32', 'sfixed64', 'sint32', 'sint64')
const MESSAGE = 11
const ENUM = 14
const OPTIONAL = 1
const REPEATED = 3

function messageDescriptor(message) {
  const nested = message.nestedArray
  const maps = message.fieldsArray.filter((field) => field.map)
  return {
    name: message.name,
    field: message.fieldsArray.map((field) => fieldDescriptor(message, field)),
    nestedType: [
      ...nested.filter((one) => one instanceof protobuf.Type).map(messageDescriptor),
      ...maps.map(entryDescriptor),
    ],
    enumType: nested.filter((one) => one instanceof protobuf.Enum).map(enumDescriptor),
    oneofDecl: message.oneofsArray.map(({ name }) => ({ name })),
  }
}

function fieldDescriptor(message, field) {
  return {
    name: field.name,
    number: field.id,
    label: field.repeated || field.map ? REPEATED : OPTIONAL,
    ...(field.map
      ? { type: MESSAGE, typeName: `${message.fullName}.${entryName(field)}` }
      : typeOf(field.type, field.resolvedType)),
    ...(field.partOf ? { oneofIndex: message.oneofsArray.indexOf(field.partOf) } : {}),
    jsonName: camel(field.name),
  }
}

function typeOf(scalar, resolved) {
  if (!resolved) return { type: SCALARS.indexOf(scalar) }
  return { type: resolved instanceof protobuf.Enum ? ENUM : MESSAGE, typeName: resolved.fullName }
}

const entryName = (field) => `${camel(`_${field.name}`)}Entry`

/** A map is a repeated message of key and value. */
function entryDescriptor(field) {
  const part = (name, number, type) => ({ name, number, label: OPTIONAL, ...type, jsonName: name })
  return {
    name: entryName(field),
    field: [
      part('key', 1, typeOf(field.keyType, null)),
      part('value', 2, typeOf(field.type, field.resolvedType)),
    ],
    options: { mapEntry: true },
  }
}

function enumDescriptor(type) {
  return { name: type.name, value: Object.entries(type.values).map(([name, number]) => ({ name, number })) }
}

function serviceDescriptor(service) {
  return {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      inputType: method.resolvedRequestType.fullName,
      outputType: method.resolvedResponseType.fullName,
      ...(method.requestStream ? { clientStreaming: true } : {}),
      ...(method.responseStream ? { serverStreaming: true } : {}),
    })),
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(generate())) {
    if (!process.argv.includes('--check')) writeFileSync(sources + path, text)
    else if (readFileSync(sources + path, 'utf8') !== text) {
      console.error(`src/${path} is not what protos/ say; run \`node scripts/protos.mjs\`.`)
      process.exitCode = 1
    }
  }
}
