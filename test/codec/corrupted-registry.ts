import { readFileSync } from 'node:fs'
import { expect } from '@jest/globals'
import { isDefinitionKind } from '../../src/codec/definitions/definition-codec.js'
import { decodeRegistryFile, encodeRegistryFile } from '../../src/codec/registry-file.js'
import { dumpJson } from '../../src/codec/registry-json.js'
import { encodeBytesField, encodeTextField, MalformedMessage } from '../../src/codec/wire.js'
import { type RegistryRecord, recordKeyText } from '../../src/core/definition.js'
import { isFeastError } from '../../src/core/errors.js'
import { createRegistry } from '../../src/registry/registry.js'
import type { Random } from '../compat/random.js'

function vector(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../compat/vectors/${name}`, import.meta.url), 'utf8'))
}

const { steps } = vector('registry.json') as { steps: readonly { file: string }[] }
const { file } = vector('registry-all-kinds.json') as { file: string }
const originals = [...steps.map((step) => step.file), file].map((hex) => Buffer.from(hex, 'hex'))

const DAMAGES: readonly ((bytes: Buffer, at: number, random: Random) => Buffer)[] = [
  (bytes, at, random) => set(bytes, at, bytes[at]! ^ (1 << random.int(0, 7))),
  (bytes, at, random) => set(bytes, at, random.int(0, 255)),
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at, random) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(1, 64))]),
  (bytes, at, random) => Buffer.concat([bytes.subarray(0, at), noise(random), bytes.subarray(at)]),
  (bytes, at, random) => Buffer.from(bytes).fill(0, at, Math.min(at + random.int(1, 512), bytes.length)),
  (bytes, at, random) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.int(0, at))]),
]

function set(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}

function noise(random: Random): Buffer {
  return Buffer.from(random.times(random.int(1, 64), () => random.int(0, 255)))
}

/** Damages a registry in one to three places and expects it to be refused, or served but for what is broken. */
export function expectDamageSeen(random: Random): 'refused' | 'broken' | 'unseen' {
  const original = random.pick(originals)
  let bytes: Buffer = original
  for (let left = random.int(1, 3); left > 0 && bytes.length > 1; left--) {
    bytes = random.pick(DAMAGES)(bytes, random.int(0, bytes.length - 1), random)
  }
  let records: readonly RegistryRecord[]
  try {
    records = decodeRegistryFile(bytes).records
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedMessage)
    expect(String(error)).toMatch(
      /"|before its first object|version id|is empty|nothing that is known|cut short/,
    )
    return 'refused'
  }
  expect(records).not.toEqual([])
  const damaged = expectRestServed(original, records)
  expectRestKept(bytes, records)
  return damaged > 0 ? 'broken' : 'unseen'
}

/** @returns how many records are broken */
function expectRestServed(original: Buffer, records: readonly RegistryRecord[]): number {
  const registry = createRegistry({ version: '1', records })
  const broken = registry.broken()
  const names = new Set(broken.map(({ key }) => recordKeyText(key)))
  for (const { key, error } of broken) {
    expect(error.code).toBe('RECORD_UNREADABLE')
    expect(error.message).toContain(key.name)
  }
  const sound = new Set(decodeRegistryFile(original).records.map(text))
  for (const record of records) {
    const alone = records.every((other) => other === record || recordKeyText(other) !== recordKeyText(record))
    if (alone && sound.has(text(record))) expect(names.has(recordKeyText(record))).toBe(false)
    if (isDefinitionKind(record.kind)) registry.list(record.project, record.kind)
    if (/View$/.test(record.kind)) lookUp(() => registry.view(record.project, record.name))
    if (/View$/.test(record.kind)) lookUp(() => registry.viewState(record.project, record.name))
  }
  for (const project of registry.projects) JSON.stringify(dumpJson(records, project))
  return broken.length
}

function lookUp(ask: () => unknown): void {
  try {
    ask()
  } catch (error) {
    if (!isFeastError(error, 'RECORD_UNREADABLE')) throw error
  }
}

function text(record: RegistryRecord): string {
  return `${recordKeyText(record)} ${Buffer.from(record.bytes).toString('latin1')}`
}

/** Writing something else leaves every other record, broken or not, byte for byte. */
function expectRestKept(bytes: Buffer, records: readonly RegistryRecord[]): void {
  const name = 'added by the test'
  const spec = Buffer.concat([encodeTextField(1, name), encodeTextField(9, 'demo')])
  const put: RegistryRecord = { kind: 'entity', project: 'demo', name, bytes: encodeBytesField(1, spec) }
  const after = decodeRegistryFile(encodeRegistryFile(bytes, [{ put }], { versionId: 'v', now: 0n })).records
  const contents = (list: readonly RegistryRecord[]) =>
    list.map((record) => `${record.kind} ${Buffer.from(record.bytes).toString('latin1')}`).sort()
  expect(contents(after)).toEqual(contents([...records, put]))
}
