/**
 * Writes src/codec/messages.generated.ts from protos/: a table of the messages that a registry is made of, and
 * their TypeScript types. The result is kept in git, so that nothing needs a build to run; a test holds the two
 * together. `--check` writes nothing and exits with 1 when they differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const ROOTS = ['feast.core.Registry']
const protos = fileURLToPath(new URL('../protos/', import.meta.url))
const target = fileURLToPath(new URL('../src/codec/messages.generated.ts', import.meta.url))

export function generate() {
  const root = new protobuf.Root()
  root.resolvePath = (_origin, path) => (protobuf.common.get(path) ? path : protos + path)
  root.loadSync('feast/core/Registry.proto', { keepCase: true })
  root.resolveAll()
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
    if (found.has(type)) return
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
const fieldType = (field) => (field.resolvedType ? nameOf(field.resolvedType) : field.type)

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
  if (field.resolvedType) return typeName(field.resolvedType)
  if (field.type === 'string') return 'string'
  if (field.type === 'bool') return 'boolean'
  if (field.type === 'bytes') return 'Uint8Array'
  return /64$/.test(field.type) ? 'bigint' : 'number'
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = generate()
  if (!process.argv.includes('--check')) writeFileSync(target, text)
  else if (readFileSync(target, 'utf8') !== text) {
    console.error('src/codec/messages.generated.ts is not what protos/ say; run `node scripts/protos.mjs`.')
    process.exitCode = 1
  }
}
