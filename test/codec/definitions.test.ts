import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import {
  decodeDefinition,
  encodeDefinition,
  isDefinitionKind,
  MESSAGE_NAMES,
} from '../../src/codec/definitions/definition-codec.js'
import { decodeMessage, encodeMessage, isMessage, shapeOf } from '../../src/codec/proto.js'
import { decodeRegistryFile } from '../../src/codec/registry-file.js'
import { recordJson } from '../../src/codec/registry-json.js'
import type { RegistryRecord } from '../../src/core/definition.js'
import type { AnyView } from '../../src/core/projection.js'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const { steps } = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry.json', import.meta.url), 'utf8'),
) as { steps: readonly { after: string; file: string; decoded: Json }[] }

/** JSON with the names of the .proto files as JSON with camelCase names. */
function camelCase(type: string, json: Json): Json {
  const source = json as { readonly [key: string]: Json }
  if (!isMessage(type) || json === null || typeof json !== 'object' || type.startsWith('google.')) return json
  return Object.fromEntries(
    shapeOf(type).fields.flatMap((field): [string, Json][] => {
      const value = source[field.protoName]
      if (value === undefined) return []
      if (field.map || !isMessage(field.type)) return [[field.name, value]]
      return [
        [
          field.name,
          Array.isArray(value)
            ? value.map((one) => camelCase(field.type, one))
            : camelCase(field.type, value),
        ],
      ]
    }),
  )
}

const sections: Readonly<Record<string, string>> = {
  entity: 'entities',
  featureView: 'feature_views',
  featureService: 'feature_services',
  dataSource: 'data_sources',
  permission: 'permissions',
  project: 'projects',
}

function recordedJson(decoded: Json, { kind }: RegistryRecord): readonly Json[] {
  const registry = decoded as { readonly [key: string]: Json }
  const history = registry['feature_view_version_history'] as { records: readonly Json[] }
  const list =
    kind === 'featureViewVersion' ? history.records : (registry[sections[kind]!] as readonly Json[])
  return list.map((one) => camelCase(MESSAGE_NAMES[kind], one))
}

const everything = JSON.parse(
  readFileSync(new URL('../compat/vectors/registry-all-kinds.json', import.meta.url), 'utf8'),
) as { file: string; decoded: Readonly<Record<string, Json>> }

/** Bytes as hex, one line each. */
function withHex(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(withHex)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withHex(one)]))
}

const jsonSections: Readonly<Record<string, string>> = {
  entity: 'entities',
  featureView: 'featureViews',
  streamFeatureView: 'streamFeatureViews',
  onDemandFeatureView: 'onDemandFeatureViews',
  labelView: 'labelViews',
  featureService: 'featureServices',
  dataSource: 'dataSources',
  savedDataset: 'savedDatasets',
  validationReference: 'validationReferences',
  permission: 'permissions',
  project: 'projects',
  projectMetadata: 'projectMetadata',
}

describe('records of every kind, made by Feast’s classes', () => {
  const { records } = decodeRegistryFile(Buffer.from(everything.file, 'hex'))

  it.each(records)('decodes $kind $name as protobuf does', (record) => {
    const { decoded } = everything
    const json = recordJson(record)
    if (record.kind === 'infra') expect(json).toEqual(decoded['infra'])
    else if (record.kind === 'featureViewVersion')
      expect(decoded['featureViewVersionHistory']).toEqual({ records: [json] })
    else expect(decoded[jsonSections[record.kind]!]).toContainEqual(json)
  })

  it.each(records)('encodes $kind $name to the same bytes', ({ kind, bytes }) => {
    const again = encodeMessage(MESSAGE_NAMES[kind], decodeMessage(MESSAGE_NAMES[kind], bytes))
    expect(again.toString('hex')).toBe(Buffer.from(bytes).toString('hex'))
  })

  it.each(records.filter(({ kind, name }) => isDefinitionKind(kind) && name !== 'od_old'))(
    'changes nothing when $kind $name is applied as it is',
    ({ kind, bytes, name }) => {
      if (!isDefinitionKind(kind)) return
      const views = new Map(
        records
          .filter((record) => /View$/.test(record.kind))
          .map((record) => [
            record.name,
            decodeDefinition(record.kind as 'featureView', record.bytes) as AnyView,
          ]),
      )
      const context = { project: 'p', now: 0n, findView: (view: string) => views.get(view) }
      const definition = decodeDefinition(kind, bytes)
      expect(definition.name).toBe(name)
      expect(encodeDefinition(definition, context, bytes)).toEqual({ bytes, differences: [] })
    },
  )

  it('writes the sources of an on demand view of before Feast 0.20 as projections', () => {
    const { bytes } = records.find(({ name }) => name === 'od_old')!
    const fv = records.find(({ kind, name }) => kind === 'featureView' && name === 'fv')!
    const findView = () => decodeDefinition('featureView', fv.bytes) as AnyView
    const encoded = encodeDefinition(
      decodeDefinition('onDemandFeatureView', bytes),
      { project: 'p', now: 0n, findView },
      bytes,
    )
    expect(encoded.differences.map(({ field }) => field)).toEqual(['sources'])
  })

  it('decodes to definitions', () => {
    const definitions = records.flatMap(({ kind, bytes }) =>
      isDefinitionKind(kind) ? [decodeDefinition(kind, bytes)] : [],
    )
    expect(definitions.map(withHex)).toMatchSnapshot()
  })
})

describe.each(steps)('records Feast wrote: $after', ({ file, decoded }) => {
  const { records } = decodeRegistryFile(Buffer.from(file, 'hex'))
  const views = new Map(
    records
      .filter(({ kind }) => kind === 'featureView')
      .map(({ name, bytes }) => [name, decodeDefinition('featureView', bytes) as AnyView]),
  )
  const context = { project: 'demo', now: 0n, findView: (name: string) => views.get(name) }

  it('decode to what Feast decodes them to', () => {
    for (const record of records) expect(recordedJson(decoded, record)).toContainEqual(recordJson(record))
  })

  it('encode to the same bytes', () => {
    for (const { kind, bytes } of records) {
      const again = encodeMessage(MESSAGE_NAMES[kind], decodeMessage(MESSAGE_NAMES[kind], bytes))
      expect(again.toString('hex')).toBe(Buffer.from(bytes).toString('hex'))
    }
  })

  it('do not change when their own definition is applied', () => {
    for (const { kind, bytes } of records) {
      if (!isDefinitionKind(kind)) continue
      const encoded = encodeDefinition(decodeDefinition(kind, bytes), context, bytes)
      expect(encoded.differences).toEqual([])
      expect(encoded.bytes).toBe(bytes)
    }
  })
})
