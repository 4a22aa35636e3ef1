import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { ENUMS, MESSAGES } from '../../src/codec/messages.generated.js'
import {
  decodeMessage,
  encodeMessage,
  type FieldShape,
  type MessageName,
  shapeOf,
} from '../../src/codec/proto.js'
import { encodeBytesField, encodeTextField, encodeVarintField } from '../../src/codec/wire.js'

const seed = Number(process.env['FEAST_SEED'] ?? Date.now() % 2 ** 31)
console.log(`messages: FEAST_SEED=${seed}`)

const protos = fileURLToPath(new URL('../../protos/', import.meta.url))
const root = new protobuf.Root()
root.resolvePath = (_origin, path) => (path.startsWith('google/') ? path : protos + path)
root.loadSync([
  'feast/core/Registry.proto',
  'feast/serving/GrpcServer.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'inference/grpc_service.proto',
])
root.resolveAll()

/** Without those that hold Values: to the table they are bytes, to the library messages. */
const names = (Object.keys(MESSAGES) as MessageName[]).filter(
  (name) => !MESSAGES[name]!.some(([, , type]) => type === 'string bytes'),
)

const known = new Map<string, fc.Arbitrary<Record<string, unknown>>>()

/** Any message of a type. Two arms of a oneof are never set, and defaults only where they show. */
function messages(type: string, depth = 2): fc.Arbitrary<Record<string, unknown>> {
  const key = `${type} ${depth}`
  const made = known.get(key) ?? freshMessages(type, depth)
  known.set(key, made)
  return made
}

function freshMessages(type: string, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const fields = shapeOf(type).fields.filter(({ isMessage }) => depth > 0 || !isMessage)
  const byName = new Map(fields.map((field) => [field.name, field]))
  // Few fields at a time, so that messages of messages stay small.
  return fc
    .subarray([...byName.keys()], { maxLength: Math.min(5, byName.size) })
    .chain((names) =>
      fc
        .record(Object.fromEntries(names.map((name) => [name, values(byName.get(name)!, depth)])))
        .map((message) => withoutDefaults(message, byName)),
    )
}

function withoutDefaults(message: Record<string, unknown>, byName: ReadonlyMap<string, FieldShape>) {
  const arms = new Set<string>()
  return Object.fromEntries(
    Object.entries(message).filter(([name, value]) => {
      const { oneof } = byName.get(name)!
      if (oneof === undefined) return !isDefault(value)
      if (arms.has(oneof)) return false
      arms.add(oneof)
      return true
    }),
  )
}

function isDefault(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (value instanceof Map) return value.size === 0
  if (value instanceof Uint8Array) return value.length === 0
  return value === '' || value === 0 || value === 0n || value === false || Object.is(value, -0)
}

function values(field: FieldShape, depth: number): fc.Arbitrary<unknown> {
  const one = single(field, depth)
  if (field.repeated) return fc.array(one, { maxLength: 2 })
  if (!field.map) return one
  return fc.array(fc.tuple(text, one), { maxLength: 2 }).map((entries) => new Map(entries))
}

const text = fc.string({ unit: 'grapheme', maxLength: 200 })

function single({ type, isMessage }: FieldShape, depth: number): fc.Arbitrary<unknown> {
  if (isMessage) return messages(type, depth - 1)
  if (type === 'string') return text
  if (type === 'bool') return fc.boolean()
  if (type === 'int64') return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  if (type === 'uint64') return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  if (type === 'uint32') return fc.nat(0xffff_ffff)
  if (type === 'double') return fc.double({ noNaN: true })
  if (type === 'bytes') return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  if (type === 'float') return fc.float({ noNaN: true })
  if (type in ENUMS) return fc.constantFrom(...Object.keys(ENUMS[type]!).map(Number))
  return fc.integer()
}

describe('messages', () => {
  it('are those of protos/ (node scripts/protos.mjs writes them)', () => {
    const script = fileURLToPath(new URL('../../scripts/protos.mjs', import.meta.url))
    expect(() => execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' })).not.toThrow()
  })

  it.each(names)('%s reads back, and is what protobufjs reads and writes', (name) => {
    const reference = root.lookupType(name)
    fc.assert(
      fc.property(messages(name), (message) => {
        const bytes = encodeMessage(name, message)
        expect(decodeMessage(name, bytes)).toEqual(message)
        // The library writes the same fields, if in another order.
        const again = reference.encode(reference.decode(bytes)).finish()
        expect(decodeMessage(name, again)).toEqual(message)
      }),
      { seed, numRuns: 40 },
    )
  })

  it('keep fields they do not know, at every depth', () => {
    const unknown = Buffer.concat([encodeTextField(777, 'later'), encodeVarintField(778, 5)])
    const field = Buffer.concat([encodeTextField(1, 'f'), unknown])
    const spec = Buffer.concat([encodeTextField(1, 'v'), encodeBytesField(4, field), unknown])
    const bytes = Buffer.concat([encodeBytesField(1, spec), unknown])
    const again = encodeMessage('feast.core.FeatureView', decodeMessage('feast.core.FeatureView', bytes))
    expect(again.toString('hex')).toBe(bytes.toString('hex'))
  })

  it('merge what is written twice, as protobuf does', () => {
    const twice = Buffer.concat([
      encodeBytesField(1, encodeTextField(1, 'a')),
      encodeBytesField(1, encodeTextField(4, 'k')),
    ])
    expect(decodeMessage('feast.core.Entity', twice)).toEqual({ spec: { name: 'a', joinKey: 'k' } })
  })

  it('take the last arm of a oneof', () => {
    const bytes = Buffer.concat([
      encodeBytesField(11, encodeTextField(2, 'x')),
      encodeBytesField(35, Buffer.alloc(0)),
    ])
    expect(decodeMessage('feast.core.DataSource', bytes)).toEqual({ athenaOptions: {} })
  })

  it('read lists of numbers packed and one by one', () => {
    const packed = encodeBytesField(3, Buffer.from([1, 2]))
    const single = Buffer.concat([encodeVarintField(3, 1), encodeVarintField(3, 2)])
    for (const bytes of [packed, single])
      expect(decodeMessage('feast.core.PermissionSpec', bytes)).toEqual({ types: [1, 2] })
  })

  it.each([
    [
      'cut short',
      encodeTextField(1, 'driver').subarray(0, 4),
      /field 1 needs 6 bytes, but 2 are left at byte 2/,
    ],
    ['a field of another wire type', encodeVarintField(1, 7), /field "name" has wire type 0 at byte 1/],
    ['text that is not UTF-8', encodeBytesField(1, Buffer.from([0xff])), /text that is not UTF-8 at byte 2/],
    ['field number 0', Buffer.from([2, 0]), /not a field tag at byte 0/],
    ['a group', Buffer.from([0x0b]), /unknown wire type 3 at byte 1/],
    ['an endless number', Buffer.alloc(12, 0xff), /more than ten bytes at byte 0/],
    [
      'a length beyond all bounds',
      Buffer.from([0x0a, ...Array(9).fill(0xff), 1]),
      /needs \d+ bytes, but 0 are left/,
    ],
  ])('refuse %s', (_what, bytes, problem) => {
    expect(() => decodeMessage('feast.core.EntitySpecV2', bytes)).toThrow(problem)
  })

  it('refuse nesting that would end the process', () => {
    let bytes: Buffer = Buffer.alloc(0)
    for (let depth = 0; depth < 5000; depth++) bytes = encodeBytesField(26, bytes)
    expect(() => decodeMessage('feast.core.DataSource', bytes)).toThrow('nested too deep')
  })
})
