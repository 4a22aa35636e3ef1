import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import protobuf from 'protobufjs'

type FieldRow = readonly [
  name: string,
  number: number,
  type: string,
  label: string,
  of: string,
  oneof: string,
]

const feast = JSON.parse(readFileSync(new URL('./vectors/descriptors.json', import.meta.url), 'utf8')) as {
  messages: Readonly<Record<string, readonly FieldRow[]>>
  enums: Readonly<Record<string, Readonly<Record<string, number>>>>
  services: Readonly<Record<string, readonly [string, string]>>
}

const protos = fileURLToPath(new URL('../../protos/', import.meta.url))
const root = new protobuf.Root()
root.resolvePath = (_origin, path) => (path.startsWith('google/') ? path : protos + path)
root.loadSync(
  [
    'feast/core/Registry.proto',
    'feast/core/PrecomputedFeatureVector.proto',
    'feast/types/Value.proto',
    'feast/types/EntityKey.proto',
    'feast/registry/RegistryServer.proto',
    'feast/serving/ServingService.proto',
    'feast/serving/GrpcServer.proto',
    'feast/serving/TransformationService.proto',
  ],
  { keepCase: true },
)
root.resolveAll()

const all: protobuf.ReflectionObject[] = []
const collect = (object: protobuf.ReflectionObject): void => {
  all.push(object)
  if (object instanceof protobuf.Namespace) object.nestedArray.forEach(collect)
}
collect(root)
const ours = all.filter(({ fullName }) => !fullName.startsWith('.google.'))
const nameOf = ({ fullName }: protobuf.ReflectionObject) => fullName.slice(1)

/** A map is a repeated message of key and value, made by the compiler. */
function rowsOf(message: protobuf.Type): readonly FieldRow[] {
  return message.fieldsArray.map((field) => {
    const resolved = field.resolvedType
    const isEnum = resolved instanceof protobuf.Enum
    const type = field.map || (resolved && !isEnum) ? 'message' : isEnum ? 'enum' : field.type
    const optional = field.options?.['proto3_optional'] === true
    const label = field.map || field.repeated ? 'repeated' : optional ? 'optional' : 'single'
    const of = field.map ? entryName(message, field.name) : resolved ? nameOf(resolved) : ''
    return [field.name, field.id, type, label, of, optional ? '' : (field.partOf?.name ?? '')]
  })
}

function entryName(message: protobuf.Type, field: string): string {
  const camel = field.replace(/(^|_)([a-z0-9])/g, (_, _bar, letter: string) => letter.toUpperCase())
  return `${nameOf(message)}.${camel}Entry`
}

const byNumber = (rows: readonly FieldRow[]) => [...rows].sort((a, b) => a[1] - b[1])

describe('protos', () => {
  const messages = ours.filter((object) => object instanceof protobuf.Type)

  it.each(messages.map((message) => [nameOf(message), message] as const))(
    '%s is Feast’s',
    (name, message) => {
      expect(byNumber(rowsOf(message))).toEqual(byNumber(feast.messages[name] ?? []))
      for (const field of message.fieldsArray.filter((one) => one instanceof protobuf.MapField)) {
        const [key, value] = feast.messages[entryName(message, field.name)]!
        expect([key![2], value![2] === 'message' || value![2] === 'enum' ? value![4] : value![2]]).toEqual([
          field.keyType,
          field.resolvedType ? nameOf(field.resolvedType) : field.type,
        ])
      }
    },
  )

  it('has every message of Feast’s files', () => {
    const entries = (name: string) => !/(^|\.)[A-Z]\w*\.\w+Entry$/.test(name)
    expect(messages.map(nameOf).sort()).toEqual(Object.keys(feast.messages).filter(entries).sort())
  })

  it('has Feast’s enums', () => {
    const enums = ours.filter((object) => object instanceof protobuf.Enum)
    expect(Object.fromEntries(enums.map((one) => [nameOf(one), one.values]))).toEqual(feast.enums)
  })

  it('has Feast’s services', () => {
    const methods = ours
      .filter((object) => object instanceof protobuf.Service)
      .flatMap((service) => service.methodsArray)
      .map((method) => [
        nameOf(method),
        [nameOf(method.resolvedRequestType!), nameOf(method.resolvedResponseType!)],
      ])
    expect(Object.fromEntries(methods)).toEqual(feast.services)
  })
})
