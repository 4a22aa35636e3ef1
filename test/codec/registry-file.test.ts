import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { decodeRegistryFile, encodeRegistryFile } from '../../src/codec/registry-file.js'
import { encodeBytesField, encodeTextField } from '../../src/codec/wire.js'
import type { RecordKind, RegistryRecord } from '../../src/core/definition.js'

interface Step {
  readonly after: string
  readonly file: string
  readonly decoded: { readonly version_id: string }
}

const { steps } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry.json', import.meta.url), 'utf8'),
) as { steps: readonly Step[] }
const files = steps.map(({ after, file, decoded }) => ({ after, bytes: Buffer.from(file, 'hex'), decoded }))
const stamp = { versionId: '00000000-0000-4000-8000-000000000000', now: 1_700_000_000_123_456n }

function record(kind: RecordKind, project: string, name: string): RegistryRecord {
  const spec = Buffer.concat([encodeTextField(1, name), encodeTextField(kind === 'entity' ? 9 : 2, project)])
  return { kind, project, name, bytes: encodeBytesField(1, spec) }
}

function keys(bytes: Uint8Array): readonly string[] {
  return decodeRegistryFile(bytes).records.map(({ kind, project, name }) => `${kind} ${project} ${name}`)
}

describe('registry file', () => {
  it.each(files)('names every object Feast wrote: $after', ({ bytes, decoded }) => {
    const file = decodeRegistryFile(bytes)
    expect(file.versionId).toBe(decoded.version_id)
    expect(keys(bytes)).toEqual(
      expect.arrayContaining([
        'project demo demo',
        'entity demo driver',
        'entity demo __dummy',
        'featureView demo driver_stats',
        'featureViewVersion demo driver_stats@v0',
      ]),
    )
  })

  it('names the kinds of the last file in order', () => {
    const counts: Record<string, number> = {}
    for (const { kind } of decodeRegistryFile(files.at(-1)!.bytes).records)
      counts[kind] = (counts[kind] ?? 0) + 1
    expect(counts).toMatchSnapshot()
  })

  it.each(files)('keeps every byte but the header: $after', ({ bytes }) => {
    const { versionId, lastUpdated } = decodeRegistryFile(bytes)
    const again = encodeRegistryFile(bytes, [], { versionId, now: lastUpdated! })
    expect(Buffer.from(again).toString('hex')).toBe(bytes.toString('hex'))
  })

  it('replaces at the end of the kind and removes', () => {
    const { bytes } = files.at(-1)!
    const before = decodeRegistryFile(bytes).records
    const driver = before.find(({ kind, name }) => kind === 'entity' && name === 'driver')!
    const after = encodeRegistryFile(
      bytes,
      [{ put: driver }, { remove: { kind: 'featureViewVersion', project: 'demo', name: 'driver_stats@v0' } }],
      stamp,
    )
    const file = decodeRegistryFile(after)
    expect(file.versionId).toBe(stamp.versionId)
    expect(file.lastUpdated).toBe(stamp.now)
    expect(file.records.filter(({ kind }) => kind === 'entity').at(-1)!.name).toBe('driver')
    expect(file.records.length).toBe(before.length - 1)
  })

  it('takes the last of several changes to one record', () => {
    const one = record('entity', 'p', 'e')
    const written = encodeRegistryFile(undefined, [{ put: one }, { remove: one }, { put: one }], stamp)
    expect(keys(written)).toEqual(['entity p e'])
    expect(keys(encodeRegistryFile(written, [{ put: one }, { remove: one }], stamp))).toEqual([])
  })

  it('keeps two projects apart', () => {
    const written = encodeRegistryFile(
      undefined,
      [{ put: record('featureView', 'a', 'v') }, { put: record('featureView', 'b', 'v') }],
      stamp,
    )
    expect(keys(encodeRegistryFile(written, [{ remove: record('featureView', 'a', 'v') }], stamp))).toEqual([
      'featureView b v',
    ])
  })

  it('carries fields it does not know', () => {
    const unknown = Buffer.concat([encodeTextField(9, 'old'), encodeTextField(900, 'new')])
    const bytes = Buffer.concat([files[0]!.bytes, unknown])
    const after = Buffer.from(encodeRegistryFile(bytes, [{ put: record('entity', 'demo', 'x') }], stamp))
    expect(after.includes(encodeTextField(9, 'old'))).toBe(true)
    expect(after.includes(encodeTextField(900, 'new'))).toBe(true)
  })

  it('gives an object with an unreadable name one that can be told', () => {
    const broken = encodeBytesField(6, Buffer.from([0x0a, 0x05, 0x0a, 0x7f, 1, 2, 3]))
    const { records } = decodeRegistryFile(Buffer.concat([files[0]!.bytes, broken]))
    expect(records.at(-1)).toMatchObject({ kind: 'featureView', project: '' })
    expect(records.at(-1)!.name).toMatch(/^\(unreadable #\d+\)$/)
  })

  it('never takes a damaged file for an empty registry', () => {
    expect(() => decodeRegistryFile(Buffer.alloc(0))).toThrow('the file is empty')
    expect(() => decodeRegistryFile(Buffer.from('registry: data/registry.db\n'))).toThrow(/byte \d+/)
    expect(() => decodeRegistryFile(Buffer.alloc(4096))).toThrow('not a field tag')
    expect(() => decodeRegistryFile(encodeTextField(900, 'x'))).toThrow('version id')
  })

  it.each(files)('sees a cut at any byte before the last record: $after', ({ bytes }) => {
    const whole = decodeRegistryFile(bytes).records
    for (let length = 0; length < bytes.length; length++) {
      let records: readonly RegistryRecord[] | undefined
      try {
        records = decodeRegistryFile(bytes.subarray(0, length)).records
      } catch (error) {
        expect(String(error)).toMatch(/byte \d+/)
      }
      // Only the version history, which stands last, may be missing unseen.
      const rest = whole.filter(({ kind }) => kind !== 'featureViewVersion')
      if (records) expect(records).toEqual(rest)
    }
  })

  it('sees a cut of a file without a project', () => {
    const bytes = encodeRegistryFile(undefined, [{ put: record('entity', 'p', 'e') }], stamp)
    expect(keys(bytes)).toEqual(['entity p e'])
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeRegistryFile(bytes.subarray(0, length))).toThrow()
  })

  it('names the object that is cut', () => {
    const { bytes } = files[0]!
    const at = bytes.indexOf('driver_stats') + 20
    expect(() => decodeRegistryFile(bytes.subarray(0, at))).toThrow(/"driver_stats" is damaged or cut short/)
  })
})
